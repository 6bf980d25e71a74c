"""What a file of results, and an update of it that was broken off, know of each picture.

Memory: about 240 bytes for each picture whose path has 40 letters. The results stay in their files.
"""

from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Self

from vithybrid_cli.errors import NonFiniteLogits, UnreadableMember
from vithybrid_cli.items import Stamp
from vithybrid_cli.output.read_back import WrittenResult, is_closed, path_in, read_back
from vithybrid_cli.runs.journal import JournalEntry, journal_file, journal_text, read_journal
from vithybrid_cli.runs.record import EarlierRun
from vithybrid_cli.runs.stamps import crc, read_stamps, stamp_file

_AGAIN = "\0"  # ends what stands for a record of another picture under a name that was there before
_NONE = -1  # where a picture without a result begins
_IN_JOURNAL = -1  # where a result ends that is in the journal
_NOT_KEPT = Stamp(-2, -2)
_FAILED, _LASTING = 1, 2  # an error that may have passed, and one that the same file always gives


class State(Enum):
    """How what is known of a picture stands to what is there now."""

    NEW = "new"
    CHANGED = "changed"
    FAILED = "failed"  # when it was tried last; it may not if it is tried again
    KNOWN = "known"


class Known:
    """Pictures by number: those of the file ``output``, in whatever order, and others as they come."""

    def __init__(self, output: Path, earlier: EarlierRun) -> None:
        self.output, self.earlier = output, earlier
        self.in_file = array("q")  # numbers in the order of the file
        self.as_written = True  # if the pictures and their order are the same, the files would be
        self.unstamped = 0  # results that are kept, of pictures that may have been replaced without being noticed
        self._paths: list[str] = []
        self._numbers: dict[str, int] = {}
        self._begin, self._end, self._size, self._mtime_ns = (array("q") for _ in range(4))
        self._failed = bytearray()

    @classmethod
    def read(cls, output: Path, earlier: EarlierRun) -> Self:
        """All that is known. Raises DamagedOutput and OSError."""
        known = cls(output, earlier)
        known._read_results(known._read_stamps())
        for entry in read_journal(output, earlier):
            known.add(entry)
        return known

    def __len__(self) -> int:
        return len(self._paths)

    def number(self, path: str, *, again: bool = False) -> int:
        """The number of this path; the next one if it has none.

        ``again``: it is that of a second member of the name, which is a record of its own.
        """
        number = self._numbers.setdefault(path + _AGAIN if again else path, len(self._paths))
        if number == len(self._paths):
            self._paths.append(path)
            for column, value in zip(self._columns, (_NONE, _NONE, *_NOT_KEPT), strict=True):
                column.append(value)
            self._failed.append(False)
        return number

    def path(self, number: int) -> str:
        """The path of this number."""
        return self._paths[number]

    def stamp(self, number: int) -> Stamp | None:
        """What was there when the result was made, if that is known."""
        stamp = Stamp(self._size[number], self._mtime_ns[number])
        return None if stamp == _NOT_KEPT else stamp

    def has_result(self, number: int) -> bool:
        """Whether there is a result, be it an error."""
        return self._begin[number] != _NONE

    def has_labels(self) -> bool:
        """Whether there is a result that is no error."""
        return any(self.has_result(number) and not self.failed(number) for number in range(len(self)))

    def failed(self, number: int) -> bool:
        """Whether the result is an error."""
        return bool(self._failed[number])

    def state(self, number: int, stamp: Stamp) -> State:
        """What is to be done for a picture that has this ``stamp`` now."""
        if not self.has_result(number):
            return State.NEW
        if self.failed(number) and not (self._failed[number] == _LASTING and self.stamp(number) == stamp):
            return State.FAILED
        return State.KNOWN if self.stamp(number) in (stamp, None) else State.CHANGED

    def keep(self, number: int, stamp: Stamp) -> None:
        """The result stays. If nothing tells what it was made of, that is what is there now."""
        if self.stamp(number) is None:
            self.unstamped += 1
            self.confirm(number, stamp)

    def confirm(self, number: int, stamp: Stamp) -> None:
        """The result is also that of what is there now."""
        if self.stamp(number) != stamp:
            self._size[number], self._mtime_ns[number] = stamp
            self.as_written = False

    def add(self, entry: JournalEntry) -> None:
        """A result in the journal takes the place of what was known."""
        number = self.number(entry.path.removesuffix(_AGAIN), again=entry.path.endswith(_AGAIN))
        self._size[number], self._mtime_ns[number] = entry.stamp
        self._begin[number], self._end[number] = entry.begin, _IN_JOURNAL
        self._failed[number] = _failure(entry.error)
        self.as_written = False

    @contextmanager
    def texts(self) -> Iterator[Callable[[int], str]]:
        """What gives the text of the result of a number, from the file or the journal. Raises OSError."""
        with ExitStack() as stack:
            file = stack.enter_context(self.output.open("rb"))
            journal: list[BinaryIO] = []

            def text(number: int) -> str:
                begin, end = self._begin[number], self._end[number]
                if end != _IN_JOURNAL:
                    return _between(file, begin, end).decode()
                if not journal:
                    journal.append(stack.enter_context(journal_file(self.output).open("rb")))
                return journal_text(journal[0], begin)

            yield text

    def key(self, number: int) -> str:
        """What the journal calls this number."""
        path = self.path(number)
        return path if self._numbers[path] == number else path + _AGAIN

    @property
    def _columns(self) -> tuple["array[int]", ...]:
        return self._begin, self._end, self._size, self._mtime_ns

    def _read_stamps(self) -> "array[int]":
        """The checksum of the result of each number that has a stamp; of several stamps the last one counts."""
        checks = array("q")
        for path, stamp, check in read_stamps(stamp_file(self.output)):
            number = self.number(path)
            self._size[number], self._mtime_ns[number] = stamp
            if number == len(checks):
                checks.append(check)
            checks[number] = check
        return checks

    def _read_results(self, checks: "array[int]") -> None:
        """The results in the file; a stamp counts only if its checksum is that of the result."""
        exact, bound = self._exact_paths(), bytearray(len(checks))
        with self.output.open("rb") as stream, self.output.open("rb") as texts:

            def is_stamped(result: WrittenResult) -> bool:
                number = self._numbers.get(exact.get(result.path, result.path) or "", len(checks))
                return number < len(checks) and checks[number] == crc(_between(texts, result.begin, result.end))

            end = 0
            for result in read_back(self.earlier.output_format, stream, self.earlier.top_k, is_stamped):
                end = result.end
                self._add_written(result, exact, bound, stamped=is_stamped(result))
            self.as_written = is_closed(self.earlier.output_format, stream, end)
        for number in range(len(checks)):
            if not bound[number]:
                self._size[number], self._mtime_ns[number] = _NOT_KEPT

    def _add_written(
        self, result: WrittenResult, exact: dict[str, str | None], bound: bytearray, *, stamped: bool
    ) -> None:
        path = exact.get(result.path, result.path)
        if path is None:  # it may be of either of two
            self.in_file.append(_NONE)
            return
        again = not stamped and result.error == UnreadableMember.__name__ and self._has_labels_or_error(path)
        number = self.number(path, again=again)
        self.in_file.append(number)
        if stamped:
            bound[number] = True
        elif self.has_result(number):  # the same picture once more
            return
        self._begin[number], self._end[number] = result.begin, result.end
        self._failed[number] = _failure(result.error)

    def _has_labels_or_error(self, path: str) -> bool:
        """Whether there is a result of this path already."""
        number = self._numbers.get(path, -1)
        return number >= 0 and self.has_result(number)

    def _exact_paths(self) -> dict[str, str | None]:
        """The path of each that the format writes otherwise; None if it writes two alike."""
        exact: dict[str, str | None] = {}
        for path in self._paths:
            written = path_in(self.earlier.output_format, path)
            if written != path:
                exact[written] = None if written in exact or written in self._numbers else path
        return exact


def _failure(error: str | None) -> int:
    """What an error of this type means: disks, mounts and machines may be well again, and a network stays as it is."""
    return 0 if error is None else _LASTING if error == NonFiniteLogits.__name__ else _FAILED


def _between(stream: BinaryIO, begin: int, end: int) -> bytes:
    stream.seek(begin)
    return stream.read(end - begin)
