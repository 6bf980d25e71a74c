"""The network on PyTorch: on a CPU, an NVIDIA GPU or Apple's MPS, in float32 or a shorter type."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vithybrid_cli.engines.batch_limit import BatchLimit
from vithybrid_cli.engines.batch_size import suitable_for_cores, suitable_for_gpu
from vithybrid_cli.engines.cpu_linear import suit_linears
from vithybrid_cli.engines.pool import Pool
from vithybrid_cli.engines.processor import Processor
from vithybrid_cli.engines.torch_devices import environment_of, set_tf32, threads_for
from vithybrid_cli.engines.torch_features import RunnableNetwork
from vithybrid_cli.engines.torch_self_test import SelfTest
from vithybrid_cli.engines.torch_threads import Streams
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Normalization

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

        ``threads`` compute it on a CPU; by default as many as there are cores for this process. Several batches at once
        have a core each. What is shorter than a batch is computed on all.

        Raises UsageError for a GPU of Apple's that computes something else.
        """
        self.device, self.dtype = device, dtype
        self_test = SelfTest.of(network, normalization) if device.type == "mps" else None
        if device.type == "cuda":
            set_tf32(tf32)
        self._cores = Streams(threads_for(threads)) if device.type == "cpu" else None
        # channels_last is the layout in which both oneDNN and cuDNN are fastest, and in which pictures are decoded
        network.to(device, dtype)
        if self._cores is not None:
            suit_linears(network, dtype, Processor.read(), compiled=compiled)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stubs
        self.batch_size = batch_size or self._suitable_batch()
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
        """One for each stream of a CPU; two on a GPU, so that one batch is copied while the other is computed."""
        if self._cores is not None:
            return self._cores.count
        return 2 if self.device.type == "cuda" else 1

    @property
    def environment(self) -> Mapping[str, str | int]:
        """Version of torch, and the processor and its threads, or the GPU and its libraries."""
        facts = environment_of(self.device)
        return facts if self._cores is None else {**facts, "threads": self._cores.cores}

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 pixels [N, H, W, 3] → rows [N, C]. Raises UsageError when one picture does not fit into memory."""
        return self._computed(len(pixels), lambda part: self._normalized(pixels[part]))

    def run_normalized(self, pixel_values: Tensor) -> npt.NDArray[np.float32]:
        """Normalised float32 pixels [N, 3, H, W] → rows [N, C]. Raises UsageError as `run` does."""
        return self._computed(len(pixel_values), lambda part: pixel_values[part])

    def _suitable_batch(self) -> int:
        if self._cores is None:
            return suitable_for_gpu(self.image_size)
        return suitable_for_cores(self.image_size, self._cores.each)

    def _computed(self, count: int, values: Callable[[slice], Tensor]) -> npt.NDArray[np.float32]:
        """The rows of ``count`` pictures, of which ``values`` gives a part as normalised pixels."""
        compute = partial(self._in_parts, count, values)
        if self._cores is None:
            return compute()
        # By the batch alone, and not by what else is running: the number of cores shows in the last digits, and a
        # resumed run has to give the same. A compiled network fills up what is short.
        is_full = count >= max(2, self.batch_size) or self._compiled is not None
        return self._cores.in_one(compute) if is_full else self._cores.on_all(compute)

    @torch.inference_mode()
    def _in_parts(self, count: int, values: Callable[[slice], Tensor]) -> npt.NDArray[np.float32]:
        """`_computed` in this thread; no pictures are one part."""
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


def _compiled(network: RunnableNetwork, device: torch.device) -> Callable[[Tensor, int], Tensor]:
    from vithybrid_cli.engines.torch_compile import CompiledNetwork  # it imports much, for those who ask for it

    return CompiledNetwork(network, device)


def _streams(device: torch.device, count: int) -> list[torch.cuda.Stream]:
    """Streams that begin after all that was put on the device so far."""
    torch.cuda.synchronize(device)
    return [torch.cuda.Stream(device) for _ in range(count)]  # type: ignore[no-untyped-call] # no annotations
