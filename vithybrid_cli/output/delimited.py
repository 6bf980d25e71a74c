"""Results as comma- or tab-separated values in long form: one row per prediction.

A picture that could not be read has one row with its error and no prediction, a picture where nothing reached the
threshold one row with neither: each path is there at least once. Values are exact, with quotes where needed
(RFC 4180 but for the line end, which is a plain newline), except for what would not be valid or safe: lone
surrogates of undecodable file names are written as ``\\udcXX``, and on a terminal so are control characters.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TextIO

from vithybrid_cli.output.escape import valid, visible
from vithybrid_cli.output.formats import Writer
from vithybrid_cli.results import ImageResult

COLUMNS = ("path", "rank", "index", "label", "score", "error_type", "error_message")


class RowWriter:
    """Writes rows of strings to a stream, each with one call and a flush."""

    def __init__(self, stream: TextIO, delimiter: str) -> None:
        self._stream = stream
        self._delimiter = delimiter
        self._safe = visible if stream.isatty() else valid

    def write(self, *rows: Sequence[str]) -> None:
        self._stream.write("".join(map(self._line, rows)))
        self._stream.flush()

    def _line(self, row: Sequence[str]) -> str:
        # Up to Python 3.12 the csv module puts quotes around a carriage return only if it is part of the line end.
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=self._delimiter, lineterminator="\r\n").writerow(map(self._safe, row))
        return buffer.getvalue().removesuffix("\r\n") + "\n"


class DelimitedWriter(Writer[ImageResult]):
    """Rows of ``COLUMNS``, the header first; ``rank`` counts from 1 and ``score`` has six decimals.

    ``continued``: the stream stands after a row, so the header is there.
    """

    def __init__(self, stream: TextIO, delimiter: str, *, continued: bool = False) -> None:
        self._rows = RowWriter(stream, delimiter)
        if not continued:
            self._rows.write(COLUMNS)

    def write(self, result: ImageResult) -> None:
        self._rows.write(*_rows(result))

    def close(self) -> None:
        """Nothing ends this format."""


def _rows(result: ImageResult) -> Iterator[tuple[str, ...]]:
    if result.error is not None:
        yield (result.path, "", "", "", "", type(result.error).__name__, str(result.error))
    elif not result.predictions:
        yield (result.path, "", "", "", "", "", "")
    for rank, prediction in enumerate(result.predictions, start=1):
        score = f"{prediction.score:.6f}"
        yield (result.path, str(rank), str(prediction.index), prediction.label, score, "", "")
