"""How much is done in one turn, and loops that do it."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from vithybrid_cli.bench.measurements import Timing

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is done in a turn: at least so many ``images`` and so many ``seconds``, in whole batches."""

    batch: int
    images: int
    seconds: float


def cycled(paths: Sequence[str], amount: Amount, began: float, clock: Clock = time.perf_counter) -> Iterator[str]:
    """``paths`` over and over, until a whole number of batches reaches the ``amount``."""
    for number, path in enumerate(itertools.cycle(paths)):
        if number % amount.batch == 0 and number >= amount.images and clock() - began >= amount.seconds:
            return
        yield path


def repeated(
    call: Callable[[], object],
    amount: Amount,
    *,
    parallel: int = 1,
    pool: Executor | None = None,
    clock: Clock = time.perf_counter,
) -> Timing:
    """Call for one batch at a time until the ``amount`` is reached, in a ``pool`` of ``parallel`` threads if given.

    One call more waits in the pool, as in `Classifier.classify`. The number of calls is a multiple of ``parallel``, so
    that none runs with fewer beside it than the others; OpenVINO's benchmark_app does the same.
    """
    running: deque[Future[object]] = deque()
    calls = 0
    began = clock()
    while calls * amount.batch < amount.images or clock() - began < amount.seconds or calls % parallel:
        calls += 1
        if pool is None:
            call()
            continue
        running.append(pool.submit(call))
        if len(running) > parallel:
            running.popleft().result()
    for future in running:
        future.result()
    return Timing(clock() - began, calls * amount.batch)
