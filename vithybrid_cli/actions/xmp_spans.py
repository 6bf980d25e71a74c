"""Edits of a text: other bytes in the place of some, all at once."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """Other bytes in the place of those from ``start`` to ``end``."""

    start: int
    end: int
    new: bytes = b""


def edited(content: bytes, edits: Iterable[Edit]) -> bytes:
    """The text with these edits; one within another is covered by that."""
    parts, place = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if edit.start < place:
            continue
        parts += [content[place : edit.start], edit.new]
        place = edit.end
    return b"".join((*parts, content[place:]))
