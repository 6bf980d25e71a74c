"""Files as cameras write them: a DNG with a sensor's samples, and a preview or a thumbnail, as LibRaw reads them."""

import io
import struct
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

BYTE, ASCII, SHORT, LONG, RATIONAL = 1, 2, 3, 4, 5
_FORMATS = {BYTE: "B", ASCII: "s", SHORT: "H", LONG: "I", RATIONAL: "II"}

Tag = tuple[int, int, Sequence[int] | bytes]


def jpeg(width: int, height: int, colour: str = "red", exif: Image.Exif | None = None) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "JPEG", exif=exif or Image.Exif())
    return stream.getvalue()


def dng(
    preview: bytes | None, preview_size: tuple[int, int] = (0, 0), sensor: tuple[int, int] = (2400, 1600), turn: int = 1
) -> bytes:
    """A DNG whose first directory is a tiny thumbnail; ``preview`` is a JPEG, and ``turn`` an EXIF orientation."""
    thumbnail = np.full((12, 16, 3), 255, np.uint8).tobytes()
    width, height = sensor
    samples = np.full((height, width), 800, "<u2").tobytes()
    parts = bytearray(b"II*\0\0\0\0\0")

    def put(data: bytes) -> int:
        parts.extend(b"\0" * (len(parts) % 2))
        offset = len(parts)
        parts.extend(data)
        return offset

    raw: list[Tag] = [
        (254, LONG, [0]),
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [16]),
        (259, SHORT, [1]),
        (262, SHORT, [32803]),
        (273, LONG, [put(samples)]),
        (277, SHORT, [1]),
        (278, LONG, [height]),
        (279, LONG, [len(samples)]),
        (33421, SHORT, [2, 2]),
        (33422, BYTE, [0, 1, 1, 2]),
    ]
    below = [_directory(raw, put)]
    if preview is not None:
        shown: list[Tag] = [
            (254, LONG, [1]),
            (256, LONG, [preview_size[0]]),
            (257, LONG, [preview_size[1]]),
            (258, SHORT, [8, 8, 8]),
            (259, SHORT, [7]),
            (262, SHORT, [6]),
            (273, LONG, [put(preview)]),
            (277, SHORT, [3]),
            (278, LONG, [preview_size[1]]),
            (279, LONG, [len(preview)]),
        ]
        below.append(_directory(shown, put))
    first: list[Tag] = [
        (254, LONG, [1]),
        (256, LONG, [16]),
        (257, LONG, [12]),
        (258, SHORT, [8, 8, 8]),
        (259, SHORT, [1]),
        (262, SHORT, [2]),
        (271, ASCII, b"Maker\0"),
        (272, ASCII, b"Model\0"),
        (273, LONG, [put(thumbnail)]),
        (274, SHORT, [turn]),
        (277, SHORT, [3]),
        (278, LONG, [12]),
        (279, LONG, [len(thumbnail)]),
        (330, LONG, below),
        (50706, BYTE, [1, 4, 0, 0]),
        (50708, ASCII, b"Maker Model\0"),
    ]
    parts[4:8] = struct.pack("<I", _directory(first, put))
    return bytes(parts)


def _directory(tags: list[Tag], put: Callable[[bytes], int]) -> int:
    entries = b""
    for tag, kind, values in tags:
        data = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)
        value = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", put(data))
        entries += struct.pack("<HHI", tag, kind, len(values)) + value
    return put(struct.pack("<H", len(tags)) + entries + b"\0\0\0\0")
