"""Runs a command and prints its duration and peak memory as JSON: stopwatch.py COMMAND…

It is a small program of its own: a child process inherits the peak memory of the process that starts it, and the one
that runs the benchmark has networks loaded.
"""

import json
import os
import subprocess
import sys
import time

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes; see getrusage(2)


def main(command: list[str]) -> None:
    """Run it without its stdout; exits as the command does if that fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak_bytes = None
    if sys.platform == "win32":
        process.wait()
    else:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        peak_bytes = usage.ru_maxrss * _MAXRSS_UNIT
    seconds = time.perf_counter() - began
    if process.returncode < 0:
        os.kill(os.getpid(), -process.returncode)
    if process.returncode:
        sys.exit(process.returncode)
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes}))


if __name__ == "__main__":
    main(sys.argv[1:])
