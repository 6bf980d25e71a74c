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

_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def opened(output: Path | None) -> Iterator[TextIO]:
    """The stream to write to. Raises UsageError when the file cannot be opened, or the disk fills up meanwhile."""
    try:
        stream = sys.stdout if output is None else output.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise _unwritable(output, error) from error
    try:
        with nullcontext(stream) if output is None else stream:
            yield stream
    except OSError as error:
        if error.errno not in _WRITE_ERRORS:
            raise
        if output is None:
            discard_stdout()
        raise _unwritable(output, error) from error


def require_writable(output: Path | None) -> None:
    """Raise UsageError where `opened` would, and leave what is there as it is."""
    if output is not None:
        try:
            output.open("ab").close()
        except OSError as error:
            raise _unwritable(output, error) from error


def discard_stdout() -> None:
    """Let what is still buffered go nowhere, so that the end of the program does not fail on it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unwritable(output: Path | None, error: OSError) -> UsageError:
    where = "stdout" if output is None else output
    return UsageError(f"cannot write to {where}: {error.strerror}. What was written stays; give another --output.")


def is_file(stream: TextIO) -> bool:
    """Whether ``stream`` is a regular file, and no terminal or pipe."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # nothing of the operating system's
        return False


def format_of(output: Path | None, stream: TextIO) -> Format:
    """The format where none was asked for: what the file's suffix says, else the default of the stream."""
    suffix = output.suffix.removeprefix(".").lower() if output else ""
    return Format(suffix) if suffix in ("json", "jsonl", "csv", "tsv") else default_format(stream)
