"""Labelled pictures in archives: a folder per label, or a file beside each picture that says it, as WebDataset has it.

``cat/1.jpg`` has the label ``cat``, whatever single folder lies around all of them. ``000017.jpg`` has the one in
``000017.cls``, a number or a name, or in ``000017.json`` under one of `_FIELDS`
(https://github.com/webdataset/webdataset: files of one sample share the name up to the first dot).
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from vithybrid_cli.errors import ImageError, UsageError, listed
from vithybrid_cli.items import Failure, Item
from vithybrid_cli.sources.archives import Archive
from vithybrid_cli.sources.containers import Kind, Wanted, member_name
from vithybrid_cli.sources.labelled import PARTS, DataSetRoot
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.walk import natural_key

_BESIDE = frozenset({".cls", ".json"})
_FIELDS = ("cls", "label", "class", "class_name")
_MOST_BYTES = {".cls": 4096, ".json": 2**20}  # of a file that says a label
_NAMED = 3

Parts = tuple[str, ...]  # folders, from the outermost


@dataclass(frozen=True, slots=True)
class Place:
    """An archive, or a folder ``within`` it."""

    path: str
    kind: Kind
    within: Parts = ()

    @property
    def name(self) -> str:
        """As it is given as an input."""
        return member_name(self.kind.scheme, "/".join(self.within), self.path) if self.within else self.path

    def below(self, folder: str) -> "Place":
        """A folder in it."""
        return replace(self, within=(*self.within, folder))


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look through the archives has found.

    ``folders`` counts pictures by the first folders they are in, without those around all; ``beside`` has the labels
    of samples by archive and name, which takes memory for each.
    """

    folders: Counter[Parts] = field(default_factory=Counter)
    beside: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelledArchives:
    """Archives whose pictures have labels; see `vithybrid_cli.sources.labelled.Labelled`.

    ``beside`` are the labels of samples, if files say them; else the folder after the first ``depth`` ones is it.
    """

    places: tuple[Place, ...]
    wanted: Wanted
    names: tuple[str, ...]
    total: int
    depth: int
    beside: dict[tuple[str, str], str]

    @classmethod
    def open(cls, places: Sequence[Place], wanted: Wanted) -> "LabelledArchives":
        """Looks through all of them once. Raises UsageError for what has no labels, DataSetRoot for several parts."""
        found = _Found()
        for place in places:
            _look_through(place, replace(wanted, survey=Survey()), found)
        if found.beside:
            names, depth = set(found.beside.values()), 0
        else:
            depth = _around(found.folders)
            _require_no_root(places, found.folders, depth)
            names = {folders[depth] for folders in found.folders if len(folders) > depth}
            _require_labels(places, names, found.folders)
        ordered = tuple(sorted(names, key=natural_key))
        return cls(tuple(places), wanted, ordered, found.folders.total(), depth, found.beside)

    @property
    def where(self) -> str:
        """The archives."""
        return listed([place.name for place in self.places], _NAMED)

    def count(self) -> int:
        """As they were counted once."""
        return self.total

    def pictures(self, survey: Survey) -> Iterator[tuple[Item, str | None]]:
        """Archive by archive, in their own order."""
        survey.inputs, survey.labelled = [place.name for place in self.places], True
        if self.beside:
            survey.unlabelled_as = "without a label"
        also = _BESIDE if self.beside else frozenset()  # what was read is not left out
        for place in self.places:
            for item, member in _members(place, replace(self.wanted, survey=survey), also):
                if member is None:
                    survey.found += 1
                    yield item, None
                elif _suffix(member[-1]) in also:
                    continue
                elif (label := self._label(place, member)) is None:
                    survey.unlabelled += 1
                else:
                    survey.found += 1
                    yield item, label

    def _label(self, place: Place, member: Parts) -> str | None:
        if self.beside:
            return self.beside.get(_sample(place, member))
        return member[self.depth] if len(member) > self.depth + 1 else None


