"""What torch may run on, and in which type, by the names that a user gives."""

from collections.abc import Callable

import torch

from vithybrid_cli.choices import Dtype
from vithybrid_cli.cores import available_cores
from vithybrid_cli.errors import UsageError

KNOWN_DEVICES = "auto, cpu, cuda, cuda:N, mps"


def choose_device(name: str) -> torch.device:
    """The device of ``--device``: auto, cpu, cuda, cuda:N or mps. Raises UsageError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"{name!r} is no device. Known: {KNOWN_DEVICES}.") from error
    present: dict[str, Callable[[], bool]] = {
        "cpu": lambda: device.index is None,
        "cuda": lambda: torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if device.type not in present:
        raise UsageError(f"Device {name!r} is not supported. Known: {KNOWN_DEVICES}.")
    if not present[device.type]():
        raise UsageError(f"This machine, or the installed torch, has no device {name!r}. Use --device cpu.")
    return device


def choose_devices(name: str) -> list[torch.device]:
    """All devices that ``--device`` means: each NVIDIA GPU of the machine where none is named by its number.

    Raises UsageError as `choose_device` does.
    """
    device = choose_device(name)
    if device.type == "cuda" and ":" not in name:
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [device]


def torch_dtype(name: str) -> torch.dtype:
    """float32, float16 or bfloat16 by name; tf32 is a way to compute with float32."""
    return {
        "float32": torch.float32,
        "tf32": torch.float32,
        "float16": torch.float16,
        "bfloat16": torch.bfloat16,
    }[name]


def require_possible(dtype: str, device: torch.device) -> None:
    """Raise UsageError for tf32 on what is no NVIDIA GPU: it would be float32 under another name."""
    if dtype == Dtype.TF32 and device.type != "cuda":
        raise UsageError(f"tf32 is what NVIDIA GPUs compute in, and not {device}. Give --dtype float32.")


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


def use_granted_cores() -> None:
    """Let torch start no more threads than a container grants it cores; by itself it knows the affinity alone."""
    if available_cores() < torch.get_num_threads():
        torch.set_num_threads(available_cores())
