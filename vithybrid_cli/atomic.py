"""Files and folders appear whole or not at all: written beside, flushed to the disk, renamed.

A reader, another run or a power cut never meets half of one. Each writer has a temporary name of its own, so that two
that write the same file do not write into each other's; the last to finish wins.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UNFINISHED = ".part"  # the suffix of what is still being written; `is_unfinished` knows it


def is_unfinished(path: Path) -> bool:
    """Whether a name in a folder is of something that is being written, or was when its writer was killed."""
    return path.name.startswith(".") and path.name.endswith(UNFINISHED)


def write_text(file: Path, text: str) -> None:
    """Put ``text`` (UTF-8, newlines as they are) in the place of ``file``. Raises OSError and leaves what was there."""
    write_bytes(file, text.encode("utf-8"))


def write_bytes(file: Path, content: bytes) -> None:
    """Put ``content`` in the place of ``file``. Raises OSError and leaves what was there."""
    with replacing(file) as part:
        part.write_bytes(content)


@contextmanager
def replacing(file: Path, mode: int | None = None) -> Iterator[Path]:
    """A new, empty file beside ``file`` to write to, which takes its place when the block ends without an exception.

    It has the permissions that the user's umask gives, whatever the writing library would choose, or those of ``mode``.
    If the block raises, or the system refuses (OSError), what was there stays.
    """
    part = _beside(file)
    try:  # from here on, since a signal may come at once
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if mode is None else stat.S_IMODE(mode)))
        mode = part.stat().st_mode if mode is None else stat.S_IMODE(mode)
        yield part
        part.chmod(mode)
        _flush(part)
        part.replace(file)
        _flush(file.parent)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder`` to fill, which takes its place when the block ends without an exception.

    ``folder`` must not exist, or be empty, by then: where another writer was faster, FileExistsError is raised. What
    was written is removed whenever the block or the renaming fails.
    """
    part = _beside(folder)
    part.mkdir()
    try:
        yield part
        for path in (*(path for path in part.rglob("*") if path.is_file()), part):
            _flush(path)
        _rename_folder(part, folder)
        _flush(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _beside(path: Path) -> Path:
    """A name that nothing has, in the same folder: a rename across file systems would not be one step."""
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}{UNFINISHED}")


def _rename_folder(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError as error:
        if folder.is_dir():  # POSIX says EEXIST or ENOTEMPTY, Windows refuses access
            raise FileExistsError(error.errno, error.strerror, str(folder)) from error
        raise


def _flush(path: Path) -> None:
    """Wait until what was written has reached the disk: a rename may survive a power cut that its content does not."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not path.is_dir():
            raise
        del error  # some network file systems cannot flush a folder; their renames are as safe as they get
    finally:
        os.close(descriptor)
