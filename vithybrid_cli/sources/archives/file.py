"""The file of an archive, read at any place by several threads at once."""

import os
import stat
import threading
import weakref
from typing import BinaryIO

from vithybrid_cli.errors import DamagedArchive, ImageError, UnreadableMember
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.items import Stamp


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
        self.path = path
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
