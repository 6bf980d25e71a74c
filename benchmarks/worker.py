"""The outer end of a worker process: starts it, asks it for one turn at a time, and ends it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from vithybrid_cli.bench.amount import Amount
from vithybrid_cli.bench.measurements import Timing
from vithybrid_cli.bench.processes import ProcessFailed, why_ended
from vithybrid_cli.bench.result import Software

ROOT = Path(__file__).parent.parent


def command(module: str, arguments: Mapping[str, Any], python: str = sys.executable) -> list[str]:
    """The command line that runs a module of ``benchmarks.peers`` in some Python."""
    return [python, "-m", f"benchmarks.peers.{module}", json.dumps(arguments)]


def environment() -> dict[str, str]:
    """The environment of a worker: it finds this source tree, and does not ask the hub."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


class Measures(Protocol):
    """One process or several that measure."""

    def measure(self, amount: Amount) -> Timing:
        """Do that much. Raises ProcessFailed."""

    def close(self) -> None:
        """End it, in the middle of its work too."""


class Worker:
    """A process that has loaded what it needs; ``software`` is what it runs."""

    def __init__(self, module: str, arguments: Mapping[str, Any], python: str = sys.executable) -> None:
        """Start it and wait until it is ready. Raises ProcessFailed."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the process)
        self._process = subprocess.Popen(
            command(module, arguments, python),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
            encoding="utf-8",
            env=environment(),
        )
        try:
            self.software = Software(**self._answer())
        except BaseException:
            self.close()
            raise

    def measure(self, amount: Amount) -> Timing:
        """Do that much. Raises ProcessFailed."""
        self.ask(amount)
        return self.answer()

    def ask(self, amount: Amount) -> None:
        """Begin; `answer` waits for the end."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; `answer` says why
            self._process.stdin.write(json.dumps(asdict(amount)) + "\n")

    def answer(self) -> Timing:
        """The answer to the last `ask`. Raises ProcessFailed."""
        return Timing(**self._answer())

    def close(self) -> None:
        """End the process, in the middle of its work too."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ProcessFailed(why_ended(self._process.wait(), self._errors))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ProcessFailed(answer["error"])
        return answer


class Crew:
    """Several workers that do the same at the same time; together they are as fast as their sum."""

    def __init__(self, workers: list[Worker]) -> None:
        self.workers = workers

    def measure(self, amount: Amount) -> Timing:
        """Let each do its share of the images. Raises ProcessFailed."""
        share = Amount(amount.batch, -(-amount.images // len(self.workers)), amount.seconds)
        for worker in self.workers:
            worker.ask(share)
        timings = [worker.answer() for worker in self.workers]
        # Each stops by its own clock, so rates are added: the sum of images over the longest time would charge
        # all of them with the last one's last picture.
        images = sum(timing.images for timing in timings)
        return Timing(images / sum(timing.rate for timing in timings), images)

    def close(self) -> None:
        """End all of them."""
        for worker in self.workers:
            worker.close()


class Fallback:
    """A worker, and another one that takes its place once it fails, for a library that crashes on its best way."""

    def __init__(self, first: Worker, second: Callable[[], Worker]) -> None:
        self._worker, self._second = first, second
        self._fell_back = False

    def measure(self, amount: Amount) -> Timing:
        """Do that much. Raises ProcessFailed."""
        try:
            return self._worker.measure(amount)
        except ProcessFailed:
            if self._fell_back:
                raise
        self._fell_back = True
        self._worker.close()
        self._worker = self._second()
        return self._worker.measure(amount)

    def close(self) -> None:
        """End the one at work."""
        self._worker.close()
