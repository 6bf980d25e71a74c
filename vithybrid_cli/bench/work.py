"""What a network computes for one picture: all its operations, and its convolutions and linear layers.

It is counted in the network as it runs, whose last layer computes the tokens alone that its heads read: 127 GFLOP of
the 135 that are published for base-384. A multiplication and an addition are two operations (FLOP).
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vithybrid_cli.model.config import NetworkConfig

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Convolution:
    """A square ``kernel`` over a map of ``height`` × ``width``, padded so that a ``stride`` of 1 keeps its size."""

    channels_in: int
    channels_out: int
    kernel: int
    stride: int
    height: int
    width: int

    @property
    def flop(self) -> int:
        """Operations for one picture."""
        pixels = -(-self.height // self.stride) * -(-self.width // self.stride)
        return 2 * pixels * self.weights

    @property
    def inputs(self) -> int:
        """Values that it reads of one picture."""
        return self.channels_in * self.height * self.width

    @property
    def weights(self) -> int:
        """How many weights it has."""
        return self.channels_out * self.channels_in * self.kernel**2

    @property
    def name(self) -> str:
        """For people: ``3×3 convolution of 64 to 64 channels, 96×96``."""
        stride = "" if self.stride == 1 else f", stride {self.stride}"
        channels = f"{self.channels_in} to {self.channels_out} channels"
        return f"{self.kernel}×{self.kernel} convolution of {channels}, {self.height}×{self.width}{stride}"


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix of ``rows`` × ``inner`` for each picture, by weights of ``inner`` × ``columns``."""

    rows: int
    inner: int
    columns: int

    @property
    def flop(self) -> int:
        """Operations for one picture."""
        return 2 * self.rows * self.weights

    @property
    def inputs(self) -> int:
        """Values that it reads of one picture."""
        return self.rows * self.inner

    @property
    def weights(self) -> int:
        """How many weights it has."""
        return self.inner * self.columns

    @property
    def name(self) -> str:
        """For people: ``577×768 by 768×2304``, ``2048³``."""
        if self.rows == self.inner == self.columns:
            return f"{self.rows}³"
        return f"{self.rows}×{self.inner} by {self.inner}×{self.columns}"


Layer = Convolution | Product


@dataclass(frozen=True, slots=True)
class Work:
    """All operations of a network for one picture (``flop``), and how often it has which layer."""

    flop: int
    convolutions: Mapping[Layer, int]
    linears: Mapping[Layer, int]


def work_of(config: NetworkConfig) -> Work:
    """Count what the network of ``config`` computes; it gets no weights, and nothing is computed.

    ``convolutions`` are those of 1×1 and 3×3: a stem of three channels and patches are no measure of a device.
    """
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    from vithybrid_cli.model.build import build

    layers: Counter[Layer] = Counter()

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if (layer := _layer(module, inputs[0].shape)) is not None:
            layers[layer] += 1

    with torch.device("meta"):  # torch counts each product of eager attention, but not all of its fused kernels
        network, values = build(config, "eager").eval(), torch.empty(1, 3, *config.image_size)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(note)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(values)
    return Work(
        flop=int(counter.get_total_flops()),
        convolutions={layer: count for layer, count in layers.items() if isinstance(layer, Convolution)},
        linears={layer: count for layer, count in layers.items() if isinstance(layer, Product)},
    )


def _layer(module: "nn.Module", shape: tuple[int, ...]) -> Layer | None:
    """What ``module`` computes on an input of this ``shape``, if that is one of the two."""
    from torch import nn

    if isinstance(module, nn.Linear):
        return Product(math.prod(shape[:-1]), module.in_features, module.out_features)
    if isinstance(module, nn.Conv2d) and module.kernel_size in ((1, 1), (3, 3)):
        kernel, stride = module.kernel_size[0], module.stride[0]
        return Convolution(module.in_channels, module.out_channels, kernel, stride, shape[2], shape[3])
    return None
