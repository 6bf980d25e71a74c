"""The network on OpenVINO, on a CPU. Once its graph is in the cache, torch is not imported."""

import threading
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Dtype, Feature
from vithybrid_cli.engines.batch_size import MOST_STREAMS, suitable_for_cores
from vithybrid_cli.engines.features import feature_width
from vithybrid_cli.engines.openvino_graph import Graph, capabilities
from vithybrid_cli.engines.openvino_runtime import openvino
from vithybrid_cli.engines.pool import Pool
from vithybrid_cli.engines.processor import Processor, library_settings

Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]


class OpenVinoEngine:
    """Runs a checkpoint's network; see `vithybrid_cli.engines.Engine`.

    Many batches are fastest with a core for each: no core waits for another. A single picture is fastest on all cores.
    So the graph is compiled in two ways, each when it is first needed.
    """

    name, device_type, batch_limit = "openvino", "cpu", None

    def __init__(
        self,
        compiled: Callable[[int], openvino.CompiledModel],
        checkpoint: Checkpoint,
        feature: Feature | None = None,
        *,
        cores: int,
        batch_size: int | None = None,
    ) -> None:
        """``compiled`` compiles the graph, which gives logits or this ``feature``, for a number of streams."""
        self.image_size = checkpoint.config.image_size
        self.batch_size = batch_size or suitable_for_cores(self.image_size)
        self._columns = len(checkpoint.config.labels) if feature is None else feature_width(checkpoint.config)
        self._cores = cores
        self._alone = _Streams(compiled, 1)
        self._together = _Streams(compiled, min(cores, MOST_STREAMS))

    @classmethod
    def open(
        cls,
        checkpoint: Checkpoint,
        dtype: str,
        feature: Feature | None = None,
        *,
        cores: int | None = None,
        batch_size: int | None = None,
    ) -> "OpenVinoEngine":
        """The network of a checkpoint, converted if it is not in the cache.

        Without ``cores`` and a ``batch_size``, those that this process may use and what suits them.
        Raises ModelError when the checkpoint cannot be loaded, UsageError when this processor has no instructions for
        ``dtype`` (float32, float16 or bfloat16).
        """
        graph = Graph(checkpoint, Dtype(dtype), feature, cores=cores)
        return cls(graph.compiled, checkpoint, feature, cores=graph.cores, batch_size=batch_size)

    @property
    def parallel(self) -> int:
        """As many calls as there are streams."""
        return self._together.count

    @property
    def environment(self) -> Mapping[str, str | int]:
        """Version of OpenVINO, and the processor and its threads."""
        found: dict[str, str | int] = {"openvino": openvino.get_version(), **Processor.read().environment}
        return found | {"capabilities": " ".join(capabilities()), "threads": self._cores} | library_settings()

    def run(self, pixels: Pixels) -> Rows:
        """uint8 pixels [N, H, W, 3] → logits [N, C] or features [N, D]; waits while ``parallel`` calls run."""
        if not len(pixels):
            return np.empty((0, self._columns), np.float32)
        # By the batch alone, and not by what else is running: the two ways differ in the last digits, and a resumed run
        # has to give the same.
        streams = self._alone if len(pixels) == 1 else self._together
        return streams.run(np.ascontiguousarray(pixels))


class _Streams:
    """A graph that computes ``count`` batches at once, compiled at the first of them."""

    def __init__(self, compiled: Callable[[int], openvino.CompiledModel], count: int) -> None:
        self.count = count
        self._compiled = compiled
        self._requests: Pool[openvino.InferRequest] | None = None
        self._preparing = threading.Lock()

    def run(self, pixels: Pixels) -> Rows:
        """C-contiguous pixels [N, H, W, 3], N at least 1 → rows [N, C]."""
        with self._ready().one() as request:
            return np.asarray(request.infer([pixels])[0])

    def _ready(self) -> "Pool[openvino.InferRequest]":
        with self._preparing:
            if self._requests is None:
                compiled = self._compiled(self.count)
                # Two threads that are the first to look into a tensor, both at once, wait for each other forever.
                _ = openvino.Tensor(np.zeros(1, np.uint8)).data
                self._requests = Pool([compiled.create_infer_request() for _ in range(self.count)])
            return self._requests
