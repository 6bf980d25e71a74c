"""The files that belong to a picture and lie beside it: what programs know of it, its film, its raw file.

``photo.jpg.xmp`` and ``photo.jpg.json`` name the picture that they are of. ``photo.xmp``, a live photo's ``photo.mov``
and a camera's ``photo.nef`` are of all pictures beside them that are called ``photo``.
"""

# ruff: noqa: PTH118, PTH119, PTH122

import os
import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vithybrid_cli.images.suffixes import RAW_SUFFIXES, picture_suffixes, suffix_of

_OF_NAME = (".xmp", ".json", ".pp3", ".dop", ".aae", ".thm")  # after the whole name of the picture
_OF_STEM = (".xmp", ".json", ".aae", ".thm", ".mov", ".mp4")  # in place of its suffix
# Google Takeout's photo.jpg.supplemental-metadata.json, of which the name is cut off where it is too long.
_SUPPLEMENTAL = ".supplemental-metadata"
_TAKEOUT = ("", *(_SUPPLEMENTAL[:end] for end in range(1, len(_SUPPLEMENTAL) + 1)))
# It writes the number of IMG(1).jpg at the end: IMG.jpg(1).json.
_NUMBERED = re.compile(r"(.*)(\(\d+\))(\.[^.]*)", re.DOTALL)
_MOST_LISTED = 64  # folders of which the names are kept


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A file beside a ``picture``, both as paths.

    ``after`` is what its name has after the picture's, or if it is ``of_stem`` after that without its suffix. It is
    ``shared`` if it may be of another picture as well.
    """

    path: str
    picture: str
    after: str
    of_stem: bool
    shared: bool = False

    def beside(self, target: str) -> str:
        """Where it goes if its picture goes to ``target``: under its own name, if the picture keeps its."""
        folder, name = os.path.split(target)
        if name == os.path.basename(self.picture):
            return os.path.join(folder, os.path.basename(self.path))
        return (_stem(target) if self.of_stem else target) + self.after


@dataclass(slots=True)
class Sidecars:
    """Finds what belongs to each of the ``pictures`` (absolute paths), which are no sidecars themselves."""

    pictures: Iterable[str]
    leave: frozenset[str] = frozenset()  # paths of files that are none, whatever they are called
    _stems: dict[tuple[str, str], set[str]] = field(init=False)
    _listed: OrderedDict[str, Mapping[str, list[str]]] = field(init=False, default_factory=OrderedDict)

    def __post_init__(self) -> None:
        """Which pictures have the same name but for its suffix."""
        stems: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for path in self.pictures:
            folder, name = os.path.split(path)
            stems[folder, _stem(name)].add(name)
        self._stems = dict(stems)

    def of(self, picture: str) -> list[Sidecar]:
        """Those of one picture, by name."""
        folder, name = os.path.split(picture)
        ours = self._stems.get((folder, _stem(name)), {name})
        names = self._names(folder)
        beside = [other for other in names.get(_stem(name), ()) if other not in ours]
        shared = len(ours) > 1 or any(suffix_of(other) in picture_suffixes() for other in beside)
        found: list[Sidecar] = []
        for other in beside:
            if suffix_of(other) in _OF_STEM or suffix_of(other) in RAW_SUFFIXES:
                after = other[len(_stem(name)) :]
                found.append(Sidecar(os.path.join(folder, other), picture, after, True, shared))
        for other, after in _of_name(names, name):
            found.append(Sidecar(os.path.join(folder, other), picture, after, False))
        return sorted((one for one in found if one.path not in self.leave), key=lambda one: one.path)

    def _names(self, folder: str) -> Mapping[str, list[str]]:
        """The regular files in a folder, by their names without suffix."""
        if (known := self._listed.get(folder)) is not None:
            self._listed.move_to_end(folder)
            return known
        names: defaultdict[str, list[str]] = defaultdict(list)
        for name in _files(folder):
            names[_stem(name)].append(name)
        self._listed[folder] = names
        if len(self._listed) > _MOST_LISTED:
            self._listed.popitem(last=False)
        return names


def _of_name(names: Mapping[str, list[str]], name: str) -> Iterator[tuple[str, str]]:
    """The files that name this picture, and what is after its name in theirs."""
    for other in names.get(name, ()):
        if suffix_of(other) in _OF_NAME:
            yield other, other[len(name) :]
    begins = [(name + middle, middle) for middle in _TAKEOUT[1:]]
    if numbered := _NUMBERED.fullmatch(name):
        begins += [(numbered[1] + numbered[3] + middle + numbered[2], middle) for middle in _TAKEOUT]
    for begin, middle in begins:
        for other in names.get(begin, ()):
            if suffix_of(other) == ".json":
                yield other, middle + other[-len(".json") :]


def _files(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entry.name for entry in entries if entry.is_file())
    except OSError:  # gone, or not to be listed: the picture itself will tell
        return


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]
