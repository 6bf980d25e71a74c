"""Paths become pixels in order, with a bounded look-ahead over worker threads."""

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from vithybrid_cli.errors import ImageError

Pixels = npt.NDArray[np.uint8]
Loaded = tuple[str, Pixels | ImageError]
Results = Generator[Loaded, None, None]


def load(paths: Iterable[str], read: Callable[[str], Pixels], workers: int, look_ahead: int) -> Results:
    """Each path with what ``read`` makes of it, in the order of ``paths``; an ImageError is given as a value.

    At most ``look_ahead`` (at least 1) pictures are being read or waiting at a time, by ``workers`` threads; with
    no workers each is read when it is asked for. ``paths`` is read in a thread of its own, so results come out
    while it waits for more. Other exceptions of ``read`` and ``paths`` are raised in the place of their result.
    Closing the iterator drops what has not begun; it does not wait for a ``paths`` that blocks.
    """
    if workers <= 0:
        return ((path, _value_or_error(read, path)) for path in paths)
    return _load_ahead(paths, read, workers, max(look_ahead, 1))


def _value_or_error(read: Callable[[str], Pixels], path: str) -> Pixels | ImageError:
    try:
        return read(path)
    except ImageError as error:
        return error


@dataclass(frozen=True, slots=True)
class _Pending:
    """One path and its result to come; without a path, the end of the paths or what they raised."""

    path: str | None
    result: "Future[Pixels | ImageError]"


@dataclass(slots=True)
class _Feed:
    """Takes paths as long as there are free slots and hands them to the pool, in a thread of its own."""

    paths: Iterable[str]
    read: Callable[[str], Pixels]
    pool: ThreadPoolExecutor
    slots: threading.Semaphore
    pending: "SimpleQueue[_Pending]" = field(default_factory=SimpleQueue)
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        # A daemon, since a thread that waits for standard input cannot be woken and must not keep the program alive.
        threading.Thread(target=self._run, name="paths", daemon=True).start()

    def stop(self) -> None:
        self.stopped.set()
        self.slots.release()

    def _run(self) -> None:
        end: Future[Pixels | ImageError] = Future()
        try:
            self._submit_all()
        except BaseException as error:  # raised again by the one who takes the results
            end.set_exception(error)
        self.pending.put(_Pending(None, end))

    def _submit_all(self) -> None:
        paths = iter(self.paths)
        while self._has_slot() and (path := next(paths, None)) is not None:
            if self.stopped.is_set():
                return
            self.pending.put(_Pending(path, self.pool.submit(_value_or_error, self.read, path)))

    def _has_slot(self) -> bool:
        self.slots.acquire()
        return not self.stopped.is_set()


def _load_ahead(paths: Iterable[str], read: Callable[[str], Pixels], workers: int, look_ahead: int) -> Results:
    pool = ThreadPoolExecutor(min(workers, look_ahead), thread_name_prefix="decode")
    feed = _Feed(paths, read, pool, threading.Semaphore(look_ahead))
    feed.start()
    try:
        while (loaded := _next(feed)) is not None:
            yield loaded
            del loaded
    finally:
        feed.stop()
        pool.shutdown(wait=False, cancel_futures=True)


def _next(feed: _Feed) -> Loaded | None:
    """The next result, waiting for it; None at the end. Frees its slot."""
    pending = feed.pending.get()
    if pending.path is None:
        if pending.result.done():
            pending.result.result()
        return None
    result = pending.result.result()
    feed.slots.release()
    return pending.path, result
