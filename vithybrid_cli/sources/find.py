"""Files, folders and patterns become a lazy stream of paths."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from vithybrid_cli.sources.containers import is_member_name, kind_of_container
from vithybrid_cli.sources.exclude import Exclude
from vithybrid_cli.sources.own_files import OwnFiles
from vithybrid_cli.sources.pattern import is_pattern, matches
from vithybrid_cli.sources.pictures import Pictures
from vithybrid_cli.sources.remote.addresses import is_address
from vithybrid_cli.sources.remote.listing import found_at
from vithybrid_cli.sources.remote.urls import path_of_file_url
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.tables.folders import FolderTables
from vithybrid_cli.sources.walk import walk

_NOTHING_OWN = OwnFiles()


def find(
    inputs: Iterable[str],
    exclude: Sequence[str] = (),
    survey: Survey | None = None,
    *,
    raw: bool = False,
    archives: bool = False,
    column: str | None = None,
    own: OwnFiles = _NOTHING_OWN,
) -> Iterator[str]:
    """The paths of all pictures that ``inputs`` name, lazily and in the order of the inputs.

    A folder gives the pictures in it and below it, in natural order (``img2`` before ``img10``), without hidden
    files and folders that systems make for themselves (see `vithybrid_cli.sources.pictures.Pictures`); a text with
    ``*``, ``?`` or ``[`` that is no existing name gives what it matches, with ``**`` at any depth. Everything else is
    given as it is. Nothing is raised for inputs: what is missing, matches nothing or is a folder that cannot be
    listed is given as a path, and decoding it raises ImageError. The name of a member of an archive is given as it is,
    too.

    What `vithybrid_cli.sources.exclude.Exclude` makes of ``exclude`` is passed over below folders and patterns, and
    cameras' raw files are, unless ``raw``, and archives and tables, unless
    ``archives``; so is what the run itself writes (``own``). What is left out is counted in
    ``survey``. Folders of tables are read, of which ``column`` is wanted: see
    `vithybrid_cli.sources.tables.folders.FolderTables`.
    """
    survey, tables = Survey() if survey is None else survey, FolderTables(column)
    pictures = Pictures(survey, Exclude.of(exclude), raw, own, archives=archives, tables=tables)
    for given in inputs:
        text = _as_path(given)
        if is_member_name(text):
            yield text
        elif is_address(text):
            yield from found_at(text, replace(pictures, tables=None))  # each would have to be opened
        elif os.path.isdir(text):  # noqa: PTH112 (Path raises where a parent may not be entered)
            yield from walk(text, pictures.all_of(text))
        elif is_pattern(text) and not os.path.lexists(text):
            yield from matches(text, pictures)
        else:
            yield text


def _as_path(text: str) -> str:
    """The path of a ``file:`` URL of a folder or an archive; that of a single picture stays as it is."""
    path = path_of_file_url(text)
    if path is None or (os.path.isfile(path) and kind_of_container(path) is None):  # noqa: PTH113
        return text
    return path
