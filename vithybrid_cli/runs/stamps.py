"""Size and time of each picture, kept beside its result: a picture that was replaced under its name can be told.

They lie in ``FILE.files.jsonl``, one line for each result of ``FILE``, appended as the results are. A line also has the
CRC-32 of the result's own text, so that it says nothing about any other result.
"""

import json
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vithybrid_cli.items import ANOTHERS, Item, Stamp
from vithybrid_cli.output import TextWriter, Writer
from vithybrid_cli.results import ImageResult

SUFFIX = ".files.jsonl"
NOT_A_LINE = ValueError, TypeError, KeyError, OverflowError, RecursionError  # what reading such a line raises


class Stamped:
    """Takes the stamp of each item when it is about to be read, and gives it when its result is there.

    So it is never younger than what was read: a picture that is replaced meanwhile counts as changed later.
    """

    def __init__(self) -> None:
        self._pending: deque[Stamp] = deque()
        self._stopped = False

    def stop(self) -> None:
        """Nobody will ask for stamps: take none."""
        self._stopped = True

    def items(self, items: Iterable[Item]) -> Iterator[Item]:
        """The ``items`` as they are; a live list takes them in another thread."""
        for item in items:
            if not self._stopped:
                self._pending.append(item.stamp())
            yield item

    def next(self) -> Stamp:
        """The stamp of the next item; results come in their order."""
        return self._pending.popleft()


class StampLog:
    """Appends lines to the stamps beside ``output``; those of another run go first, unless they are to ``keep``."""

    def __init__(self, output: Path, *, keep: bool) -> None:
        """Raises OSError."""
        self._stream = stamp_file(output).open("ab" if keep else "wb", buffering=0)
        if keep and self._stream.tell():
            self._stream.write(b"\n")  # ends a line that was cut; an empty one says nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()

    def add(self, path: str, stamp: Stamp, text: str) -> None:
        """The result with this ``text`` is of a picture with this stamp."""
        if stamp == ANOTHERS:
            return
        self._stream.write(stamp_line(path, stamp, crc(text.encode())))


class StampedWriter(Writer[ImageResult]):
    """Writes results, and the stamp of each of them after it."""

    def __init__(self, writer: TextWriter[ImageResult], stamped: Stamped, log: StampLog) -> None:
        self._writer, self._stamped, self._log = writer, stamped, log

    def write(self, result: ImageResult) -> None:
        """Write and flush all that is known about one picture."""
        text = self._writer.text(result)
        self._writer.put(text)
        self._log.add(result.path, self._stamped.next(), text)

    def close(self) -> None:
        """Close the writer of the results; the stamps need no end."""
        self._writer.close()


def stamp_file(output: Path) -> Path:
    """Where the stamps lie."""
    return output.with_name(output.name + SUFFIX)


def crc(text: bytes) -> int:
    """What tells the text of one result from another's."""
    return zlib.crc32(text)


def stamp_line(path: str, stamp: Stamp, check: int) -> bytes:
    """One line of the stamps."""
    record = {"path": path, "size": stamp.size, "mtime_ns": stamp.mtime_ns, "crc32": check}
    return json.dumps(record).encode() + b"\n"


def read_stamps(file: Path) -> Iterator[tuple[str, Stamp, int]]:
    """Path, stamp and checksum of each whole line of what may be no file; what is no such line says nothing."""
    with suppress(FileNotFoundError), file.open("rb") as stream:
        for line in stream:
            with suppress(*NOT_A_LINE):
                record: Any = json.loads(line)
                yield str(record["path"]), stamp_in(record), int(record["crc32"]) & 0xFFFFFFFF


def stamp_in(record: Any) -> Stamp:
    """The stamp in a line. Raises one of `NOT_A_LINE` for what no run has written."""
    size, mtime_ns = int(record["size"]), int(record["mtime_ns"])
    if max(abs(size), abs(mtime_ns)) >= 1 << 63:
        raise ValueError("a number is too large")
    return Stamp(size, mtime_ns)
