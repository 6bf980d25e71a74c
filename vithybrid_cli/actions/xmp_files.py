"""Sidecars as files: read, and put in place whole, unless somebody else has changed them meanwhile."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from vithybrid_cli import atomic
from vithybrid_cli.actions.xmp_structure import MOST_BYTES, UnusableSidecar
from vithybrid_cli.output.destination import DISK_ERRORS, unwritable

_AGAIN = "Run this again."


@dataclass(frozen=True, slots=True)
class SidecarFile:
    """A sidecar as it was read: its ``content``, where it lies (links are followed), and what tells a change."""

    name: str
    place: Path
    content: bytes
    status: os.stat_result


def read_file(name: str) -> SidecarFile:
    """The sidecar of this name. Raises UnusableSidecar."""
    place = Path(os.path.realpath(name))
    try:
        status = place.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnusableSidecar("It is no file.", "Move it away.")
        if status.st_size > MOST_BYTES:
            raise UnusableSidecar(
                f"It has {status.st_size >> 20:,} MB, and no more than {MOST_BYTES >> 20} MB are read.",
                "Move it away if it is no sidecar.",
            )
        return SidecarFile(name, place, place.read_bytes(), status)
    except FileNotFoundError as error:
        cause = "It is a link to what is not there." if Path(name).is_symlink() else "It is gone."
        raise UnusableSidecar(cause, _AGAIN if cause == "It is gone." else "Mend the link, or remove it.") from error
    except OSError as error:
        raise UnusableSidecar(f"It cannot be read: {error.strerror or error}.", "Make it readable.") from error


def replace(file: SidecarFile, content: bytes) -> None:
    """Put ``content`` in the place of what was read. Raises UnusableSidecar, and UsageError on a full disk."""
    _require_writable(file)
    try:
        with atomic.replacing(file.place, file.status.st_mode) as part:
            part.write_bytes(content)
            _require_unchanged(file)
    except OSError as error:
        raise _refused(file.name, error) from error


def create(name: str, content: bytes) -> None:
    """Put a new sidecar there. Raises UnusableSidecar, and UsageError on a full disk."""
    place = Path(name)
    try:
        with atomic.replacing(place) as part:
            part.write_bytes(content)
            if os.path.lexists(name):
                raise UnusableSidecar("Another program has written it meanwhile.", _AGAIN)
    except OSError as error:
        raise _refused(name, error) from error


def remove(file: SidecarFile) -> None:
    """Remove a sidecar, and a link that led to it. Raises UnusableSidecar."""
    _require_writable(file)
    _require_unchanged(file)
    try:
        file.place.unlink()
        if Path(file.name).is_symlink():
            Path(file.name).unlink()
    except OSError as error:
        raise _refused(file.name, error) from error


def _require_writable(file: SidecarFile) -> None:
    """A rename would replace a file that nobody may write to."""
    if not file.status.st_mode & 0o222 or not os.access(file.place, os.W_OK):
        raise UnusableSidecar("It is write-protected.", "Allow to write to it.")


def _require_unchanged(file: SidecarFile) -> None:
    try:
        now = file.place.stat()
    except OSError as error:
        raise UnusableSidecar("Another program has taken it away meanwhile.", _AGAIN) from error
    was = file.status
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (was.st_ino, was.st_size, was.st_mtime_ns):
        raise UnusableSidecar("Another program has changed it meanwhile.", _AGAIN)


def _refused(name: str, error: OSError) -> Exception:
    if error.errno in DISK_ERRORS:
        return unwritable(Path(name), error, "Make room there, and run this again.")
    if error.errno == errno.ENAMETOOLONG:
        return UnusableSidecar("Its name would be too long.", "Give the picture a shorter name.")
    return UnusableSidecar(f"It cannot be written: {error.strerror or error}.", "Allow to write to its folder.")
