"""Compressed bytes are unpacked as they are read, in little memory and within a limit of how much they grow."""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from vithybrid_cli.errors import DamagedArchive

MEMORY_LIMIT = 256 * 2**20  # bytes that a decompressor may ask for: xz -9 needs 65 MiB, zstd without --long 8 to 128
ZSTD_INSTALL = "pip install 'vithybrid-cli[zstd]'"
_FED, _CHUNK = 32 * 1024, 128 * 1024  # bytes that are read, and at most unpacked, at a time
_LEAST = 512  # that are unpacked at a time; where damage is found, no more than that before it may be lost
_GROWS_FREELY, _TIMES = 256 * 2**20, 2000  # bytes of a stream before its growth is looked at; gzip reaches 1032


class Decompressor(Protocol):
    """What unpacks one stream; those of bz2, lzma and zstd are such."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Inflate:
    """zlib's decompressor in that form; its ``wbits`` are those of zlib: 31 for gzip, -15 without a header."""

    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        """Whether there is nothing left of what it was given."""
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What followed the stream."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """What comes of ``data`` and of what is left of that before."""
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max(max_length, 0))


@dataclass(frozen=True, slots=True)
class Compression:
    """How a file is compressed, told by its first bytes."""

    name: str
    magic: "re.Pattern[bytes]"
    decompressor: Callable[[], Decompressor]


def zstd() -> Any:
    """The module that unpacks zstd, which Python has from 3.14 on. Raises DamagedArchive where there is none."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise DamagedArchive("Archives of zstd need one more library.", f"Install it with `{ZSTD_INSTALL}`.")


def zstd_decompressor() -> Decompressor:
    """One for zstd, which asks for no more than `MEMORY_LIMIT`. Raises DamagedArchive where there is none."""
    module = zstd()
    limit = {module.DecompressionParameter.window_log_max: MEMORY_LIMIT.bit_length() - 1}
    decompressor: Decompressor = module.ZstdDecompressor(options=limit)
    return decompressor


COMPRESSIONS = (
    Compression("gzip", re.compile(rb"\x1f\x8b"), lambda: Inflate(31)),
    Compression("bzip2", re.compile(rb"BZh[1-9]"), bz2.BZ2Decompressor),
    Compression("xz", re.compile(rb"\xfd7zXZ\0"), lambda: lzma.LZMADecompressor(memlimit=MEMORY_LIMIT)),
    Compression("lzma", re.compile(rb"\x5d\0\0"), lambda: lzma.LZMADecompressor(memlimit=MEMORY_LIMIT)),
    # A frame, or one to be skipped, with which pzstd begins.
    Compression("zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), zstd_decompressor),
)
_MAGIC = 6  # bytes that tell them apart


def compression_of(beginning: bytes) -> Compression | None:
    """How what begins like this is compressed; None if it is not."""
    return next((one for one in COMPRESSIONS if one.magic.match(beginning)), None)


def damages() -> tuple[type[Exception], ...]:
    """What decompressors raise for damaged data."""
    try:
        return zlib.error, OSError, EOFError, ValueError, lzma.LZMAError, MemoryError, zstd().ZstdError
    except DamagedArchive:
        return zlib.error, OSError, EOFError, ValueError, lzma.LZMAError, MemoryError


class Unpacked:
    """What is in a compressed file, read forward; of several streams one after the other, as one.

    Zeros and anything that is no stream of this kind end it.
    """

    def __init__(self, read: Callable[[int], bytes], compression: Compression, place: str) -> None:
        """``read`` gives the next bytes of the file, which is called ``place`` in messages."""
        self._read, self._compression, self._place = read, compression, place
        self._stream: Decompressor | None = None
        self._held = b""  # of the file, before it is unpacked
        self._unpacked, self._served = b"", 0
        self._taken = 0
        self._damages = damages()
        self.position = 0

    def read(self, size: int) -> bytes:
        """So many bytes, or those up to the end. Raises DamagedArchive."""
        parts = []
        while size and (part := self._part(size)):
            size -= len(part)
            self.position += len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def move_to(self, position: int) -> bool:
        """Pass over what lies before ``position``; whether the stream is that long. Raises DamagedArchive."""
        while self.position < position:
            if not self.read(min(position - self.position, _CHUNK)):
                return False
        return True

    def holds(self, size: int) -> bool:
        """Whether so many bytes may follow: nobody knows before they are read."""
        return True

    def _part(self, size: int) -> bytes:
        """At most so many bytes, of what was unpacked at once: who asks for a header need not unpack it alone."""
        if self._served == len(self._unpacked):
            self._unpacked, self._served = self._more_unpacked(min(max(size, _LEAST), _CHUNK)), 0
        part = self._unpacked[self._served : self._served + size]
        self._served += len(part)
        return part

    def _more_unpacked(self, most: int) -> bytes:
        self._require_sane_growth()
        while True:
            if self._stream is None and not self._begin():
                return b""
            assert self._stream is not None
            fed = self._held or (self._more() if self._stream.needs_input else b"")
            if not fed and self._stream.needs_input:
                raise self._cut_off()
            self._held = b""
            part = self._unpack(self._stream, fed, most)
            if self._stream.eof:
                self._held, self._stream = self._stream.unused_data, None
            if part:
                return part

    def _unpack(self, stream: Decompressor, fed: bytes, most: int) -> bytes:
        try:
            return stream.decompress(fed, most)
        except self._damages as error:
            cause = f"{self._place} is damaged: its {self._compression.name} data are no longer what was written."
            raise DamagedArchive(cause, "Copy or download it again.") from error

    def _begin(self) -> bool:
        """Whether another stream begins here."""
        while len(self._held) < _MAGIC and (more := self._more()):
            self._held += more
        if not self._compression.magic.match(self._held):
            return False
        self._stream = self._compression.decompressor()
        return True

    def _more(self) -> bytes:
        part = self._read(_FED)
        self._taken += len(part)
        return part

    def _cut_off(self) -> DamagedArchive:
        return DamagedArchive(f"{self._place} is cut off: its end is missing.", "Copy or download it again.")

    def _require_sane_growth(self) -> None:
        if self.position > _GROWS_FREELY + _TIMES * self._taken:
            cause = f"{self._place} unpacks to more than {_TIMES} times its size, as no pictures do."
            raise DamagedArchive(cause, "If you trust it, unpack it, and give the pictures.")
