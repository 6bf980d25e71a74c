"""Braces as shells and WebDataset expand them: ``photos-{000000..000127}.tar``, ``{train,val}.tar``."""

import re
import string
from collections.abc import Iterator

_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})(?:\.\.(-?\d{1,18}))?|([A-Za-z])\.\.([A-Za-z])")


def expanded(text: str) -> Iterator[str]:
    """The texts that it stands for, in order and lazily; itself if there are no such braces in it.

    Numbers are as wide as the wider end if one of them begins with a zero, as in bash. Braces without ``..`` or a
    comma within stay as they are.
    """
    found = _first(text)
    if found is None:
        yield text
        return
    begin, end, choices = found
    for choice in choices:
        for rest in expanded(text[end:]):
            yield text[:begin] + choice + rest


def has_braces(text: str) -> bool:
    """Whether it stands for others."""
    return _first(text) is not None


def _first(text: str) -> tuple[int, int, Iterator[str]] | None:
    """Where the first braces begin and end that stand for others, and what those are."""
    begin = text.find("{")
    while begin >= 0:
        parts = _parts(text, begin)
        if parts is not None:
            end, inner = parts
            choices = _choices(inner)
            if choices is not None:
                return begin, end, choices
        begin = text.find("{", begin + 1)
    return None


def _parts(text: str, begin: int) -> tuple[int, list[str]] | None:
    """Where the braces that open there end, and what stands between their commas; None if they stay open."""
    depth, start, parts = 0, begin + 1, []
    for at in range(begin, len(text)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "," and depth == 1:
            parts.append(text[start:at])
            start = at + 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at + 1, [*parts, text[start:at]]
    return None


def _choices(parts: list[str]) -> Iterator[str] | None:
    if len(parts) > 1:
        return (choice for part in parts for choice in expanded(part))
    found = _RANGE.fullmatch(parts[0])
    if found is None:
        return None
    first, last, step, from_letter, to_letter = found.groups()
    if from_letter:
        letters = string.ascii_letters
        if from_letter.islower() != to_letter.islower():
            return None
        return (letters[at] for at in _numbers(letters.index(from_letter), letters.index(to_letter), 1))
    width = max(len(first), len(last)) if any(re.match("-?0[0-9]", end) for end in (first, last)) else 0
    return (f"{number:0{width}}" for number in _numbers(int(first), int(last), int(step or 1)))


def _numbers(first: int, last: int, step: int) -> range:
    step = abs(step) or 1
    return range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
