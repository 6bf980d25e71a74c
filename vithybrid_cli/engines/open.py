"""Chooses and opens the engine that a user asked for."""

import ctypes
import importlib.util
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Literal, cast

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import AttentionKind, Dtype, EngineKind, Feature
from vithybrid_cli.engines import Engine
from vithybrid_cli.engines.features import is_what_the_head_reads
from vithybrid_cli.errors import UsageError

_NVIDIA_DRIVERS = ("libcuda.so.1", "nvcuda.dll")  # Linux, Windows
_AMD_DRIVER = Path("/dev/kfd")  # torch calls AMD's devices cuda, too


def open_engine(
    checkpoint: Checkpoint,
    *,
    engine: str,
    device: str,
    dtype: str,
    attention: str,
    compiled: bool = False,
    feature: Feature | None = None,
) -> Engine:
    """Load the network of ``checkpoint`` into an engine, which has torch compile it if ``compiled``.

    With a ``feature``, that is what the engine gives instead of logits.
    ``auto`` is OpenVINO on a CPU where it is installed, unless torch alone can do what is asked for; else torch. Raises
    UsageError for names that are not known and for what is not there.
    """
    _require("engine", engine, EngineKind)
    _require("dtype", dtype, Dtype)
    _require("attention", attention, AttentionKind)
    if feature is not None and is_what_the_head_reads(feature, checkpoint.config):
        feature = Feature.AUTO  # one graph for both names of it
    if engine == EngineKind.OPENVINO:
        if reason := _why_torch_alone(device, dtype, attention, compiled):
            raise UsageError(reason)
        return _open_openvino(checkpoint, dtype, feature)
    if engine == EngineKind.AUTO and _suits_openvino(device, dtype, attention, compiled):
        return _open_openvino(checkpoint, dtype, feature)
    return _open_torch(checkpoint, device, dtype, attention, compiled, feature)


def _open_torch(
    checkpoint: Checkpoint, device: str, dtype: str, attention: str, compiled: bool, feature: Feature | None
) -> Engine:
    from vithybrid_cli.engines.several import SeveralEngines
    from vithybrid_cli.engines.torch_devices import choose_devices, require_possible, torch_dtype
    from vithybrid_cli.engines.torch_engine import TorchEngine
    from vithybrid_cli.engines.torch_features import load_for

    devices = choose_devices(device)
    require_possible(dtype, devices[0])
    engines = [
        TorchEngine(
            load_for(checkpoint, cast(Literal["sdpa", "eager"], attention), feature),
            checkpoint.preprocessing.normalization,
            chosen,
            torch_dtype(dtype),
            tf32=dtype == Dtype.TF32,
            compiled=compiled,
        )
        for chosen in devices
    ]
    return engines[0] if len(engines) == 1 else SeveralEngines(engines)


def _why_torch_alone(device: str, dtype: str, attention: str, compiled: bool) -> str | None:
    """What of this OpenVINO does not do, and what to give instead; None where it may."""
    if device not in ("auto", "cpu"):
        return f"OpenVINO runs on the CPU here, not on {device!r}. Leave it out, or give --engine torch."
    if attention != AttentionKind.SDPA:
        return f"OpenVINO has its own attention, not {attention!r}. Leave it out, or give --engine torch."
    if dtype == Dtype.TF32:
        return (
            "OpenVINO runs on the CPU here, and tf32 is what NVIDIA GPUs compute in. Give --dtype float32, or "
            "--engine torch."
        )
    if compiled:
        return "OpenVINO compiles each network by itself. Leave out --compile, or give --engine torch."
    return None


def _open_openvino(checkpoint: Checkpoint, dtype: str, feature: Feature | None) -> Engine:
    try:
        from vithybrid_cli.engines.openvino_engine import OpenVinoEngine
    except ImportError as error:
        raise UsageError(
            f"OpenVINO cannot be loaded ({error}). Install it with `pip install 'vithybrid-cli[openvino]'`, "
            "or give --engine torch."
        ) from error
    return OpenVinoEngine.open(checkpoint, dtype, feature)


def _suits_openvino(device: str, dtype: str, attention: str, compiled: bool = False) -> bool:
    """Whether OpenVINO is installed and can do what is asked for; told without importing it where that is possible."""
    if _why_torch_alone(device, dtype, attention, compiled):
        return False
    if importlib.util.find_spec("openvino") is None or (device == "auto" and _has_gpu()):
        return False
    if dtype == Dtype.FLOAT32:
        return True
    from vithybrid_cli.engines.openvino_graph import is_native

    return is_native(dtype)


def _has_gpu() -> bool:
    """Whether torch finds a GPU; it takes a second to import, so it is only asked where there is a driver."""
    if not _has_gpu_driver():
        return False
    from vithybrid_cli.engines.torch_devices import choose_device

    return choose_device("auto").type != "cpu"


def _has_gpu_driver() -> bool:
    for library in _NVIDIA_DRIVERS:
        with suppress(OSError):
            ctypes.CDLL(library)
            return True
    return _AMD_DRIVER.exists()


def _require(option: str, value: str, known: type[StrEnum]) -> None:
    if value not in list(known):
        raise UsageError(f"{option} {value!r} is not known. Known: {', '.join(known)}.")
