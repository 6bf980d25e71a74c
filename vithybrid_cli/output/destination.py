"""Where results go: stdout, or a file that no other run is writing."""

import errno
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

from vithybrid_cli.errors import UsageError
from vithybrid_cli.locks import AlreadyLocked, lock, locked
from vithybrid_cli.output import Format, default_format, visible

FILE_FORMATS = tuple(item.value for item in Format if item is not Format.TABLE)  # which suffixes may name
TEXT_FORMATS = tuple(item for item in FILE_FORMATS if item != Format.PARQUET)
_OTHER_NAMES = {"ndjson": "jsonl"}
_COMPRESSED = {"gz", "bz2", "xz", "zst", "lz4", "br", "zip", "7z"}

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def opened(output: Path | None, *, keep: int = 0, remedy: str = "give another {output}") -> Iterator[TextIO]:
    """The stream to write to: stdout, or the file ``output`` after its first ``keep`` bytes, which stay.

    Raises UsageError if the file cannot be opened, if another run is writing it, or if the disk fills up in between;
    ``remedy`` is what to do about the last: the end of the sentence "What was written stays; …".
    """
    if output is None:
        _require_stdout()
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
            lock(stream)
            stream.truncate(keep)
    except AlreadyLocked as error:
        stream.close()
        raise _busy(output) from error
    except BaseException:
        stream.close()
        raise
    return stream


@contextmanager
def held(output: Path) -> Iterator[None]:
    """Keep other runs from writing the file ``output``, which is there. Raises UsageError if one does.

    One that this run may not write is not locked: to find that it needs nothing new, it has only to be read.
    """
    if sys.platform == "win32":  # where nothing locks, and an open file could not be replaced
        yield
        return
    try:
        stream: AbstractContextManager[object] = locked(output)
    except AlreadyLocked as error:
        raise _busy(output) from error
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise unwritable(output, error) from error
        stream = nullcontext()
    with stream:
        yield


def _busy(output: Path) -> UsageError:
    return UsageError(f"Another run is writing {output}.", "Wait until it has ended, or give another {output}.")


def require_writable(output: Path | None) -> None:
    """Raise UsageError if `opened` would. What is there stays, and a pipe is not opened: its reader would see that."""
    if output is None:
        _require_stdout()
        return
    try:
        exists = output.exists()
        if output.is_dir():
            raise unwritable(output, OSError(errno.EISDIR, os.strerror(errno.EISDIR)))
        folder = output.resolve().parent
        if not exists and not folder.is_dir():
            cause = f"Cannot write to {output}: there is no folder {folder}."
            raise UsageError(cause, "Make that folder, or give another {output}.")
        if output.is_file() and _is_named_as_a_picture(output):
            raise UsageError(f"{output} is a picture, which would be overwritten.", "Give another {output}.")
        if not os.access(output if exists else folder, os.W_OK):
            raise unwritable(output, OSError(errno.EACCES, os.strerror(errno.EACCES)))
    except OSError as error:
        raise unwritable(output, error) from error


def _require_stdout() -> None:
    if sys.stdout is None:
        raise UsageError("Stdout is closed, so there is no place for results.", "Give {output}, or leave stdout open.")


def _is_named_as_a_picture(output: Path) -> bool:
    suffix = output.suffix.lower()
    if not suffix or suffix.removeprefix(".") in list(Format):
        return False
    from vithybrid_cli.images.suffixes import picture_suffixes  # imports all of Pillow

    return suffix in picture_suffixes()


def is_plain_file(output: Path) -> bool:
    """Whether ``output`` is a regular file or will become one, rather than a pipe, a device or a name of stdout."""
    folder = output.parent.resolve()
    if folder in (Path("/dev"), Path("/dev/fd")) or folder.is_relative_to("/proc"):
        return False
    return output.is_file() or not output.exists()


def discard_stdout() -> None:
    """Send what is still buffered nowhere, so that flushing it at exit does not fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def unwritable(output: Path | None, error: OSError, remedy: str = "Give another {output}.") -> UsageError:
    """The error to raise when the system refuses to write."""
    where = "stdout" if output is None else output
    return UsageError(f"Cannot write to {where}: {error.strerror or error}.", remedy)


def is_file(stream: TextIO) -> bool:
    """Whether ``stream`` is a regular file rather than a terminal or a pipe."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # a stream in memory
        return False


def format_of(output: Path | None, stream: TextIO) -> Format:
    """The format if none was asked for: what the file's suffix says, or else the default for this stream.

    Raises UsageError for a suffix of something else.
    """
    suffix = suffix_format(output)
    return default_format(stream) if suffix is None else Format(suffix)


def format_of_file(output: Path | None, formats: Sequence[str] = FILE_FORMATS) -> Format:
    """What `format_of` will return once ``output`` is open, if it is a regular file.

    Raises UsageError for a suffix of none of the ``formats``, which may have more than are written as records.
    """
    return Format(suffix_format(output, formats) or Format.JSONL)


def suffix_format(output: Path | None, formats: Sequence[str] = FILE_FORMATS, what: str = "Results") -> str | None:
    """Which of these ``formats`` the suffix names; None without one, and where there is no file to name.

    Raises UsageError if the name of a file promises something else; ``what`` is written then, in words.
    """
    suffix = "" if output is None else output.suffix.removeprefix(".").lower()
    suffix = _OTHER_NAMES.get(suffix, suffix)
    if suffix in formats:
        return suffix
    if output is None or not suffix or not is_plain_file(output):
        return None
    if suffix in _COMPRESSED:
        cause = f"{what} are not compressed, as the name {output.name} says."
        raise UsageError(cause, f"Leave out .{suffix}, and compress the file afterwards.")
    written = f"{', '.join(formats[:-1])} or {formats[-1]}"
    cause = f"{what} are written as {written}, and not as {visible(output.suffix[1:])}."
    raise UsageError(cause, "Give the file another suffix, or choose one of these with {format}.")
