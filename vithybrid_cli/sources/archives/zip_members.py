"""What a member of a zip archive holds: read, unpacked within its limits, and checked."""

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable

from vithybrid_cli.errors import DamagedArchive, ImageError, UnreadableMember
from vithybrid_cli.sources.archives import members
from vithybrid_cli.sources.archives.file import Readable
from vithybrid_cli.sources.archives.streams import MEMORY_LIMIT, Decompressor, Inflate, damages, zstd_decompressor
from vithybrid_cli.sources.archives.zip_headers import LOCAL, LOCAL_HEADER, ZipEntry

STORED, DEFLATED, BZIP2, LZMA, ZSTD = 0, 8, 12, 14, 93  # APPNOTE.TXT 4.4.5
_OTHERS = {1: "Shrink", 2: "Reduce", 3: "Reduce", 4: "Reduce", 5: "Reduce", 6: "Implode", 9: "Deflate64", 95: "xz"}

GROWS_FREELY, TIMES = 64 * 2**20, 200  # bytes of a member, and how many times its packed size what is larger may be
_HARDLY_PACKED = 64 * 1024  # bytes by which what cannot be compressed may grow
_EXTRA = 64  # bytes of a local header's extra fields that are read with it


def content(file: Readable, entry: ZipEntry, max_bytes: int) -> bytes:
    """All of a member. Raises UnreadableMember, FileTooLarge, and DamagedArchive where the disk fails."""
    if entry.size > max_bytes or entry.packed > max_bytes + _HARDLY_PACKED:
        raise members.too_large(max_bytes)
    packed = _packed(file, entry, entry.packed)
    if len(packed) < entry.packed:
        raise members.damaged("the archive ends within it")
    limit = min(max_bytes, max(GROWS_FREELY, TIMES * entry.packed))
    unpacked, ended = _unpacked(entry, packed, limit + 1)
    if len(unpacked) > limit:
        raise members.too_large(max_bytes) if limit == max_bytes else members.too_dense(TIMES)
    if not ended:
        raise members.damaged("its data end too early")
    if zlib.crc32(unpacked) != entry.crc:
        raise members.damaged("its checksum is wrong")
    return unpacked


def beginning(file: Readable, entry: ZipEntry, size: int) -> bytes:
    """The first bytes of a member; nothing where they cannot be had."""
    try:
        return _unpacked(entry, _packed(file, entry, min(entry.packed, 16 * size + 1024)), size)[0]
    except ImageError:
        return b""


def unsupported(method: int) -> UnreadableMember | None:
    """What to say of a method of compression that is not read."""
    if method in (STORED, DEFLATED, BZIP2, LZMA, ZSTD):
        return None
    called = _OTHERS.get(method, f"method {method}")
    return UnreadableMember(f"The member is compressed by {called}, which is not read.", "Pack it again with Deflate.")


def _packed(file: Readable, entry: ZipEntry, size: int) -> bytes:
    """The first bytes of a member as they lie in the archive, behind a header that has to be that of this member."""
    guess = LOCAL_HEADER.size + len(entry.raw_name) + _EXTRA
    read = file.read_at(entry.header, guess + size)
    if len(read) < LOCAL_HEADER.size or not read.startswith(LOCAL):
        raise members.damaged("its header is not where the directory says")
    *_, name_length, extra_length = LOCAL_HEADER.unpack_from(read)
    end = LOCAL_HEADER.size + name_length
    if read[LOCAL_HEADER.size : end] != entry.raw_name:
        raise members.damaged("it has another name in its header than in the directory")
    begin = end + extra_length
    if begin > guess:
        return file.read_at(entry.header + begin, size)
    return read[begin : begin + size]


def _unpacked(entry: ZipEntry, packed: bytes, most: int) -> tuple[bytes, bool]:
    """At most so many bytes of it, and whether that is all of it."""
    if entry.method == STORED:
        return packed[:most], len(packed) <= most
    try:
        open_decompressor, packed = _decompressor(entry.method, packed)
        decompressor = open_decompressor()
        more = unpacked = decompressor.decompress(packed, most)
        while more and not decompressor.eof and len(unpacked) < most:
            more = decompressor.decompress(b"", most - len(unpacked))
            unpacked += more
    except DamagedArchive as error:
        raise UnreadableMember(error.cause, error.remedy) from error
    except damages() as error:
        raise members.damaged("its data cannot be unpacked") from error
    unmarked = entry.method == LZMA and len(unpacked) == entry.size  # a mark at the end is not required
    return unpacked, decompressor.eof or unmarked


def _decompressor(method: int, packed: bytes) -> tuple[Callable[[], Decompressor], bytes]:
    """What unpacks it, and its data without a header that is for that. Raises DamagedArchive without a library."""
    if method == DEFLATED:
        return lambda: Inflate(-zlib.MAX_WBITS), packed
    if method == BZIP2:
        return bz2.BZ2Decompressor, packed
    if method == ZSTD:
        return zstd_decompressor, packed
    return _lzma(packed)


def _lzma(packed: bytes) -> tuple[Callable[[], Decompressor], bytes]:
    """APPNOTE.TXT 5.8.8: two bytes of version, two of a length, then LZMA's own properties of five bytes."""
    if len(packed) < 9 or struct.unpack_from("<H", packed, 2)[0] != 5:
        raise ValueError("no properties of LZMA")
    properties, dictionary = struct.unpack_from("<BL", packed, 4)
    if properties >= 9 * 5 * 5 or dictionary > MEMORY_LIMIT:
        raise ValueError("properties of LZMA out of range")
    filters = [
        {
            "id": lzma.FILTER_LZMA1,
            "dict_size": max(dictionary, 4096),
            "lc": properties % 9,
            "lp": properties // 9 % 5,
            "pb": properties // 45,
        }
    ]
    return lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters), packed[9:]
