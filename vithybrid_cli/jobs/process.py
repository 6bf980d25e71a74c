"""The process of a worker, which a run starts and tells which shards to compute.

It reads numbers of shards as lines, and writes what it does as lines of JSON. It ends when its stdin does, as by the
end of the run that started it: after the batch at hand, whose results are kept.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from queue import SimpleQueue
from typing import Any

from vithybrid_cli.errors import VitHybridError, as_flag, options_spelt
from vithybrid_cli.hub.locate import FetchProgress
from vithybrid_cli.jobs.choice import Choice
from vithybrid_cli.jobs.job import Job
from vithybrid_cli.jobs.worker import Worker
from vithybrid_cli.locks import AlreadyLocked
from vithybrid_cli.results import ImageResult, Outcome
from vithybrid_cli.runs.interrupts import Interrupted
from vithybrid_cli.runs.watch import Begin, Silent

_INTERVAL = 0.2  # seconds between two reports of progress
_GRACE = 60.0  # seconds for a process whose run has ended to finish its batch


class Told:
    """Tells the run what the worker does; see `vithybrid_cli.jobs.worker.Following` and `Watch`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pictures = self._failed = 0
        self._last = time.monotonic()

    def tell(self, event: str, **facts: Any) -> None:
        """One line. A run that has ended is told nothing."""
        with suppress(BrokenPipeError):
            os.write(self._descriptor, json.dumps({"event": event, **facts}).encode() + b"\n")

    def begun(self, shard: int, done: int, failed: int, size: int) -> None:
        """A shard was taken."""
        self.flush()
        self.tell("begun", shard=shard, done=done, failed=failed, size=size)

    def trying(self, shard: int, pictures: int) -> None:
        """Pictures are tried one by one."""
        self.tell("trying", shard=shard, pictures=pictures)

    def result(self, result: ImageResult) -> None:
        """One more input is done."""
        self._pictures += 1
        if result.error is not None:
            self._failed += 1
            self.tell("failure", path=result.path, message=str(result.error))
        if time.monotonic() - self._last >= _INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Tell of all results so far."""
        if self._pictures:
            self.tell("advanced", pictures=self._pictures, failed=self._failed)
        self._pictures = self._failed = 0
        self._last = time.monotonic()

    def fetching(self) -> AbstractContextManager[FetchProgress | None]:
        """While a model is located."""
        return nullcontext()

    def counting(self, begin: Begin) -> AbstractContextManager[Silent]:
        """Nothing is counted so."""
        return nullcontext(Silent())

    def so_far(self) -> str:
        """Nothing is counted so."""
        return "some pictures"

    def failure(self, result: Outcome) -> None:
        """A picture that could not be labelled."""

    def say(self, line: str) -> None:
        """One line of information."""
        self.tell("say", line=line)

    def warn(self, line: str) -> None:
        """One line that the user should see also in a quiet run."""
        self.tell("warn", line=line)


class _Log(logging.Handler):
    """Hands on what the package logs."""

    def __init__(self, told: Told) -> None:
        super().__init__(logging.INFO)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told.say(record.getMessage())


def main() -> None:
    """Compute the shards that stdin names. The argument is JSON: the job's place, and the `Choice`."""
    told = Told(os.dup(1))
    os.dup2(2, 1)  # whatever else writes to stdout
    logger = logging.getLogger("vithybrid_cli")
    logger.addHandler(_Log(told))
    logger.setLevel(logging.INFO)
    logger.propagate = False
    asked = json.loads(sys.argv[1])
    try:
        with options_spelt(as_flag):
            _work(Job.open(asked["job"]), Choice(**asked["choice"]), told)
    except VitHybridError as error:
        told.tell("error", kind=type(error).__name__, cause=error.cause, remedy=error.remedy)
    except Interrupted as interrupt:
        told.tell("interrupted")
        os._exit(interrupt.exit_code)
    except KeyboardInterrupt:
        told.tell("interrupted")
        os._exit(130)
    except Exception as error:  # a bug, which the run tells of
        traceback.print_exc()
        told.tell("bug", what=f"{type(error).__name__}: {error}")


def _work(job: Job, choice: Choice, told: Told) -> None:
    job.enter()
    worker = Worker(job, choice, told, told)
    for shard in _shards():
        try:
            event = "done" if worker.compute(shard) else "skipped"
        except AlreadyLocked:
            event = "held"
        told.flush()
        told.tell(event, shard=shard)


def _shards() -> Iterator[int]:
    """The shards to compute, as they are told. A thread waits for them, and for the end of stdin."""
    asked: SimpleQueue[int | None] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            asked.put(int(line))
        asked.put(None)
        os.kill(os.getpid(), signal.SIGTERM)  # in the middle of a shard; between two, it ends at once
        time.sleep(_GRACE)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    while (shard := asked.get()) is not None:
        yield shard


if __name__ == "__main__":
    main()
