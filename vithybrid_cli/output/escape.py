"""Text from files and labels made safe to write: always valid Unicode, and harmless to a terminal.

A file name that is not valid in the file system's encoding reaches Python with lone surrogates in it
(``os.fsdecode``), which cannot be written as UTF-8. They become ``\\udcXX``, where XX is the byte: JSON reads this
escape back as the same string, and in the other formats a person can see what the byte was.
"""

import re

CONTROL = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 with ESC and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides and isolates of writing direction
    "\u2028\u2029\ufeff"  # line and paragraph separators, byte order mark
    "\ud800-\udfff"  # lone surrogates
    "]"
)


def valid(text: str) -> str:
    r"""``text`` with each lone surrogate as ``\udcXX`` and nothing else changed: it can be written as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def visible(text: str, encoding: str = "utf-8") -> str:
    r"""``text`` for one line of a terminal: control characters and what ``encoding`` lacks become ``\x1b``, ``\u202e``.

    The result is for people. It has no line break, no ESC, and nothing that changes the writing direction.
    """
    plain = CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)
    return plain.encode(encoding, "backslashreplace").decode(encoding)


def visible_json(text: str) -> str:
    r"""JSON text with ``\uXXXX`` for control characters that JSON would allow as they are; its value is the same."""
    return CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
