"""Tar archives: plain ones are read by offset, compressed ones in a stream that goes forward."""

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from vithybrid_cli.errors import DamagedArchive, ImageError
from vithybrid_cli.images.content import BEGINNING, described
from vithybrid_cli.items import ANOTHERS, NO_FILE, Content, Failure, Item, Stamp
from vithybrid_cli.sources.archives import members
from vithybrid_cli.sources.archives.file import Readable
from vithybrid_cli.sources.archives.index import Index
from vithybrid_cli.sources.archives.members import HEAD_BYTES, Members
from vithybrid_cli.sources.archives.streams import Compression, Unpacked, compression_of
from vithybrid_cli.sources.archives.tar_headers import LINKS, SPECIAL, Source, TarEntry, begins_archive, entries
from vithybrid_cli.sources.containers import Container, Wanted, member_name

SCHEME = "tar"
_AT_ONCE = 8 * 2**20  # bytes of a member that are read as a whole

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_log = logging.getLogger(__name__)


def open_tar(file: Readable, wanted: Wanted) -> Container:
    """The tar archive in a file, compressed or not, whatever its name says. Raises ImageError for what is none."""
    beginning = file.read_at(0, BEGINNING)
    if begins_archive(beginning):
        return PlainTar(file, wanted) if file.local else StreamedTar(file, wanted, None)
    compression = compression_of(beginning)
    if compression is not None:
        return StreamedTar(file, wanted, compression)
    content = described(beginning)
    what = f"but {content.what}" if content is not None else "or its beginning is damaged"
    raise DamagedArchive(f"{file.path} is no tar archive, {what}.", "Rename it by what it is, or copy it again.")


class PlainTar:
    """One that is not compressed: a member is read where it lies, by any thread."""

    def __init__(self, file: Readable, wanted: Wanted) -> None:
        self._file, self._wanted = file, wanted
        self._index: Index | None = None
        self._damage: DamagedArchive | None = None

    def items(self, also: frozenset[str] = frozenset()) -> Iterator[Item]:
        """The pictures in the archive's order, and what is wrong with it last; files with suffixes of ``also``, too."""
        chosen = Members(self._wanted, also)
        try:
            for entry in entries(_Cursor(self._file), self._file.path):
                if _is_wanted(entry, chosen, partial(self._head, entry)):
                    yield self._item(entry, new=chosen.is_new(entry.name))
        except ImageError as error:
            yield Failure(self._file.path, error, self._file.stamp)
        finally:
            self._file.release()

    def item(self, member: str) -> Item:
        """The first member of this name. All headers are read once, for the first one that is asked for."""
        try:
            for begin in self._indexed().find(member):
                entry = next(entries(_Cursor(self._file, begin), self._file.path), None)
                if entry is not None and entry.name == member and not entry.is_folder:
                    return self._item(entry, new=True)
        except ImageError as error:
            return Failure(self._name(member), error)
        return Failure(self._name(member), self._damage or members.no_member(self._file.path), NO_FILE)

    def _indexed(self) -> Index:
        if self._index is None:
            self._index = Index()
            try:
                for entry in entries(_Cursor(self._file), self._file.path):
                    self._index.add(entry.name, entry.begin)
            except DamagedArchive as error:
                self._damage = error
        return self._index

    def _item(self, entry: TarEntry, *, new: bool) -> Item:
        name, stamped = self._name(entry.name), _stamp(entry, self._file)
        if (error := _refusal(entry, self._wanted.max_bytes, new=new)) is not None:
            return Failure(name, error, stamped if new else ANOTHERS)
        return TarMember(name, self._file, entry.data, entry.size, stamped)

    def _head(self, entry: TarEntry) -> bytes:
        return self._file.read_at(entry.data, min(entry.size, HEAD_BYTES))

    def _name(self, member: str) -> str:
        return member_name(SCHEME, member, self._file.path)


@dataclass(frozen=True, slots=True)
class TarMember:
    """A picture in a plain archive."""

    name: str
    file: Readable
    offset: int
    size: int
    stamped: Stamp

    @property
    def held(self) -> int:
        """Nothing before it is opened."""
        return 0

    def open(self) -> BinaryIO:
        """Its bytes. Raises UnreadableMember where the archive changed meanwhile."""
        if self.size > _AT_ONCE:
            return io.BufferedReader(_Part(self))
        content = self.file.read_at(self.offset, self.size)
        if len(content) < self.size:
            raise members.damaged("the archive ends within it")
        return io.BytesIO(content)

    def stamp(self) -> Stamp:
        """Its size and time as its header has them."""
        return self.stamped


