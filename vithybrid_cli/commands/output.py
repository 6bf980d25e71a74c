"""Where a command's results go: stdout, or the file of ``--output``."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from vithybrid_cli.errors import UsageError
from vithybrid_cli.output import Format, default_format


class KeyFormat(StrEnum):
    """How facts that are no rows are written."""

    TEXT = "text"
    JSON = "json"

    @classmethod
    def default(cls, stream: TextIO) -> "KeyFormat":
        """Text where a person reads along, JSON into a pipe."""
        return cls.TEXT if stream.isatty() else cls.JSON


@contextmanager
def opened(output: Path | None) -> Iterator[TextIO]:
    """The stream to write to. Raises UsageError when the file cannot be opened or the disk is full."""
    if output is None:
        yield sys.stdout
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"cannot write to {output}: {error.strerror}. Give another --output.") from error


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
