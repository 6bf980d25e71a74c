"""The network on PyTorch: on a CPU, an NVIDIA GPU or Apple's MPS, in float32 or a shorter type."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vithybrid_cli.cores import available_cores
from vithybrid_cli.engines.batch_limit import BatchLimit
from vithybrid_cli.engines.cpu_linear import suit_linears
from vithybrid_cli.engines.pool import Pool
from vithybrid_cli.engines.processor import Processor
from vithybrid_cli.engines.torch_devices import environment_of, granted_threads, set_tf32, use_threads
from vithybrid_cli.engines.torch_features import RunnableNetwork
from vithybrid_cli.engines.torch_self_test import SelfTest
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Normalization

# Pictures of 384×384 at once; a smaller picture allows proportionally more. On a CPU one for each core, within bounds:
# more than that is slower (BENCHMARKS.md), as large temporary tensors are mapped into memory anew each time. In AMX's
# tiles two are faster than one.
_LEAST_CPU_BATCH, _MOST_CPU_BATCH, _GPU_BATCH, _LARGEST_BATCH = 2, 8, 64, 256
_BATCH_AREA = 384 * 384

_logger = logging.getLogger(__name__)


class TorchEngine:
    """Runs a network; see `vithybrid_cli.engines.Engine`.

    A batch that does not fit into the device's memory is computed in halves, and so are all that follow. A compiled
    network computes ``batch_size`` pictures at a time, or what fits: shorter batches are filled up, longer ones cut.
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
        batch_size: int | None = None,
        limit: BatchLimit | None = None,
        threads: int | None = None,
    ) -> None:
        """``network`` is moved to ``device``. Without a ``batch_size`` it is what suits the device.

        ``threads`` compute it on a CPU; by default as many as there are cores for this process.

        Raises UsageError for a GPU of Apple's that computes something else.
        """
        self.device, self.dtype = device, dtype
        self_test = SelfTest.of(network, normalization) if device.type == "mps" else None
        if device.type == "cuda":
            set_tf32(tf32)
        elif device.type == "cpu":
            use_threads(threads or granted_threads(available_cores()))
        self._threads = torch.get_num_threads()
        # channels_last is the layout in which both oneDNN and cuDNN are fastest, and in which pictures are decoded
        network.to(device, dtype)
        pictures = threads or available_cores()  # of 384×384 at once: one for each core
        if device.type == "cpu":
            processor = Processor.read()
            suit_linears(network, dtype, processor, compiled=compiled)
            if dtype is torch.bfloat16 and processor.has_amx:
                pictures *= 2
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stubs
        self.batch_size = batch_size or suitable_batch(device.type, self.image_size, pictures)
        self._limit = limit or BatchLimit()
        self._compiled = _compiled(self.network, device) if compiled else None
        self._values = torch.from_numpy(normalization.table().ravel()).to(device)  # of red 0 … 255, green, blue
        self._offsets = torch.tensor([0, 256, 512], dtype=torch.int32, device=device)
        self._streams = Pool(_streams(device, self.parallel)) if device.type == "cuda" else None
        if self_test is not None:
            self_test.require(self.run, dtype)

    @property
    def device_type(self) -> str:
        """What it runs on: cpu, cuda or mps."""
        return self.device.type

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the pictures it takes."""
        return self.network.config.image_size

    @property
    def batch_limit(self) -> int | None:
        """How many pictures at once fit into the device's memory, if a batch did not."""
        return self._limit.value

    @property
    def parallel(self) -> int:
        """Two on a GPU, so that the pixels of one batch are copied while the other is computed; else one."""
        return 2 if self.device.type == "cuda" else 1

    @property
    def environment(self) -> Mapping[str, str | int]:
        """Version of torch, and the processor and its threads, or the GPU and its libraries."""
        return environment_of(self.device, self._threads)

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 pixels [N, H, W, 3] → rows [N, C]. Raises UsageError when one picture does not fit into memory."""
        return self._in_parts(len(pixels), lambda part: self._normalized(pixels[part]))

    def run_normalized(self, pixel_values: Tensor) -> npt.NDArray[np.float32]:
        """Normalised float32 pixels [N, 3, H, W] → rows [N, C]. Raises UsageError as `run` does."""
        return self._in_parts(len(pixel_values), lambda part: pixel_values[part])

    @torch.inference_mode()
    def _in_parts(self, count: int, values: Callable[[slice], Tensor]) -> npt.NDArray[np.float32]:
        """The rows of ``count`` pictures, of which ``values`` gives a part as normalised pixels; none are one part."""
        if self.device.type == "cpu" and torch.get_num_threads() != self._threads:
            use_threads(self._threads)  # another engine of this process has others
        rows: list[npt.NDArray[np.float32]] = []
        start = 0
        with self._own_stream():
            while not rows or start < count:
                size = self._part_size(count - start)
                try:
                    rows.append(self._rows(values(slice(start, start + size)), size))
                except torch.OutOfMemoryError as error:
                    self._halve(size, error)
                else:
                    start += size
        return np.concatenate(rows)

    def _part_size(self, left: int) -> int:
        """How many of the pictures that are left are computed at once."""
        wanted = left if self._compiled is None else self.batch_size
        return max(1, wanted if self._limit.value is None else min(wanted, self._limit.value))

    def _rows(self, values: Tensor, size: int) -> npt.NDArray[np.float32]:
        values = values.to(self.device, self.dtype, memory_format=torch.channels_last)
        rows: Tensor = self.network(values) if self._compiled is None else self._compiled(values, size)
        return rows.float().cpu().numpy()

    def _normalized(self, pixels: npt.NDArray[np.uint8]) -> Tensor:
        """uint8 pixels [N, H, W, 3] → normalised pixels [N, 3, H, W] on the device."""
        on_host = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
        if self.device.type == "cuda":
            on_host = on_host.pin_memory()  # only pinned memory is copied while something is computed
        on_device = on_host.to(self.device, non_blocking=True)
        # Looked up, since the device's own arithmetic would differ from the reference's in the last bit.
        values = self._values[on_device.int() + self._offsets]
        # [N, H, W, 3] seen as [N, 3, H, W] is channels_last already: nothing is copied
        return values.permute(0, 3, 1, 2)

    @contextmanager
    def _own_stream(self) -> Iterator[None]:
        """On a GPU, a stream that no other call uses now: in one, copying and computing would wait for each other."""
        if self._streams is None:
            yield
        else:
            with self._streams.one() as stream, torch.cuda.stream(stream):
                yield

    def _halve(self, count: int, error: torch.OutOfMemoryError) -> None:
        """Go on with half of ``count`` pictures at once. Raises UsageError when that is none."""
        if count <= 1:
            raise UsageError(
                f"One picture does not fit into the free memory of {self.device}.",
                "Close other programs that use it, or give {dtype=float16} or {device=cpu}.",
            ) from error
        if self._limit.lower(count // 2):
            _logger.warning(
                "%d pictures at once do not fit into the free memory of %s, so fewer are computed at a time. "
                "A smaller batch size saves the attempts.",
                count,
                self.device,
            )


def suitable_batch(device_type: str, image_size: tuple[int, int], wanted: int) -> int:
    """How many pictures of this size at once suit a device; a CPU so many ``wanted`` of 384×384, within bounds."""
    at_base = _GPU_BATCH
    if device_type == "cpu":
        at_base = min(max(_LEAST_CPU_BATCH, wanted), _MOST_CPU_BATCH)
    height, width = image_size
    return max(1, min(_LARGEST_BATCH, at_base * _BATCH_AREA // (height * width)))


def _compiled(network: RunnableNetwork, device: torch.device) -> Callable[[Tensor, int], Tensor]:
    from vithybrid_cli.engines.torch_compile import CompiledNetwork  # it imports much, for those who ask for it

    return CompiledNetwork(network, device)


def _streams(device: torch.device, count: int) -> list[torch.cuda.Stream]:
    """Streams that begin after all that was put on the device so far."""
    torch.cuda.synchronize(device)
    return [torch.cuda.Stream(device) for _ in range(count)]  # type: ignore[no-untyped-call] # no annotations
