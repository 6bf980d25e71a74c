"""What a sort is about to do, written down before it is done, so that it can be finished and put back.

A journal is a file of JSON lines in the folder into which is sorted. Its first line says what is sorted and how. Then,
before anything is done, ``step`` with its number says what will be: from where, to where (below the folder), which
action, and the source's size and time; afterwards ``done`` says what is there now, or ``void`` that it came to nothing.
``folder`` is one that was made, ``taken`` a step that took its name before its content was there (``taken_back`` when
it is undone), and ``end`` that all was tried. A line that was cut off when its writer was killed says nothing: what it
would have told was not begun. It is the last one, or ``again`` follows, with which whoever goes on begins. Any other
line that cannot be read is damage.
"""

# ruff: noqa: PTH117

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from vithybrid_cli.actions.place import Mark
from vithybrid_cli.errors import UsageError

VERSION = 1
LOCK = ".vithybrid-sort.lock"
_NAME = re.compile(r"\.vithybrid-sort-(\d+)\.jsonl")
_NOT_A_LINE = ValueError, TypeError, KeyError, OverflowError, RecursionError


class Way(StrEnum):
    """How a picture gets to its folder."""

    COPY = "copy"
    MOVE = "move"
    HARDLINK = "hardlink"
    SYMLINK = "symlink"


@dataclass(frozen=True, slots=True)
class Step:
    """One file goes, or went, from ``source`` to ``target``, a path below the folder with slashes.

    ``source`` is an absolute path, or the name of a member or an address if not ``local``; ``mark`` is its mark then.
    """

    number: int
    source: str
    target: str
    way: Way
    mark: Mark
    local: bool = True

    def record(self) -> dict[str, Any]:
        """As it is written."""
        size, mtime_ns = self.mark.size, self.mark.mtime_ns
        told = {"step": self.number, "from": self.source, "to": self.target, "action": self.way}
        return {**told, "size": size, "mtime_ns": mtime_ns, "local": self.local}


@dataclass(frozen=True, slots=True)
class Head:
    """What a sort was asked for, which another one has to be asked for as well to go on with it.

    ``made`` are the folders, down to the one into which is sorted, that did not exist; ``token`` is in the names of
    what is unfinished.
    """

    token: str
    asked: dict[str, Any]
    made: tuple[str, ...] = ()


@dataclass(slots=True)
class Past:
    """What a journal tells: the steps by their numbers, and what became of them."""

    file: Path
    head: Head
    steps: dict[int, Step] = field(default_factory=dict)
    done: dict[int, Mark] = field(default_factory=dict)
    void: set[int] = field(default_factory=set)
    taken: set[int] = field(default_factory=set)
    taken_back: set[int] = field(default_factory=set)
    folders: list[str] = field(default_factory=list)
    ended: bool = False

    def pending(self) -> Iterator[Step]:
        """Those of which nothing tells what became of them."""
        for number, step in self.steps.items():
            if number not in self.done and number not in self.void:
                yield step

    @property
    def next_number(self) -> int:
        """The lowest that no step has had."""
        return max(self.steps, default=0) + 1


class Journal:
    """Writes a journal, a new one or one to go on with. Raises OSError."""

    def __init__(self, file: Path, head: Head, past: Past | None = None) -> None:
        self.file, self.head = file, head
        self._stream: BinaryIO = file.open("xb" if past is None else "ab", buffering=0)
        if past is None:
            self.write({"vithybrid_sort": VERSION, "token": head.token, "asked": head.asked, "made": head.made})
            self.sync()
        else:
            self._stream.write(b"\n")  # ends a line that was cut
            self.write({"again": True})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()

    def write(self, *records: dict[str, Any]) -> None:
        """Add lines."""
        text = memoryview("".join(json.dumps(record) + "\n" for record in records).encode())
        while text:
            text = text[self._stream.write(text) :]

    def done(self, number: int, mark: Mark) -> None:
        """A step has been taken, and its target has this mark now."""
        told = {"done": number, "size": mark.size, "mtime_ns": mark.mtime_ns}
        self.write(told if mark.digest is None else {**told, "blake2b": mark.digest})

    def sync(self) -> None:
        """Wait until all that was written has reached the disk."""
        os.fsync(self._stream.fileno())


