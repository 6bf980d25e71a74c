"""The value of a row becomes pictures: its bytes, or what its path or address leads to."""

import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vithybrid_cli.errors import FileTooLarge, UnreadableMember
from vithybrid_cli.items import Content, Failure, Item, Stamp

if TYPE_CHECKING:
    import pyarrow as pa

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OF_TABLES = ("parquet://", "arrow://")
_LONGEST_PATH = 4096  # characters; longer text is a picture in base64 or the like
_MOST_ABOVE = 3  # folders above the one of a table, in which what it names may lie


@dataclass(frozen=True, slots=True)
class Row(Content):
    """The bytes of a row."""

    def stamp(self) -> Stamp:
        """Their number and their CRC-32: the time of the table's file says nothing about its rows."""
        return Stamp(len(self.content), zlib.crc32(self.content))


@dataclass(frozen=True, slots=True)
class Rows:
    """Makes items of the values in the picture column of the table at ``path``.

    ``scheme`` begins their names, no picture has more than ``max_bytes``, and ``named`` makes items of other names.
    """

    path: str
    scheme: str
    max_bytes: int
    named: Callable[[str], Item]

    def name(self, member: int | str) -> str:
        """What a row, or one of several pictures in it, is called."""
        return f"{self.scheme}://{member}::{self.path}"

    def items(self, row: int, value: "pa.Scalar") -> Iterator[Item]:
        """The picture of a row, or those in its list, one after the other; there is always one at least."""
        value = _plain(value)
        pictures = _listed(value)
        if pictures is None:
            yield self._item(self.name(row), value)
        elif not pictures:
            yield Failure(self.name(row), _empty("The list in this row is empty."))
        for index, picture in enumerate(pictures or ()):
            yield self._item(self.name(f"{row}/{index}"), picture)

    def _item(self, name: str, value: "pa.Scalar | None") -> Item:
        try:
            content, path = _parts(value)
        except UnicodeDecodeError:
            return Failure(name, UnreadableMember("The path in this row is no text.", "Write it in UTF-8."))
        if content is not None:
            if len(content) > self.max_bytes:
                return Failure(name, _too_large(len(content), self.max_bytes))
            if len(content):
                return Row(name, content.to_pybytes())
            return Failure(name, _empty("The picture in this row has no bytes."))
        if not path:
            return Failure(name, _empty("There is no picture in this row."))
        return self._elsewhere(name, path)

    def _elsewhere(self, name: str, path: str) -> Item:
        """The picture that a row leads to."""
        if len(path) > _LONGEST_PATH:
            cause = f"This row holds text of {len(path)} characters, which is neither a path nor an address."
            return Failure(name, UnreadableMember(cause, "Write pictures as bytes into the table."))
        if path.lower().startswith(_OF_TABLES):
            cause = f"This row leads to a row of a table, {path}, and is not followed."
            return Failure(name, UnreadableMember(cause, "Give that as an input itself."))
        return self.named(path if _SCHEME.match(path) else _found(path, self.path))


def _plain(value: "pa.Scalar") -> "pa.Scalar | None":
    """The value itself, where it is one of a dictionary; None for null."""
    import pyarrow as pa

    while isinstance(value, pa.DictionaryScalar) and value.is_valid:
        value = value.value
    return value if value.is_valid else None


def _listed(value: "pa.Scalar | None") -> "list[pa.Scalar | None] | None":
    """What a list holds; None for anything else."""
    import pyarrow as pa

    if not isinstance(value, pa.ListScalar):  # of which the other kinds of lists are
        return None
    return [_plain(one) for one in value.values]


def _parts(value: "pa.Scalar | None") -> "tuple[pa.Buffer | None, str | None]":
    """The bytes in a value, and its path. Raises UnicodeDecodeError."""
    import pyarrow as pa

    if value is None:
        return None, None
    if isinstance(value, pa.StructScalar):
        content = _plain(value["bytes"])
        path = _plain(value["path"]) if "path" in value else None
        return None if content is None else content.as_buffer(), None if path is None else path.as_py()
    if isinstance(value, pa.StringScalar):  # of which the other kinds of text are
        return None, value.as_py()
    return value.as_buffer(), None


def _found(path: str, table: str) -> str:
    """Where a path of a table leads: from the table's folder, or one above it up to the root of its repository.

    Else as it is, from the current folder; and where it is nowhere, from the table's folder.
    """
    folder = os.path.dirname(table)  # noqa: PTH120 (keeps `./` as the user wrote it)
    beside = os.path.join(folder, path)  # noqa: PTH118
    if os.path.isabs(path) or _SCHEME.match(table) or os.path.lexists(beside):  # noqa: PTH117
        return beside
    for _ in range(_MOST_ABOVE):
        if _is_root(folder):
            break
        folder = os.path.dirname(folder) if os.path.basename(folder) else os.path.join(folder, os.pardir)  # noqa: PTH118, PTH119, PTH120
        above = os.path.join(folder, path)  # noqa: PTH118
        if os.path.lexists(above):
            return above
    return path if os.path.lexists(path) else beside


def _is_root(folder: str) -> bool:
    """Whether it is the root of a repository."""
    return any(Path(folder, name).exists() for name in (".git", "README.md"))


def _empty(cause: str) -> UnreadableMember:
    return UnreadableMember(cause, "Leave the row out, or write a picture into it.")


def _too_large(size: int, most: int) -> FileTooLarge:
    return FileTooLarge(
        f"The picture in this row has {size:,} bytes, above the limit of {most:,}.",
        "Raise {max_bytes} if it is a picture that you know.",
    )
