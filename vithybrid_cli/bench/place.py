"""Where something is computed that is no network: devices, type and threads of an engine, and how it is timed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vithybrid_cli.bench.amount import Clock
from vithybrid_cli.choices import Dtype
from vithybrid_cli.errors import UsageError

if TYPE_CHECKING:
    import torch

Call = Callable[[], object]
Timer = Callable[[Sequence[Call], int], float]
"""Seconds that so many runs of each call take. There is a call for each device, and devices compute side by side."""


@dataclass(frozen=True, slots=True)
class Place:
    """Devices that are alike and compute at the same time, and the type; ``threads`` are those of a CPU."""

    devices: "tuple[torch.device, ...]"
    dtype: str
    threads: int | None = None

    @classmethod
    def of(cls, device_type: str, device: str, dtype: str, threads: int | None) -> "Place":
        """Where a network is that runs on ``device_type`` and was asked for on ``device``, in so many ``threads``."""
        import torch

        from vithybrid_cli.engines.torch_devices import choose_devices, threads_for

        if device_type == "cpu":
            return cls((torch.device("cpu"),), dtype, threads_for(threads))
        return cls(tuple(choose_devices(device)), dtype)

    @property
    def kind(self) -> str:
        """cpu, cuda or mps."""
        return self.devices[0].type

    @property
    def timer(self) -> Timer:
        """How time is measured there."""
        if self.kind == "cuda":
            return partial(between_events, self.devices)
        return partial(on_the_clock, _waiting_for(self.kind))

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute as torch's engine does. Raises UsageError for what does not fit, or is not there."""
        import torch

        from vithybrid_cli.engines.torch_devices import set_tf32, use_threads

        if self.threads is not None:
            use_threads(self.threads)
        elif self.kind == "cuda":
            set_tf32(self.dtype == Dtype.TF32)  # one switch for all networks that take turns
        try:
            with torch.inference_mode():
                yield
        except torch.OutOfMemoryError as error:
            cause = f"The free memory of {self.devices[0]} is too small for this."
            raise UsageError(cause, "Give a smaller {batch_size}.") from error
        except NotImplementedError as error:
            cause = f"The installed torch cannot compute this in {self.dtype} on {self.devices[0]}."
            raise UsageError(cause, "Give another {dtype}.") from error


def on_the_clock(wait: Call, calls: Sequence[Call], times: int, clock: Clock = time.perf_counter) -> float:
    """Seconds until all runs are done, for which ``wait`` waits."""
    wait()
    began = clock()
    for _ in range(times):
        for call in calls:
            call()
    wait()
    return clock() - began


def between_events(devices: "Sequence[torch.device]", calls: Sequence[Call], times: int) -> float:
    """Seconds of the GPU that takes longest, by its own clock; nothing waits before the last run is under way."""
    import torch

    between = []
    for device, call in zip(devices, calls, strict=True):
        with torch.cuda.device(device):
            first = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # no annotations
            last = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            first.record()
            for _ in range(times):
                call()
            last.record()
        between.append((first, last))
    for _, last in between:
        last.synchronize()
    milliseconds: list[float] = [first.elapsed_time(last) for first, last in between]
    return max(milliseconds) / 1000


def _waiting_for(kind: str) -> Call:
    if kind == "mps":
        import torch

        return torch.mps.synchronize
    return lambda: None
