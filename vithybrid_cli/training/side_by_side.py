"""Threads that compute the parts of a batch side by side, each with its share of the cores."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import torch


@contextmanager
def side_by_side(count: int, cores: int) -> Iterator[ThreadPoolExecutor]:
    """``count`` threads, whose operations each use an equal share of ``cores``; other threads keep what they have."""
    before, each = torch.get_num_threads(), max(1, cores // count)
    ready = Barrier(count + 1)

    def begin() -> None:
        # The first operation of a thread gives it the number that was set last, in whatever thread: asking does, too.
        torch.get_num_threads()
        torch.set_num_threads(each)

    with ThreadPoolExecutor(count, "parts", begin) as threads:
        for _ in range(count):
            threads.submit(ready.wait)
        try:
            ready.wait()
        except BaseException:  # an interrupt, after which none of them may wait for ever
            ready.abort()
            raise
        torch.set_num_threads(before)  # for the threads that begin from now on
        yield threads
