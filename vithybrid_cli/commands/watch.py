"""What a run tells, on stderr: downloads, progress, warnings, and what the package logs."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self

import typer

from vithybrid_cli.commands.collector import resume
from vithybrid_cli.commands.fetching import fetch_progress
from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.hub.locate import FetchProgress
from vithybrid_cli.output import visible
from vithybrid_cli.results import Outcome
from vithybrid_cli.runs.watch import Begin


class Stderr:
    """Shows what a run tells; see `vithybrid_cli.runs.watch.Watch`.

    While its context is entered, it also shows what this package logs: as long as a run goes on, a warning may come at
    any time, and must neither break into the progress bar nor reach the terminal with control characters.
    """

    def __init__(self, *, quiet: bool = False, no_progress: bool = False, level: int = logging.INFO) -> None:
        """``level`` is the least of what the package logs that is shown."""
        self._quiet = quiet
        self._progress_shown = not (quiet or no_progress)
        self._progress: Progress | None = None
        self._log = _Log(self, level)

    def __enter__(self) -> Self:
        self._log.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._log.end()

    @property
    def progress_shown(self) -> bool:
        """Whether progress is wanted."""
        return self._progress_shown

    def fetching(self) -> AbstractContextManager[FetchProgress | None]:
        """While a model is located; gives what to call as its files arrive."""
        return fetch_progress(shown=self._progress_shown)

    @contextmanager
    def counting(self, begin: Begin) -> Iterator[Progress]:
        """While pictures are computed."""
        shown = self._progress_shown and not (begin.visible or begin.alone)
        progress = Progress(enabled=shown, live=begin.apart, count=begin.count, done=begin.done, failed=begin.failed)
        with self.showing(progress):
            yield progress

    @contextmanager
    def showing(self, progress: Progress) -> Iterator[Progress]:
        """While this progress is shown, all lines go above it."""
        resume()
        self._progress = progress
        with progress:
            yield progress

    def so_far(self) -> str:
        """In words: how many pictures were counted, of how many if that is known."""
        return "" if self._progress is None else self._progress.so_far

    def failure(self, result: Outcome) -> None:
        """A picture that could not be labelled."""
        self.say(f"{result.path}: {result.error}")

    def say(self, line: str) -> None:
        """One line of information."""
        if not self._quiet:
            self._write(line)

    def warn(self, line: str) -> None:
        """One line that the user should see also in a quiet run."""
        self._write(f"vithybrid: {line}")

    def alarm(self, line: str) -> None:
        """The same of a run that goes on, in a line that does not begin as an error that ends it."""
        self._write(f"warning: {line}")

    def _write(self, line: str) -> None:
        if self._progress is not None:
            self._progress.report(line)
        else:
            typer.echo(visible(line), err=True)


class _Log(logging.Handler):
    """Hands on what the package logs."""

    def __init__(self, stderr: Stderr, level: int) -> None:
        super().__init__(level)
        self._stderr = stderr
        self._logger = logging.getLogger("vithybrid_cli")
        self._before = (self._logger.level, self._logger.propagate)

    def begin(self) -> None:
        self._before = (self._logger.level, self._logger.propagate)
        self._logger.addHandler(self)
        self._logger.setLevel(self.level)
        self._logger.propagate = False  # else a library that has set up logging for all would show each line again

    def end(self) -> None:
        self._logger.removeHandler(self)
        self._logger.level, self._logger.propagate = self._before

    def emit(self, record: logging.LogRecord) -> None:
        self._stderr.say(record.getMessage())
