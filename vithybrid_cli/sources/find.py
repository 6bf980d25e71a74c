"""Files, folders and patterns become a lazy stream of paths."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from vithybrid_cli.images.suffixes import picture_suffixes
from vithybrid_cli.sources.survey import Survey


def find(inputs: Iterable[str], exclude: Sequence[str] = (), survey: Survey | None = None) -> Iterator[str]:
    """The paths of all pictures that ``inputs`` name, lazily and in the order of the inputs.

    A folder gives the pictures in it and below it, in natural order (``img2`` before ``img10``), without hidden
    files; a text with ``*``, ``?`` or ``[`` that is no existing name gives what it matches, with ``**`` at any depth.
    Everything else is given as it is. Nothing is raised: what is missing, matches nothing or is a folder that cannot be
    listed is given as a path, and decoding it raises ImageError. Names that match a pattern of ``exclude`` are passed
    over below folders; other files there that are no pictures are counted in ``survey``.
    """
    pictures = _Pictures(tuple(exclude), Survey() if survey is None else survey)
    for text in inputs:
        if os.path.isdir(text):  # noqa: PTH112 (Path raises where a parent may not be entered)
            yield from _select(text, pictures)
        elif _is_pattern(text) and not os.path.lexists(text):
            yield from _matches(text, pictures)
        else:
            yield text


def natural_key(name: str) -> tuple[str, str]:
    """A sort key: numbers by value, letters ignoring case, and names that are equal by that as they are."""
    folded = re.sub("[0-9]+", lambda digits: f"{len(digits[0].lstrip('0')):03}{digits[0].lstrip('0')}", name.casefold())
    return folded, name


class _Selector(Protocol):
    """Which entries of one folder are wanted."""

    def takes(self, name: str) -> bool:
        """Whether the file ``name`` is wanted."""

    def below(self, name: str) -> "_Selector | None":
        """What is wanted of the subfolder ``name``; None for nothing."""


@dataclass(frozen=True, slots=True)
class _Pictures:
    """All visible pictures, at any depth, but for those of excluded names; what else there is gets counted."""

    exclude: tuple[str, ...]
    survey: Survey

    def takes(self, name: str) -> bool:
        if self._hidden(name):
            return False
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
        if suffix in picture_suffixes():
            return True
        self.survey.left_out[suffix] += 1
        return False

    def below(self, name: str) -> "_Selector | None":
        return None if self._hidden(name) else self

    def _hidden(self, name: str) -> bool:
        return name.startswith(".") or any(fnmatch(name, pattern) for pattern in self.exclude)


class _Pattern:
    """What a pattern matches; ``reached`` are the parts that an entry of this folder may match.

    A folder that matches the whole pattern gives its pictures, as if it were an input itself.
    """

    def __init__(self, parts: Sequence[str], pictures: _Pictures, reached: Iterable[int] = (0,)) -> None:
        self._parts = parts
        self._pictures = pictures
        self._reached = set(reached)
        for index in range(min(self._reached), len(parts) - 1):  # `**` also stands for no folder at all
            if index in self._reached and parts[index] == "**":
                self._reached.add(index + 1)

    def takes(self, name: str) -> bool:
        last = len(self._parts) - 1
        return last in self._reached and _fits(name, self._parts[last])

    def below(self, name: str) -> _Selector | None:
        if self._parts[-1] != "**" and self.takes(name):
            return self._pictures
        fitting = [index for index in self._reached if _fits(name, self._parts[index])]
        following = {index if self._parts[index] == "**" else index + 1 for index in fitting}
        following.discard(len(self._parts))
        return _Pattern(self._parts, self._pictures, following) if following else None


def _fits(name: str, part: str) -> bool:
    return fnmatch(name, part) and (part.startswith(".") or not name.startswith("."))


def _is_pattern(text: str) -> bool:
    return _first_wildcard(text) < len(text)


def _first_wildcard(text: str) -> int:
    """The index of the first wildcard; the length of the text if there is none."""
    return len(re.split(r"[*?[]", text, maxsplit=1)[0])


def _matches(pattern: str, pictures: _Pictures) -> Iterator[str]:
    """The paths that a pattern matches, or the pattern itself if there are none."""
    base, parts = _split_pattern(pattern)
    paths = _select(base, _Pattern(parts, pictures)) if os.path.isdir(base or ".") else iter(())  # noqa: PTH112
    yield next(paths, pattern)
    yield from paths


def _split_pattern(pattern: str) -> tuple[str, list[str]]:
    """The folder before the first part with a wildcard, as it was written, and the parts from there on."""
    end = pattern.rfind(os.sep, 0, _first_wildcard(pattern)) + 1
    return pattern[:end], re.findall(f"[^{re.escape(os.sep)}]+", pattern[end:])


def _select(root: str, selector: _Selector) -> Iterator[str]:
    """The wanted files below ``root``, depth first; a folder that cannot be listed is given as a path.

    Links to folders are followed, and no folder is entered twice, so a loop of links ends. Memory: the listings of
    one folder per level, and two numbers per folder.
    """
    entered: set[tuple[int, int]] = set()
    levels = [_wanted(root, selector, entered)]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif entry.below is None:
            yield entry.path
        else:
            levels.append(_wanted(entry.path, entry.below, entered))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A path to give, or a subfolder to enter."""

    path: str
    below: _Selector | None = None


def _wanted(folder: str, selector: _Selector, entered: set[tuple[int, int]]) -> Iterator[_Entry]:
    """The wanted entries of one folder in natural order, and its own path last if not all could be listed."""
    if not _is_new(folder, entered):
        return
    names, complete = _listing(folder)
    for name, is_folder in names:
        below = selector.below(name) if is_folder else None
        if below is not None or (not is_folder and selector.takes(name)):
            yield _Entry(os.path.join(folder, name), below)  # noqa: PTH118 (keeps `./` as the user wrote it)
    if not complete:
        yield _Entry(folder)


def _is_new(folder: str, entered: set[tuple[int, int]]) -> bool:
    try:
        status = Path(folder).stat()
    except OSError:
        return True  # listing it fails too, and reports that
    identity = status.st_dev, status.st_ino
    if identity in entered:
        return False
    entered.add(identity)
    return True


def _listing(folder: str) -> tuple[list[tuple[str, bool]], bool]:
    """The names in a folder in natural order, each with whether it is a folder; and whether they are complete."""
    names: list[tuple[str, bool]] = []
    complete = True
    try:
        with os.scandir(folder or ".") as scan:
            for entry in scan:
                names.append((entry.name, _is_folder(entry)))  # noqa: PERF401 (a failing scan must keep these)
    except OSError:
        complete = False
    return sorted(names, key=lambda name: natural_key(name[0])), complete


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads nowhere; decoding reports it if it is named like a picture
