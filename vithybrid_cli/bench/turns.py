"""Tasks that are compared take turns, so that a machine that slows down slows down for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vithybrid_cli.bench.measurements import Subject, Timing
from vithybrid_cli.errors import VitHybridError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Log:
    """Receives how far a benchmark is, and what cannot be measured."""

    progress: Callable[[str], None]
    complaint: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Task:
    """How one subject is measured, and what has to run once before, untimed."""

    subject: Subject
    measure: Callable[[], Timing]
    warm_up: Callable[[], object]


@dataclass(slots=True)
class Turns:
    """Runs tasks in turns; ``turns`` and ``errors`` hold what is known at any time, after an interrupt too."""

    repeats: int
    log: Log
    turns: list[dict[Subject, Timing]] = field(default_factory=list)
    errors: dict[Subject, VitHybridError] = field(default_factory=dict)

    def run(self, title: str, tasks: Sequence[Task]) -> None:
        """Warm up all tasks, then measure each of them ``repeats`` times; a task that fails is dropped."""
        if not tasks:
            return
        self.log.progress(f"{title}: warming up")
        for task in tasks:
            self._tried(task.subject, task.warm_up)
        for number in range(1, self.repeats + 1):
            self.log.progress(f"{title}: turn {number} of {self.repeats}")
            timings: dict[Subject, Timing] = {}
            self.turns.append(timings)
            for task in tasks:
                if (timing := self._tried(task.subject, task.measure)) is not None:
                    timings[task.subject] = timing

    def _tried(self, subject: Subject, call: Callable[[], T]) -> T | None:
        if subject in self.errors:
            return None
        try:
            return call()
        except VitHybridError as error:
            self.errors[subject] = error.with_traceback(None)  # whose frames would keep networks and pictures
            self.log.complaint(f"{subject.name}, {subject.part}: {error}")
            return None
