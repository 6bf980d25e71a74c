"""The program with an engine that computes nothing, and with pictures that kill, in all processes of a job.

``python fake_job_program.py job run JOB`` is ``vithybrid job run JOB``. A picture whose name has ``killer`` in it ends
the process that decodes it, as a decoder with a bug does; ``bug`` raises what no input should raise.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from fake_program import open_fake

from vithybrid_cli.commands.app import main
from vithybrid_cli.images.read import PixelReader
from vithybrid_cli.items import Item
from vithybrid_cli.jobs import alone, process, programs, worker
from vithybrid_cli.runs import label

MODULES: dict[str, Callable[[], None]] = {programs.PROCESS: process.main, programs.ALONE: alone.main}
_read = PixelReader.read


def read(self: PixelReader, item: Item, reserve: Callable[[int], None]) -> Any:
    """What stands in for `PixelReader.read`."""
    item.open().close()  # raises for one that is not to be opened any more
    if "killer" in item.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "bug" in item.name:
        raise ZeroDivisionError("a bug")
    return _read(self, item, reserve)


def command(module: str, argument: str) -> list[str]:
    """What stands in for `programs.command`."""
    return [sys.executable, __file__, module, argument]


if __name__ == "__main__":
    run = MODULES.get(sys.argv[1], main)
    if run is not main:
        del sys.argv[1]
    label.open_classifier = open_fake
    worker.open_classifier = open_fake  # type: ignore[attr-defined]  # where it is imported by name
    programs.command = command
    PixelReader.read = read  # type: ignore[method-assign]
    run()
