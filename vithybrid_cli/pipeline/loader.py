"""Items become pixels in order, read ahead by worker threads within bounds of their number and their bytes."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from vithybrid_cli.errors import ImageError
from vithybrid_cli.items import Item

PAUSE = 0.2  # seconds without a new path of a live list, after which what has arrived is not kept waiting
MOST_HELD = 256 * 2**20  # bytes that items which wait to be read may hold together

Pixels = npt.NDArray[np.uint8]
Loaded = tuple[str, Pixels | ImageError]
Read = Callable[[Item], Pixels]
Value = TypeVar("Value")


def load(
    items: Iterable[Item], read: Callable[[Item], Value], workers: int, look_ahead: int
) -> Generator[tuple[str, Value | ImageError], None, None]:
    """The name of each item with what ``read`` makes of it, in their order; an ImageError is given as a value.

    At most ``look_ahead`` (at least 1) pictures are being read or waiting at a time, by ``workers`` (at least 1)
    threads, and those that wait hold `MOST_HELD` bytes at most, or are one. ``items`` is iterated by the caller's
    thread, when it asks for a result. Other exceptions of ``read`` and ``items`` are raised in the place of their
    result. Closing the generator drops what has not begun.
    """
    with _Pool(read, workers, look_ahead) as pool:
        yield from _load(_Ahead(iter(items), pool), max(look_ahead, 1))


def load_live(items: Iterable[Item], read: Read, workers: int, look_ahead: int) -> Generator[Loaded | None, None, None]:
    """What `load` gives, for ``items`` that may block, such as those of a list that is still being written.

    They are iterated by a thread of its own, so results come out while it waits. None says that nothing has arrived
    for `PAUSE` seconds and that all before has been given. Closing the generator does not wait for them.
    """
    with _Pool(read, workers, look_ahead) as pool:
        feed = _Feed(items, pool, threading.Semaphore(max(look_ahead, 1)))
        feed.start()
        try:
            while not isinstance(pending := feed.next(), _End):
                yield None if pending is None else feed.loaded(pending)
                del pending
            pending.raise_error()
        finally:
            feed.stop()


def as_value(error: ImageError) -> ImageError:
    """The error without its traceback and its causes, whose frames would keep the decoded picture in memory."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


@dataclass(frozen=True, slots=True)
class _Pending(Generic[Value]):
    """The name of an item and its result to come."""

    name: str
    result: "Future[Value | ImageError]"

    def loaded(self) -> tuple[str, Value | ImageError]:
        """Both, waiting for the result."""
        return self.name, self.result.result()


@dataclass(frozen=True, slots=True)
class _End:
    """The end of the items, or what they raised."""

    error: BaseException | None = None

    def raise_error(self) -> None:
        if self.error is not None:
            raise self.error


class _Pool(Generic[Value]):
    """Threads that read items. What has not begun when the context is left is dropped; nobody waits for the rest."""

    def __init__(self, read: Callable[[Item], Value], workers: int, look_ahead: int) -> None:
        self._read = read
        self._threads = ThreadPoolExecutor(max(min(workers, look_ahead), 1), thread_name_prefix="decode")
        self._held = _Held()

    def __enter__(self) -> "_Pool[Value]":
        return self

    def __exit__(self, *raised: object) -> None:
        self._held.release_all()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def submit(self, item: Item) -> _Pending[Value]:
        """Have an item read once there is room for what it holds."""
        self._held.add(item.held)
        return _Pending(item.name, self._threads.submit(self._value_or_error, item))

    def _value_or_error(self, item: Item) -> Value | ImageError:
        try:
            return self._read(item)
        except ImageError as error:
            return as_value(error)
        finally:
            self._held.add(-item.held)


class _Held:
    """How many bytes items hold that wait to be read."""

    def __init__(self) -> None:
        self._bytes = 0
        self._open = True
        self._changed = threading.Condition()

    def add(self, size: int) -> None:
        """Add so many bytes once they fit, or are the only ones; a negative number always does."""
        if size:
            with self._changed:
                self._changed.wait_for(lambda: self._has_room(size))
                self._bytes += size
                self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        return size < 0 or self._bytes == 0 or self._bytes + size <= MOST_HELD or not self._open

    def release_all(self) -> None:
        """Let all who wait go on: nothing is read any more."""
        with self._changed:
            self._open = False
            self._changed.notify_all()


@dataclass(slots=True)
class _Ahead(Generic[Value]):
    """Takes items from an iterator, and hands them to the pool."""

    items: Iterator[Item]
    pool: _Pool[Value]
    pending: deque[_Pending[Value]] = field(default_factory=deque)
    end: _End | None = None

    def fill(self, size: int) -> None:
        while self.end is None and len(self.pending) < size:
            try:
                self.pending.append(self.pool.submit(next(self.items)))
            except StopIteration:
                self.end = _End()
            except Exception as error:  # raised again after the results before it
                self.end = _End(error)


def _load(ahead: _Ahead[Value], size: int) -> Iterator[tuple[str, Value | ImageError]]:
    ahead.fill(size)
    while ahead.pending:
        yield ahead.pending.popleft().loaded()
        ahead.fill(size)
    if ahead.end is not None:
        ahead.end.raise_error()


@dataclass(slots=True)
class _Feed:
    """Takes items as long as there are free slots and hands them to the pool, in a thread of its own."""

    items: Iterable[Item]
    pool: _Pool[Pixels]
    slots: threading.Semaphore
    pending: "SimpleQueue[_Pending[Pixels] | _End]" = field(default_factory=SimpleQueue)
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        # A daemon: a thread that waits for standard input cannot be woken, and must not keep the program alive.
        threading.Thread(target=self._run, name="paths", daemon=True).start()

    def stop(self) -> None:
        self.stopped.set()
        self.slots.release()

    def next(self) -> _Pending[Pixels] | _End | None:
        """What comes next, or None if there is nothing for `PAUSE` seconds."""
        try:
            return self.pending.get(timeout=PAUSE)
        except Empty:
            return None

    def loaded(self, pending: _Pending[Pixels]) -> Loaded:
        """A name and its result, waiting for it. Frees its slot."""
        loaded = pending.loaded()
        self.slots.release()
        return loaded

    def _run(self) -> None:
        try:
            self._submit_all()
            self.pending.put(_End())
        except BaseException as error:  # raised again by whoever takes the results
            self.pending.put(_End(error))

    def _submit_all(self) -> None:
        items = iter(self.items)
        while self._has_slot() and (item := next(items, None)) is not None:
            if self.stopped.is_set():
                return
            self.pending.put(self.pool.submit(item))

    def _has_slot(self) -> bool:
        self.slots.acquire()
        return not self.stopped.is_set()
