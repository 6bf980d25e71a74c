"""Tables as kinds of containers: what opens them as they are wanted."""

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from vithybrid_cli.errors import ImageError
from vithybrid_cli.sources.places import opened_anywhere
from vithybrid_cli.sources.remote.addresses import is_address
from vithybrid_cli.sources.tables.suffixes import ARROW, PARQUET, scheme_of_table
from vithybrid_cli.sources.tables.table import Table, is_a_table

if TYPE_CHECKING:
    from vithybrid_cli.sources.containers import Wanted


def open_parquet(path: str, wanted: "Wanted") -> Table:
    """The Parquet file at ``path``. It is opened when its pictures are asked for."""
    return _table(path, PARQUET, wanted)


def open_arrow(path: str, wanted: "Wanted") -> Table:
    """The Arrow or Feather file at ``path``, as `open_parquet` does it."""
    return _table(path, ARROW, wanted)


def table_at(path: str, wanted: "Wanted") -> Table | None:
    """The table at ``path``, not opened yet; None for what is none by its suffix or its beginning."""
    scheme = scheme_of_table(path)
    if scheme is None or not (is_address(path) or is_a_table(path, scheme)):
        return None
    return _table(path, scheme, wanted)


def check_table(path: str, wanted: "Wanted") -> None:
    """Raise UsageError for what is wrong with a table before anything is loaded.

    What is wrong with its file will be a record, and anything but a table is passed.
    """
    if (table := table_at(path, wanted)) is not None:
        with suppress(ImageError):
            table.open()


def pictures_in_table(path: str, wanted: "Wanted") -> int | None:
    """How many pictures are in it, without reading them; None where it does not say so. Raises UsageError."""
    table = table_at(path, wanted)
    if table is None:
        return 1  # its record
    try:
        return table.open().pictures
    except ImageError:
        return 1


def _table(path: str, scheme: str, wanted: "Wanted") -> Table:
    from vithybrid_cli.sources.named import Named  # which knows this module

    source = partial(opened_anywhere, path, offline=wanted.offline) if is_address(path) else None
    return Table(path, scheme, wanted.column, wanted.max_bytes, Named(wanted).item, source)
