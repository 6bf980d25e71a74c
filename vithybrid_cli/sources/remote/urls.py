"""URLs that need no server: ``file:`` is a file of this machine, and ``data:`` is the picture itself."""

import base64
import binascii
import io
import os
import re
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.images.local import LocalFile, stamp_of
from vithybrid_cli.items import UNSTAMPED, Stamp

_FILE = re.compile(r"file:(?://(?:localhost)?)?(?=/)", re.IGNORECASE)
_DATA = re.compile(r"data:([^,]*),", re.IGNORECASE)


def path_of_file_url(name: str) -> str | None:
    """The path that a ``file:`` URL of this machine stands for (RFC 8089); None for anything else."""
    begin = _FILE.match(name)
    if begin is None:
        return None
    path = os.fsdecode(unquote_to_bytes(os.fsencode(name[begin.end() :])))
    return path[1:] if os.name == "nt" else path


def is_data_url(name: str) -> bool:
    """Whether it holds a picture itself (RFC 2397)."""
    return _DATA.match(name) is not None


@dataclass(frozen=True, slots=True)
class FileUrl:
    """The picture in a file of this machine that a URL names."""

    name: str
    path: str

    @property
    def held(self) -> int:
        """Nothing before it is opened."""
        return 0

    def open(self) -> BinaryIO:
        """The file. Raises ImageError as `LocalFile` does."""
        return LocalFile(self.path).open()

    def stamp(self) -> Stamp:
        """That of the file."""
        return stamp_of(self.path)


@dataclass(frozen=True, slots=True)
class DataUrl:
    """The picture in its own URL."""

    name: str

    @property
    def held(self) -> int:
        """Not counted: a list has no longer lines than these."""
        return 0

    def open(self) -> BinaryIO:
        """What is in it. Raises UnreadableImage."""
        begin = _DATA.match(self.name)
        content = unquote_to_bytes(self.name[begin.end() :] if begin else "")
        if begin is None or not begin[1].lower().endswith(";base64"):
            return io.BytesIO(content)
        try:
            return io.BytesIO(base64.b64decode(content, validate=True))
        except binascii.Error as error:
            raise UnreadableImage("This data URL is damaged or cut off.", "Copy it again.") from error

    def stamp(self) -> Stamp:
        """It cannot change."""
        return UNSTAMPED
