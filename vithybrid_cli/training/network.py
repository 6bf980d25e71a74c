"""The network for training: new or loaded weights, weight standardisation and the grid of positions in the graph.

Inference folds the standardisation into the weights. Training must differentiate through it, so here it parametrises
each convolution of the backbone. The raw weights are what is saved, as in the published files.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from vithybrid_cli.choices import Freeze
from vithybrid_cli.model.beit import LayerScale
from vithybrid_cli.model.bit import Bottleneck, StandardizedConv2d, standardize
from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.model.interpolate import interpolated
from vithybrid_cli.model.vit import VisionTransformer

CPU = torch.device("cpu")
_PARAMETRIZED = re.compile(r"parametrizations\.(\w+)\.original")
TOKEN_STD = 0.02  # of the initial CLS token and positions, as in BERT and the ViT paper's code
LAYER_SCALE = 0.1  # its initial value: ``layer_scale_init_value`` of transformers' ``BeitConfig``


class _Standardize(nn.Module):
    """Standardises a weight that learns each time, one that keeps its value once."""

    def __init__(self) -> None:
        super().__init__()
        self._done: tuple[int, Tensor] | None = None  # the version of the weight, which counts its changes

    def forward(self, weight: Tensor) -> Tensor:
        if weight.requires_grad:
            self._done = None
            return standardize(weight)
        done = self._done  # another thread may set it meanwhile, to the same
        if done is None or done[0] != weight._version:
            with torch.inference_mode(mode=False), torch.no_grad():
                self._done = done = weight._version, standardize(weight)
        return done[1]


class _AtGrid(nn.Module):
    """Positions [1, N, D] for the grid of patches that pictures of another size have."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.prefix, self.grid = config.prefix_positions, config.grid_size
        self.wanted = self.grid

    def forward(self, positions: Tensor) -> Tensor:
        if self.wanted == self.grid:
            return positions
        patches = interpolated(positions[0, self.prefix :], self.grid, self.wanted, "bicubic")
        return torch.cat((positions[:, : self.prefix], patches[None]), dim=1)


def trainable_network(
    config: VitConfig, raw_weights: dict[str, Tensor] | None = None, device: torch.device = CPU
) -> VisionTransformer:
    """A network in training mode on ``device``, with raw weights under our names, or newly initialised."""
    # On a CPU, with a few dozen tokens, the fused kernel's backward pass is slower than plain matrix products.
    network = VisionTransformer(config, attention="eager" if device.type == "cpu" else "sdpa")
    if raw_weights is None:
        initialize(network)
    else:
        network.load_state_dict(raw_weights)
    convolutions = [module for module in network.modules() if isinstance(module, StandardizedConv2d)]
    for convolution in convolutions:
        parametrize.register_parametrization(convolution, "weight", _Standardize())
    if network.embeddings.position_embeddings is not None:
        parametrize.register_parametrization(network.embeddings, "position_embeddings", _AtGrid(config))
    return network.to(device).train()


def learning(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that learn, with their names."""
    return ((name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad)


def raw_weights(network: VisionTransformer) -> dict[str, Tensor]:
    """The network's parameters under our names, before standardisation."""
    return {raw_name(name): parameter.detach() for name, parameter in network.named_parameters()}


def raw_name(parameter_name: str) -> str:
    """The name that a parameter would have without parametrisation."""
    return _PARAMETRIZED.sub(r"\1", parameter_name)


def takes_any_size(network: VisionTransformer) -> bool:
    """Whether `take_size` can be used: relative positions are tied to one grid."""
    return network.config.encoder.relative_positions == "none"


def take_size(network: VisionTransformer, size: tuple[int, int]) -> None:
    """Let a trainable network take pictures of ``size`` (height, width) from now on."""
    for module in network.modules():
        if isinstance(module, _AtGrid):
            module.wanted = replace(network.config, image_size=size).grid_size


def initialize(network: VisionTransformer) -> None:
    """Glorot for the encoder, as in ViT's code, He for the backbone, whose residual branches start at 0."""
    for module in network.modules():
        if isinstance(module, StandardizedConv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight.data.flatten(1))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, Bottleneck):
            nn.init.zeros_(module.norm3.weight)  # as BiT does (arXiv:1706.02677, section 5.1)
        elif isinstance(module, LayerScale):
            nn.init.constant_(module.gamma, LAYER_SCALE)
    for parameter in network.embeddings.parameters(recurse=False):
        nn.init.trunc_normal_(parameter, std=TOKEN_STD)
    if isinstance(network.head, nn.Linear):
        nn.init.zeros_(network.head.weight)


def with_temperature(weights: dict[str, Tensor], temperature: float) -> dict[str, Tensor]:
    """The weights with a head whose outputs are divided by ``temperature``."""
    return {name: tensor / temperature if name.startswith("head.") else tensor for name, tensor in weights.items()}


def freeze(network: VisionTransformer, what: Freeze | None) -> None:
    """Let the backbone of a Hybrid ViT, or all below the head, keep their weights: nothing there gets a gradient."""
    for name, parameter in network.named_parameters():
        frozen = name.startswith("embeddings.backbone.") if what is Freeze.BACKBONE else not name.startswith("head.")
        parameter.requires_grad_(what is None or not frozen)
