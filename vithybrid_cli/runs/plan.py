"""What an update has to do, and in which order its results are to stand."""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from vithybrid_cli.runs.known import Known, State
from vithybrid_cli.runs.stamps import stamp_of


@dataclass(slots=True)
class Plan:
    """The ``order`` of the results by number; the paths to label, and those to look at since they had an error."""

    known: Known
    order: "array[int]" = field(default_factory=lambda: array("q"))
    to_label: list[str] = field(default_factory=list)
    to_retry: list[str] = field(default_factory=list)
    kept: int = 0
    dropped: int = 0

    @classmethod
    def of(cls, known: Known, paths: Iterable[str], *, strict: bool) -> Self:
        """Take all ``paths``, and look at what is there now. A picture that is named twice is labelled once.

        With ``strict``, what had an error has its turn among the others.
        """
        plan = cls(known)
        before, met, keeps = len(known), bytearray(len(known)), bytearray(len(known))
        for path in paths:
            number, stamp = known.number(path), stamp_of(path)
            plan.order.append(number)
            if number == len(met):
                met.append(False)
                keeps.append(False)
            if not met[number]:
                met[number] = True
                match known.state(number, stamp):
                    case State.KNOWN:
                        known.keep(number, stamp)
                        keeps[number] = True
                    case State.FAILED if not strict:
                        plan.to_retry.append(path)
                    case _:
                        plan.to_label.append(path)
            plan.kept += keeps[number]
        plan.dropped = sum(known.has_result(number) and not met[number] for number in range(before))
        return plan

    @property
    def is_written(self) -> bool:
        """Whether the file is already what is to be written."""
        return self.known.as_written and self.order == self.known.in_file

    def summary(self, done: Counter[State]) -> str:
        """What was done, in words: how many pictures were labelled, by what was known of them before."""
        names = {State.NEW: "new", State.CHANGED: "changed", State.FAILED: "that could not be read before"}
        counts = [f"{done[state]:,} {name}" for state, name in names.items() if done[state]]
        parts = [f"labelled {', '.join(counts)}"] if counts else []
        parts.append(f"kept {self.kept:,}")
        if self.dropped:
            parts.append(f"dropped {self.dropped:,} that {'is' if self.dropped == 1 else 'are'} gone")
        return "; ".join(parts)
