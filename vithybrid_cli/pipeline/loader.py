"""Paths become pixels in order, with a bounded look-ahead over worker threads."""

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import numpy as np
import numpy.typing as npt

from vithybrid_cli.errors import ImageError

PAUSE = 0.2  # seconds without a new path, after which work on what is there should not wait for more

Pixels = npt.NDArray[np.uint8]
Loaded = tuple[str, Pixels | ImageError]
Results = Generator[Loaded | None, None, None]


def load(
    paths: Iterable[str], read: Callable[[str], Pixels], workers: int, look_ahead: int, pauses: bool = True
) -> Results:
    """Each path with what ``read`` makes of it, in the order of ``paths``; an ImageError is given as a value.

    None says that ``paths`` pauses, as a list does that is still being written: all it gave so far has come out. It is
    not said where ``pauses`` is false.

    At most ``look_ahead`` (at least 1) pictures are being read or waiting at a time, by ``workers`` threads; with
    no workers each is read when it is asked for. ``paths`` is read in a thread of its own, so results come out
    while it waits for more. Other exceptions of ``read`` and ``paths`` are raised in the place of their result.
    Closing the iterator drops what has not begun; it does not wait for a ``paths`` that blocks.
    """
    if workers <= 0:
        return ((path, _value_or_error(read, path)) for path in paths)
    return _load_ahead(paths, read, workers, max(look_ahead, 1), pauses)


def _value_or_error(read: Callable[[str], Pixels], path: str) -> Pixels | ImageError:
    try:
        return read(path)
    except ImageError as error:
        return error


@dataclass(frozen=True, slots=True)
class _Pending:
    """One path and its result to come."""

    path: str
    result: "Future[Pixels | ImageError]"


@dataclass(frozen=True, slots=True)
class _End:
    """The end of the paths, or what they raised."""

    error: BaseException | None = None


@dataclass(slots=True)
class _Feed:
    """Takes paths as long as there are free slots and hands them to the pool, in a thread of its own."""

    paths: Iterable[str]
    read: Callable[[str], Pixels]
    pool: ThreadPoolExecutor
    slots: threading.Semaphore
    pending: "SimpleQueue[_Pending | _End]" = field(default_factory=SimpleQueue)
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        # A daemon, since a thread that waits for standard input cannot be woken and must not keep the program alive.
        threading.Thread(target=self._run, name="paths", daemon=True).start()

    def stop(self) -> None:
        self.stopped.set()
        self.slots.release()

    def _run(self) -> None:
        try:
            self._submit_all()
            self.pending.put(_End())
        except BaseException as error:  # raised again by the one who takes the results
            self.pending.put(_End(error))

    def _submit_all(self) -> None:
        paths = iter(self.paths)
        while self._has_slot() and (path := next(paths, None)) is not None:
            if self.stopped.is_set():
                return
            self.pending.put(_Pending(path, self.pool.submit(_value_or_error, self.read, path)))

    def _has_slot(self) -> bool:
        self.slots.acquire()
        return not self.stopped.is_set()


def _load_ahead(
    paths: Iterable[str], read: Callable[[str], Pixels], workers: int, look_ahead: int, pauses: bool
) -> Results:
    pool = ThreadPoolExecutor(min(workers, look_ahead), thread_name_prefix="decode")
    feed = _Feed(paths, read, pool, threading.Semaphore(look_ahead))
    feed.start()
    try:
        while not isinstance(pending := _next(feed, PAUSE if pauses else None), _End):
            yield None if pending is None else _loaded(feed, pending)
            del pending
        if pending.error is not None:
            raise pending.error
    finally:
        feed.stop()
        pool.shutdown(wait=False, cancel_futures=True)


def _next(feed: _Feed, pause: float | None) -> _Pending | _End | None:
    """What comes next, or None if there is nothing for ``pause`` seconds."""
    try:
        return feed.pending.get(timeout=pause)
    except Empty:
        return None


def _loaded(feed: _Feed, pending: _Pending) -> Loaded:
    """A path and its result, waiting for it. Frees its slot."""
    result = pending.result.result()
    feed.slots.release()
    return pending.path, result
