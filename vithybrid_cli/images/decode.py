"""A file becomes an upright RGB image, or an error that says what is wrong with the file."""

import errno
import os
import stat
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from vithybrid_cli.errors import ImageError, ImageTooLarge, MissingFile, NotAFile, PermissionDenied, UnreadableImage
from vithybrid_cli.images import heif, names
from vithybrid_cli.images.content import BEGINNING, no_picture
from vithybrid_cli.settings import AS_IT_IS, Decoding

# What Pillow's plugins were seen to raise on damaged data. `python -W error` raises a Warning.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
)

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)

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


def decode(
    path: str | os.PathLike[str],
    how: Decoding = AS_IT_IS,
    draft_side: int | None = None,
    before_loading: Callable[[Image.Image], None] | None = None,
) -> Image.Image:
    """The picture in the file ``path`` as an upright image of mode RGB; of an animation the first frame.

    With ``draft_side`` a JPEG file may be decoded at a half, a quarter or an eighth of its size, so that its sides are
    still at least that long: much faster for large photographs, but not the same as resizing the whole picture. That is
    for those who want ``how.fast_jpeg``, which is not looked at here.
    ``before_loading`` is called with the opened image, whose size is known and whose pixels are not decoded yet.

    Only regular files are opened, so a pipe or a device cannot block. Raises MissingFile, NotAFile, PermissionDenied,
    UnreadableImage, or ImageTooLarge for more than ``how.max_pixels`` pixels (width × height), before they are decoded.
    """
    _require_regular_file(path)
    image, orientation = _read(path, how, draft_side, before_loading or (lambda image: None))
    try:
        image = _scaled(image)
        return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
    except MemoryError as error:
        raise out_of_memory() from error


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in mode RGB, not turned; an image that is RGB already is returned as it is.

    As ``convert("RGB")`` of transformers' processors: alpha is dropped, CMYK is converted without a profile.
    Samples of more than 8 bits are scaled, where ``convert`` would clip them.
    """
    return _scaled(_converted(image))


def _read(
    path: str | os.PathLike[str], how: Decoding, draft_side: int | None, before_loading: Callable[[Image.Image], None]
) -> tuple[Image.Image, int]:
    """The picture as far as Pillow decodes it, RGB or of more than 8 bits, and its EXIF orientation."""
    max_pixels = how.max_pixels
    with _blaming_the_file(max_pixels):
        stream = Path(path).open("rb")  # noqa: SIM115 (what fails within it is another matter)
    with stream, _limit.at(max_pixels):
        with _blaming_the_file(max_pixels):
            image = _opened(stream)
            _require_size(image.size, max_pixels)
            if draft_side is not None:
                image.draft(None, (draft_side, draft_side))
        with image:
            before_loading(image)
            with _blaming_the_file(max_pixels):
                image.load()
                return _converted(image), _orientation(image)


@contextmanager
def _blaming_the_file(max_pixels: int) -> Iterator[None]:
    """Whatever is raised here becomes an ImageError: it is for calls of Pillow, and not for our own arithmetic."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(f"The picture has more than {max_pixels} pixels.", max_pixels) from error
    except _DAMAGE as error:
        raise _explained(error) from error


