"""The program for tests that call it often: as a process of its own, but one that has its libraries already.

Importing them takes nearly all of a short run's processor time. Whoever tests how the program starts, or sends it
signals, which would reach only the client, runs ``python -m vithybrid_cli``.
"""

import atexit
import functools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from places import ROOT

_HERE = Path(__file__).parent


@functools.cache
def program() -> list[str]:
    """What to run before the arguments; from the first call on, a server waits for them."""
    if not hasattr(os, "fork"):
        return [sys.executable, "-m", "vithybrid_cli"]
    folder = Path(tempfile.mkdtemp(prefix="vithybrid-"))
    address = str(folder / "socket")
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    server = subprocess.Popen(
        [sys.executable, "-P", str(_HERE / "warm_server.py"), address],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )

    def end() -> None:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n", "it says on stderr what is wrong"
    return [sys.executable, "-I", "-S", str(_HERE / "warm_client.py"), address]


@functools.cache
def folder_with_program() -> Path:
    """A folder for a shell's PATH in which ``vithybrid`` is this program."""
    folder = Path(tempfile.mkdtemp(prefix="vithybrid-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    script = folder / "vithybrid"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(program())} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return folder
