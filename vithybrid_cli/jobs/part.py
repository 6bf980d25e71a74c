"""The results of a shard while it is computed, and the check that they are those of its names."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from vithybrid_cli.output.json_records import read_lines, to_json
from vithybrid_cli.output.written import DamagedOutput

_LABELLED = b'"predictions": [', b'"label": '  # what follows the path where there is no error


class WrongResults(Exception):
    """Results are not those of a shard's names; the text says why, as part of a sentence."""


@dataclass(slots=True)
class Reached:
    """How many results there are, where they end in their file, and how many are errors, by type."""

    rows: int = 0
    end: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, size: int, error: str | None) -> None:
        """One more result of so many bytes."""
        self.rows += 1
        self.end += size
        if error is not None:
            self.failed[error] += 1

    def copy(self) -> Self:
        """As it is now."""
        return type(self)(self.rows, self.end, self.failed.copy())


def checked(stream: BinaryIO, names: Sequence[str]) -> Reached:
    """Look at each result of a whole shard. Raises WrongResults unless there is one for each name, in order."""
    reached = Reached()
    for line in stream:
        if reached.rows == len(names):
            raise WrongResults("it holds more results than its shard has inputs")
        reached.add(len(line), error_in(line, names[reached.rows]))
    if reached.rows < len(names):
        raise WrongResults(f"it holds {reached.rows} of {len(names)} results")
    return reached


def error_in(line: bytes, name: str) -> str | None:
    """The type of the error in a line, which is the result of that name; None if it has labels. Raises WrongResults."""
    begin = _beginning(name)
    if line.startswith(tuple(begin + labelled for labelled in _LABELLED)) and line.endswith(b"]}\n"):
        return None
    try:
        [result] = read_lines(iter_stream(line))
    except (DamagedOutput, ValueError) as error:
        raise WrongResults("a line does not hold a result") from error
    if result.path != name:
        raise WrongResults(f"a result is for {result.path} instead of {name}")
    return result.error


def iter_stream(line: bytes) -> BinaryIO:
    """A line as a stream of its own."""
    import io

    return io.BytesIO(line)


def longest(parts: Iterable[Path], names: Sequence[str], first: int, batch_size: int) -> tuple[Path | None, Reached]:
    """Of the results that earlier attempts left of a shard, those that go furthest, and how far they can be kept.

    ``first`` is the number of the shard's first input in the job: what is kept ends where a batch does.
    """
    best: tuple[Path | None, Reached] = None, Reached()
    for part in parts:
        try:
            with part.open("rb") as stream:
                kept = _kept(stream, names, first, batch_size)
        except OSError:  # its writer, which is still there, has finished; or a disk that fails
            continue
        if kept.rows > best[1].rows:
            best = part, kept
    return best


def _kept(stream: BinaryIO, names: Sequence[str], first: int, batch_size: int) -> Reached:
    reached, kept = Reached(), Reached()
    for line, name in zip(stream, names, strict=False):
        try:
            reached.add(len(line), error_in(line, name))
        except WrongResults:  # a line that was cut, or what a failing disk has made of it
            break
        if (first + reached.rows) % batch_size == 0 or reached.rows == len(names):
            kept = reached.copy()
    return kept


def _beginning(name: str) -> bytes:
    """With what the result of that name begins."""
    return to_json({"path": name})[:-1].encode() + b", "
