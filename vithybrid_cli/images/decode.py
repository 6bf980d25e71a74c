"""A file becomes an upright RGB image, or an error that says what is wrong with the file."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.images import heif, raw
from vithybrid_cli.images.content import BEGINNING, described, no_picture
from vithybrid_cli.images.draft import take_draft, turn
from vithybrid_cli.images.failures import (
    DAMAGE,
    CutOff,
    blaming_the_file,
    naming_the_size,
    nothing_left,
    too_large,
    unidentified,
    wrong_checksum,
)
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.images.pillow_limits import decoding
from vithybrid_cli.images.png import has_damaged_pixels
from vithybrid_cli.images.rgb import adopt_key, converted, finished, shows_nothing
from vithybrid_cli.items import Item
from vithybrid_cli.settings import AS_IT_IS, Decoding

# EXIF 2.32, table 6: what turns a picture of this orientation upright; 1 is upright already.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_UNDECODED = {"EPS", "MPEG"}  # identified and not decoded, or by running a program
_WITHOUT_SIGNATURE = {"TGA"}  # so that Pillow finds them in other files, if it asks for them first


def decode(
    picture: str | os.PathLike[str] | Item,
    how: Decoding = AS_IT_IS,
    draft_side: int | None = None,
    before_loading: Callable[[Image.Image], None] | None = None,
) -> Image.Image:
    """The ``picture``, an item or the path of a file, as an upright image of mode RGB; of an animation the first frame.

    With ``draft_side`` a JPEG file may be decoded at a half, a quarter or an eighth of its size, so that its sides are
    still at least that long: much faster for large photographs, but not the same as resizing the whole picture. That is
    for those who want ``how.fast_jpeg``, which is not looked at here.
    ``before_loading`` is called with the opened image, whose size is known and whose pixels are not decoded yet.

    With ``how.allow_truncated`` a picture that is cut off at its end is read as far as it goes, in formats that are
    decoded from top to bottom: the rest is black, or grey in a JPEG.

    Only regular files are opened, so a pipe or a device cannot block. Raises MissingFile, NotAFile, PermissionDenied,
    UnreadableImage, RawPhoto for a camera's raw file, or ImageTooLarge for more than ``how.max_pixels`` pixels
    (width × height), before they are decoded.
    """
    item = LocalFile(os.fsdecode(picture)) if isinstance(picture, str | os.PathLike) else picture
    with item.open() as stream:
        size = f"a file of {_length(stream)} bytes"
        reading = _Reading(item, size, how, draft_side, before_loading)
        image, orientation = reading.read(stream)
    with naming_the_size(reading.size):
        image = finished(image, how.background)
        return turn(image, orientation, _TURNS[orientation]) if orientation in _TURNS else image


@dataclass(slots=True)
class _Reading:
    """One picture that is being read; ``size`` is as much as is known of it, in words."""

    item: Item
    size: str
    how: Decoding
    draft_side: int | None
    before_loading: Callable[[Image.Image], None] | None
    orientation: int = field(default=1, init=False)  # of what has none of its own

    def read(self, stream: BinaryIO) -> tuple[Image.Image, int]:
        """The picture as far as Pillow decodes it, and its EXIF orientation."""
        try:
            return self._read(stream, cut_off=False)
        except CutOff:
            stream.seek(0)  # what was decoded is let go of first, with the traceback
        return self._read(stream, cut_off=True)

    def _read(self, stream: BinaryIO, *, cut_off: bool) -> tuple[Image.Image, int]:
        limit, partly = self.how.max_pixels, self.how.allow_truncated and not cut_off
        keep_alpha = self.how.background is not None
        with decoding(limit, cut_off=cut_off):
            with blaming_the_file(limit, self.size, partly=partly):
                image = self._opened(stream)
                _require_size(image.size, limit)
                if self.draft_side is not None:
                    take_draft(image, self.draft_side)
            with image:
                self._announce(image)
                with blaming_the_file(limit, self.size, partly=partly):
                    if keep_alpha:
                        adopt_key(image)
                    image.load()
                    if image.format == "PNG" and has_damaged_pixels(stream):
                        raise wrong_checksum()
                    read = converted(image, keep_alpha=keep_alpha)
                    if cut_off and shows_nothing(read, _first_block(image)):
                        raise nothing_left()
                    return read, _orientation(image, self.orientation)

    def _opened(self, stream: BinaryIO) -> Image.Image:
        """The opened picture; of a camera's raw file the preview, if that is wanted."""
        try:
            image = _identified(stream)
        except DAMAGE as error:
            if not raw.is_raw(stream, self.item.name):
                if isinstance(error, UnidentifiedImageError):
                    raise unidentified(stream) from error
                raise
        else:
            if image.format != "TIFF" or not raw.is_raw(stream, self.item.name):
                return image
        if not self.how.raw_preview:
            raise raw.refusal()
        preview = raw.preview(self.item.name if isinstance(self.item, LocalFile) else stream)
        self.orientation = preview.orientation
        return preview.opened()

    def _announce(self, image: Image.Image) -> None:
        """Tell who reads it how large it is, once."""
        self.size = f"{image.width} × {image.height} pixels"
        if self.before_loading is not None:
            self.before_loading(image)
            self.before_loading = None


def _length(stream: BinaryIO) -> int:
    """How many bytes there are. Raises UnreadableImage for none."""
    length = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if not length:
        raise UnreadableImage("The file is empty.", "Copy or download it again.")
    return length


def _first_block(image: Image.Image) -> tuple[int, int]:
    """The width and height of what a decoder makes up where a picture ends before its pixels: one block of a JPEG."""
    if not isinstance(image, JpegImageFile):
        return 0, 0
    return 8 * max(layer[1] for layer in image.layer), 8 * max(layer[2] for layer in image.layer)


def _orientation(image: Image.Image, default: int) -> int:
    """The EXIF orientation; ``default`` if there is none or it cannot be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, default)
    except DAMAGE:
        return default
    return value if isinstance(value, int) else default


def _identified(stream: BinaryIO) -> Image.Image:
    """``Image.open``, and once more with all plugins: while another thread loads them, some are missing."""
    image: Image.Image
    try:
        image = Image.open(stream)
    except UnidentifiedImageError:
        Image.init()
        try:
            image = Image.open(stream)
        except UnidentifiedImageError:
            image = _identified_by_others(stream)
    if image.format in _UNDECODED or isinstance(image, ImageFile.StubImageFile):
        raise no_picture(_beginning(stream))
    if image.format in _WITHOUT_SIGNATURE and described(beginning := _beginning(stream)) is not None:
        raise no_picture(beginning)
    return image


def _identified_by_others(stream: BinaryIO) -> Image.Image:
    """A HEIC or HEIF file, opened by its own library. Raises UnreadableImage for what is known to be no picture."""
    beginning = _beginning(stream)
    if not heif.is_heif(beginning):
        if described(beginning) is None:
            raise UnidentifiedImageError
        raise no_picture(beginning)
    if not heif.register():
        raise UnreadableImage("HEIC and HEIF need one more library.", f"Install it with `{heif.INSTALL}`.")
    stream.seek(0)
    return Image.open(stream)


def _beginning(stream: BinaryIO) -> bytes:
    """The first bytes of a file; what follows is read from where it was."""
    before = stream.tell()
    stream.seek(0)
    beginning = stream.read(BEGINNING)
    stream.seek(before)
    return beginning


def _require_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise too_large(f"The picture has {width} × {height} pixels, more than {max_pixels}.", max_pixels)
