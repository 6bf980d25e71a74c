"""Folders of labelled pictures: ``DIR/<label>/…``, one folder per label."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vithybrid_cli.errors import UsageError
from vithybrid_cli.sources.find import find
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.walk import natural_key


def label_folders(folder: Path) -> tuple[str, ...]:
    """The names of the label folders in natural order. Raises UsageError where there are none."""
    try:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder.", "Give a folder that holds one folder of pictures per label.")
        names = [entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise UsageError(f"{folder} cannot be listed: {error.strerror}.", "Change its permissions.") from error
    if not names:
        raise UsageError(f"{folder} holds no folders.", "Put the pictures of each label into a folder of its name.")
    return tuple(sorted(names, key=natural_key))


def labelled_pictures(
    folder: Path, labels: Mapping[str, int], exclude: Sequence[str] = (), survey: Survey | None = None
) -> Iterator[tuple[str, int]]:
    """Each picture below each label folder, with the class index that ``labels`` gives the folder's name.

    ``exclude`` and ``survey`` are those of `vithybrid_cli.sources.find.find`.
    """
    for name, index in labels.items():
        for path in find([str(folder / name)], exclude, survey):
            yield path, index
