"""A network that torch compiles: minutes before the first result, less time for each one after it."""

import inspect
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException  # importing it takes a second, so this module is imported late
from torch._inductor import list_mode_options, list_options

from vithybrid_cli.errors import UsageError

# Far above the eight after which torch would go on without compiling, and without a word.
_MOST_SIZES = 256

# One at a time in this process: two threads that are the first with a size would both compile it, and the filters of
# warnings belong to all threads.
_compiling = threading.Lock()


class CompiledNetwork:
    """Calls a network that is compiled for fixed numbers of pictures at once, each when it is first needed.

    A batch is filled up to the smallest such number that holds it. So the last, smaller batch of a run needs no
    compiling, but one that is larger than all before it does. May be called in several threads.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._device = device
        self._sizes: frozenset[int] = frozenset()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch 2.13 imports what it has deprecated itself
            self._network: Callable[[Tensor], Tensor] = torch.compile(
                network, dynamic=False, options=_options(device), **_room_for_sizes()
            )

    def __call__(self, values: Tensor, most: int) -> Tensor:
        """Normalised pixels [N, 3, H, W] → logits [N, C]; filled up to no more than ``most`` pictures.

        Raises UsageError when torch cannot compile here.
        """
        count = len(values)
        size = min((size for size in self._sizes if count <= size <= most), default=max(count, 1))
        if count < size:
            values = F.pad(values, (0, 0, 0, 0, 0, 0, 0, size - count))
        logits = self._network(values) if size in self._sizes else self._first_of_size(values)
        return logits[:count]

    def _first_of_size(self, values: Tensor) -> Tensor:
        with _compiling, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch recommends TF32 to those who have asked for float32
            try:
                logits = self._network(values)
            except TorchDynamoException as error:
                cause = getattr(error, "inner_exception", error)
                if isinstance(cause, torch.OutOfMemoryError):  # the engine knows what to do
                    raise cause from error
                raise _not_here(self._device, cause) from error
            self._sizes |= {len(values)}
        return logits


def _options(device: torch.device) -> dict[str, str | int | bool | Callable[..., object]] | None:
    """How a network is compiled; None is torch's default."""
    if device.type != "cuda":
        return None
    # Not "max-autotune": its CUDA graphs belong to the thread that compiled them and fail in all others
    # (https://github.com/pytorch/pytorch/issues/123177), and batches are computed in several.
    best = list_mode_options("max-autotune-no-cudagraphs")
    # Else it writes to stderr what it has measured; the second name came with torch 2.9.
    silent = {"autotune_num_choices_displayed": 0, "max_autotune_report_choices_stats": False}
    known = list_options()
    return {**best, **{name: value for name, value in silent.items() if name in known}}


def _room_for_sizes() -> dict[str, Any]:
    """Arguments that let torch compile one network for many sizes."""
    # The second is there because engines on several devices must not use up each other's limit.
    arguments = {"recompile_limit": _MOST_SIZES, "isolate_recompiles": True}
    known = inspect.signature(torch.compile).parameters
    if "recompile_limit" not in known:  # before torch 2.12 the limit belongs to the process; 2.6 knows its older name
        torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, _MOST_SIZES)
    return {name: value for name, value in arguments.items() if name in known}  # the second came with torch 2.13


def _not_here(device: torch.device, cause: Exception) -> UsageError:
    reason = str(cause).strip().split("\n")[0]
    needs = {
        "cpu": "Install a C++ compiler, such as g++, or leave out --compile.",
        "cuda": "Install Triton (`pip install triton`) and a C compiler, or leave out --compile.",
    }
    remedy = needs.get(device.type, "Leave out --compile.")
    return UsageError(f"torch cannot compile the network for {device} ({type(cause).__name__}: {reason}). {remedy}")
