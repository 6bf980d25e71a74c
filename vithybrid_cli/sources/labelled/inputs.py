"""What a user names as labelled pictures: a folder, or archives, or tables, or a folder or pattern of those."""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from vithybrid_cli.errors import UsageError
from vithybrid_cli.settings import Reading
from vithybrid_cli.sources.braces import expanded
from vithybrid_cli.sources.containers import Wanted, is_member_name, kind_of_container, places
from vithybrid_cli.sources.exclude import Exclude
from vithybrid_cli.sources.find import find
from vithybrid_cli.sources.labelled import PARTS, DataSetRoot, Labelled
from vithybrid_cli.sources.labelled.archives import LabelledArchives, Place
from vithybrid_cli.sources.labelled.folders import LabelFolders
from vithybrid_cli.sources.labelled.tables import LabelledTables

_TABLES = ("parquet", "arrow")
_PART = re.compile(r"[A-Za-z]+(?:[-_]out)?")


def open_labelled(
    inputs: Sequence[str], what: Reading, label_column: str | None = None, *, offline: bool = False
) -> Labelled:
    """The labelled pictures that ``inputs`` name: one folder of label folders, or any number of archives or tables.

    Those may lie in a folder without pictures, or be named by a pattern, or with braces (``{000..127}``). A name such
    as ``zip://val::photos.zip`` is a folder in an archive. ``what`` says how they are read, but for its own inputs.
    Raises UsageError for what has no labels, and DataSetRoot for the parts of a data set.
    """
    raw = what.decoding.raw_preview
    if len(inputs) == 1 and os.path.isdir(inputs[0]):  # noqa: PTH112 (Path raises on odd names)
        found = _containers_in(inputs[0], what)
        if not found:
            return LabelFolders.open(Path(inputs[0]), what.exclude, raw=raw)
        _require_one_part(inputs[0], found)
    else:
        found = list(chain.from_iterable(_containers(text, what) for given in inputs for text in _meant(given)))
    tables = [place for place in found if place.kind.scheme in _TABLES]
    wanted = Wanted(
        exclude=Exclude.of(what.exclude), raw=raw, column=what.column, max_bytes=what.max_bytes, offline=offline
    )
    if not tables:
        return LabelledArchives.open(found, wanted)
    if len(tables) < len(found):
        one, other = next(place for place in found if place not in tables).name, tables[0].name
        raise UsageError(f"{one} is an archive, and {other} a table.", "Give archives or tables, one kind alone.")
    return LabelledTables.open([table.path for table in tables], wanted, label_column)


def _meant(text: str) -> Iterator[str]:
    """The names that one with braces stands for; itself where there is a file of this name."""
    return iter((text,)) if os.path.lexists(text) else expanded(text)


def _containers_in(folder: str, what: Reading) -> list[Place]:
    """The archives and tables in a folder that has no pictures; none where it has some."""
    first = next(find([folder], what.exclude, raw=what.decoding.raw_preview), None)
    if first is not None and kind_of_container(first) is None:
        return []
    return [place for path in find([folder], what.exclude, archives=True) for place in _place(path)]


def _containers(text: str, what: Reading) -> Iterator[Place]:
    """The archives and tables that a name or pattern is for. Raises UsageError for what is none."""
    found = False
    for path in find([text], what.exclude, archives=True):
        for place in _place(path):
            found = True
            yield place
    if not found:
        why = "holds no archives or tables" if os.path.isdir(text) else "is no folder, archive or table"  # noqa: PTH112
        raise UsageError(
            f"{text} {why}.", "Give a folder that holds one folder of pictures per label, or an archive or table."
        )


def _place(path: str) -> Iterator[Place]:
    """The archive or table at ``path``, or the folder in an archive; nothing for any other file."""
    if is_member_name(path):
        readings = list(places(path))
        kind, member, place = next((one for one in readings if os.path.lexists(one[2])), readings[0])
        yield Place(place, kind, tuple(part for part in member.split("/") if part))
    elif (kind_of_path := kind_of_container(path)) is not None:
        yield Place(path, kind_of_path)


def _require_one_part(folder: str, found: Sequence[Place]) -> None:
    """Raise DataSetRoot where files are named as several parts of a data set: ``data/train-00000-of-00002.parquet``."""
    parts: dict[str, str] = {}
    for place in found:
        part = _part(place.path, folder)
        if part is not None:
            parts.setdefault(part, _pattern(place.path, folder, part))
    if len(parts) > 1:
        cause = f"{folder} holds the parts of a data set: {', '.join(parts.values())}."
        raise DataSetRoot(cause, "Give one of these, in quotes.")


def _pattern(path: str, folder: str, part: str) -> str:
    """What stands for all files of a part: the folder of its name, or a pattern."""
    before, _, after = os.path.relpath(path, folder).rpartition(part)
    named = before + part if "/" in after else f"{before}{part}*{Path(path).suffix}"
    return os.path.join(folder, named)  # noqa: PTH118 (as the path was made)


def _part(path: str, folder: str) -> str | None:
    """The part of a data set that a file in ``folder`` belongs to by its name, or by that of a folder it is in."""
    for name in reversed(Path(os.path.relpath(path, folder)).parts):
        begin = _PART.match(name)
        if begin is not None and begin[0].lower() in PARTS:
            return begin[0]
    return None
