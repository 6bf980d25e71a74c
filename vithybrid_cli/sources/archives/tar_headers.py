"""The headers of a tar archive, one after the other: v7, ustar, GNU and pax.

POSIX.1-2017, "pax Interchange Format" and "ustar Interchange Format"; GNU tar's manual, "Basic Tar Format".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, Protocol

from vithybrid_cli.errors import DamagedArchive

BLOCK = 512
MOST_EXTENDED = 2**20  # bytes of one extended header that are read
LONGEST_NAME = 65536  # far above PATH_MAX of any system, and what an entry of a list may have
MOST_PADDING = 64 * 2**20  # zero bytes after an archive in which another one is looked for

LINKS, SPECIAL, FOLDER = b"12", {b"3": "a device", b"4": "a device", b"6": "a pipe"}, b"5"
_SPARSE, _CONTINUED = b"S", b"M"
_WITHOUT_DATA = (*(bytes([kind]) for kind in LINKS), *SPECIAL, FOLDER)
_NO_FILES = (b"V", b"D", b"N")  # labels of volumes, and lists of names
_LONG_NAME, _LONG_LINK, _PAX, _SOLARIS_PAX, _GLOBAL = b"L", b"K", b"x", b"X", b"g"
_EXTENDED = (_LONG_NAME, _LONG_LINK, _PAX, _SOLARIS_PAX, _GLOBAL)
_LATEST = 2**33  # seconds: the year 2242
_RECORD = re.compile(rb"(\d{1,10}) ")


class Source(Protocol):
    """What a tar archive is read from, forward."""

    position: int

    def read(self, size: int) -> bytes:
        """So many bytes, or those up to the end."""
        ...

    def move_to(self, position: int) -> bool:
        """Go on there; whether there is as much."""
        ...

    def holds(self, size: int) -> bool:
        """Whether so many bytes may follow."""
        ...


class TarEntry(NamedTuple):
    """One member: its name, kind, and where its ``size`` bytes of ``data`` are; ``begin`` is its first header.

    ``target`` is what a link leads to. ``oversized``: a header of its is longer than any needs to be.
    """

    name: str
    kind: bytes
    size: int
    mtime_ns: int
    begin: int
    data: int
    target: str = ""
    sparse: bool = False
    oversized: bool = False

    @property
    def is_file(self) -> bool:
        """Whether it has bytes of its own; what POSIX does not know is a file, too."""
        return not (self.is_folder or self.kind in _WITHOUT_DATA or self.kind in _NO_FILES)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder; before ustar the name alone says so."""
        return self.kind == FOLDER or (self.kind == b"\0" and self.name.endswith("/"))

    @property
    def is_continued(self) -> bool:
        """Whether it is the rest of a file in another archive."""
        return self.kind == _CONTINUED


@dataclass(frozen=True, slots=True)
class _Extended:
    """What headers before a member's own say of it."""

    begin: int
    name: str | None = None
    target: str | None = None
    size: int | None = None
    mtime_ns: int | None = None
    sparse: bool = False
    oversized: bool = False


def entries(source: Source, place: str) -> Iterator[TarEntry]:
    """All members. After each one, ``source`` may have been read up to the end of its data.

    An archive may follow another one, as ``cat`` joins them; what follows the end of an archive and is none is passed
    over. Raises DamagedArchive, with what came before having been given.
    """
    extended: _Extended | None = None
    padding, ended = 0, False
    while True:
        at = source.position
        block = source.read(BLOCK)
        if not block.strip(b"\0"):
            if len(block) < BLOCK and not ended:
                raise _without_end(place) if at else _no_tar(place)
            padding += BLOCK
            if len(block) < BLOCK or padding > MOST_PADDING:
                return
            ended = True
            continue
        entry = _parsed(block, at)
        if entry is None:
            if ended:
                return
            raise _no_tar(place) if not at else _cut_off(place) if len(block) < BLOCK else _damaged(place)
        padding, ended = 0, False
        if entry.kind in _EXTENDED:
            extended = _read_extended(source, entry, extended or _Extended(at), place)
            _pass(source, entry.data + entry.size, place)
            continue
        whole, extended = _completed(entry, extended), None
        if whole.kind == _SPARSE:
            whole = _after_sparse_map(source, block, whole, place)
        if not source.holds(whole.size if whole.is_file else 0):
            raise _cut_off(place)
        yield whole
        _pass(source, whole.data + (0 if whole.kind in _WITHOUT_DATA else whole.size), place)


def begins_archive(beginning: bytes) -> bool:
    """Whether a file that begins like this is a tar archive; one without members is nothing but zeros."""
    block = beginning[:BLOCK]
    return len(block) == BLOCK and (not block.strip(b"\0") or _parsed(block, 0) is not None)


def _pass(source: Source, end: int, place: str) -> None:
    """Go on at the block after ``end``, which has to be there; the rest of its block need not."""
    if not source.move_to(end):
        raise _cut_off(place)
    source.move_to(end + -end % BLOCK)


