"""Results as JSON, written and read back: one array, or one object per line.

Both are UTF-8 with letters as they are. Control characters, and the lone surrogates of undecodable file names, are
written as ``\\uXXXX``, so ``json.loads`` gives every path back exactly (``os.fsencode`` then gives its bytes).
"""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

from vithybrid_cli.output.escape import visible_json
from vithybrid_cli.output.formats import TextWriter
from vithybrid_cli.output.written import DamagedOutput, WrittenResult
from vithybrid_cli.results import Outcome

ARRAY_END = b"\n]\n"  # after the last record; an array without records is ``[]``


def to_json(record: dict[str, Any], indent: int | None = None) -> str:
    """``record`` as JSON; on one line unless ``indent`` is given."""
    text = json.dumps(record, ensure_ascii=False, indent=indent)
    if indent is None:
        return visible_json(text)
    return "\n".join(visible_json(line) for line in text.split("\n"))


class JsonLinesWriter(TextWriter[Outcome]):
    """One object per line and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def text(self, result: Outcome) -> str:
        return to_json(result.record()) + "\n"

    def put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()


class JsonWriter(TextWriter[Outcome]):
    """One array with one object per line, or ``[]``.

    ``continued``: the stream stands after an object of an array that goes on.
    """

    def __init__(self, stream: TextIO, *, continued: bool = False) -> None:
        self._stream = stream
        self._before = ",\n" if continued else "\n"
        self._closed = False
        if not continued:
            stream.write("[")

    def text(self, result: Outcome) -> str:
        return to_json(result.record())

    def put(self, text: str) -> None:
        # One call, and only then the new state: an interrupt at any point leaves an array that can be closed.
        self._stream.write(self._before + text)
        self._before = ",\n"
        self._stream.flush()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._stream.write("]\n" if self._before == "\n" else ARRAY_END.decode())
        self._stream.flush()


def read_lines(stream: BinaryIO) -> Iterator[WrittenResult]:
    """The results in JSON lines, without a last line that is cut. Raises DamagedOutput."""
    end = 0
    for line in stream:
        if not line.endswith(b"\n"):
            return
        begin, end = end, end + len(line)
        yield _from_record(line, begin)


def read_array(stream: BinaryIO) -> Iterator[WrittenResult]:
    """The results in an array as `JsonWriter` lays it out, without a last line that is cut. Raises DamagedOutput."""
    begin = stream.readline()
    if begin != b"[\n":
        if b"[]\n".startswith(begin):
            return
        raise DamagedOutput("it does not begin as an array")
    end = len(begin)
    for line in stream:
        if line in (b"]\n", b"]"):
            break
        text = line.removesuffix(b"\n").removesuffix(b",")
        try:
            yield _from_record(text, end)
        except DamagedOutput:
            if line.endswith(b"\n"):
                raise
            return
        end += len(line)
    if stream.read(1):
        raise DamagedOutput("something follows the end of the array")


def _from_record(text: bytes, begin: int) -> WrittenResult:
    try:
        record = json.loads(text.decode())
        path, error = record["path"], record["error"]["type"] if "error" in record else None
        if not (isinstance(path, str) and isinstance(error, str | None)):
            raise TypeError("names are text")
        return WrittenResult(path, error, begin, begin + len(text))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedOutput("a line does not hold a result") from error
