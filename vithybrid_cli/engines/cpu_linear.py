"""On a CPU, the encoder's linear layers as 1×1 convolutions where those are faster.

torch hands a float32 ``linear`` to MKL and a convolution to oneDNN. MKL keeps its fast paths for Intel's processors. On
an AMD EPYC of the Zen 5 generation convolutions take half the time, on Zen 4 a tenth less; on Intel's processors with
AMX the two are equal. Both round differently, so the choice follows the vendor and is never measured: a run that is
resumed on a busy machine has to give the same digits.
"""

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


def convolutions_are_faster(processor: Processor) -> bool:
    """Whether float32 linear layers are computed as convolutions on this processor."""
    has_mkl, has_onednn = torch.backends.mkl.is_available(), torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call] # no annotations
    return has_mkl and has_onednn and processor.vendor != "GenuineIntel"


def use_pointwise_linears(network: nn.Module) -> None:
    """Replace each linear layer of an encoder by a `PointwiseLinear`."""
    linears = {
        name: module
        for name, module in network.named_modules()
        if _ENCODER in name.split(".") and isinstance(module, nn.Linear)
    }
    for name, linear in linears.items():
        parent, _, own_name = name.rpartition(".")
        setattr(network.get_submodule(parent), own_name, PointwiseLinear(linear))
