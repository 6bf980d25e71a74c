"""The directory of a zip archive, and where it is cut off, the headers before its members.

PKWARE's APPNOTE.TXT 6.3.10: 4.3.7 local headers, 4.3.9 data descriptors, 4.3.12 the central directory, 4.3.14 and
4.3.15 zip64, 4.3.16 the end of the central directory.
"""

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vithybrid_cli.errors import DamagedArchive
from vithybrid_cli.sources.archives.file import Readable

LOCAL, CENTRAL, END, END64, LOCATOR64 = (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7")
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
ENCRYPTED, DESCRIBED_LATER, PATCHED, STRONG, UTF8 = 1 << 0, 1 << 3, 1 << 5, 1 << 6, 1 << 11

_CENTRAL_HEADER = struct.Struct("<4s2B5H3L5H2L")
_END, _END64, _LOCATOR64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_LONGEST_COMMENT = 0xFFFF
_ZIP64, _FULL = 1, 0xFFFFFFFF  # the id of the extra field, and what stands in the place of what is in it
_WINDOW = 256 * 1024
_LONGEST = _CENTRAL_HEADER.size + 3 * 0xFFFF
_COMFORTABLE = 1024  # bytes of name, extra fields and comment that are read at once
_USUAL = _CENTRAL_HEADER.size + _COMFORTABLE
_UNIX = 3  # the system that made it


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One member as a header describes it: ``packed`` bytes that unpack to ``size``, behind the header at ``header``.

    ``place`` is where this was read.
    """

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    header: int
    place: int
    form: int = 0  # the bits of a mode of Unix that say what a file is; 0 where that is not said

    @property
    def is_folder(self) -> bool:
        """Whether its name is one of a folder; Windows' programs may write it so."""
        return self.name.endswith(("/", "\\")) or self.form == stat.S_IFDIR


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the entries lie, and how much was put before the archive since, as by who makes it extract itself."""

    begin: int
    end: int
    shift: int


def find_directory(file: Readable) -> Directory | None:
    """Where the central directory is; None if there is no end of one. Raises DamagedArchive for several parts."""
    begin = max(file.size - _END.size - _LONGEST_COMMENT, 0)
    tail = file.read_at(begin, file.size - begin)
    at = _end_in(tail)
    if at < 0:
        return None
    _, disk, first_disk, _, _, size, offset, _ = _END.unpack_from(tail, at)
    end = begin + at
    if found := _zip64(file, end):
        return found
    if disk or first_disk:
        raise _several_parts(file.path)
    shift = end - size - offset
    if shift < 0:
        raise _damaged(file.path)
    return Directory(offset + shift, end, shift)


def central_entries(file: Readable, where: Directory) -> Iterator[ZipEntry]:
    """All members in the order of the directory. Raises DamagedArchive, with what came before having been given."""
    window, begin, at = b"", where.begin, where.begin
    while at < where.end:
        if at + _LONGEST > begin + len(window) < where.end:
            begin, window = at, file.read_at(at, min(_WINDOW, where.end - at))
        entry, length = _central(window, at - begin, at, where.shift, file.path)
        yield entry
        at += length


def central_entry(file: Readable, where: Directory, place: int) -> ZipEntry:
    """The member whose entry is there. Raises DamagedArchive."""
    window = file.read_at(place, _USUAL)
    if len(window) >= _CENTRAL_HEADER.size and sum(_CENTRAL_HEADER.unpack_from(window)[11:14]) > _COMFORTABLE:
        window = file.read_at(place, _LONGEST)
    return _central(window, 0, place, where.shift, file.path)[0]


def local_entry(header: bytes, place: int) -> ZipEntry | None:
    """The member that a local header describes; None for what is none, or is cut off."""
    if len(header) < LOCAL_HEADER.size or not header.startswith(LOCAL):
        return None
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = LOCAL_HEADER.unpack_from(header)
    end = LOCAL_HEADER.size + name_length
    if len(header) < end + extra_length:
        return None
    raw_name = header[LOCAL_HEADER.size : end]
    size, packed, _ = _wide(header[end : end + extra_length], size, packed, 0)
    return ZipEntry(_name(raw_name, flags), raw_name, flags, method, crc, packed, size, place, place)


def _end_in(tail: bytes) -> int:
    """Where the end of the directory is: what is followed by nothing but its comment, or else comes last."""
    last = at = tail.rfind(END)
    while at >= 0:
        if at + _END.size <= len(tail) and at + _END.size + _END.unpack_from(tail, at)[-1] == len(tail):
            return at
        at = tail.rfind(END, 0, at)
    return last if last + _END.size <= len(tail) else -1


def _zip64(file: Readable, end: int) -> Directory | None:
    """What the larger end of the directory says, if there is one before the usual one."""
    locator = file.read_at(end - _LOCATOR64.size, _LOCATOR64.size) if end >= _LOCATOR64.size else b""
    if not locator.startswith(LOCATOR64):
        return None
    _, _, offset, disks = _LOCATOR64.unpack(locator)
    if disks > 1:
        raise _several_parts(file.path)
    for place in (offset, end - _LOCATOR64.size - _END64.size):
        record = file.read_at(place, _END64.size) if 0 <= place < file.size else b""
        if len(record) == _END64.size and record.startswith(END64):
            _, _, _, _, disk, first_disk, _, _, size, begin = _END64.unpack(record)
            if disk or first_disk:
                raise _several_parts(file.path)
            shift = place - size - begin
            if shift < 0:
                raise _damaged(file.path)
            return Directory(begin + shift, place, shift)
    raise _damaged(file.path)


def _central(window: bytes, at: int, place: int, shift: int, path: str) -> tuple[ZipEntry, int]:
    if len(window) - at < _CENTRAL_HEADER.size or not window.startswith(CENTRAL, at):
        raise _damaged(path)
    found = _CENTRAL_HEADER.unpack_from(window, at)
    _, _, system, _, flags, method, _, _, crc, packed, size, name_length, extra_length, comment_length = found[:14]
    attributes, header = found[16:]
    begin = at + _CENTRAL_HEADER.size
    end = begin + name_length
    length = _CENTRAL_HEADER.size + name_length + extra_length + comment_length
    if at + length > len(window):
        raise _damaged(path)
    if _FULL in (size, packed, header):
        size, packed, header = _wide(window[end : end + extra_length], size, packed, header)
    raw_name = window[begin:end]
    form = stat.S_IFMT(attributes >> 16) if system == _UNIX else 0
    name = _name(raw_name, flags)
    return ZipEntry(name, raw_name, flags, method, crc, packed, size, header + shift, place, form), length


def _wide(extra: bytes, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """The three numbers, of which those that do not fit into 32 bits are in an extra field, in this order."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == _ZIP64:
            field = extra[at + 4 : at + 4 + length]
            wide = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            size, packed, header = (next(wide, value) if value == _FULL else value for value in (size, packed, header))
            break
        at += 4 + length
    return size, packed, header


def _name(raw: bytes, flags: int) -> str:
    """A name is UTF-8 or said to be of IBM's code page 437; macOS writes UTF-8 and does not say so."""
    if raw.isascii():
        return raw.decode("ascii")
    if flags & UTF8:
        return raw.decode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _several_parts(path: str) -> DamagedArchive:
    return DamagedArchive(f"{path} is one part of an archive of several.", "Join the parts into one archive first.")


def _damaged(path: str) -> DamagedArchive:
    return DamagedArchive(f"{path} is damaged: its directory is not what was written.", "Copy or download it again.")
