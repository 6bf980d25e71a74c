"""What the sidecar of a picture is called: ``photo.jpg.xmp``, or ``photo.xmp`` as Adobe's programs have it.

The second can be that of several pictures, as of ``photo.jpg`` and ``photo.nef``: then it is left alone.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from vithybrid_cli.images.suffixes import RAW_SUFFIXES, picture_suffixes, suffix_of

_SUFFIXES = ".xmp", ".XMP"
_MOST_FOLDERS = 64  # whose lists are kept: pictures of a folder mostly come together


class SidecarName(StrEnum):
    """Which name a new sidecar gets."""

    FULL = "full"
    ADOBE = "adobe"


class Folders:
    """The folders of pictures, for who else has the name of a picture but for its suffix.

    ``pictures`` are those that are known, whatever their suffixes. Upper and lower case are the same here, as they are
    where such folders may be copied to.
    """

    def __init__(self, pictures: Iterable[str] = ()) -> None:
        self._lists: dict[str, Counter[str]] = {}
        self._odd: defaultdict[str, set[str]] = defaultdict(set)
        for picture in pictures:
            if not _is_picture(picture):
                folder, name = os.path.split(os.path.abspath(picture))  # noqa: PTH100
                self._odd[folder].add(name)

    def are_several(self, picture: str) -> bool:
        """Whether the name that Adobe's programs give to its sidecar is also that of another picture's."""
        folder, name = os.path.split(os.path.abspath(picture))  # noqa: PTH100
        counts = self._lists.get(folder)
        if counts is None:
            names = {one for one in _names(folder) if _is_picture(one)} | self._odd.get(folder, set())
            counts = Counter(map(_stem, names))
            if len(self._lists) >= _MOST_FOLDERS:
                self._lists.clear()
            self._lists[folder] = counts
        return counts[_stem(name)] > 1


def sidecars(picture: str) -> dict[SidecarName, str]:
    """The sidecars of a picture that are there, by their kind; without a suffix it has only that of Adobe's."""
    found = {}
    for kind in SidecarName:
        begin = new_sidecar(picture, kind).removesuffix(_SUFFIXES[0])
        name = next((begin + suffix for suffix in _SUFFIXES if os.path.lexists(begin + suffix)), None)
        if name is not None and (kind is SidecarName.ADOBE or has_suffix(picture)):
            found[kind] = name
    return found


def new_sidecar(picture: str, kind: SidecarName) -> str:
    """The name of a sidecar that is not there yet."""
    return (picture if kind is SidecarName.FULL else _without_suffix(picture)) + _SUFFIXES[0]


def has_suffix(picture: str) -> bool:
    """Whether both kinds of names differ."""
    return _without_suffix(picture) != picture


def _without_suffix(picture: str) -> str:
    return os.path.splitext(picture)[0]  # noqa: PTH122 (a Path would tidy the name up)


def _is_picture(name: str) -> bool:
    suffix = suffix_of(name)
    return suffix in RAW_SUFFIXES or suffix in picture_suffixes()


def _stem(name: str) -> str:
    return _without_suffix(name).casefold()


def _names(folder: str) -> list[str]:
    try:
        return [path.name for path in Path(folder).iterdir()]
    except OSError:  # which may be entered and not be listed
        return []
