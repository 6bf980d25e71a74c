"""Where something is measured: processor, cores, memory, system, and what the environment says about threads."""

import os
import platform
import re
from pathlib import Path

from vithybrid_cli.bench.measurements import Machine
from vithybrid_cli.cores import available_cores

_CPUINFO = Path("/proc/cpuinfo")
# What changes how many threads the libraries compute with, and which of their code paths they take.
_SETTINGS = re.compile(r"(OMP|GOMP|KMP|MKL|OPENBLAS|ONEDNN|DNNL|ATEN|TORCH|OV|CUDA)_\w+|LD_PRELOAD|PYTORCH_\w+")


def machine(gpus: tuple[str, ...], load_before: float | None) -> Machine:
    """This machine, and how busy it was before the first turn and is now."""
    return Machine(
        processor=processor(),
        cores=available_cores(),
        memory_bytes=_memory(),
        system=platform.platform(),
        gpus=gpus,
        environment={name: value for name, value in sorted(os.environ.items()) if _SETTINGS.fullmatch(name)},
        load=(load_before, load_average()),
    )


def processor(cpuinfo: Path = _CPUINFO) -> str:
    """The processor's name, with its family and model where Linux tells them: cloud machines hide the number."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    name = fields.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def load_average() -> float | None:
    """The system's load over the last minute: processes that compute or want to. None where it is not counted."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _memory() -> int | None:
    """Bytes of memory of the machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on this system
        return None
