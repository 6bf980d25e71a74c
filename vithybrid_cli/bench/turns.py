"""Tasks that are compared take turns, so that a machine that slows down slows down for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vithybrid_cli.bench.limits import Limit, Reached
from vithybrid_cli.bench.measurements import Subject, Timing
from vithybrid_cli.errors import VitHybridError

K = TypeVar("K", Subject, Limit)
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


@dataclass(frozen=True, slots=True)
class LimitTask:
    """How one limit is measured, and what has to run once before, untimed."""

    subject: Limit
    measure: Callable[[], Reached]
    warm_up: Callable[[], object]


@dataclass(slots=True)
class Turns:
    """Runs tasks in turns. What is known at any time is here, after an interrupt too.

    There are as many ``limit_turns`` as ``turns``.
    """

    repeats: int
    log: Log
    turns: list[dict[Subject, Timing]] = field(default_factory=list)
    errors: dict[Subject, VitHybridError] = field(default_factory=dict)
    limit_turns: list[dict[Limit, Reached]] = field(default_factory=list)
    limit_errors: dict[Limit, VitHybridError] = field(default_factory=dict)

    def run(self, title: str, tasks: Sequence[Task | LimitTask]) -> None:
        """Warm up all tasks, then measure each of them ``repeats`` times; a task that fails is dropped."""
        if not tasks:
            return
        self.log.progress(f"{title}: warming up")
        for task in tasks:
            self._warm_up(task)
        for number in range(1, self.repeats + 1):
            self.log.progress(f"{title}: turn {number} of {self.repeats}")
            self.turns.append({})
            self.limit_turns.append({})
            for task in tasks:
                self._measure(task)

    def _warm_up(self, task: Task | LimitTask) -> None:
        if isinstance(task, LimitTask):
            self._tried(self.limit_errors, task.subject, task.warm_up)
        else:
            self._tried(self.errors, task.subject, task.warm_up)

    def _measure(self, task: Task | LimitTask) -> None:
        if isinstance(task, LimitTask):
            if (reached := self._tried(self.limit_errors, task.subject, task.measure)) is not None:
                self.limit_turns[-1][task.subject] = reached
        elif (timing := self._tried(self.errors, task.subject, task.measure)) is not None:
            self.turns[-1][task.subject] = timing

    def _tried(self, errors: dict[K, VitHybridError], subject: K, call: Callable[[], T]) -> T | None:
        if subject in errors:
            return None
        try:
            return call()
        except VitHybridError as error:
            errors[subject] = error.with_traceback(None)  # whose frames would keep networks and pictures
            self.log.complaint(f"{subject.title}: {error}")
            return None
