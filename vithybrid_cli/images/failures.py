"""What the exceptions of the operating system and of Pillow mean for who has the picture, in words."""

import errno
import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from vithybrid_cli.errors import ImageError, ImageTooLarge, MissingFile, PermissionDenied, UnreadableImage
from vithybrid_cli.images.content import unknown
from vithybrid_cli.images.signatures import HEAD, Kind, kind_of

# What Pillow's plugins were seen to raise on damaged data. `python -W error` raises a Warning.
DAMAGE = (
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

# Pillow's words for a file whose data end before its picture does, in formats that it can read in part.
_CUT_OFF = "image file is truncated"

_PIXELS = re.compile(r"\((\d+) pixels\)")  # in the text of a DecompressionBombError
_ENDS_EARLY = re.compile(
    r"trunca|not enough|unexpected end|too short|ran out|incomplete|buffer of \d+ bytes|not enough values",
    re.IGNORECASE,
)
_NONSENSE = re.compile(r"data stream|decoder error")  # Pillow's words for what its decoders in C have found
_OTHER_VARIANT = re.compile(
    r"unsupported|not supported|unknown|cannot handle|unrecognized|not implemented|cannot load this|cannot find loader"
    r"|could not identify",
    re.IGNORECASE,
)
# A few words, as Pillow's authors wrote them for people; and not the text of a Python object or its class.
_WORDS = re.compile(r"[A-Za-z][\w-]*( [\w-]+[,:]?)+( ?\([\w ]+\))?")
_PYTHON = re.compile(
    r"cannot load this|object|None|\bint\b|\bbytes\b|\bstr\b|\btuple\b|argument|attribute|__|[a-z][A-Z]|index"
)


class CutOff(Exception):
    """The data of a picture end before the picture does: no error yet, since it may be read in part."""


@contextmanager
def blaming_the_file(max_pixels: int, size: str, *, partly: bool = False) -> Iterator[None]:
    """Whatever is raised here becomes an ImageError: it is for calls of Pillow, and not for our own arithmetic.

    ``size`` is how much there is to decode, for those who have too little memory.
    With ``partly`` a picture that is cut off at its end is a `CutOff` instead.
    """
    try:
        yield
    except (ImageError, CutOff):
        raise
    except Image.DecompressionBombError as error:
        found = _PIXELS.search(str(error))
        size = f"{found[1]} pixels, more than {max_pixels}" if found else f"more than {max_pixels} pixels"
        raise too_large(f"The picture has {size}.", max_pixels) from error
    except DAMAGE as error:
        if partly and is_cut_off(error):
            raise CutOff from error
        raise (out_of_memory(size) if _is_too_little_memory(error) else explained(error)) from error


@contextmanager
def naming_the_size(size: str) -> Iterator[None]:
    """Too little memory here becomes an ImageTooLarge that says how much there is to decode."""
    try:
        yield
    except MemoryError as error:
        raise out_of_memory(size) from error


def _is_too_little_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def is_cut_off(error: BaseException) -> bool:
    """Whether this says that a picture is cut off at its end, in a format that can be read in part."""
    return isinstance(error, OSError) and str(error).startswith(_CUT_OFF)


def too_large(cause: str, max_pixels: int) -> ImageTooLarge:
    """The error for a picture of more than ``max_pixels``."""
    return ImageTooLarge(cause, f"If you trust the file, set {{max_pixels}} above {max_pixels}.")


def out_of_memory(size: str) -> ImageTooLarge:
    """What to say of a picture of this ``size`` (``300 × 200 pixels``) for which there is not enough memory."""
    return ImageTooLarge(
        f"There is not enough memory to decode it ({size}).", "Make it smaller, or use fewer {workers}."
    )


def nothing_left() -> UnreadableImage:
    """What to say of a picture that is cut off before its pixels, or in a format that is not decoded in part."""
    return UnreadableImage("The picture is cut off before anything can be seen.", "Copy or download it again.")


def wrong_checksum() -> UnreadableImage:
    """What to say of a picture that can be decoded, but whose file is not what was written."""
    return UnreadableImage("The picture is damaged (a checksum is wrong).", "Copy or download it again.")


def unidentified(stream: BinaryIO) -> UnreadableImage:
    """What to say of a file that Pillow does not take for a picture: one that begins like a picture is damaged."""
    stream.seek(0)
    beginning = stream.read(HEAD)
    if kind_of(beginning) is not Kind.PICTURE:
        return unknown()
    stream.seek(0)
    return _another_variant("") if _is_another_variant(stream, beginning) else _cut_off("")


def _is_another_variant(stream: BinaryIO, beginning: bytes) -> bool:
    """Whether the reader of the format knows that it cannot read this; of much else that it misses, it is not there."""
    readers = ((factory, accept(beginning)) for factory, accept in Image.OPEN.values() if accept is not None)
    for factory, accepted in readers:
        if isinstance(accepted, str):  # the format's library is not there
            return True
        try:
            if accepted:
                factory(stream, "")
        except DAMAGE as error:
            return "pixel mode" in str(error) or isinstance(error.__cause__, KeyError)
    return False


def explained(error: BaseException) -> ImageError:
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
    if code is not None:
        return UnreadableImage(f"The file cannot be read: {os.strerror(code)}.", "Check its disk, or copy it again.")
    return _damaged(error)


def _damaged(error: BaseException) -> UnreadableImage:
    if isinstance(error, UnidentifiedImageError):
        return unknown()
    text = " ".join(str(error).split())
    if is_cut_off(error):
        return UnreadableImage(
            "The picture is damaged or cut off (its file ends too early).",
            "Copy or download it again, or set {allow_truncated=True} to read what is there.",
        )
    if isinstance(error, EOFError | struct.error) or _ENDS_EARLY.search(text):
        return UnreadableImage(
            "The picture is damaged or cut off (its file ends too early).", "Copy or download it again."
        )
    if _NONSENSE.search(text):
        return _cut_off("")
    if _OTHER_VARIANT.search(text) or isinstance(error, NotImplementedError):
        return _another_variant(_detail(text))
    return _cut_off(_detail(text))


def _another_variant(detail: str) -> UnreadableImage:
    return UnreadableImage(f"This variant of its format is not read{detail}.", "Save it again with another program.")


def _cut_off(detail: str) -> UnreadableImage:
    return UnreadableImage(f"The picture is damaged or cut off{detail}.", "Copy or download it again.")


def _detail(text: str) -> str:
    """What an exception says, in brackets, if it is said in words; nothing for what only its programmer understands."""
    told = _WORDS.fullmatch(text) and not _PYTHON.search(text)
    return f" ({text})" if told else ""
