"""Pictures in files of this machine, opened without ever waiting for a pipe or a device."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vithybrid_cli.errors import ImageError, MissingFile, NotAFile, PermissionDenied, UnreadableImage
from vithybrid_cli.images import names
from vithybrid_cli.items import NO_FILE, Stamp

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """The picture in the file of this name."""

    name: str

    @property
    def held(self) -> int:
        """Nothing before it is opened."""
        return 0

    def open(self) -> BinaryIO:
        """The file. Only regular ones are opened, so a pipe or a device cannot block.

        Raises MissingFile, NotAFile, PermissionDenied, and UnreadableImage where it is empty or its disk fails.
        """
        _require_regular_file(self.name)
        try:
            return Path(self.name).open("rb")
        except OSError as error:
            raise _explained(error) from error

    def stamp(self) -> Stamp:
        """Its size and time now."""
        return stamp_of(self.name)


def stamp_of(path: str) -> Stamp:
    """What is at this ``path`` now."""
    try:
        status = os.stat(path)  # noqa: PTH116 (Path raises on odd names)
    except (OSError, ValueError):
        return NO_FILE
    return Stamp(status.st_size, status.st_mtime_ns)


def _require_regular_file(path: str) -> None:
    """Raise ImageError for anything but a regular file that is not empty. It is not opened."""
    try:
        status = os.stat(path)  # noqa: PTH116 (Path("") would be the current folder)
    except OSError as error:
        told = names.explained(path) if error.errno in _NOT_THERE else None
        raise told or _explained(error) from error
    except ValueError as error:
        what = "a NUL byte" if "\0" in path else "what is no character"
        cause = f"No file can have this name, in which there is {what}."
        raise MissingFile(cause, "If it is from a list separated by NUL bytes, set {null=True}.") from error
    if stat.S_ISDIR(status.st_mode):
        raise _folder(path)
    if not stat.S_ISREG(status.st_mode):
        raise NotAFile(f"This is {_kind(status.st_mode)}, not a file.", "Give a picture file.")
    if status.st_size == 0:
        raise UnreadableImage("The file is empty.", "Copy or download it again.")


def _explained(error: OSError) -> ImageError:
    from vithybrid_cli.images.failures import explained  # imports Pillow, which `vithybrid --help` must not pay for

    return explained(error)


def _folder(path: str) -> ImageError:
    if not os.access(path, os.R_OK | os.X_OK):
        return PermissionDenied("The folder may not be listed.", "Change its permissions or leave it out.")
    return NotAFile(
        "This is a folder, not a file.", "On the command line, give the folder as an argument, not in a list."
    )


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"
