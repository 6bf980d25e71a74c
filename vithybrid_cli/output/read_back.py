"""Results that an earlier run wrote, read back one by one, and where in the file each of them ends.

A run that was killed leaves a last row that may be cut anywhere, within a letter or an escape too: it is not given.
What is wrong elsewhere is nothing that a broken run leaves, and raises `DamagedOutput`. Memory does not grow with the
file.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Self

from vithybrid_cli.output.delimited import COLUMNS
from vithybrid_cli.output.escape import valid
from vithybrid_cli.output.formats import Format

READABLE = (Format.JSON, Format.JSONL, Format.CSV, Format.TSV)
_ARRAY_END = b"\n]\n"


class DamagedOutput(Exception):
    """The file holds something that no run wrote there."""


@dataclass(frozen=True, slots=True)
class WrittenResult:
    """One result of which all is there; ``path`` is as the format has it (`path_in`), ``error`` the type of its error.

    The file may be cut after ``end`` bytes: it then is what a writer had written when this result was its last.
    """

    path: str
    error: str | None
    end: int


def read_back(output_format: Format, stream: BinaryIO, top_k: int) -> Iterator[WrittenResult]:
    """The results in ``stream``, which a run with this ``top_k`` wrote, lazily. Raises DamagedOutput.

    Rows of ``csv`` and ``tsv`` do not tell how many belong to a picture. The last one of a file is given only if it has
    ``top_k`` of them, or none.
    """
    match output_format:
        case Format.JSON:
            return _from_array(stream)
        case Format.JSONL:
            return _from_lines(stream)
        case Format.CSV | Format.TSV:
            return _from_rows(stream, "," if output_format is Format.CSV else "\t", top_k)
        case Format.TABLE:
            raise ValueError("a table is for people and cannot be read back")


def is_closed(output_format: Format, stream: BinaryIO, end: int) -> bool:
    """Whether there is nothing after the result that ends at ``end`` but what closes the format."""
    closing = _ARRAY_END if output_format is Format.JSON else b""
    stream.seek(end)
    return stream.read(len(closing) + 1) == closing


def path_in(output_format: Format, path: str) -> str:
    """``path`` as it is read back: JSON keeps each one exactly, the others escape what is no valid text."""
    return path if output_format in (Format.JSON, Format.JSONL) else valid(path)


def _from_lines(stream: BinaryIO) -> Iterator[WrittenResult]:
    end = 0
    for line in stream:
        if not line.endswith(b"\n"):
            return
        end += len(line)
        yield _from_record(line, end)


def _from_array(stream: BinaryIO) -> Iterator[WrittenResult]:
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
            yield _from_record(text, end + len(text))
        except DamagedOutput:
            if line.endswith(b"\n"):
                raise
            return
        end += len(line)
    if stream.read(1):
        raise DamagedOutput("something follows the end of the array")


def _from_record(text: bytes, end: int) -> WrittenResult:
    try:
        record = json.loads(text.decode())
        error = record["error"]["type"] if "error" in record else None
        return WrittenResult(record["path"], error, end)
    except (ValueError, TypeError, KeyError) as problem:
        raise DamagedOutput("a line is no record") from problem


def _from_rows(stream: BinaryIO, delimiter: str, top_k: int) -> Iterator[WrittenResult]:
    lines = _WholeLines(stream)
    rows = _rows(lines, delimiter)
    if next(rows, COLUMNS) != COLUMNS:
        raise DamagedOutput("it does not begin with the header")
    last: WrittenResult | None = None
    ranks = 0  # of the picture that is `last`
    for path, rank, _, _, _, error, _ in rows:
        if rank in ("", "1"):
            if last is not None:
                yield last  # since another picture begins, this one has no more rows
            ranks = 0
        if rank != (str(ranks + 1) if rank else "") or (ranks and last is not None and path != last.path):
            raise DamagedOutput("a row does not follow the one before it")
        last, ranks = WrittenResult(path, error or None, lines.end), ranks + 1
        if not rank or ranks == top_k:
            yield last
            last = None


class _WholeLines:
    """Lines as text up to the last line end, and how many bytes of the file they make up."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.end = 0
        self.exhausted = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._stream.readline()
        if not line.endswith(b"\n"):
            self.exhausted = True
            raise StopIteration
        self.end += len(line)
        return line.decode()


def _rows(lines: _WholeLines, delimiter: str) -> Iterator[Sequence[str]]:
    """Rows of as many cells as there are columns; the reader takes no more lines than the row has."""
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for row in rows:
            if len(row) != len(COLUMNS):
                raise DamagedOutput("a row has too few or too many cells")
            yield tuple(row)
    except UnicodeDecodeError as problem:
        raise DamagedOutput("a row is not UTF-8") from problem
    except csv.Error as problem:
        if not lines.exhausted:  # else the file was cut within quotes
            raise DamagedOutput("a row has quotes in the wrong places") from problem