class _Part(io.RawIOBase):
    """The bytes of a large member, which need not all be in memory."""

    def __init__(self, member: TarMember) -> None:
        super().__init__()
        self._member, self._at = member, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._member.size}[whence]
        if begin + offset < 0:
            raise ValueError("a place before the first byte")
        self._at = begin + offset
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read on."""
        view = memoryview(buffer)
        size = max(min(len(view), self._member.size - self._at), 0)
        content = self._member.file.read_at(self._member.offset + self._at, size)
        view[: len(content)] = content
        self._at += len(content)
        return len(content)


class StreamedTar:
    """A compressed one, or one at an address: members are read on the way, and held until they are decoded."""

    def __init__(self, file: Readable, wanted: Wanted, compression: Compression | None) -> None:
        self._file, self._wanted, self._compression = file, wanted, compression
        self._walk: Iterator[Item] | None = None
        self._wanted_name = ""
        self._at = 0  # the number of the member that comes next in the walk
        self._index, self._complete = Index(), False
        self._last: Item | None = None
        self._damage: ImageError | None = None
        self._told = False

    def items(self, also: frozenset[str] = frozenset()) -> Iterator[Item]:
        """The pictures in the archive's order, and what is wrong with it last; files with suffixes of ``also``, too."""
        chosen = Members(self._wanted, also)
        stream = self._stream()
        try:
            for entry in entries(stream, self._file.path):
                beginning = _Beginning(stream, entry.size)
                if _is_wanted(entry, chosen, beginning):
                    yield self._item(entry, stream, beginning.read, new=chosen.is_new(entry.name))
        except ImageError as error:
            yield Failure(self._file.path, error, self._file.stamp)
        finally:
            self._file.release()

    def item(self, member: str) -> Item:
        """The first member of this name. Names in the archive's order cost one pass; others begin it again."""
        name = self._name(member)
        if self._last is not None and self._last.name == name:
            return self._last
        found = None
        if self._lies_ahead(member):
            found = self._forward(member)
        if found is None and self._complete and self._index.find(member):
            self._tell_of_order()
            self._walk = None
            found = self._forward(member)
        if found is None:
            found = Failure(name, self._damage or members.no_member(self._file.path), NO_FILE)
        self._last = found
        return found

    def _lies_ahead(self, member: str) -> bool:
        if not self._complete:
            return True
        places = self._index.find(member)
        return bool(places) and places[0] >= self._at

    def _forward(self, member: str) -> Item | None:
        """The member of this name, if it is among those to come."""
        if self._walk is None:
            self._at = 0
            self._walk = self._walked()
        self._wanted_name = member
        return next(self._walk, None)

    def _walked(self) -> Iterator[Item]:
        """The members that `_forward` asks for, from the beginning to the end, which asks for one more."""
        stream = self._stream()
        try:
            for entry in entries(stream, self._file.path):
                if not self._complete:
                    self._index.add(entry.name, self._at)
                self._at += 1
                if entry.name == self._wanted_name and not entry.is_folder:
                    yield self._item(entry, stream, b"", new=True)
        except ImageError as error:
            self._damage = error
        self._complete = True

    def _tell_of_order(self) -> None:
        if not self._told:
            self._told = True
            _log.warning(
                "Members of %s are asked for in another order than it has them: "
                "it is read from its beginning for each of those.",
                self._file.path,
            )

    def _item(self, entry: TarEntry, stream: Source, head: bytes, *, new: bool) -> Item:
        name, stamped = self._name(entry.name), _stamp(entry, self._file)
        if (error := _refusal(entry, self._wanted.max_bytes, new=new)) is not None:
            return Failure(name, error, stamped if new else ANOTHERS)
        content = head + stream.read(entry.size - len(head))
        if len(content) < entry.size:
            raise DamagedArchive(f"{self._file.path} is cut off within a member.", "Copy or download it again.")
        return Content(name, content, stamped)

    def _stream(self) -> Source:
        cursor = _Cursor(self._file)
        if self._compression is None:
            return cursor
        return Unpacked(cursor.read, self._compression, self._file.path)

    def _name(self, member: str) -> str:
        return member_name(SCHEME, member, self._file.path)


@dataclass(slots=True)
class _Beginning:
    """Reads the first bytes of a member in a stream, once they are asked for."""

    stream: Source
    size: int
    read: bytes = b""

    def __call__(self) -> bytes:
        self.read = self.stream.read(min(self.size, HEAD_BYTES))
        return self.read


@dataclass(slots=True)
class _Cursor:
    """Reads a file forward from ``position`` on."""

    file: Readable
    position: int = 0

    def read(self, size: int) -> bytes:
        part = self.file.read_at(self.position, size)
        self.position += len(part)
        return part

    def move_to(self, position: int) -> bool:
        self.position = position
        return position <= self.file.size

    def holds(self, size: int) -> bool:
        return self.position + size <= self.file.size


def _is_wanted(entry: TarEntry, chosen: Members, head: Callable[[], bytes]) -> bool:
    """Whether a member is a picture, or is named as one and is no file."""
    if entry.is_file and not (entry.sparse or entry.oversized or entry.is_continued):
        return chosen.takes(entry.name, head)
    return (entry.is_file or entry.kind in LINKS or entry.kind in SPECIAL) and chosen.takes(entry.name)


def _refusal(entry: TarEntry, max_bytes: int, *, new: bool) -> ImageError | None:
    """Why a member is not read."""
    if error := members.refusal_of_name(entry.name):
        return error
    if not new:
        return members.duplicate()
    if entry.kind in LINKS:
        return members.link(entry.target)
    if entry.kind in SPECIAL:
        return members.special(SPECIAL[entry.kind])
    if entry.sparse:
        return members.sparse()
    if entry.oversized:
        return members.damaged("its header is longer than any path needs, or makes no sense")
    if entry.is_continued:
        return members.damaged("it begins in another part of an archive of several parts")
    return members.too_large(max_bytes) if entry.size > max_bytes else None


def _stamp(entry: TarEntry, file: Readable) -> Stamp:
    """Size and time; of a member without a time, as some programs write them, that of the archive."""
    return Stamp(min(entry.size, 2**63 - 1), entry.mtime_ns or file.stamp.mtime_ns)
