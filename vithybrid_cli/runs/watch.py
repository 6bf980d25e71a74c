"""What a run tells while it goes on. The command line shows it on stderr."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, Self

from vithybrid_cli.errors import option
from vithybrid_cli.hub.locate import FetchProgress
from vithybrid_cli.results import Outcome
from vithybrid_cli.sources.survey import Survey


class Counter(Protocol):
    """How far a run is."""

    def advance(self, *, failed: bool = False) -> None:
        """One more picture is done."""


class Watch(Protocol):
    """Follows one run."""

    def fetching(self) -> AbstractContextManager[FetchProgress | None]:
        """While a model is located; gives what to call as its files arrive."""

    def counting(self, begin: "Begin") -> AbstractContextManager[Counter]:
        """While pictures are computed."""

    def so_far(self) -> str:
        """In words: how many pictures were counted, of how many if that is known."""

    def failure(self, result: Outcome) -> None:
        """A picture that could not be labelled."""

    def say(self, line: str) -> None:
        """One line of information."""

    def warn(self, line: str) -> None:
        """One line that the user should see also in a quiet run."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Where counting begins.

    ``count``, which may be slow, gives the number of all inputs, if that can be known. A run that goes on with an
    earlier one has pictures that are ``done``, and of these some that ``failed``. ``visible``: the results themselves
    appear on a screen, and are progress enough. ``alone``: there is just one input. ``apart``: the results go to a
    file, so that a line on the screen that changes does not disturb them.
    """

    count: Callable[[], int | None] | None = None
    done: int = 0
    failed: int = 0
    visible: bool = False
    alone: bool = False
    apart: bool = True


@dataclass(slots=True)
class Tally:
    """How many pictures a run has results of, and how many of these are errors."""

    done: int = 0
    failed: int = 0

    def add(self, *, failed: bool) -> None:
        """Count one more picture."""
        self.done += 1
        self.failed += failed


def tell_survey(survey: Survey, watch: Watch) -> None:
    """Say what was left out of the inputs of a run, or that there was nothing to read.

    That is no error: a list may well be empty, and its results are then, too.
    """
    hints = []
    if not survey.found and survey.raws:
        hints.append(f"{option('raw_preview')} reads the previews in raw files")
    if survey.containers:
        hints.append(f"{option('archives')} reads what archives and tables hold")
    if not survey.found:
        watch.warn("; ".join([survey.nothing(), *hints]))
        return
    if line := survey.line():
        watch.say("; ".join([line, *hints]))
    if note := survey.excluded_nothing():
        watch.say(note)


class Silent:
    """Follows a run and shows nothing of it; it is a `Counter` of its own."""

    def fetching(self) -> AbstractContextManager[FetchProgress | None]:
        """While a model is located."""
        return nullcontext()

    def counting(self, begin: Begin) -> AbstractContextManager[Self]:
        """While pictures are computed."""
        return nullcontext(self)

    def so_far(self) -> str:
        """Nothing is counted."""
        return "some pictures"

    def advance(self, *, failed: bool = False) -> None:
        """One more picture is done."""

    def failure(self, result: Outcome) -> None:
        """A picture that could not be labelled."""

    def say(self, line: str) -> None:
        """One line of information."""

    def warn(self, line: str) -> None:
        """One line that the user should see also in a quiet run."""
