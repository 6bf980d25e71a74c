"""Cameras' raw files: told from pictures, and the preview in them through the optional library rawpy.

Pillow opens many of them as TIFF and finds what is first in them, which is often a thumbnail of 160 × 120 pixels.
"""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from vithybrid_cli.errors import ImageError, RawPhoto
from vithybrid_cli.images.failures import DAMAGE
from vithybrid_cli.images.signatures import HEAD, Kind, kind_of
from vithybrid_cli.images.suffixes import RAW_SUFFIXES, suffix_of
from vithybrid_cli.items import own_name

INSTALL = "pip install 'vithybrid-cli[raw]'"

# A preview is no thumbnail if its longer side has so many pixels, or half of the photo's: networks take 512 at most,
# and the smallest previews that cameras make for their screens have 1616 (Sony) and 1440 (Panasonic).
_LEAST_SIDE = 1024

# TIFF 6.0, TIFF/EP (ISO 12234-2) and DNG 1.7.
_NEW_SUBFILE_TYPE, _PHOTOMETRIC, _MAKE, _SUB_IFDS = 254, 262, 271, 330
_DNG_VERSION = 50706
_REDUCED = 1  # of a NewSubfileType: a smaller version of another picture in the file
_SENSOR = (32803, 34892)  # photometric interpretations: a colour filter array, linear raw
_TIFF_MARKS = (b"II*\0", b"MM\0*")

# How a JPEG with an EXIF block by LibRaw begins (LibRaw's `tiff_head`), and what it calls itself there.
_EXIF_FIRST, _MADE_BY, _LONGEST_BLOCK = b"\xff\xd8\xff\xe1", b"dcraw v9", 2048

# LibRaw's `flip` as an EXIF orientation.
_ORIENTATION = {3: 3, 5: 8, 6: 6}


@dataclass(frozen=True, slots=True)
class Preview:
    """What a raw file holds for those who want to look at it, and its EXIF orientation if it does not know that."""

    picture: bytes | npt.NDArray[np.uint8]  # JPEG, or pixels [H, W, 3]
    orientation: int

    def opened(self) -> Image.Image:
        """The preview, which is not decoded yet if it is a JPEG."""
        if isinstance(self.picture, bytes):
            return Image.open(io.BytesIO(self.picture))
        return Image.fromarray(self.picture)


def is_raw(stream: BinaryIO, name: str | os.PathLike[str]) -> bool:
    """Whether this is a camera's raw file, by its first bytes or by TIFF's tags.

    The suffix of ``name`` counts for TIFF and for what is not known: a JPEG that is called .nef is a JPEG.
    """
    before = stream.tell()
    try:
        stream.seek(0)
        head = stream.read(HEAD)
        kind, is_tiff = kind_of(head), head.startswith(_TIFF_MARKS)
        if kind is Kind.RAW or (kind is Kind.PICTURE and not is_tiff):
            return kind is Kind.RAW
        return suffix_of(own_name(os.fsdecode(name))) in RAW_SUFFIXES or (
            is_tiff and _is_raw_tiff(_tags(stream, head[:8]))
        )
    finally:
        stream.seek(before)


def refusal() -> RawPhoto:
    """The error for a raw file where no previews are wanted."""
    return RawPhoto(
        "This is a camera's raw file, and what can be shown of it is a preview that the camera has made.",
        "Develop it to JPEG or PNG, or set {raw_preview=True} to read the preview.",
    )


def preview(source: str | BinaryIO) -> Preview:
    """The largest preview in a raw file, which is given by its path or open.

    Raises RawPhoto where there is none but a thumbnail, or the library lacks.
    """
    if find_spec("rawpy") is None:
        raise RawPhoto("The previews in cameras' raw files need one more library.", f"Install it with `{INSTALL}`.")
    import rawpy

    try:
        with rawpy.imread(_named(source)) as opened:
            found = opened.extract_thumb()
            sizes = opened.sizes
            full = (sizes.width, sizes.height)
            flip = sizes.flip
    except (rawpy.LibRawError, *DAMAGE) as error:
        raise _no_preview(error) from error
    picture = _as_stored(found.data)
    size = _size(picture)
    if max(size) < min(_LEAST_SIDE, max(full) // 2):
        raise _only_a_thumbnail(size, full)
    turned = flip in (5, 6) and (size[0] < size[1]) != (full[0] < full[1])  # by the camera already
    return Preview(picture, 1 if turned else _ORIENTATION.get(flip, 1))


def _named(source: str | BinaryIO) -> str | io.BytesIO:
    """The path, or what is in the file if rawpy could not take its name, which has to be UTF-8 there."""
    if not isinstance(source, str):
        source.seek(0)
        return io.BytesIO(source.read())
    try:
        source.encode()
    except UnicodeEncodeError:
        return io.BytesIO(Path(source).read_bytes())
    return source


def _as_stored(picture: bytes | npt.NDArray[np.uint8]) -> bytes | npt.NDArray[np.uint8]:
    """The preview without the EXIF block that LibRaw puts before the camera's, if that is not the first thing in it."""
    if isinstance(picture, bytes) and picture.startswith(_EXIF_FIRST) and _MADE_BY in picture[:_LONGEST_BLOCK]:
        return picture[:2] + picture[4 + int.from_bytes(picture[4:6], "big") :]
    return picture


def _size(picture: bytes | npt.NDArray[np.uint8]) -> tuple[int, int]:
    """The width and height of a preview; (0, 0) where that cannot be read."""
    if isinstance(picture, bytes):
        try:
            with Image.open(io.BytesIO(picture)) as image:
                return image.size
        except DAMAGE:
            return 0, 0
    return picture.shape[1], picture.shape[0]


def _no_preview(error: BaseException) -> ImageError:
    if "Thumbnail" in type(error).__name__:
        cause = "The raw file holds no preview that can be read."
    else:
        cause = "The raw file is damaged, or of a camera that LibRaw does not know."
    return RawPhoto(cause, "Develop it to JPEG or PNG.")


def _only_a_thumbnail(size: tuple[int, int], full: tuple[int, int]) -> RawPhoto:
    (width, height), (full_width, full_height) = size, full
    return RawPhoto(
        f"The raw file of {full_width} × {full_height} pixels holds a thumbnail of {width} × {height} alone.",
        "Develop it to JPEG or PNG.",
    )


def _is_raw_tiff(tags: Mapping[int, Any]) -> bool:
    """Whether TIFF's first directory is a raw file's: a sensor's samples, or a small version of what lies below it.

    Pictures that were developed from a DNG may keep its tags, so those alone do not tell.
    """
    if tags.get(_PHOTOMETRIC) in _SENSOR or (_DNG_VERSION in tags and _SUB_IFDS in tags):
        return True
    kind = tags.get(_NEW_SUBFILE_TYPE)
    of_a_camera = any(tag in tags for tag in (_SUB_IFDS, _MAKE, _DNG_VERSION))
    return isinstance(kind, int) and bool(kind & _REDUCED) and of_a_camera


def _tags(stream: BinaryIO, header: bytes) -> dict[int, Any]:
    """The tags of TIFF's first directory; none where it is damaged."""
    try:
        directory = TiffImagePlugin.ImageFileDirectory_v2(header)
        stream.seek(directory.next or 0)
        directory.load(stream)
        return dict(directory)
    except DAMAGE:
        return {}
