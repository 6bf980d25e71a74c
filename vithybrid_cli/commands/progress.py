"""Progress on stderr: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

from vithybrid_cli.errors import VitHybridError
from vithybrid_cli.output import visible
from vithybrid_cli.output.duration import duration

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PLAIN_INTERVAL = 10.0  # seconds between plain lines
WORTH_WAITING = 0.5  # seconds that a resumed run waits for the total, to say how far it is
WORTH_A_SUMMARY = 2.0  # seconds; a shorter run needs no summary


class Progress:
    """Counts pictures and failures. ``count``, which may be slow, gives the total; it runs in a thread of its own.

    ``live`` allows a bar. It would overwrite results that go to the same terminal, directly or through another program.
    ``unit`` is what is counted if it is something else. ``left`` gives the seconds that are left where the pictures so
    far do not tell it, and ``interval`` those between plain lines where so many would fill a log.
    A resumed run starts with the pictures ``done`` and ``failed`` before; they do not count for its speed.
    """

    def __init__(
        self,
        *,
        enabled: bool,
        live: bool = True,
        total: int | None = None,
        count: Callable[[], int | None] | None = None,
        done: int = 0,
        failed: int = 0,
        unit: str = "pictures",
        left: Callable[[], float | None] | None = None,
        interval: float | None = None,
    ) -> None:
        self.done, self.failed = done, failed
        self._done_before = done
        self.total = total
        self._unit = unit
        self._enabled = enabled
        self._count = count
        self._left, self._interval = left, interval
        self._bar = _bar(told=left is not None) if enabled and live and sys.stderr.isatty() else None
        self._doing: dict[str, str] = {}
        self._lines: dict[str, TaskID] = {}
        self._began = self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        if self._enabled and self._count is not None:
            counting = threading.Thread(target=self._count_inputs, args=(self._count,), daemon=True)
            counting.start()
            if self._done_before:
                counting.join(WORTH_WAITING)
        if self._enabled and self._done_before:
            self.report(f"resuming after {self.so_far}")
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("", total=self.total, completed=self.done, failed="", left="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._enabled and time.monotonic() - self._began >= WORTH_A_SUMMARY:
            self._write_line()

    @property
    def so_far(self) -> str:
        """How many are done, of how many if that is known."""
        return f"{self.done} of {self.total} {self._unit}" if self.total else f"{self.done} {self._unit}"

    def advance(self, pictures: int = 1, *, failed: int = False) -> None:
        """One or more inputs are done."""
        self.done += pictures
        self.failed += failed
        if self._bar is not None:
            text = f"[red]{self.failed} failed" if self.failed else ""
            self._bar.update(self._task, completed=self.done, total=self.total, failed=text, left=self._time_left())
        elif self._enabled and time.monotonic() - self._last_line >= (self._interval or PLAIN_INTERVAL):
            self._last_line = time.monotonic()
            self._write_line()

    def skipped(self, pictures: int, failed: int = 0) -> None:
        """So many inputs were done before, which do not count for the speed; fewer than thought if it is negative."""
        self.done += pictures
        self.failed += failed
        self._done_before += pictures

    def tell(self, who: str, what: str, done: int = 0, total: int | None = None) -> None:
        """What one of several that work does now: a bar of its own below the other, or the end of the next line.

        There is no bar where it is at nothing that can be counted, of which ``total`` is None.
        """
        self._doing[who] = what if total is None else f"{what}: {done:,} of {total:,}"
        if self._bar is None:
            return
        if who not in self._lines:
            self._lines[who] = self._bar.add_task("", total=None, failed="", left="", visible=False)
        text = f"[dim]{visible(f'{who}: {what}')}"
        self._bar.update(self._lines[who], failed=text, completed=done, total=total, visible=total is not None)

    def report(self, message: str) -> None:
        """A line above the progress."""
        if self._bar is not None:
            self._bar.console.print(visible(message), markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(visible(message), err=True)

    def _count_inputs(self, count: Callable[[], int | None]) -> None:
        # What goes wrong here goes wrong in the run itself, which reports it; without a total there is no time left.
        with suppress(VitHybridError, OSError):
            self.total = count()

    def _rate(self) -> float:
        return (self.done - self._done_before) / max(time.monotonic() - self._began, 1e-9)

    def _time_left(self) -> str:
        """In words; nothing where it is not known, or all is done."""
        open_ones, rate = (self.total or 0) - self.done, self._rate()
        if open_ones <= 0 or not rate:
            return ""
        seconds = open_ones / rate if self._left is None else self._left()
        return "" if seconds is None else f"{duration(seconds)} left"

    def _write_line(self) -> None:
        rate = self._rate()
        left = f", {said}" if (said := self._time_left()) else ""
        failed = f", {self.failed} failed" if self.failed else ""
        doing = "".join(f"; {who}: {what}" for who, what in self._doing.items())
        typer.echo(visible(f"{self.so_far}, {rate:.1f}/s{left}{failed}{doing}"), err=True)


def _bar(*, told: bool) -> "RichProgress":
    """``told``: the time that is left is given, and not that of the pictures so far."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Pictures per second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")

    return RichProgress(
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TextColumn("{task.fields[left]}") if told else TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[failed]}"),
        console=Console(stderr=True),
        transient=True,
    )
