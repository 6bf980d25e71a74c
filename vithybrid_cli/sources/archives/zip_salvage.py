"""What can be had of a zip archive that is cut off, so that its directory is missing: its members, one by one."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

from vithybrid_cli.errors import DamagedArchive
from vithybrid_cli.sources.archives.file import Readable
from vithybrid_cli.sources.archives.zip_headers import (
    CENTRAL,
    DESCRIBED_LATER,
    LOCAL,
    LOCAL_HEADER,
    ZipEntry,
    local_entry,
)
from vithybrid_cli.sources.archives.zip_members import DEFLATED

_HEADER = LOCAL_HEADER.size + 2 * 0xFFFF
_CHUNK, _AT_ONCE = 64 * 1024, 2**20
_DESCRIPTOR = b"PK\7\x08"
_DESCRIPTORS = (16, 24, 12, 20)  # lengths of data descriptors: with a signature and without, of 32 and of 64 bits


def salvaged_entries(file: Readable) -> Iterator[ZipEntry]:
    """The members before the damage. Always raises DamagedArchive at last."""
    at = 0
    while (entry := salvaged_entry(file, at)) is not None:
        yield entry
        at = _next(file, entry)
    raise _cut_off(file.path)


def salvaged_entry(file: Readable, place: int) -> ZipEntry | None:
    """The member whose header is there, if all of its data are."""
    entry = local_entry(file.read_at(place, _HEADER), place)
    if entry is None:
        return None
    begin = _data(file, place)
    if entry.flags & DESCRIBED_LATER and not entry.packed:
        return _described_later(file, entry, begin)
    return entry if begin + entry.packed <= file.size else None


def _data(file: Readable, header: int) -> int:
    """Where the data of the member with this header begin."""
    *_, name_length, extra_length = LOCAL_HEADER.unpack(file.read_at(header, LOCAL_HEADER.size))
    return header + LOCAL_HEADER.size + int(name_length) + int(extra_length)


def _next(file: Readable, entry: ZipEntry) -> int:
    """Where the next header is expected."""
    end = _data(file, entry.header) + entry.packed
    return end + (_descriptor_length(file, end) if entry.flags & DESCRIBED_LATER else 0)


def _described_later(file: Readable, entry: ZipEntry, begin: int) -> ZipEntry | None:
    """The same with its sizes, which lie behind the data: only Deflate says by itself where these end."""
    if entry.method != DEFLATED:
        return None
    inflate, at, size = zlib.decompressobj(-zlib.MAX_WBITS), begin, 0
    try:
        while not inflate.eof:
            if not inflate.unconsumed_tail:
                fed = file.read_at(at, _CHUNK)
                if not fed:
                    return None
                at += len(fed)
            else:
                fed = inflate.unconsumed_tail
            size += len(inflate.decompress(fed, _AT_ONCE))
    except zlib.error:
        return None
    end = at - len(inflate.unused_data)
    tail = file.read_at(end, 8)
    if len(tail) < 8 or _descriptor_length(file, end) == 0:
        return None
    (crc,) = struct.unpack_from("<L", tail, 4 if tail.startswith(_DESCRIPTOR) else 0)
    return replace(entry, crc=crc, packed=end - begin, size=size)


def _descriptor_length(file: Readable, end: int) -> int:
    """How long the data descriptor there is; 0 where no header follows any."""
    for length in _DESCRIPTORS:
        following = file.read_at(end + length, 4)
        if following in (LOCAL, CENTRAL) or (not following and end + length == file.size):
            return length
    return 0


def _cut_off(path: str) -> DamagedArchive:
    return DamagedArchive(f"{path} is cut off: the directory at its end is missing.", "Copy or download it again.")
