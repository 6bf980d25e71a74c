"""Labelled rows of a table: each picture with the class that a column of labels gives it."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from vithybrid_cli.errors import ImageError, UsageError
from vithybrid_cli.items import Failure, Item
from vithybrid_cli.sources.tables.column import Column, label_column
from vithybrid_cli.sources.tables.files import damage
from vithybrid_cli.sources.tables.kinds import table_at
from vithybrid_cli.sources.tables.table import Opened, damaged, rows_of
from vithybrid_cli.sources.walk import natural_key

if TYPE_CHECKING:
    import pyarrow as pa

    from vithybrid_cli.sources.containers import Wanted

Class = int | str | None


def labelled_rows(
    path: str, wanted: "Wanted", label: str | None = None
) -> tuple[tuple[str, ...], Iterator[tuple[Item, Class]]]:
    """The labels of the table at ``path``, and lazily the pictures of all its rows, each with its class.

    The column ``label`` has the classes; without it the one that is a ClassLabel by Hugging Face's metadata, or is
    called so. A class is the name that the table gives it, by its metadata or as text; where it has numbers alone, and
    no names for them, the class is that number and there are no labels. None is the class of a row without one: null,
    or below 0, as test sets have it. The labels are in the order of the metadata, or else those that there are, in
    natural order, for which the column of labels is read once. A row that cannot be read is an item that says so, with
    the class that it has; from where the table is damaged on, one without a class.

    Raises UsageError for columns that are not there or are of another type, and for what is no table.
    """
    table = table_at(path, wanted)
    if table is None:
        raise UsageError(f"{path} is no table of pictures.", "Give a Parquet file.")
    try:
        opened = table.open()
    except ImageError as error:
        return (), iter([(Failure(path, error), None)])
    found = label_column(opened.reader.schema, label, path)
    return found.names or _labels_in(opened, found.column), _labelled(opened, found.column, found.names)


def _labelled(opened: Opened, column: Column, names: tuple[str, ...]) -> Iterator[tuple[Item, Class]]:
    """Each picture and its class."""

    def values(first: int, most: int) -> "Iterator[tuple[int, list[tuple[pa.Scalar, pa.Scalar]]]]":
        for start, batch in opened.reader.batches([opened.column.dotted, column.dotted], first, most):
            yield start, list(zip(opened.column.of(batch), column.of(batch), strict=True))

    following = 0
    try:
        for row, (value, label) in rows_of(values):
            for item in opened.rows.items(row, value):
                yield item, _class(label, names)
            following = row + 1
    except damage() as error:
        yield Failure(opened.rows.name(following), damaged(error)), None


def _class(label: "pa.Scalar", names: tuple[str, ...]) -> Class:
    """What a label says; a number that has no name is its own."""
    value = label.as_py()
    if isinstance(value, int):
        if value < 0:
            return None
        return names[value] if value < len(names) else value
    return None if value is None else str(value)


def _labels_in(opened: Opened, column: Column) -> tuple[str, ...]:
    """The texts in a column of labels, as far as it can be read; nothing where it has numbers."""
    found: set[str] = set()
    with suppress(*damage()):
        for _, batch in opened.reader.batches([column.dotted]):
            labels = (label.as_py() for label in column.of(batch).unique())
            found.update(label for label in labels if isinstance(label, str))
    return tuple(sorted(found, key=natural_key))
