"""What is compared takes turns, so that a machine that drifts drifts for all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vithybrid_cli.bench.measurements import Subject, Timing
from vithybrid_cli.bench.worker import Failed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """One subject, how it is measured, and what has to run before so that nothing is done for the first time."""

    subject: Subject
    measure: Callable[[], Timing]
    warm_up: Callable[[], object]


@dataclass(slots=True)
class Rotation:
    """Measures tasks in turns; ``turns`` and ``errors`` hold what is known at any time, also after an interrupt."""

    repeats: int
    say: Callable[[str], None]
    complain: Callable[[Subject, str], None]
    turns: list[dict[Subject, Timing]] = field(default_factory=list)
    errors: dict[Subject, str] = field(default_factory=dict)

    def run(self, title: str, tasks: Sequence[Task]) -> None:
        """Each task once without counting it, then all of them ``repeats`` times; one that fails is left out."""
        self.say(f"{title}: warming up")
        for task in tasks:
            self._tried(task.subject, task.warm_up)
        for turn in range(1, self.repeats + 1):
            self.say(f"{title}: turn {turn} of {self.repeats}")
            timings: dict[Subject, Timing] = {}
            self.turns.append(timings)
            for task in tasks:
                if (timing := self._tried(task.subject, task.measure)) is not None:
                    timings[task.subject] = timing

    def fail(self, subject: Subject, message: str) -> None:
        """Take down why ``subject`` is not measured, or no more."""
        self.errors[subject] = message
        self.complain(subject, message)

    def _tried(self, subject: Subject, call: Callable[[], T]) -> T | None:
        if subject in self.errors:
            return None
        try:
            return call()
        except Failed as error:
            self.fail(subject, str(error))
            return None
