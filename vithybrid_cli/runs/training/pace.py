"""How long a training run takes, by the time of its steps so far. It is told, and decides nothing.

Steps differ: pictures may be small at first, and at the beginning of a fine-tuning only the head may learn. What a kind
of step takes is measured once there was one, and before that it follows from what another kind takes.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

FIRST_STEPS = 20  # after which the time of a whole run can be told
_FORWARD = 1 / 3  # of a step's work: the backward pass does twice that of the forward one


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do: the size of each epoch's pictures, its steps, their pictures, and those that are measured.

    In the first ``head_epochs`` only the head learns. The unit of work is a picture of the last epoch's size.
    """

    sizes: Sequence[tuple[int, int]]
    steps: int
    batch_size: int
    held_out: int = 0
    head_epochs: float = 0.0

    @property
    def head_steps(self) -> int:
        """In how many steps only the head learns."""
        return math.ceil(self.head_epochs * self.steps)

    def of_step(self, epoch: int, step: int) -> float:
        """The work of a step, both counted from 0."""
        (height, width), (most_high, most_wide) = self.sizes[epoch], self.sizes[-1]
        waits = epoch * self.steps + step < self.head_steps
        return self.batch_size * height * width / (most_high * most_wide) * (_FORWARD if waits else 1)

    @property
    def of_measuring(self) -> float:
        """The work after each epoch."""
        return self.held_out * _FORWARD

    def kinds(self, epoch: int) -> Counter[float]:
        """How often there is how much to do at a time in an epoch, and after it."""
        waiting = min(max(self.head_steps - epoch * self.steps, 0), self.steps)
        counted = Counter({self.of_measuring: 1})
        counted[self.of_step(epoch, 0)] += waiting
        counted[self.of_step(epoch, self.steps - 1)] += self.steps - waiting
        return counted


class Pace:
    """Counts steps and epochs as they are done; the first step, which sets things up, does not count for the speed."""

    def __init__(self, work: Work, *, epochs_done: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._work, self._clock = work, clock
        self._open: Counter[float] = Counter()
        for epoch in range(epochs_done, len(work.sizes)):
            self._open.update(work.kinds(epoch))
        self._times: Counter[float] = Counter()  # how often each kind was done and timed
        self._seconds: dict[float, float] = {}
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
    def whole(self) -> float | None:
        """The seconds that all of it takes, from the first step; None where that is not known yet."""
        return None if self.left is None else sum(self._seconds.values()) + self.left

    @property
    def left(self) -> float | None:
        """The seconds that what is left takes; None where that is not known yet."""
        done = sum(kind * times for kind, times in self._times.items())
        if not done:
            return None
        rate = sum(self._seconds.values()) / done
        return sum(
            count * (self._seconds[kind] / self._times[kind] if self._times[kind] else kind * rate)
            for kind, count in self._open.items()
        )

    def _advance(self, kind: float) -> None:
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
