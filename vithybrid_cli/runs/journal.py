"""What an update has computed so far, kept beside the file until the file has it: however an update ends, it is there.

``FILE.update.jsonl`` has a line for the settings that the results were made with, and then one for each result, with
the text that is to stand in ``FILE``.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from vithybrid_cli.items import Stamp
from vithybrid_cli.output.destination import DISK_ERRORS, unwritable
from vithybrid_cli.runs.record import EarlierRun
from vithybrid_cli.runs.stamps import NOT_A_LINE, stamp_in

SUFFIX = ".update.jsonl"


class JournalEntry(NamedTuple):
    """One result: of which picture it is, the type of its error if any, and the line's first byte in the journal."""

    path: str
    stamp: Stamp
    error: str | None
    begin: int


class Journal:
    """The journal beside ``output``, to which results are added; it is made with the first one.

    What is there stays if it has the settings of the ``earlier`` run.
    """

    def __init__(self, output: Path, earlier: EarlierRun) -> None:
        self._file, self._head = journal_file(output), _head(earlier)
        self._stream: FileIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def add(self, path: str, stamp: Stamp, text: str, error: str | None) -> JournalEntry:
        """Keep one result. Raises UsageError if the journal may not be opened, and OSError if there is no room."""
        if self._stream is None:
            self._stream = self._opened()
        begin = self._stream.tell()
        record = {"path": path, "size": stamp.size, "mtime_ns": stamp.mtime_ns, "error": error, "text": text}
        self._stream.write(json.dumps(record).encode() + b"\n")
        return JournalEntry(path, stamp, error, begin)

    def _opened(self) -> FileIO:
        try:
            stream = self._file.open("ab", buffering=0)
            with self._file.open("rb") as written:
                known = written.readline() == self._head
            if known:
                stream.write(b"\n")  # ends a line that was cut; an empty one says nothing
            else:
                stream.truncate(0)
                stream.write(self._head)
        except OSError as error:
            if error.errno in DISK_ERRORS:
                raise
            raise unwritable(self._file, error) from error
        return stream


def journal_file(output: Path) -> Path:
    """Where the journal lies."""
    return output.with_name(output.name + SUFFIX)


def read_journal(output: Path, earlier: EarlierRun) -> Iterator[JournalEntry]:
    """All whole results that an update left, if it had the settings of the ``earlier`` run. Raises OSError."""
    with suppress(FileNotFoundError), journal_file(output).open("rb") as stream:
        begin = len(head := stream.readline())
        if head != _head(earlier):
            return
        for line in stream:
            with suppress(*NOT_A_LINE):
                record: Any = json.loads(line)
                if isinstance(record["text"], str):
                    error = None if record["error"] is None else str(record["error"])
                    yield JournalEntry(str(record["path"]), stamp_in(record), error, begin)
            begin += len(line)


def journal_text(stream: BinaryIO, begin: int) -> str:
    """The text of the result whose line begins there."""
    stream.seek(begin)
    return str(json.loads(stream.readline())["text"])


def _head(earlier: EarlierRun) -> bytes:
    return json.dumps({"settings": hashlib.sha256(earlier.decisions.encode()).hexdigest()}).encode() + b"\n"
