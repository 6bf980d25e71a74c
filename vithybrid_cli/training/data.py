"""Labelled pictures, and the random crops and flips of them that a training run sees.

What a picture looks like in an epoch depends only on the seed, the epoch and the picture's index, never on the timing
of threads: a resumed run sees the same pictures as one that was never stopped.
"""

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vithybrid_cli.errors import ImageError, UsageError, are, counted, listed, short
from vithybrid_cli.images.memory import default_budget
from vithybrid_cli.items import Item
from vithybrid_cli.settings import AS_IT_IS, Decoding, Reading
from vithybrid_cli.sources.labelled import DataSetRoot, Labelled
from vithybrid_cli.sources.labelled.folders import LabelFolders, holds_only_folders
from vithybrid_cli.sources.labelled.inputs import open_labelled
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.walk import natural_key
from vithybrid_cli.training.labels import OfLabels, inner_folders, label_of, labels_of, require_well_spelt, told_apart

_NAMED_LABELS = 5  # that an error message spells out
_COUNTED_LABELS = 20  # that a summary spells out
_AS_USUAL = Reading()


@dataclass(frozen=True, slots=True)
class LabelledPictures:
    """Pictures and their labels, which are in the order of their class indices: of folders that is the natural one.

    ``left_out`` says in words what else lies there, ``notes`` what a user would want to know about them, ``decoding``
    how they are read. Of pictures to measure on, ``items`` lacks those whose bytes would have to be kept in memory.
    """

    labels: tuple[str, ...]
    items: tuple[Item, ...]
    targets: npt.NDArray[np.int64]  # class index of each picture
    left_out: str | None = None
    notes: tuple[str, ...] = ()
    decoding: Decoding = AS_IT_IS

    @property
    def counts(self) -> list[int]:
        """How many pictures each label has, by class index."""
        counts: list[int] = np.bincount(self.targets, minlength=len(self.labels)).tolist()
        return counts

    def summary(self) -> str:
        """How many pictures there are, and of which label how many; of many labels also the fewest and the most."""
        counts = self.counts
        named = [f"{short(label)} {count}" for label, count in zip(self.labels, counts, strict=True)]
        pictures = "1 picture" if len(self.targets) == 1 else f"{len(self.targets)} pictures"
        said = f"{pictures} of {len(self.labels)} labels: {', '.join(named[:_COUNTED_LABELS])}"
        if len(named) <= _COUNTED_LABELS:
            return said
        fewest, most = named[counts.index(min(counts))], named[counts.index(max(counts))]
        return f"{said} and {len(named) - _COUNTED_LABELS} more (fewest: {fewest}, most: {most})"

    def with_indices_of(self, labels: tuple[str, ...]) -> "LabelledPictures":
        """The same pictures with the class indices of ``labels``, if these are the same labels in any order."""
        if sorted(labels) != sorted(self.labels):
            return self
        indices = np.array([labels.index(label) for label in self.labels], dtype=np.int64)
        return replace(self, labels=labels, targets=indices[self.targets])

    def split(self, share: float, seed: int) -> tuple["LabelledPictures", "LabelledPictures"]:
        """Two parts, of which the second has about ``share`` of the pictures of each label: at least one, and not all.

        The only picture of a label stays in the first part. Which they are depends on the seed and the number of
        pictures alone. Raises UsageError if no label has two pictures.
        """
        rng = np.random.default_rng((seed, len(self.items)))
        out = np.zeros(len(self.items), dtype=bool)
        for label in range(len(self.labels)):
            of_label = rng.permutation(np.flatnonzero(self.targets == label))
            out[of_label[: min(max(1, round(share * len(of_label))), len(of_label) - 1)]] = True
        if not out.any():
            cause = "Each label has only one picture, so that none can be held out."
            raise UsageError(cause, "Add pictures, or leave out {val_split}.")
        return self._some(~out), replace(self._some(out), left_out=None, notes=())

    def without(self, paths: Collection[str]) -> "LabelledPictures":
        """Without the pictures of these names, as far as ``items`` has them."""
        if not paths or len(self.items) != len(self.targets):
            return self
        return self._some(np.array([item.name not in paths for item in self.items], dtype=bool))

    def _some(self, chosen: npt.NDArray[np.bool_]) -> "LabelledPictures":
        items = tuple(item for item, wanted in zip(self.items, chosen, strict=True) if wanted)
        return replace(self, items=items, targets=self.targets[chosen])

    def fingerprint(self) -> str:
        """A hash of names and labels: it changes with any of them, but not when the whole is moved, or packed."""
        names = (f"{target}/{base_name(item.name)}\0" for item, target in zip(self.items, self.targets, strict=True))
        return hashlib.sha256("".join(names).encode(errors="surrogateescape")).hexdigest()[:16]


def read_labelled(
    named: str | Path,
    labels: tuple[str, ...] | None = None,
    *,
    what: Reading = _AS_USUAL,
    label_column: str | None = None,
    offline: bool = False,
) -> LabelledPictures:
    """List the pictures that are ``named``, as `vithybrid_cli.sources.labelled.inputs.open_labelled` has it.

    ``labels`` are those of the training pictures, by class index; pictures of others are left out, since no answer to
    them could be right. Without them these are the pictures to train on: there have to be at least two labels, each
    with pictures. What can be read from its beginning to its end alone, as a compressed tar or a table, is kept in
    memory then, up to a quarter of what is free.

    Raises UsageError if there is nothing of this name, no label or picture in it, or more than fits into memory.
    """
    source = _source(str(named), what, label_column, offline=offline, training=labels is None)
    survey = Survey()
    if labels is not None:
        return replace(_to_measure_on(source, labels, survey), decoding=what.decoding)
    items, found = _collected(source, survey, keep=True)
    if not found:
        raise UsageError(f"{survey.nothing()}.", "Put pictures into its label folders.")
    names = source.names or tuple(sorted(set(found), key=natural_key))
    known = labels_of(names)
    notes = [*told_apart(names), *(_twice(items, found) if survey.links else ())]
    if isinstance(source, LabelFolders):
        notes += inner_folders(source.folder, items)
    data = LabelledPictures(known, items, _indices(found, known), survey.line(), tuple(notes), what.decoding)
    _check_trainable(source, data)
    return data


