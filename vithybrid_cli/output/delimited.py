"""Results as comma- or tab-separated values, written and read back, in long form: one row per prediction.

A picture that could not be read has one row with its error. A picture without predictions, since nothing reached the
threshold, has one row with neither: each path is there at least once. Where a rule was asked for the answer
(``unsure``, ``rollup``), a row of rank 0 before the predictions has it, without an index if it is no class of the
model. Values are exact, with quotes where needed (RFC 4180, but lines end with a plain newline), except for what would
not be valid or safe: lone surrogates of undecodable file names are written as ``\\udcXX``, and on a terminal control
characters are escaped too.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Self, TextIO

from vithybrid_cli.output.escape import valid, visible
from vithybrid_cli.output.formats import TextWriter
from vithybrid_cli.output.written import CutOff, DamagedOutput, WrittenResult
from vithybrid_cli.results import ImageResult

COLUMNS = ("path", "rank", "index", "label", "score", "error_type", "error_message")


class RowWriter:
    """Writes rows of strings to a stream, those of each call at once and flushed."""

    def __init__(self, stream: TextIO, delimiter: str) -> None:
        self._stream = stream
        self._delimiter = delimiter
        self._safe = visible if stream.isatty() else valid

    def write(self, *rows: Sequence[str]) -> None:
        self.put(self.text(*rows))

    def text(self, *rows: Sequence[str]) -> str:
        return "".join(map(self._line, rows))

    def put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _line(self, row: Sequence[str]) -> str:
        # Up to Python 3.12 the csv module quotes a carriage return only if the line end contains one.
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=self._delimiter, lineterminator="\r\n").writerow(map(self._safe, row))
        return buffer.getvalue().removesuffix("\r\n") + "\n"


class DelimitedWriter(TextWriter[ImageResult]):
    """Rows of ``COLUMNS`` below a header; the ``rank`` of predictions counts from 1, and ``score`` has six decimals.

    ``continued``: the stream stands after a row, so there is a header.
    """

    def __init__(self, stream: TextIO, delimiter: str, *, continued: bool = False) -> None:
        self._rows = RowWriter(stream, delimiter)
        if not continued:
            self._rows.write(COLUMNS)

    def text(self, result: ImageResult) -> str:
        return self._rows.text(*_rows(result))

    def put(self, text: str) -> None:
        self._rows.put(text)

    def close(self) -> None:
        """Nothing ends this format."""


def _rows(result: ImageResult) -> Iterator[tuple[str, ...]]:
    if result.error is not None:
        yield (result.path, "", "", "", "", type(result.error).__name__, str(result.error))
    elif result.ruled:
        yield _answer_row(result)
    elif not result.predictions:
        yield (result.path, "", "", "", "", "", "")
    for rank, prediction in enumerate(result.predictions, start=1):
        score = f"{prediction.rounded:.6f}"
        yield (result.path, str(rank), str(prediction.index), prediction.label, score, "", "")


def _answer_row(result: ImageResult) -> tuple[str, ...]:
    """The row of rank 0; nothing but the path in it where no prediction reached the threshold."""
    answer = result.answer
    if answer is None:
        return (result.path, "0", "", "", "", "", "")
    index = "" if answer.index is None else str(answer.index)
    return (result.path, "0", index, answer.label, f"{answer.rounded:.6f}", "", "")


def _begins(rank: str, before: str | None) -> bool:
    """Whether a row of this rank is the first of a picture; ``before`` is the rank of the row before it."""
    return rank in ("", "0") or (rank == "1" and before != "0")


def read_rows(
    stream: BinaryIO, delimiter: str, top_k: int, whole: Callable[[WrittenResult], bool] | None = None
) -> Iterator[WrittenResult]:
    """The results in rows, without a last one that is cut or may not be ``whole``. Raises DamagedOutput."""
    lines = _WholeLines(stream)
    rows = _cells(lines, delimiter)
    if next(rows, COLUMNS) != COLUMNS:
        raise DamagedOutput("it does not begin with the header")
    last: WrittenResult | None = None
    before: str | None = None  # the rank of the row before
    begin = end = lines.end
    for path, rank, _, _, _, error, _ in rows:
        if first := _begins(rank, before):
            if last is not None:
                yield last  # another picture begins, so this one has no more rows
            begin = end
        end = lines.end
        if not first and (not before or rank != str(int(before) + 1) or (last is not None and path != last.path)):
            raise DamagedOutput("a row does not follow the one before it")
        last, before = WrittenResult(path, error or None, begin, end), rank
        if not rank or rank == str(top_k):
            yield last
            last = None
    if last is not None and whole is not None and whole(last):
        yield last


class _WholeLines:
    """Lines as text up to the last line end, and how many bytes of the file they take up.

    ``cut`` says whether something follows that line end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.end = 0
        self.exhausted = self.cut = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._stream.readline()
        if not line.endswith(b"\n"):
            self.exhausted, self.cut = True, bool(line)
            raise StopIteration
        self.end += len(line)
        return line.decode()


