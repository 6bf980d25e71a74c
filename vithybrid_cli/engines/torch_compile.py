"""A network that torch compiles: minutes before the first result, less time for each one after it.

Inductor may time several kernels and keep the fastest, which rounds differently from run to run. So it is asked for
none of that ("max-autotune"), and told to choose by rules where the choice shows in the results.
"""

import inspect
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException  # importing it takes a second, so this module is imported late
from torch._inductor import list_options

from vithybrid_cli.errors import UsageError

# Each batch that does not fit into memory halves the size; far above the eight after which torch would go on without
# compiling, and without a word.
_MOST_SIZES = 256

# One at a time in this process: two threads that are the first with a size would both compile it, and the filters of
# warnings belong to all threads.
_compiling = threading.Lock()


class CompiledNetwork:
    """Calls a network that is compiled for one number of pictures at a time, when it is first called with that.

    May be called in several threads.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._device = device
        self._sizes: frozenset[int] = frozenset()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch 2.13 imports what it has deprecated itself
            self._network: Callable[[Tensor], Tensor] = torch.compile(
                network, dynamic=False, options=_options(), **_room_for_sizes()
            )

    def __call__(self, values: Tensor, size: int) -> Tensor:
        """Normalised pixels [N, 3, H, W] → rows [N, C], computed with ``size`` pictures, at least N.

        What is missing is filled up with zeros: the same network for each batch, so the same results wherever the last,
        smaller batch of a run falls. Raises UsageError when torch cannot compile here.
        """
        count = len(values)
        if count < size:
            values = F.pad(values, (0, 0, 0, 0, 0, 0, 0, size - count))
        rows = self._network(values) if size in self._sizes else self._first_of_size(values)
        return rows[:count]

    def _first_of_size(self, values: Tensor) -> Tensor:
        with _compiling, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch recommends TF32 to those who have asked for float32
            try:
                rows = self._network(values)
            except TorchDynamoException as error:
                cause = getattr(error, "inner_exception", error)
                if isinstance(cause, torch.OutOfMemoryError):  # the engine knows what to do
                    raise cause from error
                raise _not_here(self._device, cause) from error
            self._sizes |= {len(values)}
        return rows


def _options() -> dict[str, Any]:
    """How Inductor compiles: nothing whose result depends on a clock."""
    # Padding of matrices is chosen by timing, too; the first option says so only from torch 2.9 on.
    wanted = {"deterministic": True, "shape_padding": False}
    known = list_options()
    return {name: value for name, value in wanted.items() if name in known}


def _room_for_sizes() -> dict[str, Any]:
    """Arguments that let torch compile one network for many sizes."""
    # The second is there because engines on several devices must not use up each other's limit.
    arguments = {"recompile_limit": _MOST_SIZES, "isolate_recompiles": True}
    known = inspect.signature(torch.compile).parameters
    if "recompile_limit" not in known:  # before torch 2.12 the limit belongs to the process; 2.6 knows its older name
        torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, _MOST_SIZES)
    return {name: value for name, value in arguments.items() if name in known}  # the second came with torch 2.13


def _not_here(device: torch.device, cause: Exception) -> UsageError:
    reason = str(cause).strip().split("\n")[0].rstrip(".")
    needs = {
        "cpu": "Install a C++ compiler, such as g++, or leave out {compile=True}.",
        "cuda": "Install Triton (`pip install triton`) and a C compiler, or leave out {compile=True}.",
    }
    remedy = needs.get(device.type, "Leave out {compile=True}.")
    return UsageError(f"PyTorch cannot compile the network for {device} ({type(cause).__name__}: {reason}).", remedy)
