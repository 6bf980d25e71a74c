"""What a file is that is no picture, by its beginning, and what to do with it.

Signatures are those of the formats' specifications; text is told by what it holds.
"""

import codecs
import os
import re
from dataclasses import dataclass

from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.images.signatures import HEAD, Kind, kind_of
from vithybrid_cli.images.suffixes import picture_suffixes, suffix_of

BEGINNING = 1024  # bytes that are looked at; tar has its signature at byte 257


@dataclass(frozen=True, slots=True)
class Content:
    """What a file is, as ``a ZIP archive``, and what to do to have its pictures labelled, as a sentence."""

    what: str
    remedy: str


_UNPACK = "Unpack it, and give the pictures."
_AS_ZIP, _AS_TAR = (
    f"Give it the suffix {suffix} to have its pictures read, or unpack it." for suffix in (".zip", ".tar")
)
_CONVERT = "Convert it to PNG or JPEG."
_FRAMES = "Give single frames of it, as ffmpeg writes them."
_PAGES = "Convert its pages to pictures, for example with pdftoppm."
_ANOTHER = "Give a picture."
_AGAIN = "Copy or download the picture again."
_FROM_ICLOUD = "Download the picture from there first."
_EXPORT = "Write its pictures into files, and give those."

_BINARY = tuple(
    (re.compile(signature, re.DOTALL), Content(what, remedy))
    for signature, what, remedy in (
        (rb"PK\x03\x04|PK\x05\x06", "a ZIP archive", _AS_ZIP),
        (rb"\x1f\x8b|BZh[1-9]1AY|\xfd7zXZ\0|\x28\xb5\x2f\xfd", "a compressed file", _UNPACK),
        (rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07", "an archive", _UNPACK),
        (rb".{257}ustar", "a tar archive", _AS_TAR),
        (rb"%PDF-", "a PDF document", _PAGES),
        (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript, which is a program and never run", _CONVERT),
        (rb"AT&TFORM", "a DjVu document", _PAGES),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document or a Thumbs.db of Windows", _ANOTHER),
        (rb"\xd7\xcd\xc6\x9a|\x01\0\x09\0\0\x03|\x01\0\0\0.{36} EMF", "a Windows metafile, a drawing", _CONVERT),
        (
            rb"bplist0",
            "a property list, as iCloud leaves in place of a file that is not on this computer",
            _FROM_ICLOUD,
        ),
        (rb"\0\x05\x16[\x00\x07]", "what macOS keeps beside a file on other disks", _ANOTHER),
        (rb"L\0\0\0\x01\x14\x02\0", "a shortcut of Windows", "Give the file that it leads to."),
        (rb"GRIB|BUFR", "a file of weather data", _ANOTHER),
        (rb"PAR1", "a Parquet table", _EXPORT),
        (rb"ARROW1", "an Arrow table", _EXPORT),
        (rb"\x89HDF\r\n", "an HDF5 file", _EXPORT),
        (rb"SQLite format 3\0", "a database", _EXPORT),
        (rb"\x93NUMPY", "a NumPy array", _EXPORT),
        (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture", _CONVERT),
        (rb"II\xbc", "a JPEG XR picture", _CONVERT),
        (rb"\x76\x2f\x31\x01", "an OpenEXR picture", _CONVERT),
        (rb"#\?RADIANCE|#\?RGBE", "a Radiance picture", _CONVERT),
        (rb"8BPS\0\x02", "a large Photoshop document", _CONVERT),
        (rb"gimp xcf", "a GIMP document", _CONVERT),
        (rb".{128}DICM", "a DICOM picture", _CONVERT),
        (rb"ID3|fLaC|OggS|#!AMR|RIFF.{4}WAVE|.{4}ftypM4[AB]", "a sound file", _ANOTHER),
        (rb".{4}(?:ftyp(?!crx |avi[fs]|hei|hev|m[is]f1|miaf|j[p2])|moov|mdat|wide|free)", "a video", _FRAMES),
        (rb"\x1a\x45\xdf\xa3|RIFF.{4}AVI |\0\0\x01[\xb3\xba]|FLV\x01|\x30\x26\xb2\x75", "a video", _FRAMES),
        (rb"\x7fELF|MZ.{58}", "a program", _ANOTHER),
        (rb"\x80[\x02-\x05]", "a pickle of Python", _ANOTHER),
        (rb".{6}\0\0\{\"|GGUF", "a file of weights", _ANOTHER),
        (rb"\0{64}", "a file of zeros, as an unfinished copy or a failing disk leaves it", _AGAIN),
    )
)

_TEXTS = tuple(
    (re.compile(signature, re.IGNORECASE | re.DOTALL), Content(what, remedy))
    for signature, what, remedy in (
        (
            r"version https://(?:git-lfs|hawser)\.",
            "a Git-LFS pointer in place of the file itself",
            "Fetch the file with `git lfs pull`.",
        ),
        (
            r"(?:[./]*\.git)?/annex/objects/[A-Z0-9_]+-",
            "a git-annex pointer in place of the file itself",
            "Fetch the file with `git annex get`.",
        ),
        (
            r"\s*(?:<!doctype html|<html)",
            "an HTML page, as sites send in place of a picture",
            "Download the picture again.",
        ),
        (r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?(?:<!doctype svg[^>]*>\s*)?<svg", "an SVG drawing", _CONVERT),
        (r"\s*<(?:\?xml|\?xpacket|x:xmpmeta|!doctype plist)", "an XML file", _ANOTHER),
        (r"%PDF-", "a PDF document", _PAGES),
        (r"%!PS", "PostScript, which is a program and never run", _CONVERT),
        (r"#\?RADIANCE|#\?RGBE", "a Radiance picture", _CONVERT),
        (r"AT&TFORM", "a DjVu document", _PAGES),
        (r"path[,\t]rank[,\t]", "a table of results", _ANOTHER),
        (r"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\]])", "JSON", _ANOTHER),
    )
)
_TEXT = Content("a text file", _ANOTHER)
_PATHS = Content("a list of paths", "Give it to {files_from}.")
# Of bytes below 32, what text has: tab, newlines, form feed, escape.
_CONTROL = re.compile(rb"[\0-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def described(beginning: bytes) -> Content | None:
    """What a file is that begins like this (`BEGINNING` bytes) and is no picture; None where that is not known."""
    if kind_of(beginning[:HEAD]) is not Kind.OTHER:
        return None
    text = as_text(beginning)
    if text is None:
        return next((content for signature, content in _BINARY if signature.match(beginning)), None)
    return next((content for pattern, content in _TEXTS if pattern.match(text)), None) or _plain(text)


def as_text(beginning: bytes) -> str | None:
    """The beginning of a file as text, if it is UTF-8, or UTF-16 with its mark, without control characters."""
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"\0" in beginning:
        return codecs.getincrementaldecoder("utf-16")("replace").decode(beginning)
    if _CONTROL.search(beginning):
        return None
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(beginning)
    except UnicodeDecodeError:
        return None


def no_picture(beginning: bytes) -> UnreadableImage:
    """What to say of a file that begins like this and is no picture that is read."""
    content = described(beginning)
    if content is None:
        return unknown()
    return UnreadableImage(f"This is no picture in a supported format, but {content.what}.", content.remedy)


def unknown() -> UnreadableImage:
    """What to say of a file of which nothing is known."""
    return UnreadableImage(
        "This is no picture in a supported format, or its beginning is damaged.", "Check whether others can open it."
    )


def _plain(text: str) -> Content:
    """What text is that has no signature: a list of paths by its first line, or any other."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    is_path = suffix_of(line) in picture_suffixes() or os.path.isfile(line)  # noqa: PTH113 (Path raises on odd names)
    return _PATHS if line and is_path else _TEXT
