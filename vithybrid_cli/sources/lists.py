"""A list of paths, in a file or on stdin, becomes a lazy stream of paths."""

import os
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
    # The raw file gives what is there without waiting for more, and without the lock of the buffered one: a thread
    # that still waits for standard input when the program ends would hold that lock, and the interpreter would abort.
    source: BinaryIO = getattr(stream, "raw", stream)
    rest = b""
    while chunk := source.read(_CHUNK):
        *entries, rest = (rest + chunk).split(separator)
        yield from entries
        if len(rest) > MAX_PATH_BYTES:
            raise UsageError(f"this is no list of paths: an entry has more than {MAX_PATH_BYTES} bytes; see --null")
    if rest:
        yield rest
