"""A list of paths, in a file or on stdin, becomes a lazy stream of paths."""

import os
import selectors
from collections.abc import Iterator
from typing import BinaryIO

from vithybrid_cli.errors import UsageError

MAX_PATH_BYTES = 65536  # far above PATH_MAX of any system; what is longer is no list of paths
_CHUNK = 65536


def read_list(stream: BinaryIO, null: bool = False) -> Iterator[str]:
    """The paths of a list, one per line or separated by NUL bytes, each as soon as it has arrived.

    Bytes become text by ``os.fsdecode``; empty entries, and in lines a byte order mark and ``\\r``, are dropped.
    Raises UsageError for an entry of more than 64 KiB.
    """
    entries = _split(stream, b"\0" if null else b"\n")
    if null:
        yield from (os.fsdecode(entry) for entry in entries if entry)
        return
    for number, entry in enumerate(entries):
        line = (entry.removeprefix(b"\xef\xbb\xbf") if number == 0 else entry).removesuffix(b"\r")
        if line:
            yield os.fsdecode(line)


def _split(stream: BinaryIO, separator: bytes) -> Iterator[bytes]:
    rest = b""
    for chunk in _chunks(stream):
        *entries, rest = (rest + chunk).split(separator)
        yield from entries
        if len(rest) > MAX_PATH_BYTES:
            raise UsageError(
                f"This is no list of paths: an entry has more than {MAX_PATH_BYTES} bytes.",
                "Give one path per line, or separate them by NUL bytes and set {null=True}.",
            )
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