def _look_through(place: Place, wanted: Wanted, found: _Found) -> None:
    """Count the pictures of an archive, and read the labels beside them."""
    for item, member in _members(place, wanted, _BESIDE):
        if member is None:
            continue
        suffix = _suffix(member[-1])
        if suffix not in _BESIDE:
            found.folders[member[:-1][:3]] += 1
        elif (label := _told_by(item, suffix)) is not None:
            sample = _sample(place, member)
            if suffix == ".cls" or sample not in found.beside:
                found.beside[sample] = label


def _members(place: Place, wanted: Wanted, also: frozenset[str] = frozenset()) -> Iterator[tuple[Item, Parts | None]]:
    """What lies in a place, with its path there as parts; no path for what is wrong with the archive itself."""
    prefix = len(member_name(place.kind.scheme, "", "")) - 2
    try:
        archive = place.kind.open(place.path, wanted)
    except ImageError as error:
        raise UsageError(f"{place.path} cannot be used: {error.cause}", error.remedy) from error
    assert isinstance(archive, Archive)
    for item in archive.items(also):
        if isinstance(item, Failure) and item.name == place.path:
            yield item, None
            continue
        member = item.name[prefix : -len(place.path) - 2]
        parts = tuple(part for part in member.replace("\\", "/").split("/") if part not in ("", "."))
        if parts[: len(place.within)] == place.within and len(parts) > len(place.within):
            yield item, parts[len(place.within) :]


def _told_by(item: Item, suffix: str) -> str | None:
    """The label that a file beside a picture says; None for none."""
    try:
        with item.open() as stream:
            content = stream.read(_MOST_BYTES[suffix] + 1)
    except ImageError:
        return None
    if len(content) > _MOST_BYTES[suffix]:
        return None
    text = content.decode("utf-8-sig", "replace").strip()
    if suffix == ".cls":
        return text or None
    with suppress(ValueError, RecursionError):
        said = json.loads(text)
        for name in _FIELDS if isinstance(said, dict) else ():
            value = said.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool):
                return str(value).strip() or None
    return None


def _suffix(base: str) -> str:
    return f".{base.rpartition('.')[2].lower()}" if "." in base else ""


def _sample(place: Place, member: Parts) -> tuple[str, str]:
    """What a picture and its label share: the archive, and the name up to its last dot.

    So what else a sample has, as ``000.seg.png`` beside ``000.jpg`` and ``000.cls``, is not labelled.
    """
    return place.path, "/".join((*member[:-1], member[-1].rpartition(".")[0]))


def _around(folders: Counter[Parts]) -> int:
    """How many folders lie around the label folders: one, if all pictures are in folders in it."""
    return int(len({parts[:1] for parts in folders}) == 1 and all(len(parts) > 1 for parts in folders))


def _require_no_root(places: Sequence[Place], folders: Counter[Parts], depth: int) -> None:
    """Raise DataSetRoot by the rule for folders; see `vithybrid_cli.sources.labelled.folders`."""
    found = {parts[depth] for parts in folders if len(parts) > depth}
    named = sorted((name for name in found if name.lower() in PARTS), key=natural_key)
    apart = [name for name in named if not any(parts[depth:] == (name,) for parts in folders)]
    if not apart or (len(apart) < 2 and len(named) < len(found)):
        return
    around = next(iter(folders))[:depth]
    inner = replace(places[0], within=places[0].within + around)
    parts = ", ".join(inner.below(name).name for name in named)
    where = listed([place.name for place in places], _NAMED)
    cause = f"{where} holds the parts of a data set, and the labels are within them: {parts}."
    raise DataSetRoot(cause, "Give one of these.")


def _require_labels(places: Sequence[Place], names: set[str], folders: Counter[Parts]) -> None:
    where = listed([place.name for place in places], _NAMED)
    if not names and folders:
        raise UsageError(
            f"{where} holds pictures, and neither folders of them nor files that say their labels (.cls).",
            "Put the pictures of each label into a folder of its name, and pack those.",
        )
    if not names:
        raise UsageError(f"{where} holds no pictures.", "Give an archive of labelled pictures.")
