"""Zip archives: members are found by the directory at the end, and each is read where it lies, by any thread."""

import io
import stat
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import BinaryIO

from vithybrid_cli.errors import DamagedArchive, FetchFailed, ImageError, UnreadableMember
from vithybrid_cli.images.content import BEGINNING, described
from vithybrid_cli.items import ANOTHERS, NO_FILE, Failure, Item, Stamp
from vithybrid_cli.sources.archives import members
from vithybrid_cli.sources.archives.file import Readable
from vithybrid_cli.sources.archives.index import Index
from vithybrid_cli.sources.archives.members import HEAD_BYTES, Members
from vithybrid_cli.sources.archives.zip_headers import (
    ENCRYPTED,
    LOCAL,
    LOCAL_HEADER,
    PATCHED,
    STRONG,
    ZipEntry,
    central_entries,
    central_entry,
    find_directory,
)
from vithybrid_cli.sources.archives.zip_members import beginning, content, unsupported
from vithybrid_cli.sources.archives.zip_salvage import salvaged_entries, salvaged_entry
from vithybrid_cli.sources.containers import Wanted, member_name

SCHEME = "zip"


class ZipArchive:
    """The zip archive in a file. Where its end is missing, it is read from its beginning."""

    def __init__(self, file: Readable, wanted: Wanted) -> None:
        """Raises ImageError for what is none."""
        if not file.anywhere:
            cause = "A ZIP archive is read from its end, and its server gives no parts of a file."
            raise FetchFailed(cause, "Download it, and give the file.")
        self._file, self._wanted = file, wanted
        self._directory = find_directory(self._file)
        self._index: Index | None = None
        self._headers = array("Q")  # where the members are, in the order of the file
        self._damage: DamagedArchive | None = None
        if self._directory is None:
            _require_zip(self._file)

    def items(self, also: frozenset[str] = frozenset()) -> Iterator[Item]:
        """The pictures in its order, and what is wrong with it last; files with suffixes of ``also``, too."""
        chosen = Members(self._wanted, also)
        try:
            self._indexed()
            for entry in self._entries():
                if self._is_wanted(entry, chosen):
                    yield self._item(entry, new=chosen.is_new(entry.name))
        except ImageError as error:
            yield Failure(self._file.path, error, self._file.stamp)
        finally:
            self._file.release()

    def item(self, member: str) -> Item:
        """The first member of this name. The directory is read once, for the first one that is asked for."""
        name = member_name(SCHEME, member, self._file.path)
        try:
            for place in self._indexed().find(member):
                entry = self._entry(place)
                if entry is not None and entry.name == member and not entry.is_folder:
                    return self._item(entry, new=True)
        except ImageError as error:
            return Failure(name, error)
        return Failure(name, self._damage or members.no_member(self._file.path), NO_FILE)

    def _entries(self) -> Iterator[ZipEntry]:
        if self._directory is None:
            return salvaged_entries(self._file)
        return central_entries(self._file, self._directory)

    def _entry(self, place: int) -> ZipEntry | None:
        if self._directory is None:
            return salvaged_entry(self._file, place)
        return central_entry(self._file, self._directory, place)

    def _indexed(self) -> Index:
        if self._index is None:
            self._index, headers = Index(), array("Q")
            try:
                for entry in self._entries():
                    self._index.add(entry.name, entry.place)
                    headers.append(min(entry.header, self._file.size))
            except DamagedArchive as error:
                self._damage = error
            self._headers = headers if _ascends(headers) else array("Q", sorted(headers))
        return self._index

    def _is_wanted(self, entry: ZipEntry, chosen: Members) -> bool:
        if entry.is_folder:
            return False
        readable = _refusal(entry, new=True) is None
        return chosen.takes(entry.name, partial(beginning, self._file, entry, HEAD_BYTES) if readable else None)

    def _item(self, entry: ZipEntry, *, new: bool) -> Item:
        name, stamped = member_name(SCHEME, entry.name, self._file.path), _stamp(entry)
        error = _refusal(entry, new=new) or self._overlap(entry)
        if error is not None:
            return Failure(name, error, stamped if new else ANOTHERS)
        return ZipMember(name, self._file, entry, self._wanted.max_bytes)

    def _overlap(self, entry: ZipEntry) -> UnreadableMember | None:
        """What is wrong with a member into which another one reaches: so bombs repeat themselves."""
        at = bisect_right(self._headers, entry.header)
        following = self._headers[at] if at < len(self._headers) else self._file.size
        if entry.header + LOCAL_HEADER.size + len(entry.raw_name) + entry.packed <= following:
            return None
        return members.damaged("it reaches into another one")


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A picture in an archive."""

    name: str
    file: Readable
    entry: ZipEntry
    max_bytes: int

    @property
    def held(self) -> int:
        """Nothing before it is opened."""
        return 0

    def open(self) -> BinaryIO:
        """All of it, checked. Raises UnreadableMember and FileTooLarge."""
        return io.BytesIO(content(self.file, self.entry, self.max_bytes))

    def stamp(self) -> Stamp:
        """Its size, and its checksum in the place of a time."""
        return _stamp(self.entry)


def _refusal(entry: ZipEntry, *, new: bool) -> UnreadableMember | None:
    """Why a member is not read."""
    if error := members.refusal_of_name(entry.name):
        return error
    if not new:
        return members.duplicate()
    if entry.form == stat.S_IFLNK:
        return members.link("")
    if entry.form not in (0, stat.S_IFREG):
        return members.special("a device or a pipe")
    if entry.flags & (ENCRYPTED | STRONG):
        return members.encrypted()
    if entry.flags & PATCHED:
        return members.damaged("it holds no more than the changes to another file")
    return unsupported(entry.method)


def _stamp(entry: ZipEntry) -> Stamp:
    return Stamp(min(entry.size, 2**63 - 1), entry.crc)


def _ascends(numbers: "array[int]") -> bool:
    return all(before <= after for before, after in pairwise(numbers))


def _require_zip(file: Readable) -> None:
    """Raise DamagedArchive for what does not even begin like one."""
    start = file.read_at(0, BEGINNING)
    if start.startswith(LOCAL):
        return
    found = described(start)
    what = f"but {found.what}" if found is not None else "or it is cut off"
    raise DamagedArchive(f"{file.path} is no ZIP archive, {what}.", "Rename it by what it is, or copy it again.")
