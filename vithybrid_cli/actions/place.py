"""A file comes to a place where nothing is, whole or not at all; what is there already is never touched.

Nothing here renames onto a name that may be taken. A copy is written beside its place under a name of its own, and
gets its name by a hard link, which fails where there is something; where a file system has no hard links, as FAT, the
name itself is taken first, exclusively, and the content written into it. On Windows renaming fails where there is
something, and does for both.
"""

# ruff: noqa: PTH101, PTH104, PTH108, PTH116, PTH118, PTH123, PTH211

import errno
import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from vithybrid_cli.actions.content import CHUNK, digest_of
from vithybrid_cli.atomic import UNFINISHED

# What `link` says where it cannot be done, though nothing is in the way: another file system, one that has no links or
# no more of them, or a file of somebody else's (Linux, `fs.protected_hardlinks`).
NO_LINK = (
    errno.EXDEV,
    errno.EPERM,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.EMLINK,
    errno.ENOSYS,
    errno.EINVAL,
    errno.EACCES,
)
_ROUNDED = 2_000_000_000  # nanoseconds
_CLONE = 0x40049409  # FICLONE of Linux: the copy shares the blocks of the original until one of them is changed


class ChangedMeanwhile(Exception):
    """A file was changed while it was copied."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells a file that was replaced or changed; ``digest`` where its content was read, else None."""

    size: int
    mtime_ns: int
    digest: str | None = None

    def is_of(self, other: "Mark") -> bool:
        """Whether the size is the same, and the time but for what a file system may round it to (FAT: 2 seconds)."""
        return self.size == other.size and abs(self.mtime_ns - other.mtime_ns) < _ROUNDED


def mark_of(path: str, digest: str | None = None) -> Mark:
    """The mark of what is there, a link itself and not what it leads to. Raises OSError."""
    status = os.lstat(path)
    return Mark(status.st_size, status.st_mtime_ns, digest)


def unfinished_name(folder: str, token: str, number: int) -> str:
    """Where a file is written before it gets its name: hidden, and known to be unfinished by all that list folders."""
    return os.path.join(folder, f".{token}.{number}{UNFINISHED}")


def copy(source: str, target: str, part: str, take_name: Callable[[], None]) -> Mark:
    """Put a copy of a file at ``target``, with its times and permissions, by way of the file ``part``.

    ``take_name`` is called where the name has to be taken before the content is there. Raises ChangedMeanwhile, OSError
    if it cannot be read or written, and FileExistsError if something is there. Then nothing is left of the copy.
    """
    with open(source, "rb", buffering=0) as stream:
        before = os.fstat(stream.fileno())
        with _part(part):
            digest = _write(stream, part, cloned=True)
            if _differs(before, os.stat(source)):
                raise ChangedMeanwhile
            _keep_times_and_permissions(source, part)
            _appear(part, target, take_name)
    return mark_of(target, digest)


def copy_out(stream: BinaryIO, target: str, part: str, take_name: Callable[[], None]) -> Mark:
    """As `copy`, of what is in a stream: a member of an archive, or what lies at an address."""
    with _part(part):
        digest = _write(stream, part, cloned=False)
        _appear(part, target, take_name)
    return mark_of(target, digest)


def checked(path: str, digest: str) -> bool:
    """Whether a file holds what its digest says, as far as possible read from the disk, not from memory."""
    if hasattr(os, "posix_fadvise"):
        with open(path, "rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return digest_of(path) == digest


def hard_link(source: str, target: str) -> Mark:
    """Give a file a second name. Raises FileExistsError if it is taken, and OSError with one of `NO_LINK`."""
    os.link(source, target)
    return mark_of(target)


def symbolic_link(source: str, target: str) -> Mark:
    """Put a link at ``target`` that leads to the absolute path ``source``. Raises FileExistsError if it is taken."""
    os.symlink(source, target)
    return mark_of(target)


def flush_folder(folder: str) -> None:
    """Wait until the names in a folder have reached the disk, where that can be asked for."""
    if os.name == "nt":  # which opens no folders
        return
    with suppress(OSError):  # some network file systems cannot; their names are as safe as they get
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(path: str) -> None:
    """Remove a file, also one that may only be read, which Windows refuses. Raises OSError."""
    try:
        os.unlink(path)
    except PermissionError:
        if os.name != "nt":
            raise
        os.chmod(path, stat.S_IWRITE)
        os.unlink(path)


@contextmanager
def _part(part: str) -> Iterator[None]:
    """What was written there goes again, however this ends."""
    try:
        yield
    finally:
        with suppress(OSError):
            remove(part)


def _write(stream: BinaryIO, part: str, *, cloned: bool) -> str:
    """Write a new file and wait until it has reached the disk; gives the digest of what was read."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(part, flags, 0o600 if cloned else 0o666), "r+b", buffering=0) as out:
        found = hashlib.blake2b(digest_size=32)
        is_clone = cloned and _clone(stream, out)
        while chunk := (out if is_clone else stream).read(CHUNK):
            found.update(chunk)
            if not is_clone:
                _write_all(out, chunk)
        os.fsync(out.fileno())
    return found.hexdigest()


def _write_all(out: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[out.write(view) :]


def _clone(stream: BinaryIO, out: BinaryIO) -> bool:
    """Let the new file share the blocks of the old one, which Btrfs, XFS and others can."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(out.fileno(), _CLONE, stream.fileno())
    except OSError:
        return False
    return True


def _appear(part: str, target: str, take_name: Callable[[], None]) -> None:
    """Give the finished file its name, if nothing has it. Raises FileExistsError."""
    if os.name == "nt":
        os.rename(part, target)  # fails where there is something
        return
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
        take_name()
        _fill(part, target)


def _fill(part: str, target: str) -> None:
    """Copy the finished file to a name that is taken exclusively; it goes again if that fails."""
    with open(part, "rb", buffering=0) as stream:
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as out:
                while chunk := stream.read(CHUNK):
                    _write_all(out, chunk)
                os.fsync(out.fileno())
            _keep_times_and_permissions(part, target)
        except BaseException:
            with suppress(OSError):
                remove(target)
            raise


def _keep_times_and_permissions(source: str, target: str) -> None:
    """As far as the file system has them: FAT has no permissions, and refuses to set them."""
    try:
        shutil.copystat(source, target)
    except OSError:
        status = os.stat(source)
        with suppress(OSError):
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _differs(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_ino, one.st_size, one.st_mtime_ns) != (other.st_ino, other.st_size, other.st_mtime_ns)
