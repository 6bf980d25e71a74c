"""Patterns of what is passed over below folders."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Self

from vithybrid_cli.errors import UsageError
from vithybrid_cli.sources.survey import Survey


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One pattern: the ``text`` that was written, its ``parts`` between slashes, and whether only a folder fits."""

    text: str
    parts: tuple[str, ...]
    anywhere: bool  # it has no slash within, so it is about a name in any folder
    folder_only: bool

    @classmethod
    def of(cls, text: str) -> Self:
        slashed = text.replace(os.sep, "/")
        inner = slashed.rstrip("/")
        return cls(text, parts_of(inner), "/" not in inner, folder_only=slashed.endswith("/"))

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
        """Those that are written so. Raises UsageError for one that names nothing."""
        for text in patterns:
            if not parts_of(text):
                cause = f"The pattern {text!r} names nothing that could be left out."
                raise UsageError(
                    cause, "Give {exclude} the name of a file or folder, or a pattern as raw/*, or drop it."
                )
        return cls(tuple(map(_Pattern.of, patterns)))

    def fits(self, path: str, root: str, *, is_folder: bool) -> bool:
        """Whether ``path``, which was found below the folder ``root``, is passed over."""
        return any(self._fitting(path, root, is_folder=is_folder))

    def passes_over(self, path: str, root: str, survey: Survey, *, is_folder: bool) -> bool:
        """The same, and ``survey`` counts it with the patterns that it fits."""
        fitting = list(self._fitting(path, root, is_folder=is_folder)) if self.patterns else []
        if fitting:
            survey.exclude(fitting, is_folder=is_folder)
        return bool(fitting)

    def _fitting(self, path: str, root: str, *, is_folder: bool) -> Iterator[str]:
        """The patterns that a path fits, as they were written."""
        below, whole = parts_of(path[len(root) :]), parts_of(path)
        for pattern in self.patterns:
            if (is_folder or not pattern.folder_only) and pattern.fits(below, whole):
                yield pattern.text


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
