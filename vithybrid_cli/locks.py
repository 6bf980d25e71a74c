"""One writer at a time: locks that the system releases however their holder ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

if sys.platform != "win32":
    import fcntl


class AlreadyLocked(Exception):
    """Another process, or another part of this one, holds the lock."""


def lock(file: IO[Any]) -> None:
    """Lock an open file until it is closed. Raises AlreadyLocked.

    Where there are no such locks, on Windows and on some network file systems, this does nothing.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise AlreadyLocked from error
    except OSError:
        return


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold a lock by means of an empty file, which is removed at the end. Raises AlreadyLocked, or OSError.

    The lock is on the open file and not the file's existence: one that a killed process left behind locks nothing.
    """
    file = locked(path)
    try:
        yield
    finally:
        with suppress(OSError):  # what stays locks nothing
            path.unlink()  # before the lock is released: after that, the file may be the next holder's
        file.close()


def locked(path: Path) -> IO[bytes]:
    """The file at ``path``, open and locked until it is closed. Raises AlreadyLocked, or OSError."""
    while True:
        file = path.open("ab")
        try:
            lock(file)
            if _is_at(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its holder removed it while we opened it, so the next one would make another


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
