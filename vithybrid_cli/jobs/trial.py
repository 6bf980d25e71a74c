"""Suspects are tried one by one, alone, in a process of their own: what ends that process twice is guilty."""

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from vithybrid_cli.errors import UsageError
from vithybrid_cli.jobs import programs
from vithybrid_cli.jobs.crashes import Crashes
from vithybrid_cli.jobs.hands import Hands
from vithybrid_cli.jobs.job import Job
from vithybrid_cli.runs.interrupts import Interrupted

# What people and systems send to end a program: no verdict on the picture that was being tried.
_ASKED_TO_END = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_READY = b"ready\n"


def try_alone(job: Job, crashes: Crashes, suspects: Mapping[int, str], tag: str) -> None:
    """Try the pictures of these numbers and names; afterwards ``crashes`` has those that are guilty, and no others.

    Raises UsageError if no process starts, and Interrupted if one was ended by a signal that asks for that.
    """
    left = dict(suspects)
    with Hands(job.folder, crashes.shard, tag, 1, job.inputs) as hands:
        while left:
            with _process(job) as process:
                number = _first_to_die(process, left, hands)
            if number is None:
                break
            crashes.add_trial(number, how_ended(process.returncode))
            crashes.write()
            if number in crashes.guilty:
                del left[number]
    crashes.acquit()
    crashes.write()


def how_ended(status: int) -> str:
    """What ended a process, in words: ``SIGSEGV``, ``status 7``."""
    with suppress(ValueError):
        if status < 0:
            return signal.Signals(-status).name
    return f"status {status}"


def _first_to_die(process: "subprocess.Popen[bytes]", left: dict[int, str], hands: Hands) -> int | None:
    """At which picture the process ends, None if at none. Those that it survives are left no more."""
    assert process.stdin is not None
    assert process.stdout is not None
    for number, name in list(left.items()):
        hands.trying(number)
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(name).encode() + b"\n")
            process.stdin.flush()
        if not process.stdout.readline().endswith(b"\n"):
            if -process.wait() in _ASKED_TO_END:
                raise Interrupted(-process.returncode)
            return number
        del left[number]
    return None


@contextmanager
def _process(job: Job) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has opened the network and waits for names. It ends with the block, or with this process."""
    command = programs.command(programs.ALONE, job.name)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline() != _READY:
            if -process.wait() in _ASKED_TO_END:
                raise Interrupted(-process.returncode)
            cause = f"No process can be started to try pictures in: it ended with {how_ended(process.returncode)}."
            raise UsageError(cause, "Close other programs that use memory, and run the job again.")
        yield process
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()
