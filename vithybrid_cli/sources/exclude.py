"""Patterns of what is passed over below folders."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Self


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One pattern: its ``parts`` between slashes, and whether only a folder fits."""

    parts: tuple[str, ...]
    anywhere: bool  # it has no slash within, so it is about a name in any folder
    folder_only: bool

    @classmethod
    def of(cls, text: str) -> Self:
        inner = text.rstrip("/")
        return cls(parts_of(inner), "/" not in inner, folder_only=text.endswith("/"))

    def fits(self, below: Sequence[str], whole: Sequence[str]) -> bool:
        """Whether it is about a path with these parts: those below the input's folder, and all."""
        if self.anywhere:
            return _part_fits(whole[-1], self.parts[-1])
        return parts_fit(below, self.parts) or parts_fit(whole, self.parts)


@dataclass(frozen=True, slots=True)
class Exclude:
    """What is passed over.

    A pattern without a slash is about the name of a file or folder at any depth; one with a slash is about the path
    below the input's folder (``raw/*``), or the whole path as it was given; ``**`` is for any number of folders. With
    a slash at its end it fits folders alone. Case counts, but on Windows.
    """

    patterns: tuple[_Pattern, ...] = ()

    @classmethod
    def of(cls, patterns: Sequence[str]) -> Self:
        """Those that are written so."""
        slashed = (text.replace(os.sep, "/") for text in patterns)
        return cls(tuple(_Pattern.of(text) for text in slashed if text.strip("/")))

    def fits(self, path: str, root: str, *, is_folder: bool) -> bool:
        """Whether ``path``, which was found below the folder ``root``, is passed over."""
        below, whole = parts_of(path[len(root) :]), parts_of(path)
        return any(pattern.fits(below, whole) for pattern in self.patterns if is_folder or not pattern.folder_only)


def parts_of(path: str) -> tuple[str, ...]:
    """What stands between the slashes of a path or pattern."""
    return tuple(part for part in path.replace(os.sep, "/").split("/") if part not in ("", "."))


def parts_fit(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a pattern with these parts matches the whole of a path with those; ``**`` is any number of them."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(parts_fit(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and _part_fits(parts[0], pattern[0]) and parts_fit(parts[1:], pattern[1:])


def _part_fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatch(name, pattern)
