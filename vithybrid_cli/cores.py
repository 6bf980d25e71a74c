"""How many cores this process may use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def available_cores() -> int:
    """The cores of its affinity, but no more than the processor time that a container grants it; at least 1."""
    return max(1, min([usable_processors(), *map(math.ceil, _granted())]))


def usable_processors() -> int:
    """The processors that this process may run on, however little of their time a container grants it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _granted() -> Iterator[float]:
    """What each control group around the process grants it, in cores.

    ``cpu.max`` holds a quota and a period in microseconds, or ``max`` for no limit (Linux, cgroup v2:
    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files).
    """
    for group in own_cgroups():
        try:
            quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        except (OSError, ValueError):  # no such limit there, or no Linux
            continue
        if quota != "max":
            yield int(quota) / int(period)


def own_cgroups() -> Iterator[Path]:
    """The folders of all control groups that hold this process (Linux, cgroup v2)."""
    try:
        lines = _OWN_CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::/"):
            own = PurePosixPath(line.removeprefix("0::/"))
            yield from (_CGROUPS / group for group in (own, *own.parents))
