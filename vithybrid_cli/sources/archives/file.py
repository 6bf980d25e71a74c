"""Where the bytes of an archive come from: a file read at any place by several threads at once, or a stream."""

import os
import stat
import threading
import weakref
from collections.abc import Callable
from typing import BinaryIO, Protocol

from vithybrid_cli.errors import DamagedArchive, ImageError, UnreadableMember
from vithybrid_cli.images.content import BEGINNING
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.items import UNSTAMPED, Stamp

_UNKNOWN = 2**62  # bytes of a stream whose end nobody knows
_SKIPPED = 2**16


class Readable(Protocol):
    """What an archive is read from: its name, and its size if that is known.

    ``anywhere``: it can be read at any place; ``local``: that costs little.
    """

    path: str
    size: int
    anywhere: bool
    local: bool

    @property
    def stamp(self) -> Stamp:
        """What tells it from another one of its name."""
        ...

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from there on, or those that there are. Raises ImageError."""
        ...

    def release(self) -> None:
        """No more of it is needed but for members that were found."""
        ...


class _Handle:
    """An open file, closed once nobody needs it."""

    def __init__(self, path: str) -> None:
        self.stream: BinaryIO = LocalFile(path).open()
        self._lock = threading.Lock()
        weakref.finalize(self, self.stream.close)

    def read_at(self, offset: int, size: int) -> bytes:
        if not hasattr(os, "pread"):  # Windows
            with self._lock:
                self.stream.seek(offset)
                return self.stream.read(size)
        part = os.pread(self.stream.fileno(), size, offset)
        if len(part) in (0, size):
            return part
        parts = [part]
        while part and (size := size - len(part)):
            offset += len(part)
            parts.append(part := os.pread(self.stream.fileno(), size, offset))
        return b"".join(parts)

    def status(self) -> os.stat_result:
        return os.fstat(self.stream.fileno())


class ArchiveFile:
    """The file at ``path``. It is open until it is released; what is read after that opens it for a moment."""

    def __init__(self, path: str) -> None:
        """Raises ImageError for what is no regular file, is empty, or cannot be opened."""
        self.path, self.anywhere, self.local = path, True, True
        handle = _Handle(path)
        status = handle.status()
        self.size, self.mtime_ns = status.st_size, status.st_mtime_ns
        self._identity = _identity(status)
        self._handle: _Handle | None = handle

    @property
    def stamp(self) -> Stamp:
        """Its size and time when it was opened."""
        return Stamp(self.size, self.mtime_ns)

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from there on, or those that there are. Raises ImageError where the disk fails."""
        handle = self._handle or self._again()
        try:
            return handle.read_at(offset, max(min(size, self.size - offset), 0))
        except OSError as error:
            cause = f"{self.path} cannot be read: {error.strerror or error}."
            raise DamagedArchive(cause, "Check its disk, or copy it again.") from error

    def release(self) -> None:
        """Close it once nothing is being read."""
        self._handle = None

    def _again(self) -> _Handle:
        try:
            handle = _Handle(self.path)
        except ImageError as error:
            raise UnreadableMember(f"{self.path} is gone since the run began.", "Put it back.") from error
        if _identity(handle.status()) != self._identity:
            raise UnreadableMember(f"{self.path} was replaced since the run began.", "Run again.")
        return handle


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, stat.S_IFMT(status.st_mode)


class Flow:
    """An archive at an address, read by one thread at a time, in the order of its bytes where it has no other way."""

    def __init__(self, path: str, opened: Callable[[], BinaryIO]) -> None:
        """``opened`` opens it at its beginning. Raises the ImageError that this raises."""
        self.path, self.local = path, False
        self._opened, self._lock = opened, threading.Lock()
        self._stream, self._close = self._begin()
        self.anywhere = self._stream.seekable()
        self.size = self._stream.seek(0, os.SEEK_END) if self.anywhere else _UNKNOWN
        self._at, self._head = 0, b""

    @property
    def stamp(self) -> Stamp:
        """Nothing: a server would have to be asked."""
        return UNSTAMPED

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from there on, or those that there are; one that has no other way begins again to go back."""
        with self._lock:
            if self.anywhere:
                self._stream.seek(offset)
                return self._read(min(size, self.size - offset))
            held = self._head[offset : offset + size]
            if len(held) == size:
                return held
            if self._at > len(self._head) or not held:
                held = b""
                self._go_to(offset)
            return held + self._read(size - len(held))

    def release(self) -> None:
        """It is closed with the last member that is read of it."""

    def _begin(self) -> tuple[BinaryIO, Callable[[], object]]:
        stream = self._opened()
        return stream, weakref.finalize(self, stream.close)

    def _go_to(self, offset: int) -> None:
        if offset < self._at:
            self._close()
            self._stream, self._close = self._begin()
            self._at = 0
        while self._at < offset and self._read(min(offset - self._at, _SKIPPED)):
            pass

    def _read(self, size: int) -> bytes:
        parts = []
        while size > 0 and (part := self._stream.read(size)):
            size -= len(part)
            parts.append(part)
        content = b"".join(parts)
        if self._at == 0 and not self._head:
            self._head = content[:BEGINNING]
        self._at += len(content)
        return content