def _to_measure_on(source: Labelled, labels: tuple[str, ...], survey: Survey) -> LabelledPictures:
    """The pictures of ``labels`` alone. Raises UsageError where there are none."""
    known = OfLabels(source, labels)
    items, found = _collected(known, survey, keep=False)
    others = list(survey.untrained)
    if not found and others:
        named, trained = listed(others, _NAMED_LABELS), listed(labels, _NAMED_LABELS)
        cause = f"{source.where} holds pictures of other labels alone: {named} (the labels are {trained})."
        raise UsageError(cause, "Give pictures of the labels that are trained.")
    if not found:
        raise UsageError(f"{survey.nothing()}.", "Put pictures into its label folders.")
    require_well_spelt(others, sorted(set(labels) - set(found)), source.where)
    notes: tuple[str, ...] = ()
    if others:
        said = f"of {source.where} what has a label that is not trained is left out"
        pictures = counted(survey.untrained.total(), "picture")
        notes = (f"{said}, {pictures}: {listed(others, _NAMED_LABELS)}",)
    return LabelledPictures(labels, items, _indices(found, labels), survey.line(), notes)


def _indices(found: Sequence[str], labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """The class index of each label that was found."""
    index = {label: number for number, label in enumerate(labels)}
    return np.array([index[label] for label in found], dtype=np.int64)


def _twice(items: Sequence[Item], labels: Sequence[str]) -> Iterator[str]:
    """What to say of files that links put into several labels."""
    first: dict[str, tuple[str, str]] = {}
    twice = []
    for item, label in zip(items, labels, strict=True):
        before, name = first.setdefault(os.path.realpath(item.name), (label, item.name))
        if before != label:
            twice.append((name, item.name))
    if twice:
        yield (
            f"{counted(len(twice), 'picture')} {are(len(twice))} in several labels by a link, which "
            f"contradict each other then: {' is also '.join(twice[0])}"
        )


def _source(named: str, what: Reading, label_column: str | None, *, offline: bool, training: bool) -> Labelled:
    try:
        return open_labelled([named], what, label_column, offline=offline)
    except DataSetRoot as error:
        if not training:
            raise
        raise DataSetRoot(error.cause, "Give the part to train on, and one to measure it on as {held_out}.") from error


def _collected(source: Labelled, survey: Survey, *, keep: bool) -> tuple[tuple[Item, ...], list[str]]:
    """The items that are read in any order, and the label of each picture. Raises UsageError as `read_labelled`."""
    items: list[Item] = []
    labels: list[str] = []
    held, most = 0, default_budget()
    for item, label in source.pictures(survey):
        if label is None:
            _require_whole(item)
            continue
        labels.append(label_of(label))
        held += item.held
        if keep and held > most:
            raise UsageError(
                f"Training takes pictures in random order, which {source.where} gives in its own order alone, and they "
                f"are more than the {most // 2**20} MiB that they may take in memory.",
                "Unpack them into folders, or pack them as a zip or a plain tar.",
            )
        if keep or not item.held:
            items.append(item)
    return tuple(items), labels


def _require_whole(item: Item) -> None:
    """Raise UsageError for what says that the rest of an archive or table cannot be read."""
    try:
        item.open().close()
    except ImageError as error:
        raise UsageError(f"{item.name} cannot be used: {error.cause}", error.remedy) from error


def base_name(name: str) -> str:
    """The name of a file, or of a member without those of its archive and folders."""
    _, scheme, rest = name.partition("://")
    return Path(rest.rpartition("::")[0] if scheme and "::" in rest else name).name


def _check_trainable(source: Labelled, data: LabelledPictures) -> None:
    """Raise UsageError for labels that cannot be learnt or cannot be written."""
    where, (first, *more) = source.where, data.labels
    if not more and isinstance(source, LabelFolders) and holds_only_folders(source.folder / source.names[0]):
        cause = f"{where} holds only one folder, and that holds folders in turn: {source.folder / source.names[0]}."
        raise UsageError(cause, "Give that folder, if its folders are the labels.")
    if not more:
        cause = f"{where} holds only one label, {first}."
        raise UsageError(cause, "Add a folder of pictures for each other label: training needs at least two.")
    if empty := [label for label, count in zip(data.labels, data.counts, strict=True) if not count]:
        cause = f"{where} holds labels without pictures: {listed(empty, _NAMED_LABELS)}."
        raise UsageError(cause, "Add pictures of them, or remove their folders.")
    if odd := [label for label in data.labels if not _is_unicode(label)]:
        raise UsageError(
            f"{where} holds names that are not valid UTF-8: {listed(odd, _NAMED_LABELS)}.", "Rename these folders."
        )


def _is_unicode(text: str) -> bool:
    return text.encode(errors="replace") == text.encode(errors="surrogateescape")
