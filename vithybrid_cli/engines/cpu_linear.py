"""On a CPU, the encoder's linear layers as 1×1 convolutions, unless that is slower.

torch hands a float32 ``linear`` to MKL and a convolution to oneDNN. MKL keeps its fast paths for Intel's processors: on
an AMD EPYC of the Zen 5 generation the same products take half the time as convolutions, on Zen 4 a tenth less. Which
holds is measured, since a processor's name does not tell.
"""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ROWS = 128  # tokens of the measurement: some milliseconds for a layer of ViT-Base
_REPEATS = 3
# A linear layer has to be clearly faster to be kept: where the two are close, the choice and with it the last bit of
# the logits must not change from one run to the next.
_CLEARLY = 1.25
_ENCODER = "blocks"  # what its layers are in, whatever the whole network is in


class PointwiseLinear(nn.Module):
    """A linear layer on tokens [B, N, D_in] → [B, N, D_out], computed as a 1×1 convolution. Shares its weights."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach()[:, :, None, None], requires_grad=False)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        # [B, N, D] seen as [B, D, 1, N] is channels_last already, and so is what comes back: nothing is copied
        pixels = x.transpose(1, 2).unsqueeze(2)
        return F.conv2d(pixels, self.weight, self.bias).squeeze(2).transpose(1, 2)


@torch.inference_mode()
def use_fastest_linears(network: nn.Module) -> None:
    """Replace each linear layer of an encoder (float32, on the CPU) by a `PointwiseLinear` if those are not slower."""
    linears = {
        name: module
        for name, module in network.named_modules()
        if _ENCODER in name.split(".") and isinstance(module, nn.Linear)
    }
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call] # it has no annotations
    if linears and has_onednn and _convolution_serves(next(iter(linears.values()))):
        for name, linear in linears.items():
            parent, _, own_name = name.rpartition(".")
            setattr(network.get_submodule(parent), own_name, PointwiseLinear(linear))


def _convolution_serves(linear: nn.Linear) -> bool:
    tokens = torch.zeros(1, _ROWS, linear.in_features)
    pointwise = PointwiseLinear(linear)
    as_linear, as_convolution = [], []
    for _ in range(_REPEATS):  # in turns, so that a busy machine is busy for both
        as_linear.append(_seconds(linear, tokens))
        as_convolution.append(_seconds(pointwise, tokens))
    return min(as_convolution) <= _CLEARLY * min(as_linear)


def _seconds(layer: Callable[[Tensor], Tensor], tokens: Tensor) -> float:
    began = time.perf_counter()
    layer(tokens)
    return time.perf_counter() - began
