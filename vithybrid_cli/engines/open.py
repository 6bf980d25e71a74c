"""Chooses and opens the engine that a user asked for."""

import ctypes
import importlib.util
import logging
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, cast

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import AttentionKind, Dtype, EngineKind, Feature
from vithybrid_cli.cores import usable_processors
from vithybrid_cli.engines import Engine
from vithybrid_cli.engines.features import is_what_the_head_reads
from vithybrid_cli.engines.processor import Processor
from vithybrid_cli.errors import UsageError, option

_logger = logging.getLogger(__name__)

_NVIDIA_DRIVERS = ("libcuda.so.1", "nvcuda.dll")  # Linux, Windows
_AMD_DRIVER = Path("/dev/kfd")  # torch calls AMD's devices cuda, too


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a user asked for, but for the engine."""

    device: str
    dtype: str
    attention: str
    compiled: bool
    feature: Feature | None
    batch_size: int | None
    batch_limit: int | None
    threads: int | None


def open_engine(
    checkpoint: Checkpoint,
    *,
    engine: str,
    device: str,
    dtype: str,
    attention: str,
    compiled: bool = False,
    feature: Feature | None = None,
    batch_size: int | None = None,
    batch_limit: int | None = None,
    threads: int | None = None,
) -> Engine:
    """Load the network of ``checkpoint`` into an engine; torch compiles it if ``compiled``.

    With a ``feature``, the engine gives that instead of logits. ``batch_size`` is that of the run, None the one that
    suits the device; ``batch_limit`` is what an earlier engine of the run found to fit into memory. ``threads`` compute
    it on a CPU, whatever OMP_NUM_THREADS says, at most 1,024; None is as many as there are cores for this process.
    ``auto`` is the faster one of those that can do what is asked for: on a CPU OpenVINO, if it is installed, but torch
    for bfloat16 in AMX's tiles and float16 in AVX-512. Raises UsageError for unknown names and for what is not there.
    """
    _require("engine", engine, EngineKind)
    _require("dtype", dtype, Dtype)
    _require("attention", attention, AttentionKind)
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"The batch size is {batch_size}.", "Give a {batch_size} of at least 1.")
    if threads is not None and threads < 1:
        raise UsageError(f"The number of threads is {threads}.", "Give {threads} of at least 1.")
    if feature is not None and is_what_the_head_reads(feature, checkpoint.config):
        feature = Feature.AUTO  # one graph for both names of it
    wanted = _Wanted(device, dtype, attention, compiled, feature, batch_size, batch_limit, threads)
    if engine == EngineKind.OPENVINO and (refusal := _openvino_lacks(wanted)):
        raise refusal
    on_openvino = engine == EngineKind.OPENVINO or (engine == EngineKind.AUTO and _suits_openvino(wanted))
    opened = (_open_openvino if on_openvino else _open_torch)(checkpoint, wanted)
    # What the processor is takes reading, which a run in float32 can do without.
    if dtype != Dtype.FLOAT32 and opened.device_type == "cpu" and Processor.read().is_slow_in(Dtype(dtype)):
        better = option("dtype", Dtype.FLOAT32)
        _logger.info("This processor takes longer in %s than with %s, which is more exact, too.", dtype, better)
    return opened


def _open_torch(checkpoint: Checkpoint, wanted: _Wanted) -> Engine:
    from vithybrid_cli.engines.batch_limit import BatchLimit
    from vithybrid_cli.engines.several import SeveralEngines
    from vithybrid_cli.engines.torch_devices import choose_devices, require_possible, threads_for, torch_dtype
    from vithybrid_cli.engines.torch_engine import TorchEngine
    from vithybrid_cli.engines.torch_features import load_for
    from vithybrid_cli.engines.torch_threads import on_cores

    devices = choose_devices(wanted.device)
    require_possible(wanted.dtype, devices[0])
    limit = BatchLimit(wanted.batch_limit)
    cores = threads_for(wanted.threads)

    def opened() -> list[TorchEngine]:
        return [
            TorchEngine(
                load_for(checkpoint, cast(Literal["sdpa", "eager"], wanted.attention), wanted.feature),
                checkpoint.preprocessing.normalization,
                device,
                torch_dtype(wanted.dtype),
                tf32=wanted.dtype == Dtype.TF32,
                compiled=wanted.compiled,
                batch_size=wanted.batch_size,
                limit=limit,
                threads=cores,
            )
            for device in devices
        ]

    # Loading has all cores, too, and leaves no helpers behind.
    engines = on_cores(cores, opened) if devices[0].type == "cpu" else opened()
    return engines[0] if len(engines) == 1 else SeveralEngines(engines)


def _open_openvino(checkpoint: Checkpoint, wanted: _Wanted) -> Engine:
    try:
        from vithybrid_cli.engines.openvino_engine import OpenVinoEngine
    except ImportError as error:
        raise UsageError(
            f"OpenVINO cannot be loaded ({error}).",
            "Install it with `pip install 'vithybrid-cli[openvino]'`, or give {engine=torch}.",
        ) from error
    return OpenVinoEngine.open(
        checkpoint, wanted.dtype, wanted.feature, cores=wanted.threads, batch_size=wanted.batch_size
    )


def _openvino_lacks(wanted: _Wanted) -> UsageError | None:
    """What of this OpenVINO cannot do, as the error to raise; None if it can do all of it."""
    if wanted.device not in ("auto", "cpu"):
        return UsageError(
            f"OpenVINO runs on the CPU here, not on {wanted.device}.",
            "Give {device=cpu}, or {engine=torch}.",
        )
    if wanted.attention != AttentionKind.SDPA:
        return UsageError(
            f"OpenVINO has its own attention, not {wanted.attention}.",
            "Give {attention=sdpa}, or {engine=torch}.",
        )
    if wanted.dtype == Dtype.TF32:
        return UsageError(
            "OpenVINO runs on the CPU here, and only NVIDIA GPUs compute in tf32.",
            "Give {dtype=float32}, or, for such a GPU, {engine=torch}.",
        )
    if wanted.threads is not None and wanted.threads > (most := usable_processors()):
        return UsageError(
            f"OpenVINO has a thread for each processor that this process may run on, which is {most}, and not "
            f"{wanted.threads}.",
            f"Give {{threads={most}}}, or {{engine=torch}}.",
        )
    if wanted.compiled:
        return UsageError(
            "OpenVINO always compiles networks, in its own way.", "Leave out {compile=True}, or give {engine=torch}."
        )
    return None


def _suits_openvino(wanted: _Wanted) -> bool:
    """Whether OpenVINO is installed, can do what is asked for, and is the faster one (BENCHMARKS.md).

    It is imported only if that is needed to know.
    """
    if _openvino_lacks(wanted) or _torch_is_faster(wanted.dtype):
        return False
    if importlib.util.find_spec("openvino") is None or (wanted.device == "auto" and _has_gpu()):
        return False
    if wanted.dtype == Dtype.FLOAT32:
        return True
    from vithybrid_cli.engines.openvino_graph import is_native

    return is_native(wanted.dtype)


def _torch_is_faster(dtype: str) -> bool:
    """Whether torch is faster than OpenVINO on this processor; in other types it is not (BENCHMARKS.md)."""
    if dtype == Dtype.BFLOAT16:
        return Processor.read().has_amx
    return dtype == Dtype.FLOAT16 and Processor.read().has_avx512_float16


def _has_gpu() -> bool:
    """Whether torch finds a GPU. Importing it takes a second, so it is only asked if there is a driver."""
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
        raise UsageError(f"The {option} {value!r} is not known.", f"Give one of {', '.join(known)}.")
