"""The checksums of a PNG's pixels, which Pillow does not look at: most damage to them changes the picture silently."""

import zlib
from typing import BinaryIO

_PIECE = 2**20  # bytes that are read at a time
_SIGNATURE = 8  # bytes before the first chunk


def has_damaged_pixels(stream: BinaryIO) -> bool:
    """Whether a chunk of the first frame is whole and not what it was when its checksum was made (PNG 3, 5.3)."""
    stream.seek(_SIGNATURE)
    while len(header := stream.read(8)) == 8:
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if kind in (b"IEND", b"fdAT"):
            return False
        if kind != b"IDAT":
            stream.seek(length + 4, 1)
        elif _is_damaged(stream, length, kind):
            return True
    return False


def _is_damaged(stream: BinaryIO, length: int, kind: bytes) -> bool:
    checksum = zlib.crc32(kind)
    while length and (piece := stream.read(min(length, _PIECE))):
        checksum = zlib.crc32(piece, checksum)
        length -= len(piece)
    stored = stream.read(4)
    return len(stored) == 4 and int.from_bytes(stored, "big") != checksum
