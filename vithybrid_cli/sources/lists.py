"""A list of paths, in a file or on stdin, becomes a lazy stream of paths."""

import io
import logging
import os
import re
import selectors
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.content import BEGINNING, described
from vithybrid_cli.images.signatures import Kind, kind_of
from vithybrid_cli.sources.encodings import decoded

_log = logging.getLogger(__name__)

MAX_PATH_BYTES = 65536  # far above PATH_MAX of any system; what is longer is no list of paths
_CHUNK = 65536
_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")  # what neither a list nor an odd name has much of
_FEW, _MUCH = 2, 0.05  # control characters, and their share of all bytes, that a list may well begin with
_PER_LINE = "Give one path per line, or separate them by NUL bytes and set {null=True}."
_TABLES = (".csv", ".tsv", ".tab")
_COLUMNS = frozenset(  # what tables call the one of pictures
    f"{what}{of}"
    for what in ("path", "file", "filename", "filepath", "name", "image", "img", "picture", "photo")
    for of in ("", "s", "_path", " path", "_name", " name", "_file", " file", "_id", " id")
)
_NO_PATHS = ("JSON", "a table of results", "a PDF document", "an HTML page, as sites send in place of a picture")


def read_list(stream: BinaryIO, null: bool = False) -> Iterator[str]:
    """The paths of a list, one per line or separated by NUL bytes, each as soon as it has arrived.

    A list in UTF-16 is told by its mark, or by the NUL bytes within its letters (see
    `vithybrid_cli.sources.encodings`); else bytes become text by ``os.fsdecode``. Empty entries, a byte order mark,
    and in lines ``\\r``, are dropped; so are lines of nothing but white space. Raises UsageError for an entry of more
    than 64 KiB, and for what begins like no list at all: a picture, an archive, JSON.
    """
    for entry in _split(decoded(_checked(_chunks(stream), null), null), b"\0" if null else b"\n"):
        path = entry if null else entry.removesuffix(b"\r")
        if path if null else path.strip():
            yield os.fsdecode(path)


def require_list(file: Path, null: bool) -> None:
    """Raise UsageError for a regular file that is no list of paths, or OSError where it cannot be read."""
    with file.open("rb") as stream:
        beginning = stream.read(BEGINNING)
    _require_paths(beginning, null, str(file))
    if not null and b"\0" in b"".join(decoded(iter((beginning,)), null)):
        raise UsageError(f"{file} has NUL bytes between its paths.", "Set {null=True}.")
    first = next(read_list(io.BytesIO(beginning), null), "")
    if file.suffix.lower() in _TABLES and _is_header(first) and not os.path.lexists(first):
        raise UsageError(f"{file} is no list of paths, but a table with the header {first}.", _PER_LINE)
    beside = os.path.join(file.parent, first)  # noqa: PTH118 (Path raises on odd names)
    if os.path.isfile(beside) and not os.path.lexists(first):  # noqa: PTH113
        _log.warning("Paths in %s are looked for from the current folder on, but %s lies beside the list.", file, first)


def _is_header(line: str) -> bool:
    """Whether a line names the columns of a table, one of them of paths."""
    cells = [cell.strip(" \"'").lower() for cell in re.split("[,;\t]", line)]
    return len(cells) > 1 and not _COLUMNS.isdisjoint(cells) and all(re.fullmatch(r"[\w ()-]*", cell) for cell in cells)


def _checked(chunks: Iterator[bytes], null: bool) -> Iterator[bytes]:
    """The same chunks. Raises UsageError if the first does not begin like a list of paths."""
    first = next(chunks, b"")
    _require_paths(first[:BEGINNING], null, "This")
    return chain((first,), chunks)


def _require_paths(beginning: bytes, null: bool, name: str) -> None:
    """Raise UsageError for what cannot be the beginning of a list."""
    text = b"".join(decoded(iter((beginning,)), null))
    controls = len(_CONTROL.findall(text))
    content = described(beginning)
    if controls and kind_of(beginning) is not Kind.OTHER:
        raise UsageError(f"{name} is a picture, not a list of paths.", "Give a picture as an argument of its own.")
    if content is not None and (controls or content.what in _NO_PATHS):
        raise UsageError(f"{name} is no list of paths, but {content.what}.", _PER_LINE)
    if controls > max(_FEW, _MUCH * len(text)):
        raise UsageError(f"{name} is no list of paths: it has bytes that no text has.", _PER_LINE)


def _split(chunks: Iterator[bytes], separator: bytes) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *entries, rest = (rest + chunk).split(separator)
        yield from entries
        if len(rest) > MAX_PATH_BYTES:
            raise UsageError(f"This is no list of paths: an entry has more than {MAX_PATH_BYTES} bytes.", _PER_LINE)
    if rest:
        yield rest


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    # The raw file returns what is there without waiting for more. It also does without the lock of the buffered one: a
    # thread that still waits for stdin when the program ends would hold that lock, and the interpreter would abort.
    source: BinaryIO = getattr(stream, "raw", stream)
    while (chunk := _read(source)) != b"":
        if chunk is None:
            _wait(source)
        else:
            yield chunk


def _read(source: BinaryIO) -> bytes | None:
    """What has arrived; nothing at the end, and None if the file is non-blocking and nothing has arrived yet."""
    return source.read(_CHUNK)


def _wait(source: BinaryIO) -> None:
    """Wait until there is more to read, or the end."""
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        selector.select()