def journals_in(folder: Path) -> list[Path]:
    """The journals of all sorts into a folder, oldest first."""
    found = {int(name[1]): file for file in folder.iterdir() if (name := _NAME.fullmatch(file.name))}
    return [found[number] for number in sorted(found)]


def is_name_of_journal(name: str) -> bool:
    """Whether a file is called as journals are."""
    return _NAME.fullmatch(name) is not None


def next_journal(folder: Path) -> Path:
    """The name of a new one."""
    last = next(reversed(journals_in(folder)), None)
    found = None if last is None else _NAME.fullmatch(last.name)
    return folder / f".vithybrid-sort-{int(found[1]) + 1 if found else 1}.jsonl"


def read_journal(file: Path) -> Past:
    """All that a journal tells. Raises UsageError for what is none, is damaged, or cannot be read."""
    other = "Give the journal that `vithybrid sort` named at its end."
    try:
        with file.open("rb") as stream:
            past = Past(file, _head(json.loads(stream.readline())))
            _read_lines(past, stream)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}.", other) from error
    except _NOT_A_LINE as error:
        raise UsageError(f"{file} is no journal of a sort.", other) from error
    return past


def _read_lines(past: Past, stream: BinaryIO) -> None:
    """All lines after the first. Raises UsageError for one that is damaged, and OSError."""
    cut, whole = None, False  # the number of a line that its writer may have been killed in, and whether it has an end
    for number, line in enumerate(stream, start=2):
        if not line.strip():
            continue
        try:
            record: Any = json.loads(line)
            if cut is not None and "again" not in record:
                raise _damaged(past.file, cut)
            _learn(past, record)
            cut = None
        except json.JSONDecodeError as error:
            if cut is not None:
                raise _damaged(past.file, cut) from error
            cut, whole = number, line.endswith(b"\n")
        except _NOT_A_LINE as error:
            raise _damaged(past.file, number) from error
    if cut is not None and whole:
        raise _damaged(past.file, cut)


def _damaged(file: Path, number: int) -> UsageError:
    return UsageError(
        f"{file} is damaged in line {number:,}.", "Bring back the file as `vithybrid sort` wrote it; nothing was done."
    )


def _head(record: Any) -> Head:
    if record["vithybrid_sort"] != VERSION or not isinstance(record["asked"], dict):
        raise ValueError("of another version")
    token = record["token"]
    if not re.fullmatch(r"[0-9a-f]{8,}", token):
        raise ValueError("no token")
    return Head(token, record["asked"], tuple(map(str, record["made"])))


def _learn(past: Past, record: Any) -> None:
    if "step" in record:
        step = _step(record)
        past.steps[step.number] = step
    elif "done" in record:
        past.done[int(record["done"])] = _mark(record)
    elif "void" in record:
        past.void.add(int(record["void"]))
    elif "taken" in record:
        past.taken.add(int(record["taken"]))
    elif "taken_back" in record:
        past.taken_back.add(int(record["taken_back"]))
    elif "folder" in record:
        past.folders.append(_below(record["folder"]))
    elif not ("again" in record or "end" in record):
        raise ValueError("no line of a journal")
    past.ended = "end" in record


def _step(record: Any) -> Step:
    source = record["from"]
    if not isinstance(source, str) or (record["local"] and not os.path.isabs(source)):
        raise ValueError("a source is an absolute path")
    target = _below(record["to"])
    return Step(int(record["step"]), source, target, Way(record["action"]), _mark(record), bool(record["local"]))


def _mark(record: Any) -> Mark:
    digest = record.get("blake2b")
    return Mark(int(record["size"]), int(record["mtime_ns"]), None if digest is None else str(digest))


def _below(target: Any) -> str:
    """A path below the folder. Raises ValueError for one that leads out of it."""
    parts = target.split("/")
    if not all(parts) or ".." in parts or os.path.isabs(target):
        raise ValueError("a target is below the folder")
    return str(target)