def _parsed(block: bytes, at: int) -> TarEntry | None:
    """One header; None for what is none."""
    if len(block) < BLOCK or not _has_right_sum(block):
        return None
    size, mtime = _number(block[124:136]), _number(block[136:148])
    if size is None or size < 0:
        return None
    name, kind = _text(block[:100]), block[156:157]
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        name = f"{prefix}/{name}"
    mtime_ns = _whole_ns(mtime or 0)
    return TarEntry(name, kind, size, mtime_ns, at, at + BLOCK, _text(block[157:257]) if kind in LINKS else "")


def _has_right_sum(block: bytes) -> bool:
    """Whether the sum of its bytes is there, its own field counted as spaces; old programs took bytes as signed."""
    written, unsigned = _number(block[148:156]), sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if written == unsigned:
        return True
    return written == unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:])


def _number(field: bytes) -> int | None:
    """Octal digits, or GNU's base 256 for what does not fit; None for neither."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
    digits = field.split(b"\0")[0].strip()
    try:
        return int(digits or b"0", 8)
    except ValueError:
        return None


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _whole_ns(seconds: Decimal | int) -> int:
    """Nanoseconds, and 0 for times that no clock shows."""
    if isinstance(seconds, Decimal) and not seconds.is_finite():
        return 0
    return int(seconds * 10**9) if -_LATEST <= seconds <= _LATEST else 0


def _read_extended(source: Source, entry: TarEntry, before: _Extended, place: str) -> _Extended:
    if entry.kind == _GLOBAL:
        return before
    if entry.size > (MOST_EXTENDED if entry.kind in (_PAX, _SOLARIS_PAX) else LONGEST_NAME):
        return replace(before, oversized=True)
    data = source.read(entry.size)
    if len(data) < entry.size:
        raise _cut_off(place)
    if entry.kind == _LONG_NAME:
        return replace(before, name=_text(data))
    if entry.kind == _LONG_LINK:
        return replace(before, target=_text(data))
    return _with_pax(before, _pax_records(data))


def _pax_records(data: bytes) -> dict[bytes, bytes] | None:
    """``length key=value`` lines; None for what is no such thing."""
    records, at = {}, 0
    while at < len(data.rstrip(b"\0")):
        found = _RECORD.match(data, at)
        end = at + int(found[1]) if found else 0
        if found is None or end <= found.end() or end > len(data) or data[end - 1 : end] != b"\n":
            return None
        key, equals, value = data[found.end() : end - 1].partition(b"=")
        if not equals:
            return None
        records[key] = value
        at = end
    return records


def _with_pax(before: _Extended, records: dict[bytes, bytes] | None) -> _Extended:
    if records is None:
        return replace(before, oversized=True)
    if max(len(records.get(key, b"")) for key in (b"path", b"linkpath", b"GNU.sparse.name")) > LONGEST_NAME:
        return replace(before, oversized=True)
    sparse = any(key.startswith(b"GNU.sparse.") for key in records)
    name = records.get(b"GNU.sparse.name", records.get(b"path"))
    target = records.get(b"linkpath")
    try:
        size = int(records[b"size"]) if b"size" in records else None
        mtime = _whole_ns(Decimal(records[b"mtime"].decode())) if b"mtime" in records else None
    except (ValueError, InvalidOperation):
        return replace(before, oversized=True)
    return replace(
        before,
        name=before.name if name is None else name.decode("utf-8", "surrogateescape"),
        target=before.target if target is None else target.decode("utf-8", "surrogateescape"),
        size=size if size is None or size >= 0 else None,
        mtime_ns=mtime,
        sparse=before.sparse or sparse,
    )


def _completed(entry: TarEntry, extended: _Extended | None) -> TarEntry:
    if extended is None:
        return entry._replace(sparse=True) if entry.kind == _SPARSE else entry
    return entry._replace(
        name=entry.name if extended.name is None else extended.name,
        target=entry.target if extended.target is None else extended.target,
        size=entry.size if extended.size is None else extended.size,
        mtime_ns=entry.mtime_ns if extended.mtime_ns is None else extended.mtime_ns,
        begin=extended.begin,
        sparse=extended.sparse or entry.kind == _SPARSE,
        oversized=extended.oversized,
    )


def _after_sparse_map(source: Source, block: bytes, entry: TarEntry, place: str) -> TarEntry:
    """GNU's old form of a file with holes: blocks that say where they are lie before the data."""
    more = block[482] != 0
    while more:
        block = source.read(BLOCK)
        if len(block) < BLOCK:
            raise _cut_off(place)
        more = block[504] != 0
    return entry._replace(data=source.position)


def _damaged(place: str) -> DamagedArchive:
    return DamagedArchive(
        f"{place} is damaged: where a member should begin there is something else.", "Copy or download it again."
    )


def _cut_off(place: str) -> DamagedArchive:
    return DamagedArchive(f"{place} is cut off within a member.", "Copy or download it again.")


def _without_end(place: str) -> DamagedArchive:
    return DamagedArchive(
        f"{place} lacks the mark at which a tar archive ends, so it may be cut off.", "Copy or download it again."
    )


def _no_tar(place: str) -> DamagedArchive:
    return DamagedArchive(f"{place} is no tar archive, or its beginning is damaged.", "Copy or download it again.")
