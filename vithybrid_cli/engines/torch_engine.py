"""The network on PyTorch: on a CPU, an NVIDIA GPU or Apple's MPS, in float32 or a shorter type."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vithybrid_cli.cores import available_cores
from vithybrid_cli.engines.cpu_linear import use_fastest_linears
from vithybrid_cli.engines.torch_devices import set_tf32, use_granted_cores
from vithybrid_cli.engines.torch_features import RunnableNetwork
from vithybrid_cli.engines.torch_self_test import SelfTest
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Normalization

# Pictures of 384×384 at once; a smaller picture allows proportionally more. On a CPU one for each core, within bounds:
# more than that is slower (BENCHMARKS.md), as large temporary tensors are mapped into memory anew each time.
_LEAST_CPU_BATCH, _MOST_CPU_BATCH, _GPU_BATCH, _LARGEST_BATCH = 2, 8, 64, 256
_BATCH_AREA = 384 * 384

_logger = logging.getLogger(__name__)


class TorchEngine:
    """Runs a network; see `vithybrid_cli.engines.Engine`.

    Where a batch does not fit into the device's memory, it is computed in halves, and so are all that follow.
    """

    name = "torch"

    def __init__(
        self,
        network: RunnableNetwork,
        normalization: Normalization,
        device: torch.device,
        dtype: torch.dtype,
        *,
        tf32: bool = False,
        compiled: bool = False,
    ) -> None:
        """``network`` is moved to ``device``. Raises UsageError for a GPU of Apple's that computes something else."""
        self.device, self.dtype = device, dtype
        self_test = SelfTest.of(network, normalization) if device.type == "mps" else None
        if device.type == "cuda":
            set_tf32(tf32)
        elif device.type == "cpu":
            use_granted_cores()
        # channels_last is the layout in which both oneDNN and cuDNN are fastest, and in which pictures are decoded
        network.to(device, dtype)
        if device.type == "cpu" and dtype is torch.float32:
            use_fastest_linears(network)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stubs
        self._run = self._compiled() if compiled else self.network
        self._values = torch.from_numpy(normalization.table().ravel()).to(device)  # of red 0 … 255, green, blue
        self._offsets = torch.tensor([0, 256, 512], dtype=torch.int32, device=device)
        self._most = sys.maxsize  # pictures at once that are not known to be too many
        self._streams = threading.local()
        if self_test is not None:
            self_test.require(self.logits, dtype)

    @property
    def device_type(self) -> str:
        """What it runs on: cpu, cuda or mps."""
        return self.device.type

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the pictures it takes."""
        return self.network.config.image_size

    @property
    def batch_size(self) -> int:
        """How many pictures at once suit the device."""
        height, width = self.image_size
        at_base = _GPU_BATCH
        if self.device.type == "cpu":
            at_base = min(max(_LEAST_CPU_BATCH, available_cores()), _MOST_CPU_BATCH)
        return max(1, min(_LARGEST_BATCH, at_base * _BATCH_AREA // (height * width)))

    @property
    def parallel(self) -> int:
        """Two on a GPU, so that the pixels of one batch are copied while the other is computed; else one."""
        return 2 if self.device.type == "cuda" else 1

    def logits(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 pixels [N, H, W, 3] → logits [N, C]. Raises UsageError when one picture does not fit into memory."""
        with self._own_stream():
            return np.concatenate(list(self._in_parts(pixels)))

    @torch.inference_mode()
    def logits_of(self, pixel_values: Tensor) -> Tensor:
        """Normalised float32 pixels [N, 3, H, W] → float32 logits [N, C] on the CPU."""
        values = pixel_values.to(self.device, self.dtype, memory_format=torch.channels_last)
        return self._run(values).float().cpu()

    def _compiled(self) -> Callable[[Tensor], Tensor]:
        from vithybrid_cli.engines.torch_compile import CompiledNetwork  # it imports much, for those who ask for it

        network = CompiledNetwork(self.network, self.device)
        return lambda values: network(values, self._most)

    def _own_stream(self) -> AbstractContextManager[object]:
        """On a GPU, each thread's work in a stream of its own: in one, copying and computing would wait in line."""
        if self.device.type != "cuda":
            return nullcontext()
        if not hasattr(self._streams, "stream"):
            self._streams.stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call] # no annotations
        return torch.cuda.stream(self._streams.stream)

    def _in_parts(self, pixels: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.float32]]:
        """The logits of at most ``_most`` pictures after the other; an empty input is one part."""
        start = 0
        while start < max(len(pixels), 1):
            part = pixels[start:][: self._most]
            try:
                logits = self._logits(part)
            except torch.OutOfMemoryError as error:
                self._halve(len(part), error)
                continue
            yield logits
            start += max(len(part), 1)

    @torch.inference_mode()
    def _logits(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        on_host = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
        if self.device.type == "cuda":
            on_host = on_host.pin_memory()  # what is not pinned is copied in step with the program
        on_device = on_host.to(self.device, non_blocking=True)
        # Looked up, since the device's own arithmetic would differ from the reference's in the last bit.
        values = self._values[on_device.int() + self._offsets]
        # [N, H, W, 3] seen as [N, 3, H, W] is channels_last already: nothing is copied
        return self.logits_of(values.permute(0, 3, 1, 2)).numpy()

    def _halve(self, count: int, error: torch.OutOfMemoryError) -> None:
        """Go on with half of ``count`` pictures at once. Raises UsageError when that is none."""
        if count <= 1:
            raise UsageError(
                f"one picture does not fit into the free memory of {self.device}. "
                "Close other programs that use it, or give --dtype float16 or --device cpu."
            ) from error
        first_time = self._most == sys.maxsize
        self._most = min(self._most, count // 2)
        if first_time:
            _logger.warning(
                "%d pictures at once do not fit into the free memory of %s: computing fewer at a time. "
                "A smaller --batch-size spares the attempts.",
                count,
                self.device,
            )
