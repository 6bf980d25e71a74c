"""Grad-CAM (https://arxiv.org/abs/1610.02391): the channels of the last feature map that raise the label's logit.

Of a BiT that is the feature map which the head's mean pools. Of a transformer it is the patch tokens after the first
norm of the last block, as in jacobgil's pytorch-grad-cam: after that block a head that reads CLS reads no patch.
"""

import torch
from torch import Tensor, nn

from vithybrid_cli.explain.target import Target
from vithybrid_cli.model.bit import BitClassifier
from vithybrid_cli.model.build import Network
from vithybrid_cli.model.vit import Block, VisionTransformer


def grad_cam(network: Network, pixel_values: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Of one picture [1, 3, H, W]: the map [rows, columns], and logits [1, C]."""
    if isinstance(network, BitClassifier):
        return _of_feature_map(network, pixel_values, target)
    return _of_tokens(network, pixel_values, target)


def _of_feature_map(network: BitClassifier, pixel_values: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    features = network.normalized(network.backbone(pixel_values)).requires_grad_()
    logits = network.forward_head(features)
    (gradient,) = torch.autograd.grad(target.of(logits).sum(), features)
    weights = gradient.float().mean((2, 3), keepdim=True)  # [1, D, 1, 1]
    return (weights * features.detach().float()).sum(1)[0].clamp_min(0), logits


def _of_tokens(network: VisionTransformer, pixel_values: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    last = network.blocks[-1]
    assert isinstance(last, Block)
    kept: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...], tokens: Tensor) -> None:
        kept.append(tokens.requires_grad_())

    handle = last.norm1.register_forward_hook(keep)
    try:
        logits = network(pixel_values)
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(target.of(logits).sum(), kept[0])
    prefix = network.config.prefix_tokens
    tokens, gradients = kept[0].detach()[0, prefix:].float(), gradient[0, prefix:].float()  # [patches, D]
    return (tokens @ gradients.mean(0)).clamp_min(0).reshape(network.config.grid_size), logits
