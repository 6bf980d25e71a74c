"""Whole processes, from their start to their end: what somebody waits for who types a command."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vithybrid_cli.bench.measurements import OURS, Part, Subject, Timing
from vithybrid_cli.bench.peers import Peer
from vithybrid_cli.bench.plan import Files, Plan
from vithybrid_cli.bench.rotation import Task
from vithybrid_cli.bench.worker import Failed, command, environment, why_ended

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes; see getrusage(2)


def process_tasks(
    part: Part, plan: Plan, files: Files, ours: Iterable[tuple[str, str]], peers: Iterable[Peer]
) -> list[Task]:
    """A task for each of our engines and types and for each peer: all pictures, or for START the first one."""
    labelling = _Labelling(plan, files)
    tasks = [_task(Subject(part, OURS, *pair), labelling) for pair in ours]
    for peer in peers:
        if part in peer.parts:
            tasks += [_task(Subject(part, peer.name, None, dtype), labelling) for dtype in plan.dtypes]
    return tasks


def _task(subject: Subject, labelling: "_Labelling") -> Task:
    plan = labelling.plan
    first = partial(timed, labelling.command(subject, first=True), 1, plan.cache)  # reads its files, and fills caches
    if subject.part is Part.START:
        return Task(subject, first, first)
    return Task(subject, partial(timed, labelling.command(subject, first=False), len(plan.pictures), plan.cache), first)


@dataclass(frozen=True, slots=True)
class _Labelling:
    """Command lines that label the pictures of a plan."""

    plan: Plan
    files: Files

    def command(self, subject: Subject, *, first: bool) -> list[str]:
        """That of our program, or of what a peer's documentation shows; of all pictures, or the ``first``."""
        listed = str(self.files.first if first else self.files.pictures)
        model, device, dtype = str(self.plan.model), self.plan.device, str(subject.dtype)
        if subject.program != OURS:
            wanted = {"model": model, "pictures": listed, "dtype": dtype, "device": device}
            return command("peers.label", wanted, self.plan.python)
        inputs = ["--files-from", listed, "--null", "--model", model, "--workers", str(self.plan.workers)]
        runs = ["--engine", str(subject.engine), "--dtype", dtype, "--device", device]
        return [sys.executable, "-m", "vithybrid_cli", "classify", *inputs, *runs, "--format", "jsonl", "--no-progress"]


def timed(command: Sequence[str], images: int, cache: Path | None = None) -> Timing:
    """Run a command that labels so many ``images``; for ``cache`` see `environment`. Raises Failed if it fails."""
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment(cache))
        try:
            peak = _waited(process)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - began
        if process.returncode != 0:
            raise Failed(why_ended(process.returncode, errors))
    return Timing(seconds, images, peak)


def _waited(process: "subprocess.Popen[bytes]") -> int | None:
    """Wait for the end; the most memory that the process had, in bytes, where the system tells it of one process."""
    if sys.platform == "win32":
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * _MAXRSS_UNIT
