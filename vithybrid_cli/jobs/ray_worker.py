"""A worker of a job in a process that Ray starts: it computes the shards that it is given, and tells how far it is."""

import os
import signal
import socket
from dataclasses import dataclass, replace
from enum import Enum

from vithybrid_cli.errors import VitHybridError, as_flag, options_spelt
from vithybrid_cli.jobs.choice import Choice
from vithybrid_cli.jobs.job import Job
from vithybrid_cli.jobs.worker import Worker
from vithybrid_cli.locks import AlreadyLocked
from vithybrid_cli.results import ImageResult
from vithybrid_cli.runs.interrupts import Interrupted


class Ending(Enum):
    """How a worker has left a shard."""

    DONE = "done"
    LOCKED = "locked"  # another worker, of this run or another, is at it
    STOPPED = "stopped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Doing:
    """What a worker does: ``words`` for people; of the ``size`` inputs of its shard ``done`` have results.

    ``kept`` of these are of earlier attempts. ``failures`` are the names of inputs, and why they have no labels, that
    were not told of before.
    """

    words: str = "waits"
    size: int = 0
    kept: int = 0
    done: int = 0
    failed: int = 0
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker says of a shard. A refusal has a ``cause`` and a ``remedy``, as errors have."""

    ending: Ending
    last: Doing
    cause: str = ""
    remedy: str = ""


class RayWorker:
    """What runs in the process: `compute` in one thread, `doing` and `stop` in another beside it.

    It raises nothing that a user can cause: errors of this package are answers. ``job`` is the name of its folder.
    """

    def __init__(self, job: str, choice: Choice) -> None:
        self._name, self._choice = job, choice
        self._worker: Worker | None = None
        self._stopped = False
        self._doing = Doing()
        self._failures: list[tuple[str, str]] = []

    def hello(self) -> str:
        """Where it is, in words."""
        return f"{socket.gethostname()}, process {os.getpid()}"

    def compute(self, shard: int) -> Answer:
        """Compute one shard and put its results in their place."""
        self._doing = Doing("opens the network" if self._worker is None else f"begins with shard {shard}")
        try:
            self._opened().compute(shard)
            ending, cause, remedy = Ending.DONE, "", ""
        except AlreadyLocked:
            ending, cause, remedy = Ending.LOCKED, "", ""
        except Interrupted:
            ending, cause, remedy = Ending.STOPPED, "", ""
        except VitHybridError as error:
            ending, cause, remedy = Ending.REFUSED, error.cause, error.remedy
        last, self._doing = self.doing(), Doing()
        return Answer(ending, last, cause, remedy)

    def doing(self) -> Doing:
        """What it does now. Each failure is told once."""
        told, self._failures = self._failures, []
        return replace(self._doing, failures=tuple(told))

    def stop(self) -> None:
        """Leave the shard after the picture at hand, with what is done of it kept."""
        self._stopped = True

    def begun(self, shard: int, done: int, failed: int, size: int) -> None:
        """A shard was taken; see `vithybrid_cli.jobs.worker.Following`."""
        self._doing = Doing(f"shard {shard}", size, done, done, failed)

    def trying(self, shard: int, pictures: int) -> None:
        """Pictures are tried one by one; see `vithybrid_cli.jobs.worker.Following`."""
        self._doing = Doing(f"shard {shard}: tries {pictures} pictures one by one, since workers died of one of them")

    def result(self, result: ImageResult) -> None:
        """One more input is done; see `vithybrid_cli.jobs.worker.Following`."""
        was, failed = self._doing, result.error is not None
        if failed:
            with options_spelt(as_flag):
                self._failures.append((result.path, str(result.error)))
        self._doing = replace(was, done=was.done + 1, failed=was.failed + failed)
        if self._stopped:
            raise Interrupted(signal.SIGTERM)

    def _opened(self) -> Worker:
        if self._worker is None:
            job = Job.open(self._name)
            job.enter()
            self._worker = Worker(job, self._choice, following=self)
        return self._worker
