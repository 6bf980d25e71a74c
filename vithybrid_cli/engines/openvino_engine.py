"""The network on OpenVINO, on a CPU. Once its graph is in the cache, torch is not imported."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Dtype, Feature
from vithybrid_cli.cores import available_cores
from vithybrid_cli.engines.features import width_of
from vithybrid_cli.engines.openvino_graph import Graph
from vithybrid_cli.engines.openvino_runtime import openvino

# Measured on two cores, each with a stream of its own: a batch whose values stay in the caches is fastest, which is one
# picture of 384×384 and 16 to 64 of 64×64. Two at least, so that a full batch is told from a picture that is alone.
_BATCH_PIXELS, _SMALLEST_BATCH = 384 * 384, 2
_MOST_STREAMS = 8  # each holds the values of a batch; with more cores, a stream has several

Pixels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


class OpenVinoEngine:
    """Runs a checkpoint's network; see `vithybrid_cli.engines.Engine`.

    Many batches are computed fastest on a core each: each core then waits for none of the others. One picture that is
    alone is computed fastest on all cores. So there are two ways to run the graph, each made ready when it is first
    needed.
    """

    name, device_type = "openvino", "cpu"

    def __init__(
        self, compiled: Callable[[int], openvino.CompiledModel], checkpoint: Checkpoint, feature: Feature | None = None
    ) -> None:
        """``compiled`` makes the graph ready for a number of streams; it gives logits, or this ``feature``."""
        self.image_size = checkpoint.config.image_size
        self._columns = len(checkpoint.config.labels) if feature is None else width_of(checkpoint.config)
        self._alone = _Streams(compiled, 1)
        self._together = _Streams(compiled, min(available_cores(), _MOST_STREAMS))

    @classmethod
    def open(cls, checkpoint: Checkpoint, dtype: str, feature: Feature | None = None) -> "OpenVinoEngine":
        """The network of a checkpoint, converted if it is not in the cache.

        Raises ModelError when the checkpoint cannot be loaded, UsageError when this processor does not compute in
        ``dtype`` (float32, float16 or bfloat16) by itself.
        """
        return cls(Graph(checkpoint, Dtype(dtype), feature).compiled, checkpoint, feature)

    @property
    def batch_size(self) -> int:
        """How many pictures at once suit the device."""
        height, width = self.image_size
        return max(_SMALLEST_BATCH, _BATCH_PIXELS // (height * width))

    @property
    def parallel(self) -> int:
        """As many calls as there are streams."""
        return self._together.count

    def logits(self, pixels: Pixels) -> Logits:
        """uint8 pixels [N, H, W, 3] → logits [N, C] or features [N, D]; waits while ``parallel`` calls run."""
        if not len(pixels):
            return np.empty((0, self._columns), np.float32)
        # By the batch alone, and not by what else is under way: the two ways differ in the last digits, and a run that
        # is resumed has to give the same.
        streams = self._alone if len(pixels) == 1 else self._together
        return streams.logits(np.ascontiguousarray(pixels))


class _Streams:
    """A graph that computes ``count`` batches at once, compiled at the first of them."""

    def __init__(self, compiled: Callable[[int], openvino.CompiledModel], count: int) -> None:
        self.count = count
        self.are_ready = False
        self._compiled = compiled
        self._free: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        self._preparing = threading.Lock()

    def logits(self, pixels: Pixels) -> Logits:
        """C-contiguous pixels [N, H, W, 3], N at least 1 → logits [N, C]."""
        self._prepare()
        request = self._free.get()
        try:
            return np.asarray(request.infer([pixels])[0])
        finally:
            self._free.put(request)

    def _prepare(self) -> None:
        with self._preparing:
            if not self.are_ready:
                compiled = self._compiled(self.count)
                for _ in range(self.count):
                    self._free.put(compiled.create_infer_request())
                # Two threads that are the first to look into a tensor, both at once, wait for each other forever.
                _ = openvino.Tensor(np.zeros(1, np.uint8)).data
                self.are_ready = True
