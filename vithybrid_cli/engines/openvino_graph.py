"""A checkpoint's graph, from the user's cache or converted now, and how it is compiled."""

import logging
import os
from pathlib import Path

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Dtype, Feature
from vithybrid_cli.cores import available_cores
from vithybrid_cli.engines import openvino_cache
from vithybrid_cli.engines.openvino_norms import spell_out_norms
from vithybrid_cli.engines.openvino_runtime import CPU, core, openvino
from vithybrid_cli.errors import UsageError

# OpenVINO's names for a type: as a capability of a processor, and as the precision of a graph.
_CAPABILITY = {Dtype.FLOAT32: "FP32", Dtype.FLOAT16: "FP16", Dtype.BFLOAT16: "BF16"}
_PRECISION = {Dtype.FLOAT32: "f32", Dtype.FLOAT16: "f16", Dtype.BFLOAT16: "bf16"}

_LARGE = 64_000_000  # bytes of weights; more take so long to convert that the user is told

_logger = logging.getLogger(__name__)


class Graph:
    """The network of a checkpoint, to be computed in one type, for its logits or for a feature.

    Raises ModelError when the checkpoint cannot be loaded, UsageError when this processor has no instructions for
    ``dtype``: OpenVINO would take another type, or be slower than in float32.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        dtype: Dtype,
        feature: Feature | None = None,
        *,
        cores: int | None = None,
    ) -> None:
        """``cores`` are those that this process may use, if that is not to be found out."""
        self._checkpoint, self._dtype, self._feature = checkpoint, dtype, feature
        self.cores = cores or available_cores()
        self._core = core()
        _require_native(dtype)
        self._entry = _entry_for(checkpoint, feature)
        self._new: openvino.Model | None = None  # converted by this process
        if self._entry is None or not openvino_cache.holds(self._entry):
            self._new = self._converted()

    def compiled(self, streams: int) -> openvino.CompiledModel:
        """Ready to run on all cores of this process, which as many batches at once share as there are ``streams``."""
        wanted = properties(self._dtype, streams, self.cores)
        new = self._new
        kept = None
        if self._entry is not None:
            kept = openvino_cache.compiled(self._core, self._entry, wanted, self.cores, prepare=self._prepare)
        if kept is not None:
            # Its weights are mapped from the cache; those of the converted graph take memory of their own.
            self._new = None
            return kept
        if new is None:  # what was in the cache is broken
            self._new = self._converted()
            return self.compiled(streams)
        self._prepare(new)
        return self._core.compile_model(new, CPU, wanted)

    def _prepare(self, graph: openvino.Model) -> None:
        """Change the graph as it suits the type that it is compiled for."""
        if self._dtype is Dtype.FLOAT32:
            spell_out_norms(graph)

    def _converted(self) -> openvino.Model:
        """Converted now and written to the cache, if there is one."""
        if sum(file.stat().st_size for file in self._checkpoint.weight_files()) >= _LARGE:
            _logger.info("Converting the network for OpenVINO, once for this model. Later runs start faster.")
        from vithybrid_cli.engines.openvino_convert import checkpoint_graph  # imports torch

        graph = checkpoint_graph(self._checkpoint, self._feature)
        if self._entry is not None:
            try:
                openvino_cache.write(graph, self._entry)
            except OSError as error:
                _warn_that_it_is_not_kept(error)
        return graph


def capabilities() -> list[str]:
    """What OpenVINO says this processor can do."""
    return sorted(core().get_property(CPU, "OPTIMIZATION_CAPABILITIES"))


def native_types() -> list[Dtype]:
    """The types that this processor has instructions for."""
    found = capabilities()
    return [dtype for dtype, name in _CAPABILITY.items() if name in found]


def is_native(dtype: str) -> bool:
    """Whether this processor has instructions for ``dtype``."""
    return dtype in native_types()


def properties(dtype: Dtype, streams: int, cores: int, present: int | None = None) -> openvino_cache.Properties:
    """How OpenVINO is to run a graph, on so many of the cores that are ``present``."""
    # The precision is named, because by default OpenVINO takes bfloat16 for float32.
    found: dict[str, str | int | bool] = {"INFERENCE_PRECISION_HINT": _PRECISION[dtype], "NUM_STREAMS": streams}
    if cores < (present or os.cpu_count() or 1):
        # OpenVINO looks at the affinity of this process, but not at what a container grants. And if threads were
        # pinned to cores, all containers of a machine would share the first few.
        found |= {"INFERENCE_NUM_THREADS": cores, "ENABLE_CPU_PINNING": False}
    return found


def _require_native(dtype: Dtype) -> None:
    native = native_types()
    if dtype not in native:
        raise UsageError(
            f"This processor has no instructions for {dtype}, only for {', '.join(native)}.",
            f"Give {{dtype={native[0]}}}, or {{engine=torch}}.",
        )


def _entry_for(checkpoint: Checkpoint, feature: Feature | None) -> Path | None:
    """Where the graph is kept; None if the user has no cache folder."""
    try:
        return openvino_cache.entry_for(checkpoint, feature)
    except OSError as error:
        _warn_that_it_is_not_kept(error)
        return None


def _warn_that_it_is_not_kept(error: OSError) -> None:
    where = f": {error.filename}" if error.filename else ""
    _logger.warning(
        "The network that was converted for OpenVINO cannot be kept (%s%s), so each run converts it again. "
        "Set VITHYBRID_CACHE to a folder that you can write to and that has room for it.",
        error.strerror or error,
        where,
    )
