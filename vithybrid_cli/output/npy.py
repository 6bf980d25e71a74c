"""Features as a NumPy file, one row for each picture that could be read, and JSON lines that say whose row it is.

The ``.npy`` file is valid after each write. A row is appended first, beyond what the header counts; then the header,
whose length is fixed, counts it; then the line that refers to it is written. So a run that ends early, for whatever
reason, leaves a file that can be read, and no line without its row.
"""

from pathlib import Path
from typing import Any, BinaryIO, TextIO

from numpy.lib.format import MAGIC_PREFIX, read_array_header_1_0, read_magic, write_array_header_1_0

from vithybrid_cli.output.formats import Writer
from vithybrid_cli.output.json_records import to_json
from vithybrid_cli.output.written import DamagedOutput
from vithybrid_cli.results import EmbeddingResult

_FLOAT32, _SIZE = "<f4", 4

_HEADER = 128  # bytes; NumPy pads it to multiples of 64, and leaves room for any number of rows


class NpyWriter(Writer[EmbeddingResult]):
    """Writes a matrix [rows, ``width``] of float32 to ``matrix``, and a line for each input, in order, to ``records``.

    ``matrix`` must be seekable; of what it held the first ``rows`` stay. A line has the ``row`` of its picture, counted
    from 0, or its ``error``.
    """

    def __init__(self, matrix: BinaryIO, records: TextIO, width: int, rows: int = 0) -> None:
        self._matrix, self._records, self._width = matrix, records, width
        self.rows = rows
        self._write_header()  # before the rest is cut off, so that the file is valid in between
        self._begin = self._matrix.tell()
        self._matrix.truncate(self._begin + rows * width * _SIZE)

    def write(self, result: EmbeddingResult) -> None:
        record = result.record() if result.embedding is None else {"path": result.path, "row": self.rows}
        if result.embedding is not None:
            row = result.embedding.astype(_FLOAT32).tobytes()
            self._matrix.seek(self._begin + self.rows * len(row))
            self._matrix.write(row)
            self._matrix.flush()
            self.rows += 1
            self._write_header()
        self._records.write(to_json(record) + "\n")
        self._records.flush()

    def close(self) -> None:
        """Nothing ends this format."""

    def _write_header(self) -> None:
        # NumPy pads it, so that its length is the same for any number of rows.
        header: dict[str, Any] = {"descr": _FLOAT32, "fortran_order": False, "shape": (self.rows, self._width)}
        self._matrix.seek(0)
        write_array_header_1_0(self._matrix, header)
        self._matrix.flush()


def rows_in(file: Path) -> int:
    """How many whole rows are in a file that a run has begun, however it ended. Raises DamagedOutput, and OSError."""
    size = file.stat().st_size
    begin, width = _header(file)
    return (size - begin) // (width * _SIZE) if width else 0


def width_in(file: Path) -> int:
    """How many numbers a row of such a file has. Raises as `rows_in` does."""
    return _header(file)[1]


def _header(file: Path) -> tuple[int, int]:
    """Where the rows begin, and how long they are: 0 if the header itself is cut."""
    with file.open("rb") as stream:
        begin = stream.read(_HEADER)
        stream.seek(0)
        try:
            read_magic(stream)
            shape, _, kind = read_array_header_1_0(stream)
        except ValueError as error:
            if len(begin) < _HEADER and MAGIC_PREFIX.startswith(begin[: len(MAGIC_PREFIX)]):
                return 0, 0
            raise DamagedOutput("it does not begin as a matrix") from error
        if len(shape) != 2 or kind.str != _FLOAT32:
            raise DamagedOutput("it is a matrix of something else")
        return stream.tell(), int(shape[1])
