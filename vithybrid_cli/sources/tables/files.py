"""Tables are read as a stream of record batches, from any row on: Parquet; Arrow IPC and Feather, files and streams."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from vithybrid_cli.errors import ImageError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

INSTALL = "pip install 'vithybrid-cli[parquet]'"

# Bytes that are read of a column at a time. Without this pyarrow reads all of a row group's column first: a group of
# 300 MB takes 500 MB and more, and 18 MB with it, where the writer made pages of 1 MB.
_BUFFER = 2**20
MOST_ROWS = 64  # of a batch; more are not faster
_BATCH_BYTES = 16 * 2**20  # of a batch, if its rows are like the others of their group
# Of a batch whose rows may be longer than they take in the file, as when one picture of a dictionary is in all of them.
_MOST_BYTES = 256 * 2**20
_ARROW_FILE = b"ARROW1"  # Arrow, "IPC File Format": how a file begins; a stream does not


class Reader(Protocol):
    """An open table."""

    @property
    def schema(self) -> "pa.Schema": ...

    @property
    def rows(self) -> int:
        """How many rows there are."""
        ...

    def group_of(self, row: int) -> int:
        """The first row that is read again when this one is."""
        ...

    def batches(
        self, columns: Sequence[str], first: int = 0, most: int = MOST_ROWS
    ) -> Iterator[tuple[int, "pa.RecordBatch"]]:
        """Batches of these columns with the number of their first row, from the group of the row ``first`` on.

        None has more than ``most`` rows, but for those of an Arrow file. Raises one of `damage`.
        """
        ...


def require_pyarrow(path: str) -> None:
    """Raise UsageError where pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401 (imported where it is used, here and below: `vithybrid --help` must not pay)
    except ImportError as error:
        cause = f"{path} is a table, and reading tables needs one more library."
        raise UsageError(cause, f"Install it with `{INSTALL}`.") from error


def damage() -> tuple[type[Exception], ...]:
    """What pyarrow raises for damaged tables and for what it does not read, and what the file raises that it reads."""
    import pyarrow as pa

    return pa.ArrowException, OSError, MemoryError, ImageError


class ParquetReader:
    """A Parquet file. Memory: a few rows, or the largest page of the picture column where that is more, twice.

    A page is as large as the writer made it: 1 MB as a rule; but pyarrow's own writer looks at the size after every
    1,024 values only, so that pictures of 100 kB come in pages of 100 MB unless a row group ends before.
    """

    def __init__(self, source: str | BinaryIO) -> None:
        """The file of this path, or what can be read at any place. Raises one of `damage`."""
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True)
        self._first_rows: list[int] = [0]
        for group in range(self._file.metadata.num_row_groups):
            self._first_rows.append(self._first_rows[-1] + self._file.metadata.row_group(group).num_rows)

    @property
    def schema(self) -> "pa.Schema":
        return self._file.schema_arrow

    @property
    def rows(self) -> int:
        return self._first_rows[-1]

    def group_of(self, row: int) -> int:
        """The first row of its row group."""
        return self._first_rows[self._group(row)]

    def batches(
        self, columns: Sequence[str], first: int = 0, most: int = MOST_ROWS
    ) -> Iterator[tuple[int, "pa.RecordBatch"]]:
        """As `Reader` has it."""
        for group in range(self._group(first), len(self._first_rows) - 1):
            row, size = self._first_rows[group], min(self._rows_of_a_batch(group), most)
            for batch in self._file.iter_batches(size, row_groups=[group], columns=list(columns), use_threads=False):
                yield row, batch
                row += len(batch)

    def _group(self, row: int) -> int:
        from bisect import bisect_right

        return max(bisect_right(self._first_rows, row) - 1, 0)

    def _rows_of_a_batch(self, group: int) -> int:
        """How many rows of a row group are read at a time.

        By the size of all its columns: to ask for that of one ends the process where another one is encrypted.
        """
        described = self._file.metadata.row_group(group)
        size = max(int(described.total_byte_size), 1)
        most = min(_BATCH_BYTES * int(described.num_rows) // size, _MOST_BYTES // size)
        return min(max(most, 1), MOST_ROWS)


class ArrowReader:
    """An Arrow IPC file, which Feather files are too, or stream, as `datasets` writes. It is mapped, not read."""

    def __init__(self, source: str | BinaryIO) -> None:
        """The file of this path, or what can be read at any place. Raises one of `damage`."""
        self._source = source
        with self._open() as reader:
            self._schema = reader.schema

    @property
    def schema(self) -> "pa.Schema":
        return self._schema

    @property
    def rows(self) -> int:
        return sum(int(batch.num_rows) for batch in self._batches())

    def group_of(self, row: int) -> int:
        """The beginning of the file, as a stream has no index."""
        return 0

    def batches(
        self, columns: Sequence[str], first: int = 0, most: int = MOST_ROWS
    ) -> Iterator[tuple[int, "pa.RecordBatch"]]:
        """As `Reader` has it."""
        row = 0
        for batch in self._batches():
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                if any(column == name or column.startswith(f"{name}.") for column in columns):
                    values.validate(full=True)  # what lies in the file is used as it is, places beyond its end too
            yield row, batch
            row += len(batch)

    def _batches(self) -> "Iterator[pa.RecordBatch]":
        with self._open() as reader:
            if not hasattr(reader, "get_batch"):
                yield from reader
                return
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)

    def _open(self) -> Any:
        import pyarrow as pa

        file = pa.memory_map(self._source) if isinstance(self._source, str) else pa.PythonFile(self._source, "r")
        file.seek(0)
        is_file = file.read(len(_ARROW_FILE)) == _ARROW_FILE
        file.seek(0)
        return pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
