"""What a file of a checkpoint is, where it is not what its name says: told by its bytes. Imports nothing heavy."""

import json
import math
import re
import struct
from pathlib import Path

from vithybrid_cli.errors import ModelError

_START = 1024  # bytes that are looked at
_LFS = re.compile(rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/\S+")
_LFS_SIZE = re.compile(rb"^size (\d+)", re.MULTILINE)
_PAGE = re.compile(rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_XML = re.compile(rb"\s*<\?xml\b", re.IGNORECASE)
_TAR_AT = 257  # where a tar archive has its mark

# How files begin that other frameworks and programs write.
_KINDS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and TensorFlow write them"),
    (b"GGUF", "a GGUF file, as llama.cpp reads them"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an XZ archive"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"%PDF", "a PDF document"),
)
_PICKLED = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_ZIPPED = b"PK\x03\x04"
_LONGEST_NAME = 300  # bytes before which the name of an archive's first member ends, unless it is very long
_HEADER_LENGTH = struct.Struct("<Q")
_MAX_HEADER = 100_000_000  # bytes; safetensors reads no longer one

_AGAIN = "Fetch the checkpoint again."


def foreign(file: Path, *, pickled: bool = False) -> ModelError | None:
    """The error that says what ``file`` is instead of what its name says; None where its first bytes do not tell.

    ``pickled`` is for files whose names say that they are pickles.
    """
    try:
        size = file.stat().st_size
    except OSError:
        return None
    if not size:
        return ModelError(f"{file} cannot be read (it is empty).", _AGAIN)
    start = _start(file)
    if pickled and start.startswith((_ZIPPED, *_PICKLED)):
        return None
    return placeholder(file) or _other_format(file, start) or _cut(file, size)


def placeholder(file: Path) -> ModelError | None:
    """The error for what stands in the place of a file that never came; None for everything else."""
    start = _start(file)
    if _LFS.match(start):
        size = _LFS_SIZE.search(start)
        stands = f", which stands for {int(size[1]):,} bytes," if size else ""
        return ModelError(
            f"{file} is a Git-LFS pointer{stands} and not the file itself.",
            "Run `git lfs install` and `git lfs pull` in its folder, or name the model by its hub id.",
        )
    if _PAGE.match(start):
        return ModelError(
            f"{file} is a web page, as a browser saves an error or a login.",
            "Fetch the file itself (on the hub its address has /resolve/ in the place of /blob/), or name the hub id.",
        )
    if _XML.match(start) and file.suffix != ".xml":
        return ModelError(f"{file} is an XML document, as servers send for an error.", _AGAIN)
    return None


def _start(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_START)
    except OSError:
        return b""


def _other_format(file: Path, start: bytes) -> ModelError | None:
    if file.suffix == ".json":
        return None
    if start.startswith(_ZIPPED) and b"/data.pkl" in start[:_LONGEST_NAME]:
        return ModelError(f"{file} is a pickle of torch.save, which can run any code when it is loaded.", _RENAME)
    if start.startswith(_PICKLED):
        return ModelError(f"{file} is a pickle, which can run any code when it is loaded.", _RENAME)
    if start.startswith(_ZIPPED) and file.suffix != ".npz":
        return ModelError(f"{file} is a zip archive.", "Unpack it and name the folder that comes out.")
    kind = next((kind for mark, kind in _KINDS if start.startswith(mark)), None)
    if kind is None and start[_TAR_AT : _TAR_AT + 5] == b"ustar":
        kind = "a tar archive"
    if kind is not None:
        return ModelError(f"{file} is {kind}.", "Name a .safetensors or .npz file, or the folder of a checkpoint.")
    if start.lstrip()[:1] in (b"{", b"[") and _is_text(start):
        return ModelError(f"{file} is a text (JSON), as servers send for an error.", _AGAIN)
    return None


_RENAME = "Give it back the suffix .bin or .pth; if you trust it, `vithybrid convert SRC DST {$trust_pickle}` reads it."


def _is_text(start: bytes) -> bool:
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(start) - 4  # a character that the end of what was read cuts in two
    return b"\0" not in start


def _cut(file: Path, size: int) -> ModelError | None:
    """For safetensors of another length than their header tells."""
    if file.suffix != ".safetensors":
        return None
    whole = _whole_size(file)
    if whole is None or whole == size:
        return None
    if size < whole:
        return ModelError(
            f"{file} cannot be read (it is cut off: {whole - size:,} of its {whole:,} bytes lack).", _AGAIN
        )
    return ModelError(f"{file} cannot be read (it has {size - whole:,} bytes more than its header tells).", _AGAIN)


def _whole_size(file: Path) -> int | None:
    """How many bytes a safetensors file has by its header; None where that cannot be read.

    https://huggingface.co/docs/safetensors: eight bytes of length, a JSON object, and the numbers.
    """
    try:
        with file.open("rb") as stream:
            prefix = stream.read(_HEADER_LENGTH.size)
            length = _HEADER_LENGTH.unpack(prefix)[0]
            if length > _MAX_HEADER:
                return None
            text = stream.read(length)
        if len(text) < length:  # how long the numbers are is not known
            return int(_HEADER_LENGTH.size + length) if text[:1] == b"{" else None
        header = json.loads(text)
        ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, RecursionError):
        return None
    end = max(ends, default=0)
    return int(_HEADER_LENGTH.size + length + end) if math.isfinite(end) and end >= 0 else None
