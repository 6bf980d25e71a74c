"""On a CPU, the encoder's linear layers in the way that is fastest there.

In float32 torch hands a ``linear`` to MKL and a convolution to oneDNN. MKL uses AVX-512 on Intel's processors alone.
On an AMD EPYC of the Zen 5 generation 1×1 convolutions take half the time, on Zen 4 a tenth less; on Intel's processors
with AMX the two are equal. Without AVX-512, on Zen 3, MKL is faster: by a quarter for one picture, else a little.

In bfloat16 it hands a ``linear`` to oneDNN, which has to bring a weight into the order of AMX's tiles in each call.
With weights that were brought into it once base-384 gains an eighth.

All of these round differently, so the choice follows the processor and is never measured: a run that is resumed on a
busy machine has to give the same digits.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vithybrid_cli.engines.processor import Processor

_ENCODER = "blocks"  # the name of the encoder's layers in every network


class PointwiseLinear(nn.Module):
    """A linear layer on tokens [B, N, D_in] → [B, N, D_out], computed as a 1×1 convolution. Shares its weights."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        # With these strides torch sees that it is channels_last already. With others, as good for sides of one, it
        # would be copied: 340 MB of base-384.
        strides = (weight.stride(0), 1, weight.stride(0), weight.stride(0))
        self.weight = nn.Parameter(weight.as_strided((*weight.shape, 1, 1), strides), requires_grad=False)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        # [B, N, D] seen as [B, D, 1, N] is channels_last already, and so is what comes back: nothing is copied
        pixels = x.transpose(1, 2).unsqueeze(2)
        return F.conv2d(pixels, self.weight, self.bias).squeeze(2).transpose(1, 2)


class PackedLinear(nn.Module):
    """A linear layer [..., D_in] → [..., D_out] whose weight is kept in oneDNN's order alone.

    The operations are those that torch's compiler gives a frozen graph, and are not public; see `can_pack`.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        # No parameter: nothing but this operation can read it, nor bring it to another type or memory layout.
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        rows: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
        return rows


def suit_linears(network: nn.Module, dtype: torch.dtype, processor: Processor, *, compiled: bool = False) -> None:
    """Replace each linear layer of an encoder that computes in ``dtype`` by what is faster on this ``processor``.

    What is to be ``compiled`` is not packed: torch's compiler does not take weights that are packed already.
    """
    if dtype is torch.float32 and convolutions_are_faster(processor):
        replace_linears(network, PointwiseLinear)
    elif dtype is torch.bfloat16 and processor.has_amx and can_pack() and not compiled:
        replace_linears(network, PackedLinear)


def convolutions_are_faster(processor: Processor) -> bool:
    """Whether float32 linear layers are computed as convolutions on this processor: where MKL leaves AVX-512 unused."""
    has_mkl, has_onednn = torch.backends.mkl.is_available(), torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call] # no annotations
    return has_mkl and has_onednn and processor.vendor != "GenuineIntel" and "avx512f" in processor.instructions


def can_pack() -> bool:
    """Whether this torch has the operations of a `PackedLinear`, and its oneDNN bfloat16 on this processor."""
    has_both = all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise"))
    return has_both and has_bfloat16()


def has_bfloat16() -> bool:
    """Whether torch's oneDNN computes bfloat16 here. Where ONEDNN_MAX_CPU_ISA says less, it does not, AMX or not."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def replace_linears(network: nn.Module, make: Callable[[nn.Linear], nn.Module]) -> None:
    """Replace each linear layer of an encoder by what ``make`` makes of it."""
    linears = {
        name: module
        for name, module in network.named_modules()
        if _ENCODER in name.split(".") and isinstance(module, nn.Linear)
    }
    for name, linear in linears.items():
        parent, _, own_name = name.rpartition(".")
        setattr(network.get_submodule(parent), own_name, make(linear))
