"""How long a training run takes, by the time of its steps so far. It is told, and decides nothing."""

import time
from collections.abc import Callable, Sequence

FIRST_STEPS = 20  # after which the time of a whole run can be told
_OF_A_STEP = 1 / 3  # what a picture costs that is only measured: a forward pass without the backward one, of twice that


def work_of(sizes: Sequence[tuple[int, int]], pictures: int, held_out: int) -> list[tuple[float, float]]:
    """For each epoch, by the size of its pictures, what it costs to train on ``pictures``, and to measure the others.

    The unit is a picture of the last epoch's size.
    """
    last = sizes[-1][0] * sizes[-1][1]
    return [(pictures * height * width / last, held_out * _OF_A_STEP) for height, width in sizes]


class Pace:
    """Counts steps and epochs as they are done; the first step, which sets things up, does not count for the speed."""

    def __init__(
        self,
        work: Sequence[tuple[float, float]],
        steps: int,
        *,
        epochs_done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``work`` is that of `work_of`, ``steps`` how many an epoch has."""
        self._work, self._steps, self._clock = list(work), steps, clock
        self._open = sum(map(sum, self._work[epochs_done:]))
        self._counted = self._seconds = 0.0
        self._last: float | None = None
        self._taken = 0

    def step(self, epoch: int) -> bool:
        """A step of ``epoch``, from 0, is done; whether it is the one after which the whole time can be told."""
        self._advance(self._work[epoch][0] / self._steps)
        self._taken += 1
        return self._taken == max(min(FIRST_STEPS, self._steps), 2)

    def measured(self, epoch: int) -> None:
        """The held-out pictures were measured after ``epoch``."""
        self._advance(self._work[epoch][1])

    def _advance(self, work: float) -> None:
        now = self._clock()
        self._open -= work
        if self._last is not None:
            self._seconds += now - self._last
            self._counted += work
        self._last = now

    @property
    def whole(self) -> float | None:
        """The seconds that all of it takes, from the first step; None where that is not known yet."""
        return None if self.left is None else self._seconds + self.left

    @property
    def left(self) -> float | None:
        """The seconds that what is left takes; None where that is not known yet."""
        return self._seconds / self._counted * max(self._open, 0.0) if self._counted else None
