"""Whole processes, from start to exit: what somebody waits for who types a command."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from vithybrid_cli.bench import stopwatch
from vithybrid_cli.bench.material import Material, Plan
from vithybrid_cli.bench.measurements import OURS, Part, Subject, Timing
from vithybrid_cli.bench.turns import Task
from vithybrid_cli.errors import UsageError

_STDERR_BYTES = 4096  # of the end of stderr, which are searched for the reason of a failure


class ProcessFailed(UsageError):
    """A process ended before its work was done; the text says why."""


def process_tasks(part: Part, plan: Plan, material: Material, engines: Iterable[tuple[str, str]]) -> list[Task]:
    """A task for each (engine, type): `classify` over all pictures, or over the first one for START."""
    tasks = []
    for engine, dtype in engines:
        once = partial(timed, _classify(plan, material, material.first, engine, dtype), 1)
        every = partial(timed, _classify(plan, material, material.every, engine, dtype), len(material.pictures))
        # The first run reads its files into the system's cache, and may convert the network for OpenVINO.
        tasks.append(Task(Subject(part, OURS, engine, dtype), once if part is Part.START else every, once))
    return tasks


def _classify(plan: Plan, material: Material, listed: Path, engine: str, dtype: str) -> list[str]:
    inputs = ["--files-from", str(listed), "--null", "--model", str(material.model)]
    runs = ["--engine", engine, "--dtype", dtype, "--device", plan.device, "--workers", str(plan.workers)]
    if plan.threads is not None:
        runs += ["--threads", str(plan.threads)]
    return [sys.executable, "-m", "vithybrid_cli", "classify", *inputs, *runs, "--format", "jsonl", "--no-progress"]


def timed(command: Sequence[str], images: int, environment: Mapping[str, str] | None = None) -> Timing:
    """Run a command that labels that many ``images``, without the hub. Raises ProcessFailed."""
    offline = {**(os.environ if environment is None else environment), "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", stopwatch.__file__, *command],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=offline,
            start_new_session=True,  # so that it can be killed together with the command
        )
        try:
            measured, _ = process.communicate()
        finally:
            if process.returncode is None:
                _kill(process)
        if process.returncode != 0:
            raise ProcessFailed(why_ended(process.returncode, errors))
    ended = json.loads(measured)
    return Timing(ended["seconds"], images, ended["peak_bytes"])


def _kill(process: "subprocess.Popen[bytes]") -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def why_ended(exit_code: int, errors: IO[bytes]) -> str:
    """Why a process failed: the signal that killed it, or the last line that it wrote to ``errors``."""
    if exit_code < 0:
        return f"The process was killed by {signal.Signals(-exit_code).name}, as happens when memory runs out."
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _STDERR_BYTES))
    lines = [line.strip() for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].removeprefix(f"{OURS}: ") if lines else f"The process ended with exit code {exit_code}."
