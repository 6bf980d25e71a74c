"""Ctrl-C and SIGTERM end a run between two results, so that what is written is whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TypeVar

from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.results import Outcome

Result = TypeVar("Result", bound=Outcome)

EXIT_SIGNALLED = 128  # shells add the signal's number


class Interrupted(KeyboardInterrupt):
    """A signal ended the run."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = EXIT_SIGNALLED + number


class Interrupts:
    """Within this context the first SIGINT or SIGTERM takes effect between two batches, a second one at once.

    A signal that is ignored, as SIGINT is in background jobs of a shell, stays ignored.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._may_stop = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers, nor gets signals
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def between(self, results: Iterator[Result], batches: Batches) -> Iterator[Result]:
        """The ``results``, until a signal comes. Raises Interrupted then.

        The rest of a batch that has begun to come out is still given; the next batch is not waited for.
        """
        while self._number is None or batches.within:
            self._may_stop = not batches.within
            try:
                result = next(results, None)
            finally:
                self._may_stop = False
            if result is None:
                return
            batches.add()
            yield result
        raise Interrupted(self._number)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self._number = self._number is None, number
        if self._may_stop or not first:
            raise Interrupted(number)


@contextmanager
def sigterm_raised() -> Iterator[None]:
    """Within this context SIGTERM raises Interrupted, so that what is half written is removed; a second one kills."""

    def on_signal(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise Interrupted(number)

    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
