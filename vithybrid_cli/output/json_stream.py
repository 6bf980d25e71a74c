"""JSON objects from a stream, one by one: those of an array, or one after another, however they are laid out."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from vithybrid_cli.output.written import CutOff, DamagedOutput, NotResults

_CHUNK = 2**16  # bytes that are read at once, or more in the midst of a long value
_LONGEST = 2**24  # characters of one value: a thousand times what a thousand long labels take
_SPACE = " \t\r\n"
_NEAR_THE_END = 8  # characters: an escape or a literal that is cut is an error where it begins


class _Text:
    """Text of a stream from the place that is reached on; what was taken is forgotten."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._ended = False
        self.text, self.at = "", 0

    def more(self) -> bool:
        """Read some more; False at the end of the stream. Raises DamagedOutput for what is no UTF-8."""
        if self._ended:
            return False
        chunk = self._stream.read(max(_CHUNK, len(self.text) - self.at))
        self._ended = not chunk
        try:
            self.text, self.at = self.text[self.at :] + self._decode(chunk), 0
        except UnicodeDecodeError as error:
            raise DamagedOutput("a part of it is not UTF-8") from error
        return not self._ended

    def next(self) -> str:
        """The next character that is no space, which is not taken; empty at the end."""
        while True:
            while self.at < len(self.text):
                if (character := self.text[self.at]) not in _SPACE:
                    return character
                self.at += 1
            if not self.more():
                return ""

    def take(self) -> None:
        """Pass over the character that `next` gave."""
        self.at += 1


def objects(stream: BinaryIO, *, array: bool) -> Iterator[dict[str, Any]]:
    """The objects of an ``array``, or those that follow one another.

    Raises DamagedOutput, NotResults where the first is none, or CutOff at the end.
    """
    text = _Text(stream)
    count = 0
    if array:
        if text.next() == "":
            raise CutOff(0)
        text.take()
    while (character := text.next()) != ("]" if array else ""):
        if character == "":
            raise CutOff(count)
        if array and count:
            if character != ",":
                raise DamagedOutput(f"no comma follows record {count:,}")
            text.take()
        yield _object(text, count)
        count += 1
    if array:
        text.take()
        if text.next():
            raise DamagedOutput("something follows the end of the array")


def _object(text: _Text, before: int) -> dict[str, Any]:
    if (character := text.next()) != "{":
        if character == "":
            raise CutOff(before)
        if before == 0:
            raise NotResults("its first record is none")
        raise DamagedOutput(f"record {before + 1:,} is no result")
    while True:
        try:
            value: dict[str, Any]
            value, text.at = _DECODER.raw_decode(text.text, text.at)
            return value
        except json.JSONDecodeError as error:
            cut = error.msg.startswith("Unterminated") or error.pos >= len(text.text) - _NEAR_THE_END
            if not cut or len(text.text) - text.at > _LONGEST:
                raise DamagedOutput(f"record {before + 1:,} is no JSON") from error
            if not text.more():
                raise CutOff(before) from error
        except (RecursionError, ValueError) as error:  # ValueError: a number of more digits than Python reads
            raise DamagedOutput(f"record {before + 1:,} is no JSON") from error


_DECODER = json.JSONDecoder()
