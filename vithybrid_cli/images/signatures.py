"""What a file is by its first bytes: a picture that we read, a camera's raw file, or neither.

The bytes are those of the formats' own specifications, and of Pillow's plugins where these ask for more. Formats
whose beginning says little (TGA, PCX, ICO, …) are known by their suffix alone.
"""

import os
import re
import stat
from enum import Enum

from vithybrid_cli.images.heif import BRANDS

HEAD = 32  # bytes that tell all of these apart


class Kind(Enum):
    """What a file begins like."""

    PICTURE = "picture"
    RAW = "raw"
    OTHER = "other"


_PICTURES = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    rb"|RIFF.{4}WEBP"
    rb"|II\*\0|MM\0\*|II\+\0|MM\0\+"  # TIFF and BigTIFF
    rb"|BM.{4}.{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"  # BMP, and how long its next header may be
    rb"|.{4}ftyp(?:avif|avis|%s)"
    rb"|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"  # JPEG 2000: file and code stream
    rb"|8BPS\0\x01"  # Photoshop
    rb"|P[1-6][ \t\r\n]+[0-9#]"  # PBM, PGM, PPM
    rb"|qoif|DDS \x7c\0\0\0|icns\0|SIMPLE  =" % b"|".join(sorted(BRANDS)),
    re.DOTALL,
)
# Canon CR2 and CR3, Fujifilm, Panasonic, Olympus, Minolta, Sigma, Canon CRW. Others are TIFF to the eye.
_RAWS = re.compile(
    rb"II\*\0.{4}CR|.{4}ftypcrx |FUJIFILMCCD-RAW|IIU\0|IIR[OS]|MMOR|\0MRM|FOVb|II.{4}HEAPCCDR", re.DOTALL
)


def kind_of(head: bytes) -> Kind:
    """What a file is that begins with ``head``, which are its first `HEAD` bytes, or all if there are fewer."""
    if _RAWS.match(head):
        return Kind.RAW
    return Kind.PICTURE if _PICTURES.match(head) else Kind.OTHER


def kind_of_file(path: str) -> Kind:
    """What the file ``path`` is by its first bytes; what is no regular file, or cannot be read, is something else.

    Pipes and devices are not opened, so this cannot wait.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (Path raises on odd names)
            return Kind.OTHER
        # Without waiting: it may have become a pipe since then.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            return kind_of(os.read(handle, HEAD))
        finally:
            os.close(handle)
    except (OSError, ValueError):
        return Kind.OTHER
