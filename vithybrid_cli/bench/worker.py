"""The outer end of a worker process: starts it, asks it for one turn at a time, and ends it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import dropwhile
from pathlib import Path
from typing import IO, Any, Protocol

from vithybrid_cli.bench import child
from vithybrid_cli.bench.measurements import Timing
from vithybrid_cli.bench.serve import Request
from vithybrid_cli.errors import ModelError, UsageError, VitHybridError

PACKAGE = Path(__file__).parent.parent
_LAST_WORDS, _LONGEST = 16384, 400  # bytes of a process's stderr that are looked at for why it ended; characters told
_TRACEBACK = "Traceback (most recent call last):\n"
_PATIENCE = 5.0  # seconds that a process gets to end by itself


class Failed(VitHybridError):
    """A process could not do what it was asked for; the text says why. ``kind`` is the name of its own error."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind

    def as_ours(self) -> VitHybridError:
        """The same for a process of ours whose failure ends the command: a ModelError if it was one there."""
        return (ModelError if self.kind == ModelError.__name__ else UsageError)(str(self))


def command(module: str, arguments: Mapping[str, Any], python: str = sys.executable) -> list[str]:
    """The command line that runs a module of ``vithybrid_cli.bench`` in some Python."""
    package = PACKAGE.name
    return [python, child.__file__, str(PACKAGE), f"{package}.bench.{module}", json.dumps(arguments)]


def environment(cache: Path | None = None) -> dict[str, str]:
    """The surroundings of every process that is measured: models lie on the disk, and nobody asks the hub.

    ``cache`` takes the place of the user's for what our engines keep of a model.
    """
    own = {} if cache is None else {"VITHYBRID_CACHE": str(cache)}
    return {**os.environ, "HF_HUB_OFFLINE": "1", **own}


class Server(Protocol):
    """What answers requests, in one process or several."""

    @property
    def facts(self) -> dict[str, Any]:
        """What it says of itself."""

    def measure(self, request: Request) -> Timing:
        """Do what is asked for. Raises Failed."""

    def close(self, *, at_once: bool = False) -> None:
        """End it, ``at_once`` also amid its work."""


class Worker:
    """A process that has loaded what it needs, with what it says of itself in ``facts``."""

    def __init__(
        self, module: str, arguments: Mapping[str, Any], python: str = sys.executable, cache: Path | None = None
    ) -> None:
        """Start it and wait until it is ready. Raises Failed."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the process)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command(module, arguments, python),
            stdin=pipe,
            stdout=pipe,
            stderr=self._errors,
            text=True,
            bufsize=1,
            encoding="utf-8",
            env=environment(cache),
        )
        try:
            self.facts = self._answer()
        except BaseException:
            self.close(at_once=True)
            raise

    def measure(self, request: Request) -> Timing:
        """Do what is asked for. Raises Failed."""
        self.ask(request)
        return self.told()

    def ask(self, request: Request) -> None:
        """Begin; `told` waits for the end."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: its last words come instead of an answer
            self._process.stdin.write(json.dumps(asdict(request)) + "\n")

    def told(self) -> Timing:
        """What came of the last `ask`. Raises Failed."""
        return Timing(**self._answer())

    def close(self, *, at_once: bool = False) -> None:
        """End the process, ``at_once`` also amid its work."""
        if at_once:
            self._process.kill()
        try:
            self._process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed(why_ended(self._process.wait(), self._errors))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"], answer["error_type"])
        return answer


class Crew:
    """Several workers that do the same at the same time; together they are as fast as their sum."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers

    @property
    def facts(self) -> dict[str, Any]:
        """What each of them says of itself."""
        return self.workers[0].facts

    def measure(self, request: Request) -> Timing:
        """Let each do its part of the images. Raises Failed."""
        share = Request(request.part, request.batch, -(-request.images // len(self.workers)), request.seconds)
        for worker in self.workers:
            worker.ask(share)
        timings = [worker.told() for worker in self.workers]
        # Each stops by its own clock, so rates are added: the sum of images over the longest time would charge
        # all of them with the last one's last picture.
        images = sum(timing.images for timing in timings)
        return Timing(images / sum(timing.rate for timing in timings), images)

    def close(self, *, at_once: bool = False) -> None:
        """End all of them."""
        for worker in self.workers:
            worker.close(at_once=at_once)


class Fallback:
    """A worker, and another one to take its place if it fails, as where a library crashes on the best of its ways."""

    def __init__(self, first: Callable[[], Worker], second: Callable[[], Worker]) -> None:
        self._worker, self._second = first(), second
        self._fell_back = False

    @property
    def facts(self) -> dict[str, Any]:
        """What the one at work says of itself."""
        return self._worker.facts

    def measure(self, request: Request) -> Timing:
        """Do what is asked for. Raises Failed."""
        try:
            return self._worker.measure(request)
        except Failed:
            if self._fell_back:
                raise
        self._fell_back = True
        self._worker.close(at_once=True)
        self._worker = self._second()
        return self._worker.measure(request)

    def close(self, *, at_once: bool = False) -> None:
        """End the one at work."""
        self._worker.close(at_once=at_once)


def why_ended(exit_code: int, errors: IO[bytes]) -> str:
    """What ended a process: a signal, an exception with its message, or whatever it wrote last."""
    if exit_code < 0:
        return f"it was ended by the signal {signal.Signals(-exit_code).name}, as when memory runs out"
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _LAST_WORDS))
    text = errors.read().decode("utf-8", "replace")
    _, found, trace = text.rpartition(_TRACEBACK)
    lines = [line for line in trace.splitlines() if line.strip()]
    said = list(dropwhile(lambda line: line.startswith(" "), lines)) if found else lines[-1:]
    message = " ".join(line.strip() for line in said) or f"it ended with exit code {exit_code}"
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]}…"
