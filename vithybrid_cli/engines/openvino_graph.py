"""A checkpoint's graph, from the user's cache or converted now, and how it is compiled."""

import logging
import os
from pathlib import Path

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Dtype, Feature
from vithybrid_cli.cores import available_cores
from vithybrid_cli.engines import openvino_cache
from vithybrid_cli.engines.openvino_runtime import CPU, core, openvino
from vithybrid_cli.errors import UsageError

# OpenVINO's words for a type: what a processor computes in by itself, and what a graph is to be computed in.
_CAPABILITY = {Dtype.FLOAT32: "FP32", Dtype.FLOAT16: "FP16", Dtype.BFLOAT16: "BF16"}
_PRECISION = {Dtype.FLOAT32: "f32", Dtype.FLOAT16: "f16", Dtype.BFLOAT16: "bf16"}

_LARGE = 64_000_000  # bytes of weights from which on converting takes so long that it is told

_logger = logging.getLogger(__name__)


class Graph:
    """The network of a checkpoint, to be computed in one type, for its logits or for a feature.

    Raises ModelError when the checkpoint cannot be loaded, UsageError when this processor does not compute in
    ``dtype`` by itself: OpenVINO would take another type, or be slower than with float32.
    """

    def __init__(self, checkpoint: Checkpoint, dtype: Dtype, feature: Feature | None = None) -> None:
        self._checkpoint, self._dtype, self._feature = checkpoint, dtype, feature
        self._core = core()
        _require_native(dtype)
        self._entry = _entry_for(checkpoint, feature)
        self._new: openvino.Model | None = None  # converted by this process
        if self._entry is None or not openvino_cache.holds(self._entry):
            self._new = self._converted()

    def compiled(self, streams: int) -> openvino.CompiledModel:
        """Ready to run on all cores of this process, shared by this many batches at once."""
        wanted = properties(self._dtype, streams)
        new = self._new
        kept = None if self._entry is None else openvino_cache.compiled(self._core, self._entry, wanted)
        if kept is not None:
            # Weights that are mapped from the cache take no memory of their own, as those that torch has loaded do.
            self._new = None
            return kept
        if new is None:  # what is kept is broken
            self._new = self._converted()
            return self.compiled(streams)
        return self._core.compile_model(new, CPU, wanted)

    def _converted(self) -> openvino.Model:
        """Converted now and written to the cache, if there is one."""
        if sum(file.stat().st_size for file in self._checkpoint.weight_files()) >= _LARGE:
            _logger.info("converting the network for OpenVINO, once for this model; later runs start faster")
        from vithybrid_cli.engines.openvino_convert import convert  # imports torch

        graph = convert(self._checkpoint, self._feature)
        if self._entry is not None:
            try:
                openvino_cache.write(graph, self._entry)
            except OSError as error:
                _warn_that_it_is_not_kept(error)
        return graph


def native_types() -> list[Dtype]:
    """The types that this processor computes in by itself."""
    capabilities = core().get_property(CPU, "OPTIMIZATION_CAPABILITIES")
    return [dtype for dtype, name in _CAPABILITY.items() if name in capabilities]


def is_native(dtype: str) -> bool:
    """Whether this processor computes in ``dtype`` by itself."""
    return dtype in native_types()


def properties(dtype: Dtype, streams: int) -> openvino_cache.Properties:
    """How OpenVINO shall run a graph."""
    # The precision is said, since left to itself OpenVINO takes bfloat16 for float32.
    found: dict[str, str | int | bool] = {"INFERENCE_PRECISION_HINT": _PRECISION[dtype], "NUM_STREAMS": streams}
    if available_cores() < (os.cpu_count() or 1):
        # It knows the affinity of this process, but not what a container grants; and bound to cores, all containers of
        # a machine would share the first few.
        found |= {"INFERENCE_NUM_THREADS": available_cores(), "ENABLE_CPU_PINNING": False}
    return found


def _require_native(dtype: Dtype) -> None:
    native = native_types()
    if dtype not in native:
        raise UsageError(
            f"this processor has no instructions for {dtype}, and OpenVINO computes in what it has: "
            f"{', '.join(native)}. Give one of these as --dtype, or --engine torch."
        )


def _entry_for(checkpoint: Checkpoint, feature: Feature | None) -> Path | None:
    """Where the graph is kept; None where the user has no cache."""
    try:
        return openvino_cache.entry_for(checkpoint, feature)
    except OSError as error:
        _warn_that_it_is_not_kept(error)
        return None


def _warn_that_it_is_not_kept(error: OSError) -> None:
    where = f": {error.filename}" if error.filename else ""
    _logger.warning(
        "the network that is converted for OpenVINO cannot be kept (%s%s), so each run converts it anew. "
        "Set VITHYBRID_CACHE to a folder that can be written and has room for it.",
        error.strerror or error,
        where,
    )
