"""Weights for networks that are compared: random, and with activations as those of a trained network."""

import torch
from torch import Tensor, nn


def random_tensors(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """A value for each parameter of ``network`` by its name.

    With them pictures differ and rounding errors stay small, as in a trained network. With the 0.02 that transformers
    starts from, every logit is near zero and any two networks agree.
    """
    generator = torch.Generator().manual_seed(seed)
    return {
        f"{path}.{kind}" if path else kind: _random(path, module, kind, parameter, generator)
        for path, module in network.named_modules()
        for kind, parameter in module.named_parameters(recurse=False)
    }


def _random(path: str, module: nn.Module, kind: str, parameter: nn.Parameter, generator: torch.Generator) -> Tensor:
    normal = torch.randn(parameter.shape, generator=generator)
    if isinstance(module, nn.LayerNorm | nn.GroupNorm):
        gain = 0.3 if path.endswith(".norm3") else 1.0  # of a residual branch: with 1, sixteen blocks blow up rounding
        return gain * (1 + 0.2 * normal) if kind == "weight" else 0.1 * normal
    if kind == "weight":  # a linear layer or convolution
        gain = 2.0 if path.endswith((".query", ".key")) else 1.2  # attention has to tell tokens apart
        return gain * normal / parameter[0].numel() ** 0.5
    # The CLS token and the positions are large beside timm's 1e-6 for a variance (transformers': 1e-12). Else a bias.
    return (0.05 if kind == "bias" else 0.5) * normal
