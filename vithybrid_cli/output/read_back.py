"""Results that an earlier run wrote are read back one by one, with the place in the file where each of them ends.

A run that was killed leaves a last row that may be cut anywhere, even within a letter or an escape: that row is left
out. Anything else that is wrong was not left by a killed run, and raises `DamagedOutput`. Memory does not grow with the
file.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from vithybrid_cli.output.delimited import read_rows
from vithybrid_cli.output.escape import valid
from vithybrid_cli.output.formats import Format
from vithybrid_cli.output.json_records import ARRAY_END, read_array, read_lines
from vithybrid_cli.output.written import DamagedOutput, WrittenResult

__all__ = ["READABLE", "DamagedOutput", "WrittenResult", "is_closed", "path_in", "read_back"]

READABLE = (Format.JSON, Format.JSONL, Format.CSV, Format.TSV)


def read_back(
    output_format: Format, stream: BinaryIO, top_k: int, whole: Callable[[WrittenResult], bool] | None = None
) -> Iterator[WrittenResult]:
    """The results in ``stream``, lazily, as written by a run with this ``top_k``. Raises DamagedOutput.

    A row of ``csv`` or ``tsv`` does not say whether more rows of its picture follow. So the last picture in such a file
    is given only if it has ``top_k`` rows, or one without a prediction, or if ``whole`` knows that it has no more.
    """
    match output_format:
        case Format.JSON:
            return read_array(stream)
        case Format.JSONL:
            return read_lines(stream)
        case Format.CSV | Format.TSV:
            return read_rows(stream, "," if output_format is Format.CSV else "\t", top_k, whole)
        case Format.TABLE:
            raise ValueError("a table is for people and cannot be read back")
        case Format.PARQUET:
            raise ValueError("a Parquet file is either whole or none, so no run goes on with it")


def is_closed(output_format: Format, stream: BinaryIO, end: int) -> bool:
    """Whether nothing follows the result that ends at ``end`` but what ends the format."""
    closing = ARRAY_END if output_format is Format.JSON else b""
    stream.seek(end)
    return stream.read(len(closing) + 1) == closing


def path_in(output_format: Format, path: str) -> str:
    """``path`` as it is read back: JSON keeps each path exactly, the others escape what is not valid Unicode."""
    return path if output_format in (Format.JSON, Format.JSONL) else valid(path)
