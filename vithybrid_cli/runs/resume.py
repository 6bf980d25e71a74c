"""Where an interrupted run continues: the results in its file are checked against the inputs, one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import NamedTuple

from vithybrid_cli.errors import UsageError, option
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.items import ANOTHERS, Item, Stamp
from vithybrid_cli.output.read_back import DamagedOutput, WrittenResult, is_closed, path_in, read_back
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.runs.record import EarlierRun, RunRecord, lines_file
from vithybrid_cli.runs.stamps import read_stamps, stamp_file
from vithybrid_cli.runs.watch import Watch


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a run continues: the ``items`` still to label, after ``done`` results, of which some ``failed``.

    Those are the first ``end`` bytes of the file. ``complete``: no input is left; ``closed``: the file needs no end.
    ``replaced`` counts results of members and rows that are others now.
    """

    items: Iterator[Item]
    done: int = 0
    failed: int = 0
    end: int = 0
    complete: bool = False
    closed: bool = False
    replaced: int = 0


def tell_replaced(start: ResumePoint, watch: Watch) -> None:
    """Say that some results are of what was there before, if that is known."""
    if start.replaced:
        one = start.replaced == 1
        what = "1 member or row of the inputs was" if one else f"{start.replaced:,} members or rows of the inputs were"
        watch.warn(f"{what} replaced since; {option('update')} labels {'it' if one else 'them'} anew")


def resume_point(record: RunRecord, items: Iterator[Item], *, strict: bool) -> ResumePoint:
    """Where the run of ``record`` continues. Reads one more of ``items`` than there are results in its file.

    With ``strict``, the picture at which the earlier run stopped is tried again. Raises UsageError if the results are
    of other inputs, or if the file is damaged.
    """
    if record.output is None or record.earlier is None:
        return ResumePoint(items)
    try:
        return _resume_point(record.output, record.earlier, items, strict=strict)
    except DamagedOutput as error:
        raise UsageError(f"{record.output} is damaged: {error}.", f"Mend it, {record.start_over}.") from error
    except OSError as error:
        cause = f"{error.filename or record.output} cannot be read: {error.strerror or error}."
        raise UsageError(cause, f"Make it readable, {record.start_over}.") from error


def _resume_point(output: Path, earlier: EarlierRun, items: Iterator[Item], *, strict: bool) -> ResumePoint:
    read, stamps, replaced = _Read(Batches(earlier.batch_size)), _Stamps(output), 0
    with (lines_file(output) if earlier.has_matrix else output).open("rb") as stream:
        results = read_back(earlier.output_format, stream, earlier.top_k)
        for result in _with_rows(results, output) if earlier.has_matrix else results:
            item = next(items, None)
            if item is None or path_in(earlier.output_format, item.name) != result.path:
                raise _other_inputs(output, read.whole.done + 1, result.path, item)
            if strict and result.error is not None:
                return ResumePoint(chain(read.again, [item], items), *read.kept)
            read.add(item, result)
            replaced += stamps.replaced(item)
        following = next(items, None)
        if following is None and read.whole.done:
            closed = is_closed(earlier.output_format, stream, read.whole.end) and not earlier.has_matrix
            return ResumePoint(items, *read.whole, complete=True, closed=closed, replaced=replaced)
    rest = items if following is None else chain([following], items)
    return ResumePoint(chain(read.again, rest), *read.kept, replaced=replaced)


class _Stamps:
    """The stamps beside a file, in the order of its results; from the first that is not as expected on, none.

    Files are not asked for theirs: on a disk of the network that would take longer than some labels do.
    """

    def __init__(self, output: Path) -> None:
        self._stamps = read_stamps(stamp_file(output))

    def replaced(self, item: Item) -> bool:
        """Whether the next stamp is of another picture of this name, as far as that costs nothing to know."""
        if isinstance(item, LocalFile) or (stamp := item.stamp()) == ANOTHERS:
            return False
        return any(path == item.name and kept != stamp for path, kept, _ in islice(self._stamps_to(item.name), 1))

    def _stamps_to(self, name: str) -> Iterator[tuple[str, Stamp, int]]:
        return dropwhile(lambda found: found[0] != name, self._stamps)


def _with_rows(results: Iterator[WrittenResult], matrix: Path) -> Iterator[WrittenResult]:
    """Those of the ``results`` whose features are in the ``matrix``: a power cut may have taken some from its end."""
    from vithybrid_cli.output.npy import rows_in  # imports NumPy

    left = rows_in(matrix)
    for result in results:
        left -= result.error is None
        if left < 0:
            return
        yield result


class _Reached(NamedTuple):
    """A number of results, how many of them are errors, and where in the file they end."""

    done: int = 0
    failed: int = 0
    end: int = 0


@dataclass(slots=True)
class _Read:
    """What was read so far: ``whole``; up to the last whole batch: ``kept``; the items after that: ``again``."""

    batches: Batches
    whole: _Reached = field(default_factory=_Reached)
    kept: _Reached = field(default_factory=_Reached)
    again: list[Item] = field(default_factory=list)

    def add(self, item: Item, result: WrittenResult) -> None:
        failed = self.whole.failed + (result.error is not None)
        self.whole = _Reached(self.whole.done + 1, failed, result.end)
        self.again.append(item)
        self.batches.add()
        if not self.batches.within:
            self.kept = self.whole
            self.again.clear()


def _other_inputs(output: Path, number: int, written: str, given: Item | None) -> UsageError:
    now = "there are no more inputs" if given is None else f"input {number} is {given.name}"
    return UsageError(
        f"Result {number} in {output} is for {written}, but {now}.",
        "Give the inputs of the first run in their order, {update} instead of {resume} if there are new ones, "
        "or neither of them to start over.",
    )
