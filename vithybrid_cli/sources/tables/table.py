"""A table as a container: its rows in their order, and single ones by their number."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from vithybrid_cli.errors import DamagedArchive, ImageError, UnreadableMember
from vithybrid_cli.images.local import LocalFile, stamp_of
from vithybrid_cli.items import Failure, Item
from vithybrid_cli.settings import DEFAULT_MAX_BYTES
from vithybrid_cli.sources.tables.column import Column, picture_column
from vithybrid_cli.sources.tables.files import MOST_ROWS, ArrowReader, ParquetReader, Reader, damage, require_pyarrow
from vithybrid_cli.sources.tables.rows import Rows
from vithybrid_cli.sources.tables.suffixes import ARROW, PARQUET

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

_READERS: dict[str, Callable[[str | BinaryIO], Reader]] = {PARQUET: ParquetReader, ARROW: ArrowReader}

# Apache Parquet, "File Format": the first and the last four bytes; `PARE` where the footer is encrypted.
_PARQUET_BEGINS = (b"PAR1", b"PARE")
# Arrow, "IPC": the magic of a file; or the continuation mark of a stream's first message, which is its schema.
_ARROW_BEGINS = (b"ARROW1", b"\xff\xff\xff\xff")
_MEMBER = re.compile(r"(\d{1,18})(?:/(\d{1,18}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Opened:
    """A table that is read: its ``column`` of pictures, and what makes items of its values."""

    reader: Reader
    column: Column
    rows: Rows

    @property
    def pictures(self) -> int | None:
        """How many pictures there are, as far as that is known without reading them."""
        return None if self.column.has_lists(self.reader.schema) else self.reader.rows

    def values(self, first: int = 0, most: int = MOST_ROWS) -> "Iterator[tuple[int, pa.Array]]":
        """The values of the column, from the group of the row ``first`` on. Raises one of `damage`."""
        for start, batch in self.reader.batches([self.column.dotted], first, most):
            yield start, self.column.of(batch)


@dataclass(slots=True)
class _Place:
    """Where in a table the last row was read: the values that are there, and those that follow."""

    start: int
    values: "pa.Array"
    following: "Iterator[tuple[int, pa.Array]]"

    @property
    def end(self) -> int:
        return self.start + len(self.values)


@dataclass(slots=True)
class Table:
    """The table at ``path``, of which one picture column is read.

    ``source`` opens one that is no local file; what it gives can be read at any place, and raises ImageError.
    """

    path: str
    scheme: str
    column: str | None = None
    max_bytes: int = DEFAULT_MAX_BYTES
    named: Callable[[str], Item] = LocalFile
    source: Callable[[], BinaryIO] | None = None
    _opened: Opened | None = field(default=None, init=False)
    _place: _Place | None = field(default=None, init=False)

    def items(self) -> Iterator[Item]:
        """The pictures of all rows in their order, read as a stream.

        A file that is none of its kind is an item itself, which says what it is. From where a table is damaged on,
        its first row that cannot be read is one item for all the rest. Raises UsageError where the column is not
        known, or pyarrow is missing.
        """
        if not self._is_a_table():
            yield LocalFile(self.path)
            return
        try:
            opened = self.open()
        except ImageError as error:
            yield Failure(self.path, error, stamp_of(self.path))
            return
        following = 0
        try:
            for row, value in rows_of(opened.values):
                yield from opened.rows.items(row, value)
                following = row + 1
        except damage() as error:
            yield Failure(opened.rows.name(following), damaged(error))

    def item(self, member: str) -> Item:
        """The picture of this row; or of the row before ``/``, the one of this number in its list."""
        rows = Rows(self.path, self.scheme, self.max_bytes, self.named)
        numbers = _MEMBER.fullmatch(member)
        try:
            if numbers is None:
                raise _no_row(member)
            if not self._is_a_table():
                return Failure(rows.name(member), _no_table(self.path))
            opened = self.open()
            value = self._value(opened, int(numbers[1]))
        except ImageError as error:
            return Failure(rows.name(member), error)
        except damage() as error:
            self._place = None
            return Failure(rows.name(member), damaged(error))
        items = list(rows.items(int(numbers[1]), value)) if value is not None else []
        index = int(numbers[2] or 0)
        if index >= len(items):
            return Failure(rows.name(member), _no_row(member))
        return items[index]

    def open(self) -> Opened:
        """The table, opened once. Raises ImageError where it is damaged, and UsageError as `items` does."""
        if self._opened is None:
            reader = open_reader(self.path, self.scheme, self.source)
            column = picture_column(reader.schema, self.column, self.path)
            self._opened = Opened(reader, column, Rows(self.path, self.scheme, self.max_bytes, self.named))
        return self._opened

    def _value(self, opened: Opened, row: int) -> "pa.Scalar | None":
        """The value of a row; None where there is none. The rows that follow are read on from there."""
        place = self._place
        if place is None or not (place.start <= row and opened.reader.group_of(row) <= place.end):
            place = _next(opened.values(row))
        while place is not None and row >= place.end:
            place = _next(place.following)
        self._place = place
        return None if place is None else place.values[row - place.start]

    def _is_a_table(self) -> bool:
        return self.source is not None or is_a_table(self.path, self.scheme)


def open_reader(path: str, scheme: str, source: Callable[[], BinaryIO] | None = None) -> Reader:
    """The table of this kind at ``path``. Raises ImageError where it is damaged, and UsageError without pyarrow."""
    require_pyarrow(path)
    try:
        return _READERS[scheme](path if source is None else source())
    except damage() as error:
        raise damaged(error) from error


def is_a_table(path: str, scheme: str) -> bool:
    """Whether the file at ``path`` begins as one of its kind."""
    begins = _PARQUET_BEGINS if scheme == PARQUET else _ARROW_BEGINS
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as stream:
            return stream.read(6).startswith(begins)
    except (OSError, ValueError):
        return False


def damaged(error: Exception) -> ImageError:
    """What an error of pyarrow means, or the error of the file that it reads."""
    if isinstance(error, ImageError):
        return error
    text = str(error)
    if "encrypt" in text.lower() or "decrypt" in text.lower():
        return DamagedArchive("The table is encrypted.", "Write it without encryption.")
    if isinstance(error, MemoryError):
        return DamagedArchive(
            "The table's parts do not fit into memory.", "Write it with smaller row groups and pages."
        )
    if "magic bytes" in text or "footer" in text.lower() or "file size" in text.lower():
        return DamagedArchive("The table is cut off: its end is missing.", "Copy or download it again.")
    if "not implemented" in text.lower() or "unsupported" in text.lower() or "support for codec" in text.lower():
        return DamagedArchive(
            "The table is of a variant that is not read.", "Write it again, for example with pyarrow."
        )
    return DamagedArchive("From here on the table is damaged.", "Copy or download it again.")


def rows_of(values: "Callable[[int, int], Iterator[tuple[int, Sequence[T]]]]") -> "Iterator[tuple[int, T]]":
    """Number and value of each row; where a batch cannot be read, row by row from there, as far as that goes.

    ``values`` takes the first row, and how many rows a batch may have. Raises one of `damage`.
    """
    row = 0
    try:
        for start, batch in values(0, MOST_ROWS):
            yield from zip(range(start, start + len(batch)), batch, strict=True)
            row = start + len(batch)
    except damage():
        for start, batch in values(row, 1):
            if start >= row:
                yield from zip(range(start, start + len(batch)), batch, strict=True)


def _next(batches: "Iterator[tuple[int, pa.Array]]") -> _Place | None:
    for start, values in batches:
        return _Place(start, values, batches)
    return None


def _no_row(member: str) -> UnreadableMember:
    return UnreadableMember(f"The table has no row {member}.", "Rows are numbered from 0.")


def _no_table(path: str) -> UnreadableMember:
    return UnreadableMember(f"There is no table at {path}.", "Give the path of a table.")
