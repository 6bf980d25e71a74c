"""How long a training run takes, by the time of its steps so far. It is told, and decides nothing.

Steps differ: pictures may be small at first, and at the beginning of a fine-tuning only the head may learn. What a kind
of step takes is measured once there was one. Before that, pictures of another size are expected to take as long as they
are large. What it takes when all of the network learns follows from no step of the head alone: 7 to 12 times as long
was measured for the built-in model on two cores, and where reading the pictures takes longest it is no longer at all.
Until there was such a step, the times are the least that is possible.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

FIRST_STEPS = 20  # after which the time of a whole run can be told
_FORWARD = 1 / 3  # of a step's work: the backward pass does twice that of the forward one


class What(Enum):
    """What is done at a time."""

    HEAD = "a step in which only the head learns"
    ALL = "a step in which all of the network learns that is to learn"
    MEASURE = "the held-out pictures"


# By whose speed something is expected that was not timed yet, and how much more work it is for a picture.
_LIKE: dict[What, tuple[tuple[What, float], ...]] = {
    What.HEAD: ((What.HEAD, 1.0), (What.ALL, _FORWARD)),
    What.ALL: ((What.ALL, 1.0), (What.HEAD, 1.0), (What.MEASURE, 1.0)),
    What.MEASURE: ((What.MEASURE, 1.0), (What.HEAD, 1.0), (What.ALL, _FORWARD)),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What is done at a time, and with how many pictures of the last epoch's size."""

    what: What
    pictures: float


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do: the size of each epoch's pictures, its steps, its pictures, and those that are measured.

    In the first ``head_epochs`` only the head learns.
    """

    sizes: Sequence[tuple[int, int]]
    steps: int
    pictures: int
    held_out: int = 0
    head_epochs: float = 0.0

    @property
    def head_steps(self) -> int:
        """In how many steps only the head learns."""
        return math.ceil(self.head_epochs * self.steps)

    def of_step(self, epoch: int, step: int) -> Kind:
        """The kind of a step, both counted from 0."""
        (height, width), (most_high, most_wide) = self.sizes[epoch], self.sizes[-1]
        waits = epoch * self.steps + step < self.head_steps
        pictures = self.pictures / self.steps * height * width / (most_high * most_wide)
        return Kind(What.HEAD if waits else What.ALL, pictures)

    @property
    def of_measuring(self) -> Kind:
        """What is done after each epoch."""
        return Kind(What.MEASURE, self.held_out)

    def kinds(self, epoch: int) -> Counter[Kind]:
        """How often each kind is done in an epoch, and after it."""
        waiting = min(max(self.head_steps - epoch * self.steps, 0), self.steps)
        counted = Counter({self.of_measuring: 1})
        counted[self.of_step(epoch, 0)] += waiting
        counted[self.of_step(epoch, self.steps - 1)] += self.steps - waiting
        return counted


class Pace:
    """Counts steps and epochs as they are done; the first step, which sets things up, does not count for the speed."""

    def __init__(self, work: Work, *, epochs_done: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._work, self._clock = work, clock
        self._open: Counter[Kind] = Counter()
        for epoch in range(epochs_done, len(work.sizes)):
            self._open.update(work.kinds(epoch))
        self._times: Counter[Kind] = Counter()  # how often each kind was done and timed
        self._seconds: dict[Kind, float] = {}
        self._last: float | None = None
        self._steps = epochs_done * work.steps
        self._tells = set(self._telling())

    def step(self, epoch: int, step: int) -> bool:
        """A step is done, both counted from 0; whether it is one after which the whole time can be told."""
        self._advance(self._work.of_step(epoch, step))
        self._steps += 1
        return self._steps in self._tells

    def measured(self) -> None:
        """The held-out pictures were measured after an epoch."""
        self._advance(self._work.of_measuring)

    @property
    def at_least(self) -> bool:
        """Whether the times are only the least that is possible: what takes longest was not done yet."""
        waits = any(count and kind.what is What.ALL for kind, count in self._open.items())
        return waits and self._rate(What.ALL) is None

    @property
    def whole(self) -> float | None:
        """The seconds that all of it takes, from the first step; None where that is not known yet."""
        left = self._left()
        return None if left is None else sum(self._seconds.values()) + left

    @property
    def left(self) -> float | None:
        """The seconds that what is left takes; None where that is not known yet, or only the least of it."""
        return None if self.at_least else self._left()

    def _left(self) -> float | None:
        if not any(kind.pictures for kind in self._times):
            return None
        return sum(count * self._expected(kind) for kind, count in self._open.items() if count)

    def _expected(self, kind: Kind) -> float:
        """The seconds that something of this kind takes."""
        if self._times[kind]:
            return self._seconds[kind] / self._times[kind]
        rates = ((self._rate(what), factor) for what, factor in _LIKE[kind.what])
        return kind.pictures * next(rate * factor for rate, factor in rates if rate is not None)

    def _rate(self, what: What) -> float | None:
        """The seconds for each picture where this is done; None where it was not timed."""
        timed = [(kind, times) for kind, times in self._times.items() if kind.what is what]
        pictures = sum(kind.pictures * times for kind, times in timed)
        return sum(self._seconds[kind] for kind, _ in timed) / pictures if pictures else None

    def _advance(self, kind: Kind) -> None:
        now = self._clock()
        self._open[kind] -= 1
        if self._last is not None:
            self._times[kind] += 1
            self._seconds[kind] = self._seconds.get(kind, 0.0) + now - self._last
        self._last = now

    def _telling(self) -> Iterator[int]:
        """After which steps of the run the time is told: again once all of the network learns."""
        enough = max(min(FIRST_STEPS, self._work.steps), 2)
        waiting = max(self._work.head_steps - self._steps, 0)
        if waiting == 0 or waiting >= enough:
            yield self._steps + enough
        if waiting:
            yield self._steps + waiting + enough