def _cells(lines: _WholeLines, delimiter: str) -> Iterator[Sequence[str]]:
    """Rows with a cell for each column; of the lines no more are taken than the row has."""
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for row in rows:
            if len(row) != len(COLUMNS):
                raise DamagedOutput("a row has too few or too many cells")
            yield tuple(row)
    except UnicodeDecodeError as error:
        raise DamagedOutput("a row is not UTF-8") from error
    except csv.Error as error:
        if not lines.exhausted:
            raise DamagedOutput("a row has quotes in the wrong places") from error
        lines.cut = True  # within quotes


def read_records(stream: BinaryIO, delimiter: str) -> Iterator[dict[str, Any]]:
    """The results in rows, in the shape of the JSON output. Raises DamagedOutput, and CutOff at the end.

    Where a row is cut, the picture before it is not known to be whole, and is left out, unless it has an error or no
    predictions.
    """
    lines = _WholeLines(stream)
    rows = _cells(lines, delimiter)
    header = next(rows, None)
    if header is None:
        raise CutOff(0)
    if header != COLUMNS:
        raise DamagedOutput("it does not begin with the header")
    count, last = 0, None
    before: str | None = None
    for row in rows:
        if last is not None and _begins(row[1], before):
            yield last
            count, last = count + 1, None
        last, before = _with_row(last, row), row[1]
    if lines.cut and last is not None and (last.get("predictions") or "label" in last):
        raise CutOff(count)
    if last is not None:
        yield last
        count += 1
    if lines.cut:
        raise CutOff(count)


def _with_row(record: dict[str, Any] | None, row: Sequence[str]) -> dict[str, Any]:
    """The record of a picture with one more row, or that of the next picture, which has no record yet."""
    path, rank, index, label, score, error, message = row
    if record is None:
        if error:
            return {"path": path, "error": {"type": error, "message": message}}
        record = {"path": path, "predictions": []}
        if not rank:
            return record
        if rank == "0":
            return _with_answer(record, row)
    ranks = len(record.get("predictions", ()))
    if path != record["path"] or "error" in record or rank != str(ranks + 1):
        raise DamagedOutput("a row does not follow the one before it")
    try:
        record["predictions"].append({"index": int(index), "label": label, "score": float(score)})
    except ValueError as error_:
        raise _no_numbers() from error_
    return record


def _with_answer(record: dict[str, Any], row: Sequence[str]) -> dict[str, Any]:
    """The record of a picture with its row of rank 0."""
    _, _, index, label, score, _, _ = row
    if not score:
        return record | {"label": None, "score": None}
    try:
        return record | {"label": label, "score": float(score)} | ({"index": int(index)} if index else {})
    except ValueError as error:
        raise _no_numbers() from error


def _no_numbers() -> DamagedOutput:
    return DamagedOutput("a row has no numbers where they should be")
