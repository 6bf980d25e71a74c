"""Whole processes: their time, their memory, and why they failed."""

import io
import sys

import pytest

from vithybrid_cli.bench.processes import ProcessFailed, timed, why_ended


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak memory of a process that ended")
def test_a_process_is_timed_with_its_own_memory_and_not_that_of_this_one() -> None:
    here = bytearray(300_000_000)
    here[::4096] = bytes([1]) * len(here[::4096])  # so that the memory is really there
    timing = timed([sys.executable, "-S", "-c", "block = b'1' * 80_000_000"], 5)
    assert timing.images == 5
    assert timing.seconds > 0
    assert timing.peak_bytes is not None
    assert 80_000_000 < timing.peak_bytes < 200_000_000


def test_a_process_that_fails_is_told_by_its_last_line() -> None:
    with pytest.raises(ProcessFailed, match=r"^ValueError: no such thing$"):
        timed([sys.executable, "-S", "-c", "raise ValueError('no such thing')"], 1)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_a_process_that_is_killed_is_told_by_its_signal() -> None:
    with pytest.raises(ProcessFailed, match="killed by SIGKILL, as happens when memory runs out"):
        timed([sys.executable, "-S", "-c", "import os; os.kill(os.getpid(), 9)"], 1)


@pytest.mark.parametrize(
    ("exit_code", "written", "says"),
    [
        pytest.param(
            -9, "a warning\n", "The process was killed by SIGKILL, as happens when memory runs out.", id="signal"
        ),
        pytest.param(1, "", "The process ended with exit code 1.", id="silence"),
        pytest.param(2, "first\nvithybrid: There is no such model.\n\n", "There is no such model.", id="our own line"),
        pytest.param(1, "Traceback\n  File x\nKeyError: 1\n", "KeyError: 1", id="traceback"),
    ],
)
def test_why_a_process_ended_is_one_line(exit_code: int, written: str, says: str) -> None:
    assert why_ended(exit_code, io.BytesIO(written.encode())) == says
