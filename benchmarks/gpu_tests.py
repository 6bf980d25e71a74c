"""The tests that need a GPU, run by pytest without the plugins that a bare machine lacks."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu_parts import Card

_ROOT = Path(__file__).parent.parent
# Tests that compile a network, which takes minutes, or that measure what other parts of the script measure.
_SLOW = "compiled or keeps_the_card_busy"
_RESERVED = 200.0  # seconds for what comes after the quick tests
_TOLD = re.compile(r"^(?:tests/)?test_gpu\.py::|^(PASSED|FAILED|SKIPPED|ERROR|E  )|: -?[\d.e+-]+$|\d+ .*\bin [\d.]+s")


def quick_tests(card: Card) -> Iterator[str]:
    """All but those that compile."""
    yield from _tests(f"not ({_SLOW})", card.seconds_left() - _RESERVED if not card.size.quick else card.seconds_left())


def compiled_tests(card: Card) -> Iterator[str]:
    """Those that compile, in the time that is left."""
    yield from _tests(_SLOW, card.seconds_left())


def _tests(chosen: str, seconds: float) -> Iterator[str]:
    """What pytest tells, with what the tests measure; it is ended after so many ``seconds``."""
    # The project's own options name plugins; without them the marks of these plugins are unknown.
    bare = ["-o", "addopts=", "-o", "filterwarnings=default", "--import-mode=importlib", "-p", "no:cacheprovider"]
    shown = ["-v", "-s", "--tb=short", "--color=no", "--disable-warnings", "-m", "gpu", "-k", chosen]
    command = [sys.executable, "-m", "pytest", *bare, *shown, "tests/test_gpu.py"]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        ended = threading.Event()

        def end() -> None:
            ended.set()
            process.kill()

        timer = threading.Timer(max(seconds, 1), end)
        timer.start()
        last: list[str] = []
        yield "```text"
        assert process.stdout is not None
        for line in process.stdout:
            last = [*last[-4:], line.rstrip()]
            if _TOLD.search(line):
                yield line.rstrip().removeprefix("tests/test_gpu.py::")
        timer.cancel()
        process.wait()
        if process.returncode not in (0, 1, 5) and not ended.is_set():  # neither passed, failed, nor without tests
            yield from last
        yield "```"
    if ended.is_set():
        yield f"\nEnded after {seconds:.0f} s; tests that are not named were left out."
