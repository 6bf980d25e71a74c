"""What a training run begins with, checked before it does: what is wrong should not show after hours."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vithybrid_cli.errors import UsageError

if TYPE_CHECKING:
    from vithybrid_cli.training.data import LabelledPictures
    from vithybrid_cli.training.run import StartingPoint


def pictures_for(
    folder: str, held_out: str | None, val_split: float | None, seed: int, read: Callable[..., "LabelledPictures"]
) -> tuple["LabelledPictures", "LabelledPictures | None", "LabelledPictures | None"]:
    """The pictures to train on, those that are split from them to choose the epoch, and those to measure it on.

    What is wrong with any of them shows here, and not after hours.
    """
    data = read(folder)
    test = None if held_out is None else read(held_out, data.labels)
    if val_split is None:
        return data, None, test
    data, chooser = data.split(val_split, seed)
    return data, chooser, test


def measured_between(chooser: "LabelledPictures | None", test: "LabelledPictures | None") -> "LabelledPictures | None":
    """What is measured after each epoch: what chooses, else the test, if it can be read more than once."""
    if chooser is not None or test is None:
        return chooser
    return test if len(test.items) == len(test.targets) else None


def has_begun(output: Path) -> bool:
    """Whether a run has written anything there: one that was killed before has left nothing to resume."""
    from vithybrid_cli.hub.files import CONFIG
    from vithybrid_cli.training.state import STATE

    return (output / STATE).exists() or (output / CONFIG).exists()


def require_new(output: Path, folder: str, *, resume: bool) -> None:
    """Raise UsageError rather than write over a checkpoint, among the pictures of ``folder``, or where none can."""
    from vithybrid_cli.hub.files import CONFIG
    from vithybrid_cli.training.state import STATE

    if output.resolve().is_relative_to(Path(folder).resolve()):
        cause = f"{output} is within {folder}, where each folder is a label."
        raise UsageError(cause, "Give an {output} outside of it.")
    try:
        _require_writable(output)
        if resume or not has_begun(output):
            return
    except OSError as error:
        raise UsageError(f"{output} cannot be read: {error.strerror}.", "Give another {output}.") from error
    remedy = "Give {resume} to continue it, or another" if (output / STATE).exists() else "Give another"
    what = "a checkpoint" if (output / CONFIG).exists() else "a training run"
    raise UsageError(f"{output} holds {what} already.", f"{remedy} {{output}}.")


def _require_writable(output: Path) -> None:
    """Raise UsageError where no folder can be made or written to, as far as that shows without trying."""
    place = next(path for path in (output, *output.parents, Path()) if path.exists() or path.is_symlink())
    where = f"{output} cannot be made: {place}" if place != output else f"{output}"
    if not place.exists():
        raise UsageError(f"{where} is a link to what does not exist.", "Give another {output}.")
    if not place.is_dir():
        raise UsageError(f"{where} is no folder.", "Give a folder as {output}: the checkpoint is several files.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UsageError(f"{where} may not be written to.", "Give another {output}.")


def starting_point(path: Path, *, with_weights: bool) -> "StartingPoint":
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.hub.files import CONFIG, WEIGHTS_SUFFIXES
    from vithybrid_cli.training.run import StartingPoint

    if path.is_file() and path.suffix not in WEIGHTS_SUFFIXES:
        if with_weights or path.name != CONFIG:
            raise UsageError(f"{path} is a file.", f"Give a checkpoint, or its {CONFIG} to {{config}}.")
        path = path.parent
    return StartingPoint(Checkpoint.read(path), with_weights=with_weights)
