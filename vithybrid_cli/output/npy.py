"""Features as a NumPy file, one row for each picture that could be read, and beside it JSON lines that say which.

The ``.npy`` file is a whole one after each write: a row is appended first, where a reader does not look yet, and then
the number of rows in the header changes, whose length does not. Last comes the line that points to the row. So whatever
ends a run leaves a file that can be read, and no line without its row.
"""

from typing import Any, BinaryIO, TextIO

from numpy.lib.format import write_array_header_1_0

from vithybrid_cli.output.formats import Writer
from vithybrid_cli.output.json_records import to_json
from vithybrid_cli.results import EmbeddingResult

_FLOAT32 = "<f4"


class NpyWriter(Writer[EmbeddingResult]):
    """A matrix [rows, ``width``] of float32 in ``matrix``, and in ``records`` a line for each input, in order.

    ``matrix`` is a file that can be written anywhere in it; what was there goes. A line has the ``row`` of its picture,
    counted from 0, or its ``error``.
    """

    def __init__(self, matrix: BinaryIO, records: TextIO, width: int) -> None:
        self._matrix, self._records, self._width = matrix, records, width
        self.rows = 0
        self._write_header()  # over what is there, so that it is a whole file while it is cut off
        self._begin = self._matrix.tell()
        self._matrix.truncate()

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
        # NumPy leaves room in it for any number of rows.
        header: dict[str, Any] = {"descr": _FLOAT32, "fortran_order": False, "shape": (self.rows, self._width)}
        self._matrix.seek(0)
        write_array_header_1_0(self._matrix, header)
        self._matrix.flush()