def _converted(image: Image.Image) -> Image.Image:
    """The image in mode RGB by Pillow's own means, which can find a palette damaged; more than 8 bits are kept."""
    if image.mode == "RGB" or _is_deep(image):
        return image
    if image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # the same colours; straight to RGB would warn about the transparency
    elif image.mode == "La":
        image = image.convert("LA")
    return image.convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as RGB; any other image as it is."""
    return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB") if _is_deep(image) else image


def _is_deep(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def _to_8_bits(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Grey samples [H, W] of 16 or 32 bits, integer or float, as 8 bits.

    16 bits keep their high byte, as Pillow does with a 16-bit RGB file. For 32 bits there is no convention, so the
    range is guessed from the values: 0–1 (float), 0–255, 0–65535, or else from the smallest to the largest.
    """
    if samples.dtype.itemsize == 2:
        return (samples >> 8).astype(np.uint8)
    values = np.nan_to_num(samples.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if samples.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.rint(values * 255).astype(np.uint8)
    if low >= 0 and high <= 65535:
        return np.floor(values if high <= 255 else values / 256).astype(np.uint8)
    return np.rint((values - low) * 255 / (high - low or 1)).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, which is upright, if there is none or it cannot be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _DAMAGE:
        return 1
    return value if isinstance(value, int) else 1


def _opened(stream: BinaryIO) -> Image.Image:
    """``Image.open``, and once more with all plugins: while another thread loads them, some are missing."""
    image: Image.Image
    try:
        image = Image.open(stream)
    except UnidentifiedImageError:
        Image.init()
        try:
            image = Image.open(stream)
        except UnidentifiedImageError:
            image = _opened_phone_picture(stream)
    if image.format == "MPEG" or isinstance(image, ImageFile.StubImageFile):
        stream.seek(0)
        raise no_picture(stream.read(BEGINNING))
    if image.format == "EPS":
        raise UnreadableImage("PostScript is a program, which is never run.", "Convert the file to PNG.")
    return image


def _opened_phone_picture(stream: BinaryIO) -> Image.Image:
    """A HEIC or HEIF file, opened by its own library. Raises UnreadableImage for any other file."""
    stream.seek(0)
    beginning = stream.read(BEGINNING)
    if not heif.is_heif(beginning):
        raise no_picture(beginning)
    if not heif.register():
        raise UnreadableImage("HEIC and HEIF need one more library.", f"Install it with `{heif.INSTALL}`.")
    stream.seek(0)
    return Image.open(stream)


def _require_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise _too_large(f"The picture has {width} × {height} pixels, more than {max_pixels}.", max_pixels)


def _too_large(cause: str, max_pixels: int) -> ImageTooLarge:
    return ImageTooLarge(cause, f"If you trust the file, set {{max_pixels}} above {max_pixels}.")


def _require_regular_file(path: str | os.PathLike[str]) -> None:
    """Raise ImageError for anything but a regular file with at least one byte, without opening it."""
    try:
        status = os.stat(path)  # noqa: PTH116 (Path("") would be the current folder)
    except OSError as error:
        told = names.explained(path) if error.errno in _NOT_THERE else None
        raise told or _explained(error) from error
    except ValueError as error:
        cause = f"No file can have this name ({error})."
        raise MissingFile(cause, "If it is from a list separated by NUL bytes, set {null=True}.") from error
    if stat.S_ISDIR(status.st_mode):
        raise _folder(path)
    if not stat.S_ISREG(status.st_mode):
        raise NotAFile(f"This is {_kind(status.st_mode)}, not a file.", "Give a picture file.")
    if status.st_size == 0:
        raise UnreadableImage("The file is empty.", "Copy or download it again.")


def _folder(path: str | os.PathLike[str]) -> ImageError:
    if not os.access(path, os.R_OK | os.X_OK):
        return PermissionDenied("The folder may not be listed.", "Change its permissions or leave it out.")
    return NotAFile(
        "This is a folder, not a file.", "On the command line, give the folder as an argument, not in a list."
    )


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def out_of_memory() -> ImageTooLarge:
    """What to say of a picture for which there is not enough memory."""
    return ImageTooLarge("There is not enough memory to decode it.", "Make it smaller, or use fewer {workers}.")


def _explained(error: BaseException) -> ImageError:
    """What an exception of the operating system or of a Pillow plugin means for the user."""
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOENT, errno.ENOTDIR):
        return MissingFile(
            "There is no file of this name.", "Check the spelling (a pattern must match at least one file)."
        )
    if code in (errno.ENAMETOOLONG, errno.ELOOP):
        return MissingFile(f"No file can be reached by this name: {os.strerror(code)}.", "Check the path.")
    if code in (errno.EACCES, errno.EPERM):
        return PermissionDenied("The file may not be read.", "Change its permissions or leave it out.")
    if code == errno.ENOMEM or isinstance(error, MemoryError):
        return out_of_memory()
    if code is not None:
        return UnreadableImage(f"The file cannot be read: {os.strerror(code)}.", "Check its disk, or copy it again.")
    detail = " ".join(str(error).split()) or type(error).__name__
    return UnreadableImage(f"The picture is damaged or cut off ({detail}).", "Copy or download it again.")


class _Ceiling(int):
    """A value for ``Image.MAX_IMAGE_PIXELS`` that is an exact limit.

    Pillow warns above the value and refuses above twice the value; here both limits are the same number, so it never
    warns. Pillow's own check is kept since it also covers pictures inside of pictures (ICO, ICNS).
    """

    def __rmul__(self, other: int) -> int:
        return int(self)

    def __lt__(self, other: int) -> bool:
        return False


class _PillowLimit:
    """Sets Pillow's process-wide pixel limit while pictures are being decoded, and puts it back after the last.

    With several limits at a time the largest holds; ``_require_size`` applies each picture's own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[int] = []
        self._original: int | None = None

    @contextmanager
    def at(self, max_pixels: int) -> Iterator[None]:
        self._enter(max_pixels)
        try:
            yield
        finally:
            self._leave(max_pixels)

    def _enter(self, max_pixels: int) -> None:
        with self._lock:
            if not self._active:
                self._original = Image.MAX_IMAGE_PIXELS
            self._active.append(max_pixels)
            Image.MAX_IMAGE_PIXELS = _Ceiling(max(self._active))

    def _leave(self, max_pixels: int) -> None:
        with self._lock:
            self._active.remove(max_pixels)
            Image.MAX_IMAGE_PIXELS = _Ceiling(max(self._active)) if self._active else self._original


_limit = _PillowLimit()
