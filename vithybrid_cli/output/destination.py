"""Where a command's results go: stdout, or the file of ``--output``."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

from vithybrid_cli.errors import UsageError
from vithybrid_cli.output import Format, default_format

if sys.platform != "win32":
    import fcntl

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_ANOTHER = "give another --output"


@contextmanager
def opened(output: Path | None, *, keep: int = 0, remedy: str = _ANOTHER) -> Iterator[TextIO]:
    """The stream to write to, after the first ``keep`` bytes of the file, which stay.

    Raises UsageError when the file cannot be opened, when another run is writing it, or, with its ``remedy``, when the
    disk fills up meanwhile.
    """
    try:
        stream = sys.stdout if output is None else _open(output, keep)
    except OSError as error:
        raise unwritable(output, error) from error
    try:
        with nullcontext(stream) if output is None else stream:
            yield stream
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        if output is None:
            discard_stdout()
        raise unwritable(output, error, f"What was written stays; {remedy}.") from error


def _open(output: Path, keep: int) -> TextIO:
    stream = output.open("a", encoding="utf-8", newline="")
    try:
        if is_file(stream):
            _lock(stream, output)
            stream.truncate(keep)
    except BaseException:
        stream.close()
        raise
    return stream


def _lock(stream: TextIO, output: Path) -> None:
    """Keep two runs from writing one file; the system unlocks it however the run ends."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"another run is writing {output}. Wait for its end, or {_ANOTHER}.") from error
    except OSError:
        return  # a file system without locks


def require_writable(output: Path | None) -> None:
    """Raise UsageError where `opened` would, and leave what is there as it is, also a pipe with its reader."""
    if output is None:
        return
    try:
        exists = output.exists()
        if output.is_dir():
            raise unwritable(output, OSError(errno.EISDIR, os.strerror(errno.EISDIR)))
        folder = output.resolve().parent
        if not exists and not folder.is_dir():
            raise UsageError(f"cannot write to {output}: there is no folder {folder}. Make it, or {_ANOTHER}.")
        if not os.access(output if exists else folder, os.W_OK):
            raise unwritable(output, OSError(errno.EACCES, os.strerror(errno.EACCES)))
    except OSError as error:
        raise unwritable(output, error) from error


def is_plain_file(output: Path) -> bool:
    """Whether ``output`` is a regular file, or will be one; and no pipe, device, or another name for stdout."""
    folder = output.parent.resolve()
    if folder in (Path("/dev"), Path("/dev/fd")) or folder.is_relative_to("/proc"):
        return False
    return output.is_file() or not output.exists()


def discard_stdout() -> None:
    """Let what is still buffered go nowhere, so that the end of the program does not fail on it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def unwritable(output: Path | None, error: OSError, then: str = "Give another --output.") -> UsageError:
    """What to say when the system refuses to write."""
    where = "stdout" if output is None else output
    return UsageError(f"cannot write to {where}: {error.strerror}. {then}")


def is_file(stream: TextIO) -> bool:
    """Whether ``stream`` is a regular file, and no terminal or pipe."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # nothing of the operating system's
        return False


def format_of(output: Path | None, stream: TextIO) -> Format:
    """The format where none was asked for: what the file's suffix says, else the default of the stream."""
    return _suffix_format(output) or default_format(stream)


def format_of_file(output: Path | None) -> Format:
    """What `format_of` will say once ``output`` is open, if that is a regular file."""
    return _suffix_format(output) or Format.JSONL


def _suffix_format(output: Path | None) -> Format | None:
    suffix = output.suffix.removeprefix(".").lower() if output else ""
    return Format(suffix) if suffix in ("json", "jsonl", "csv", "tsv") else None
