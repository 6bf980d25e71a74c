"""What a pattern with ``*``, ``?`` or ``[`` matches in the folders below its first wildcard."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatch

from vithybrid_cli.sources.exclude import parts_fit, parts_of
from vithybrid_cli.sources.pictures import Pictures, may_be_a_lost_folder
from vithybrid_cli.sources.walk import Entry, Selector, walk

_WILDCARD = re.compile(r"[*?[]")
_ANY_DEPTH = "**"


def is_pattern(text: str) -> bool:
    """Whether there is a wildcard in it."""
    return _WILDCARD.search(text) is not None


def matches(pattern: str, pictures: Pictures) -> Iterator[str]:
    """The paths that a pattern matches, or the pattern itself if it matches nothing.

    A part that exists as it is written is itself, and no wildcard: ``photos [2019]/*.jpg``. Matches that are all
    excluded, and folders without a picture, are counted, and then nothing is given.
    """
    base, parts = _split(pattern)
    if is_pattern(parts[0]):
        yield from matches_below(pattern, base, parts, pictures, walk)
    else:
        yield pattern


def matches_below(
    pattern: str,
    base: str,
    parts: Sequence[str],
    pictures: Pictures,
    walked: Callable[[str, Selector], Iterator[str]],
) -> Iterator[str]:
    """What `matches` gives, for a pattern that is a ``base`` folder and more ``parts``, which ``walked`` goes into."""
    matched = _Matched()
    for path in walked(base, _Pattern(parts, pictures.at(base), matched)):
        matched.any = True
        yield path
    if not matched.any:
        yield pattern


def fixed_folder(pattern: str) -> str:
    """The folder before the first wildcard, whether it is there or not; nothing for the current one."""
    wildcard = _WILDCARD.search(pattern)
    return pattern if wildcard is None else pattern[: pattern.rfind(os.sep, 0, wildcard.start()) + 1]


def covers(pattern: str, path: str) -> bool:
    """Whether the pattern matches a path or a folder above it, by name alone."""
    parts, wanted = parts_of(path), parts_of(pattern)
    return any(parts_fit(parts[:end], wanted) for end in range(1, len(parts) + 1))


def _split(pattern: str) -> tuple[str, list[str]]:
    """The folder that exists as it was written, and the parts of the pattern from there on, of which one is left."""
    parts = list(re.finditer(f"[^{re.escape(os.sep)}]+", pattern))
    at = 0
    while at < len(parts) - 1 and os.path.isdir(pattern[: parts[at].end()]):  # noqa: PTH112 (Path raises on odd names)
        at += 1
    return pattern[: parts[at].start()], [part[0] for part in parts[at:]]


class _Matched:
    """Whether anything was matched, be it given or not."""

    any: bool = False


class _Pattern:
    """What a pattern matches; ``reached`` are the parts that an entry of this folder may match.

    A folder that matches the whole pattern gives its pictures, as if it were an input itself; so does ``**`` at the
    end.
    """

    def __init__(
        self, parts: Sequence[str], pictures: Pictures, matched: _Matched, reached: Iterable[int] = (0,)
    ) -> None:
        self._parts = parts
        self._pictures = pictures
        self._matched = matched
        self._reached = set(reached)
        for index in range(min(self._reached), len(parts) - 1):  # `**` also stands for no folder at all
            if index in self._reached and parts[index] == _ANY_DEPTH:
                self._reached.add(index + 1)

    def takes(self, entry: Entry) -> bool:
        """Whether the whole pattern fits this file, or only its beginning a link to a folder that is not there now."""
        if not self._is_whole(entry.name):
            return self._is_on_the_way(entry.name) and may_be_a_lost_folder(entry) and not self._leaves_out(entry)
        self._matched.any = True
        if self._parts[-1] == _ANY_DEPTH:
            return self._pictures.takes(entry)
        return not self._leaves_out(entry)

    def below(self, entry: Entry) -> Selector | None:
        """What is left of the pattern in this folder."""
        whole = self._parts[-1] != _ANY_DEPTH and self._is_whole(entry.name)
        fitting = [index for index in self._reached if _fits(entry.name, self._parts[index])]
        following = {index if self._parts[index] == _ANY_DEPTH else index + 1 for index in fitting}
        following.discard(len(self._parts))
        if not (whole or following):
            return None
        passed_over = self._passes_over(entry, fitting)
        self._matched.any |= whole or passed_over
        if passed_over:
            return None
        if whole:
            return self._pictures
        return _Pattern(self._parts, self._pictures, self._matched, following)

    def _is_whole(self, name: str) -> bool:
        last = len(self._parts) - 1
        return last in self._reached and _fits(name, self._parts[last])

    def _is_on_the_way(self, name: str) -> bool:
        return any(_fits(name, self._parts[index]) for index in self._reached if index < len(self._parts) - 1)

    def _leaves_out(self, file: Entry) -> bool:
        return self._pictures.excludes(file) or self._pictures.own.has(file)

    def _passes_over(self, entry: Entry, fitting: Sequence[int]) -> bool:
        """Whether a folder is excluded, or a system's own that no part of the pattern names."""
        if self._pictures.excludes(entry):
            return True
        named = any(self._parts[index][0] not in "*?[" or self._parts[index] == entry.name for index in fitting)
        return not named and self._pictures.skips(entry)


def _fits(name: str, part: str) -> bool:
    return name == part or (fnmatch(name, part) and (part.startswith(".") or not name.startswith(".")))
