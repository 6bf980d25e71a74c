"""Folders of labelled pictures: ``DIR/<label>/…``, one folder per label."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.images.suffixes import picture_suffixes, suffix_of
from vithybrid_cli.items import Item
from vithybrid_cli.sources.exclude import Exclude
from vithybrid_cli.sources.labelled import PARTS, DataSetRoot
from vithybrid_cli.sources.own_files import OwnFiles
from vithybrid_cli.sources.pictures import Pictures, may_be_a_lost_folder
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.walk import Entry, listing, walk


@dataclass(frozen=True, slots=True)
class LabelFolders:
    """A folder of label folders, ``names``; see `vithybrid_cli.sources.labelled.Labelled`."""

    folder: Path
    names: tuple[str, ...]
    exclude: Sequence[str] = ()
    raw: bool = False

    @classmethod
    def open(cls, folder: Path, exclude: Sequence[str] = (), *, raw: bool = False) -> Self:
        """Raises UsageError as `label_folders` does."""
        return cls(folder, label_folders(folder, exclude), exclude, raw)

    @property
    def where(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def count(self) -> int:
        """By listing all folders."""
        return sum(1 for _ in self.pictures(Survey()))

    def pictures(self, survey: Survey) -> Iterator[tuple[Item, str]]:
        """Label by label, in natural order."""
        return labelled_pictures(self.folder, self.names, self.exclude, survey, raw=self.raw)


def label_folders(folder: Path, exclude: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the label folders in natural order, without folders that systems make and those of ``exclude``.

    Raises UsageError where there are none, or one is a link that leads nowhere, and DataSetRoot where they are the
    parts of a data set.
    """
    try:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder.", "Give a folder that holds one folder of pictures per label.")
        next(folder.iterdir(), None)
    except OSError as error:
        raise UsageError(f"{folder} cannot be listed: {error.strerror}.", "Change its permissions.") from error
    _require_no_lost(folder, exclude)
    labels = _folders(folder, exclude)
    if not labels:
        raise _without_folders(folder)
    _require_no_root(folder, labels)
    return tuple(entry.name for entry in labels)


def labelled_pictures(
    folder: Path,
    labels: Sequence[str],
    exclude: Sequence[str] = (),
    survey: Survey | None = None,
    *,
    raw: bool = False,
) -> Iterator[tuple[Item, str]]:
    """Each picture below each of the label folders ``labels``, with the folder's name.

    ``exclude``, ``survey`` and ``raw`` are those of `vithybrid_cli.sources.find.find`; what lies beside the label
    folders is counted too.
    """
    survey = Survey() if survey is None else survey
    survey.inputs, survey.labelled, survey.excluding = [str(folder)], True, exclude
    pictures = _OfLabels(_pictures(folder, exclude, survey, raw=raw))
    for entry in listing(str(folder))[0]:
        if entry.is_folder:
            pictures.below(entry)
        elif pictures.takes(entry):
            survey.unlabelled += 1
    for name in labels:
        label = str(folder / name)
        for path in walk(label, pictures.all_of(label)):
            survey.found += 1
            yield LocalFile(path), name


@dataclass(frozen=True, slots=True)
class _OfLabels:
    """What is wanted of label folders: `Pictures`, but not what a link to a folder around them leads to.

    There all labels are found again. Hidden folders are counted, and links.
    """

    pictures: Pictures

    def all_of(self, tree: str) -> Self:
        """The same for a walk through all of a label's folder."""
        return replace(self, pictures=self.pictures.all_of(tree))

    def takes(self, entry: Entry) -> bool:
        """Whether this file is a picture to read."""
        taken = self.pictures.takes(entry)
        self.pictures.survey.links += taken and entry.is_link
        return taken

    def below(self, entry: Entry) -> Self | None:
        """What is wanted of this subfolder: the same, or nothing."""
        survey = self.pictures.survey
        if entry.name.startswith("."):
            survey.pass_hidden(entry.name)
            return None
        if self.pictures.below(entry) is None:
            return None
        if entry.is_link and _leads_back(entry, self.pictures.root):
            survey.loops += 1
            return None
        survey.links += entry.is_link
        return self


def _leads_back(link: Entry, root: str) -> bool:
    """Whether a link leads to a folder that it lies in, or that the label folders lie in."""
    target = os.path.realpath(link.path)
    around = os.path.join(target, "")  # noqa: PTH118 (keeps the slash)
    return any(os.path.join(os.path.realpath(inner), "").startswith(around) for inner in (link.folder, root))  # noqa: PTH118


def holds_only_folders(folder: Path) -> bool:
    """Whether there are folders right in it, which might be labels, and no pictures."""
    entries = listing(str(folder))[0]
    return bool(_folders(folder)) and not any(map(_is_picture, entries))


def _pictures(folder: Path, exclude: Sequence[str], survey: Survey, *, raw: bool = False) -> Pictures:
    return Pictures(survey, Exclude.of(exclude), raw=raw, own=OwnFiles.of(None, None), root=str(folder))


def _folders(folder: Path, exclude: Sequence[str] = ()) -> list[Entry]:
    """The folders in it that may be labels."""
    pictures = _OfLabels(_pictures(folder, exclude, Survey()))
    return [entry for entry in listing(str(folder))[0] if entry.is_folder and pictures.below(entry) is not None]


def _require_no_lost(folder: Path, exclude: Sequence[str]) -> None:
    """Raise UsageError where a label's folder is a link that leads nowhere: there would be a label too few."""
    pictures = _pictures(folder, exclude, Survey())
    for entry in filter(may_be_a_lost_folder, listing(str(folder))[0]):
        if pictures.below(replace(entry, is_folder=True)) is not None:
            cause = f"{entry.path} is a link to {os.readlink(entry.path)}, where there is nothing."  # noqa: PTH115
            raise UsageError(cause, "Mend the link, or remove it.")


def _is_picture(entry: Entry) -> bool:
    visible = not (entry.is_folder or entry.name.startswith("."))
    return visible and suffix_of(entry.name) in picture_suffixes()


def _require_no_root(root: Path, folders: Sequence[Entry]) -> None:
    """Raise DataSetRoot where all folders are called as the parts of a data set, or several and hold labels.

    One alone may well be a label: trains are photographed.
    """
    named = [folder for folder in folders if folder.name.lower() in PARTS]
    apart = [folder for folder in named if holds_only_folders(Path(folder.path))]
    if len(apart) < 2 and not (len(named) == len(folders) and (len(named) > 1 or apart)):
        return
    if parts := [folder.path for folder in named if _folders(Path(folder.path))]:
        cause = f"{root} is the root of a data set, and the labels are within its parts: {', '.join(parts)}."
        raise DataSetRoot(cause, "Give one of these folders.")
    names = ", ".join(folder.name for folder in named)
    cause = f"{root} is the root of a data set, whose parts hold no folders of labels: {names}."
    raise UsageError(cause, "In each part, put the pictures of each label into a folder of its name.")


def _without_folders(folder: Path) -> UsageError:
    if any(map(_is_picture, listing(str(folder))[0])):
        cause = f"{folder} holds pictures, and no folders of them."
        return UsageError(cause, "Give the folder above it, or put the pictures of each label into a folder.")
    if any(entry.is_folder and entry.name.startswith(".") for entry in listing(str(folder))[0]):
        cause = f"{folder} holds no folders but hidden ones."
        return UsageError(cause, "Rename those that are labels, without the dot, or put the pictures into others.")
    return UsageError(f"{folder} holds no folders.", "Put the pictures of each label into a folder of its name.")
