"""Which tables are read in a folder of which nobody said that it holds tables."""

import logging
from dataclasses import dataclass, field

from vithybrid_cli.errors import ImageError, UsageError
from vithybrid_cli.images.suffixes import picture_suffixes, suffix_of
from vithybrid_cli.sources.tables.column import holds_embedded_pictures
from vithybrid_cli.sources.tables.files import require_pyarrow
from vithybrid_cli.sources.tables.suffixes import ARROW, PARQUET, scheme_of_table
from vithybrid_cli.sources.tables.table import is_a_table, open_reader
from vithybrid_cli.sources.walk import Entry, listing

_log = logging.getLogger(__name__)

_OF_A_CACHE = "cache-"  # how `datasets` begins the names of what it has computed from a table, pictures and all


@dataclass(slots=True)
class FolderTables:
    """Which tables below folders are read.

    A folder of tables has tables right in it and no pictures beside them, as the clone of a data set repository has in
    ``data/``. Of such a folder those tables are read that hold the pictures themselves, by their schema (see
    `vithybrid_cli.sources.tables.column.holds_embedded_pictures`), and those that cannot be read, which have their
    record; where a ``column`` is named, all. So lists of paths and tables of results are not taken for pictures, and
    what lies beside pictures is left out, as archives are. Memory: one folder's name; the listing of a folder with
    tables is read twice.
    """

    column: str | None = None
    _folder: str | None = field(default=None, init=False)
    _has_pictures: bool = field(default=False, init=False)
    _told: bool = field(default=False, init=False)

    def reads(self, file: Entry) -> bool:
        """Whether this file is a table to read."""
        scheme = scheme_of_table(file.name)
        if scheme is None or (scheme == ARROW and file.name.startswith(_OF_A_CACHE)) or self._lies_by_pictures(file):
            return False
        if not is_a_table(file.path, scheme):
            return scheme == PARQUET  # a pointer of Git LFS, or what may not be read; others have many kinds of .arrow
        return self._is_installed(file) and (self.column is not None or _holds_pictures(file.path, scheme))

    def _lies_by_pictures(self, file: Entry) -> bool:
        if file.folder != self._folder:
            self._folder = file.folder
            beside = (entry for entry in listing(file.folder)[0] if not (entry.is_folder or entry.name.startswith(".")))
            self._has_pictures = any(suffix_of(entry.name) in picture_suffixes() for entry in beside)
        return self._has_pictures

    def _is_installed(self, file: Entry) -> bool:
        """Whether tables can be read; it is said once where they cannot."""
        try:
            require_pyarrow(file.path)
        except UsageError as error:
            if not self._told:
                _log.warning("Tables in folders are left out: %s", error)
            self._told = True
            return False
        return True


def _holds_pictures(path: str, scheme: str) -> bool:
    try:
        return holds_embedded_pictures(open_reader(path, scheme).schema)
    except ImageError:
        return True  # which is its record
