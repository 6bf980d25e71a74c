"""Things of which a call needs one for itself: streams of a GPU, requests of a graph, engines."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Pool(Generic[Thing]):
    """Lends each of its things to one caller at a time, whatever thread calls."""

    def __init__(self, things: Iterable[Thing]) -> None:
        self._free: SimpleQueue[Thing] = SimpleQueue()
        for thing in things:
            self._free.put(thing)

    @contextmanager
    def one(self) -> Iterator[Thing]:
        """Take the one that has been free for longest, and give it back at the end; waits while none is free."""
        thing = self._free.get()
        try:
            yield thing
        finally:
            self._free.put(thing)
