"""How the processes of a job are started: as new programs of this Python, with the places that it finds modules in."""

import sys
from typing import Final

PROCESS: Final = "vithybrid_cli.jobs.process"
ALONE: Final = "vithybrid_cli.jobs.alone"

_START = (
    "import runpy, sys; sys.path[:] = sys.argv[3:]; sys.argv[1:] = sys.argv[2:3]; "
    "runpy.run_module({!r}, run_name='__main__')"
)


def command(module: str, argument: str) -> list[str]:
    """What starts a module with one argument."""
    return [sys.executable, "-c", _START.format(module), "-", argument, *sys.path]
