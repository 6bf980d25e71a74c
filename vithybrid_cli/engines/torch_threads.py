"""The threads in which torch computes on a CPU.

A thread whose operations use several cores has helpers of its own for that (OpenMP). They wait for each other at the
end of each operation, and where something else runs on one core, all wait for it. libgomp counts the helpers of all
threads of a process: once there are more than cores, they go to sleep after each operation, which costs a tenth of
base-384's rate (BENCHMARKS.md). So several batches have a core each and wait for nobody, and no thread that has helpers
is kept.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from vithybrid_cli.engines.batch_size import MOST_STREAMS
from vithybrid_cli.engines.torch_devices import use_threads

Computed = TypeVar("Computed")

_starting = threading.Lock()


class Streams:
    """The cores for one network: shared out, for as many batches at once as there are streams, or all for one batch."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.each = -(-cores // MOST_STREAMS)  # cores of a stream; the same for all, since their number shows in sums
        self.count = cores // self.each
        self._threads = compute_threads(self.count, self.each)
        self._alone = threading.Lock()

    def in_one(self, compute: Callable[[], Computed]) -> Computed:
        """What ``compute`` gives on the cores of a stream; waits while none is free."""
        return self._threads.submit(compute).result()

    def on_all(self, compute: Callable[[], Computed]) -> Computed:
        """What ``compute`` gives on all cores, in a thread that ends with it; one call at a time."""
        if self.count == 1:
            return self.in_one(compute)
        with self._alone:
            return on_cores(self.cores, compute)


def on_cores(count: int, compute: Callable[[], Computed]) -> Computed:
    """What ``compute`` gives in a thread of its own, whose operations use ``count`` cores."""
    with compute_threads(1, count) as thread:
        return thread.submit(compute).result()


def compute_threads(count: int, cores: int) -> ThreadPoolExecutor:
    """``count`` threads, whose operations each use ``cores``; other threads keep what they have."""
    ready = threading.Barrier(count + 1)

    def begin() -> None:
        # The first operation of a thread gives it the number that was set last, in whatever thread: asking does, too.
        torch.get_num_threads()
        use_threads(cores)

    with _starting:
        before = torch.get_num_threads()
        threads = ThreadPoolExecutor(count, "torch", begin)
        try:
            for _ in range(count):
                threads.submit(ready.wait)
            ready.wait()
        except BaseException:  # an interrupt, after which none of them may wait for ever
            ready.abort()
            threads.shutdown()
            raise
        finally:
            torch.set_num_threads(before)  # for the threads that begin from now on
    return threads
