"""What torch may run on, and in which type, by the names that a user gives."""

import logging
import platform
from collections.abc import Callable, Mapping

import torch

from vithybrid_cli.choices import Dtype
from vithybrid_cli.cores import available_cores
from vithybrid_cli.engines.processor import Processor, library_settings
from vithybrid_cli.errors import UsageError

KNOWN_DEVICES = "auto, cpu, cuda, cuda:N, mps"
MOST_THREADS = 1024  # more than any processor has cores; many more, and OpenMP ends the process

_logger = logging.getLogger(__name__)


def choose_device(name: str) -> torch.device:
    """The device of ``--device``: auto, cpu, cuda, cuda:N or mps. Raises UsageError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"{name!r} is not a device.", f"Give one of {KNOWN_DEVICES}.") from error
    present: dict[str, Callable[[], bool]] = {
        "cpu": lambda: device.index is None,
        "cuda": lambda: torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if device.type not in present:
        raise UsageError(f"The device {name!r} is not supported.", f"Give one of {KNOWN_DEVICES}.")
    if not present[device.type]():
        raise UsageError(f"This machine, or the installed torch, has no device {name!r}.", "Give {device=cpu}.")
    return device


def choose_devices(name: str) -> list[torch.device]:
    """All devices that ``--device`` means: without a number, the first NVIDIA GPU and those that are like it.

    GPUs of another kind round differently, and a batch may go to any of them. Raises UsageError as `choose_device`
    does.
    """
    device = choose_device(name)
    if device.type != "cuda" or ":" in name:
        return [device]
    kinds = [_kind(torch.device("cuda", index)) for index in range(torch.cuda.device_count())]
    alike = [index for index, kind in enumerate(kinds) if kind == kinds[0]]
    for index in set(range(len(kinds))) - set(alike):
        _logger.warning(
            "GPU %d (%s) is not of the same kind as GPU 0 (%s), so it is not used: results would depend on which of "
            "them computes a picture. Start a run of its own on the device cuda:%d.",
            index,
            kinds[index][0],
            kinds[0][0],
            index,
        )
    return [torch.device("cuda", index) for index in alike]


def _kind(device: torch.device) -> tuple[str, int, int, int, int]:
    """What decides which kernels a GPU is given, and how much fits; memory in GiB, since some is lost to the driver."""
    found = torch.cuda.get_device_properties(device)
    memory = round(found.total_memory / 2**30)
    return found.name, found.major, found.minor, found.multi_processor_count, memory


def environment_of(device: torch.device) -> Mapping[str, str | int]:
    """`vithybrid_cli.engines.Engine.environment` of torch on a device, but for the number of threads."""
    facts: dict[str, str | int] = {"torch": str(torch.__version__)}
    if device.type == "cuda":
        name, major, minor, multiprocessors, memory = _kind(device)
        facts |= {"gpu": name, "compute_capability": f"{major}.{minor}", "multiprocessors": multiprocessors}
        facts |= {"gpu_memory_gib": memory, "cuda": str(torch.version.cuda or torch.version.hip)}
        facts |= {"cudnn": torch.backends.cudnn.version() or 0}  # type: ignore[no-untyped-call] # no annotations
    elif device.type == "mps":
        facts |= {"gpu": platform.processor() or platform.machine(), "macos": platform.mac_ver()[0]}
    else:
        facts |= Processor.read().environment
        facts |= {"capability": torch.backends.cpu.get_cpu_capability()}
    return facts | library_settings()


def torch_dtype(name: str) -> torch.dtype:
    """float32, float16 or bfloat16 by name; tf32 is a way to compute with float32."""
    return {
        "float32": torch.float32,
        "tf32": torch.float32,
        "float16": torch.float16,
        "bfloat16": torch.bfloat16,
    }[name]


def require_possible(dtype: str, device: torch.device) -> None:
    """Raise UsageError for tf32 on anything but an NVIDIA GPU: it would be float32 under another name."""
    if dtype == Dtype.TF32 and device.type != "cuda":
        raise UsageError(f"Only NVIDIA GPUs compute in tf32, and this run is on {device}.", "Give {dtype=float32}.")


def set_tf32(allowed: bool) -> None:
    """Let NVIDIA GPUs compute float32 products in TF32, or not.

    torch keeps this for the whole process: the engine that was made last decides for all.
    """
    if not hasattr(torch.backends, "fp32_precision"):  # before torch 2.9 all devices share the switch for products
        torch.set_float32_matmul_precision("high" if allowed else "highest")
        torch.backends.cudnn.allow_tf32 = allowed
        return
    precision = "tf32" if allowed else "ieee"
    on_cpu = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined] # torch's stubs lack all of these
    # By the older name first, since Inductor of torch 2.13 asks for that one, and it is an error where only the newer
    # was set (https://github.com/pytorch/pytorch/issues/196728). It is meant for the CPU as well, which we do not want.
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.mkldnn.matmul.fp32_precision = on_cpu  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = precision
    # By itself torch has TF32 here.
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]


def threads_for(wanted: int | None) -> int:
    """How many threads compute on a CPU: those that are ``wanted``, else those that torch has and this process may use.

    Raises UsageError for more than `MOST_THREADS`.
    """
    if wanted is not None and wanted > MOST_THREADS:
        raise UsageError(
            f"PyTorch computes in at most {MOST_THREADS} threads, and not in {wanted}.",
            f"Give {{threads}} of at most {MOST_THREADS}; this process may use {available_cores()}.",
        )
    return wanted or granted_threads(available_cores())


def granted_threads(granted: int) -> int:
    """How many threads torch has by itself, but no more than a container grants it cores.

    By itself torch looks at the affinity of the process, and at OMP_NUM_THREADS.
    """
    return min(granted, torch.get_num_threads())


def use_threads(count: int) -> None:
    """Let torch compute in so many threads, whatever OMP_NUM_THREADS says.

    torch keeps this for the thread that calls it, and for those that have yet to begin. It matters even where the
    number is the same: by itself, MKL takes fewer threads for small products.
    """
    torch.set_num_threads(count)
