"""What an update has to do, and in which order its results are to stand."""

import os
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Self

from vithybrid_cli.errors import are
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.items import ANOTHERS, NO_FILE, UNSTAMPED, Failure, Item
from vithybrid_cli.runs.known import Known, State
from vithybrid_cli.sources.containers import is_member_name, kind_of_container, place_of
from vithybrid_cli.sources.pattern import covers, fixed_folder, is_pattern
from vithybrid_cli.sources.remote.addresses import is_address


@dataclass(slots=True)
class Done:
    """How many pictures an update has labelled, by what was known of them before, and how many it could not read."""

    labelled: Counter[State] = field(default_factory=Counter)
    unreadable: int = 0

    def add(self, state: State, *, failed: bool) -> None:
        """Count one more picture."""
        if failed:
            self.unreadable += 1
        else:
            self.labelled[state] += 1


@dataclass(slots=True)
class Plan:
    """The ``order`` of the results by number; the paths to label, and those to look at since they had an error.

    ``failures`` are, by number, items that cannot be read, as is known without opening them.
    ``kept`` and ``dropped`` count results; ``reached`` says whether any input leads to a file; ``unasked``
    counts those that are kept of addresses, which are not asked. ``emptied`` are inputs
    below which there are no pictures now, and how many results of theirs are kept.
    """

    known: Known
    order: "array[int]" = field(default_factory=lambda: array("q"))
    to_label: list[str] = field(default_factory=list)
    to_retry: list[str] = field(default_factory=list)
    failures: dict[int, Failure] = field(default_factory=dict)
    kept: int = 0
    dropped: int = 0
    reached: bool = False
    unasked: int = 0
    emptied: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, known: Known, items: Iterable[Item], emptied: Sequence[str], *, strict: bool) -> Self:
        """Take all ``items``, and look at what is there now. A picture that is named twice is labelled once.

        What is known below a folder that cannot be reached or listed now, or of a pattern that matches nothing, is no
        news of its pictures: it is kept. So it is for the inputs in ``emptied``, which grows while items are taken: a
        disk that is not there leaves an empty folder. With ``strict``, what had an error has its turn among the others.
        """
        plan = cls(known)
        met = _Met(known)
        for item in items:
            plan._keep_emptied(met, emptied)
            number = known.number(item.name, again=item.stamp() == ANOTHERS)
            if met.is_new(number):
                met.set(number, keeps=plan._add(number, item, strict=strict))
                if _is_closed(item):
                    plan._keep_rest(met, item.name)
            plan._append(number, keeps=met.keeps(number))
        plan._keep_emptied(met, emptied)
        plan.dropped = met.rest()
        return plan

    @property
    def is_of_other_inputs(self) -> bool:
        """Whether nothing was known of any input, and so everything that was known is dropped."""
        return self.dropped > 0 and not any(map(self.known.has_result, self.order))

    @property
    def is_written(self) -> bool:
        """Whether the file is already what is to be written."""
        return self.known.as_written and self.order == self.known.in_file

    def summary(self, done: "Done") -> str:
        """What was done, in words."""
        names = {State.NEW: "new", State.CHANGED: "changed", State.FAILED: "that could not be read before"}
        counts = [f"{done.labelled[state]:,} {name}" for state, name in names.items() if done.labelled[state]]
        parts = [f"labelled {', '.join(counts)}"] if counts else []
        parts.append(f"kept {self.kept:,}")
        if self.dropped:
            parts.append(f"dropped {self.dropped:,} that {are(self.dropped)} no longer among the inputs")
        if done.unreadable:
            parts.append(f"could not read {done.unreadable:,}")
        return "; ".join(parts)

    def _add(self, number: int, item: Item, *, strict: bool) -> bool:
        """Whether the result of a picture is kept; if not, there is something to do for it."""
        stamp = item.stamp()
        self.reached |= stamp != NO_FILE
        match self.known.state(number, stamp):
            case State.KNOWN:
                self.known.keep(number, stamp)
                self.unasked += stamp == UNSTAMPED and is_address(item.name)
                return True
            case _ if isinstance(item, Failure) and (not strict or stamp == ANOTHERS):
                self.failures[number] = item
            case State.FAILED if not strict:
                self.to_retry.append(item.name)
            case _:
                self.to_label.append(item.name)
        return False

    def _keep_emptied(self, met: "_Met", emptied: Sequence[str]) -> None:
        for text in emptied[len(self.emptied) :]:
            self.emptied.append((text, self._keep_rest(met, text)))

    def _keep_rest(self, met: "_Met", text: str) -> int:
        """Keep what did not come up and is of this input, a folder or pattern; how much that is."""
        numbers = met.rest_of(text)
        for number in numbers:
            met.set(number, keeps=True)
            self._append(number, keeps=True)
        return len(numbers)

    def _append(self, number: int, *, keeps: bool) -> None:
        self.order.append(number)
        self.kept += keeps


def _is_closed(item: Item) -> bool:
    """Whether there may be pictures in an input that cannot be found now: it is no file, or a damaged archive."""
    if isinstance(item, Failure):
        return kind_of_container(item.name) is not None
    return isinstance(item, LocalFile) and not os.path.isfile(item.name)  # noqa: PTH113 (Path raises on odd names)


class _Met:
    """Which numbers came up among the inputs, and which of their results are kept."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._before = len(known)
        self._met, self._keeps = bytearray(self._before), bytearray(self._before)
        self._sorted: array[int] | None = None  # numbers by the place of their pictures

    def is_new(self, number: int) -> bool:
        return number >= len(self._met) or not self._met[number]

    def keeps(self, number: int) -> bool:
        return bool(self._keeps[number])

    def set(self, number: int, *, keeps: bool) -> None:
        if number == len(self._met):
            self._met.append(True)
            self._keeps.append(keeps)
        self._met[number], self._keeps[number] = True, keeps

    def rest(self) -> int:
        """How many of the results that were known did not come up."""
        return sum(self._known.has_result(number) and not self._met[number] for number in range(self._before))

    def rest_of(self, text: str) -> list[int]:
        """The numbers of those of them that are in a folder or archive, or of a pattern, in the order of the file."""
        if is_pattern(text) and not is_member_name(text):
            below = self._rest_below(fixed_folder(text))
            return [number for number in below if covers(text, place_of(self._known.path(number)))]
        within = self._rest_below(text)
        return within if kind_of_container(text) is None else sorted(within + self._rest_in(text))

    def _rest_below(self, folder: str) -> list[int]:
        begin = os.path.join(folder, "")  # noqa: PTH118 (as the paths below it were joined)
        return self._rest_where(begin, lambda place: place.startswith(begin))

    def _rest_in(self, archive: str) -> list[int]:
        return self._rest_where(archive, lambda place: place == archive)

    def _rest_where(self, begin: str, fits: Callable[[str], bool]) -> list[int]:
        """Those whose place fits, which are the ones that sort right after ``begin``."""
        if self._sorted is None:
            self._sorted = array("q", sorted(range(self._before), key=self._place))
        first = bisect_left(self._sorted, begin, key=self._place)
        numbers = takewhile(lambda number: fits(self._place(number)), islice(self._sorted, first, None))
        return [number for number in sorted(numbers) if self.is_new(number) and self._known.has_result(number)]

    def _place(self, number: int) -> str:
        return place_of(self._known.path(number))
