"""The machine that a benchmark runs on, and what runs there: processor, memory, load, versions, GPUs."""

import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vithybrid_cli.cores import available_cores

_CPUINFO = Path("/proc/cpuinfo")
# Variables that change how many threads the libraries use, and which code they run.
_VARIABLES = re.compile(r"(OMP|GOMP|KMP|MKL|OPENBLAS|ONEDNN|DNNL|ATEN|TORCH|OV|CUDA)_\w+|LD_PRELOAD|PYTORCH_\w+")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured. ``load_before`` and ``load_after`` are the system's load averages over one minute."""

    processor: str
    cores: int
    memory_bytes: int | None
    system: str
    gpus: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    load_before: float | None = None
    load_after: float | None = None


def machine(load_before: float | None) -> Machine:
    """This machine, now."""
    return Machine(
        processor=processor(),
        cores=available_cores(),
        memory_bytes=_memory(),
        system=platform.platform(),
        gpus=_gpus(),
        environment={name: value for name, value in sorted(os.environ.items()) if _VARIABLES.fullmatch(name)},
        load_before=load_before,
        load_after=load_average(),
    )


def processor(cpuinfo: Path = _CPUINFO) -> str:
    """The processor's name, on Linux with its family and model, since cloud machines hide the product number."""
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
    """The system's load average over one minute; None where the system has none."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The version of this Python, and of each package that is installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def torch_threads() -> int | None:
    """How many threads torch computes with; None if it is not loaded."""
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def _gpus() -> list[str]:
    """The NVIDIA GPUs that torch sees, if it is loaded."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on this system
        return None
