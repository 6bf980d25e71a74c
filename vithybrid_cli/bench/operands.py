"""Single layers as calls of torch's own operations, on random numbers of the layer's size."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vithybrid_cli.bench.place import Call
from vithybrid_cli.bench.work import Convolution, Layer, Product

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_BLOCK = 2**20  # numbers that are drawn, and repeated: drawing all would take longer than computing with them


@dataclass(frozen=True, slots=True)
class Operands:
    """Numbers on a device, flat, of which each layer takes the first: ``values`` of a batch, and ``weights``."""

    values: "Tensor"
    weights: "Tensor"

    @classmethod
    def drawn(cls, layers: Collection[Layer], batch: int, device: "torch.device", dtype: str) -> "Operands":
        """Enough for each of ``layers``: about as large as those of a trained network, and the same each time."""
        from vithybrid_cli.engines.torch_devices import torch_dtype

        values = batch * max(layer.inputs for layer in layers)
        weights = max(layer.weights for layer in layers)
        kind = torch_dtype(dtype)
        return cls(_drawn(values, 1.0).to(device, kind), _drawn(weights, 0.05).to(device, kind))

    def call(self, layer: Layer, batch: int, *, pointwise: bool = False) -> Call:
        """Computes ``layer`` for a batch; a product as a ``pointwise`` convolution, if so."""
        import torch.nn.functional as F

        values = self.values[: batch * layer.inputs]
        weights = self.weights[: layer.weights]
        if isinstance(layer, Convolution):
            # What lies as [N, H, W, C] and is seen as [N, C, H, W] is channels_last.
            pixels = values.view(batch, layer.height, layer.width, -1).permute(0, 3, 1, 2)
            kernels = weights.view(layer.channels_out, layer.kernel, layer.kernel, -1).permute(0, 3, 1, 2)
            return partial(F.conv2d, pixels, kernels, None, layer.stride, layer.kernel // 2)
        rows, columns = values.view(-1, layer.inner), weights.view(layer.columns, layer.inner)
        if pointwise:
            pixels = rows.view(batch, 1, -1, layer.inner).permute(0, 3, 1, 2)
            return partial(F.conv2d, pixels, columns[:, :, None, None])
        return partial(F.linear, rows, columns)


def ways(layer: Layer, kind: str) -> tuple[bool, ...]:
    """Whether ``layer`` is computed as a pointwise convolution on such a device, for each way that is tried.

    On a CPU torch gives the two ways of a product to different libraries (`vithybrid_cli.engines.cpu_linear`).
    """
    return (False, True) if isinstance(layer, Product) and kind == "cpu" else (False,)


def _drawn(count: int, spread: float) -> "Tensor":
    import torch

    block = torch.randn(min(count, _BLOCK), generator=torch.Generator().manual_seed(0)).mul_(spread)
    return block.repeat(-(-count // len(block)))[:count]
