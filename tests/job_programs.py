"""Jobs run by the program itself, in processes that a test can kill."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROGRAM = [sys.executable, "-m", "vithybrid_cli"]
HOW = ["-m", "tiny", "--batch-size", "8"]
_TAG = re.compile(r"\d+\..*-(\d+)\.hands")
_SOON = 600.0  # seconds; what takes longer does not happen any more


def run(folder: Path, *arguments: str) -> str:
    """What the program writes to stderr; it has to end with 0, in ``folder``."""
    done = subprocess.run([*PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def begin(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """The program, running in ``folder``; its stderr is read as text."""
    return subprocess.Popen(
        [*PROGRAM, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def end_of(program: "subprocess.Popen[str]") -> str:
    """What it has written to stderr, once it has ended with 0."""
    _, said = program.communicate(timeout=_SOON)
    assert program.returncode == 0, said
    return said


def at_work(job: Path) -> list[int]:
    """The processes that have pictures in their hands, by the notes that they make."""
    return [int(found[1]) for note in sorted((job / "working").glob("*.hands")) if (found := _TAG.fullmatch(note.name))]


def kill_a_worker(job: Path, choose: Callable[[list[int]], int] = min) -> bool:
    """Whether there was one that had pictures in its hands, and could be killed."""
    if pids := at_work(job):
        try:
            os.kill(choose(pids), signal.SIGKILL)
        except ProcessLookupError:  # a note of one that died before
            return False
        return True
    return False


def shards_done(job: Path) -> int:
    """How many shards have results."""
    return len(list((job / "results").glob("*.jsonl")))


def wait_for(happens: Callable[[], bool], program: "subprocess.Popen[str]") -> None:
    """Wait until something happens while ``program`` runs."""
    until = time.monotonic() + _SOON
    while not happens():
        assert program.poll() is None, program.communicate()[1]
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.01)
