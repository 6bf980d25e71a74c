"""Gradient-weighted attention of a transformer, and of a hybrid its way down through the backbone.

Nothing but attention passes relevance on, and no more than one layer's gradient is there at a time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vithybrid_cli.explain.target import Target
from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.model.vit import Block, VisionTransformer, attention_probabilities

# Of the finer map: below its largest value by so much, the coarse map alone decides the order. What measured best.
FLOOR = 0.1

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def weighted_attention(network: VisionTransformer, pixel_values: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Gradient-weighted attention of one picture [1, 3, H, W]: the map [rows, columns], and logits [1, C].

    Equations 5 and 6 of https://arxiv.org/abs/2103.15679: from the first layer to the last R ← R + Ā R, where Ā is the
    mean over the heads of (∇A ⊙ A)⁺. The map is the row of R of what the head reads. That row alone is followed, from
    the last layer to the first, as the gradients arrive: R is never there in full.
    """
    relevance = _Relevance(_read_tokens(network.config).to(pixel_values.device))
    with _attending(network, relevance.attend):
        logits = network(pixel_values)
    torch.autograd.grad(target.of(logits).sum(), relevance.first)
    return _on_grid(relevance.gained, network.config), logits


def refined_attention(network: VisionTransformer, pixel_values: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Of a hybrid, `weighted_attention` on the finer grid of its backbone's first stage.

    It is multiplied there by that feature map times its gradient, summed over the channels, as Guided Grad-CAM
    (section 3.2 of https://arxiv.org/abs/1610.02391) multiplies a coarse map by a fine one. Where there are no stages,
    the finer grid is that of the stem.
    """
    assert network.embeddings.backbone is not None
    backbone = network.embeddings.backbone
    relevance = _Relevance(_read_tokens(network.config).to(pixel_values.device))
    kept: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...], features: Tensor) -> None:
        kept.append(features.requires_grad_())

    handle = (backbone.stages[0] if backbone.out_stage else backbone.stem).register_forward_hook(keep)
    try:
        with _attending(network, relevance.attend):
            logits = network(pixel_values)
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(target.of(logits).sum(), kept[0])
    fine = (gradient.float() * kept[0].detach().float()).sum(1, keepdim=True).clamp_min(0)  # [1, 1, h, w]
    coarse = _on_grid(relevance.gained, network.config)[None, None]
    coarse = F.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=False)
    return (_of_largest(coarse) * (_of_largest(fine) + FLOOR))[0, 0], logits


def _of_largest(values: Tensor) -> Tensor:
    """Values of at least 0 as shares of the largest of them, if they are not all 0."""
    return values / values.max().clamp_min(torch.finfo(values.dtype).tiny)


class _Relevance:
    """How much of each token has reached the output, from the layers that the gradient has passed."""

    def __init__(self, start: Tensor) -> None:
        self._start, self._row = start, start
        self._first: Tensor | None = None

    @property
    def first(self) -> Tensor:
        """The attention probabilities of the first layer, where the gradient ends."""
        assert self._first is not None
        return self._first

    @property
    def gained(self) -> Tensor:
        """What came through attention [N], without what the tokens that are read had from the beginning."""
        return self._row - self._start

    def attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        probabilities = attention_probabilities(query, key, bias)
        if self._first is None:
            self._first = probabilities.requires_grad_()
        probabilities.register_hook(partial(self._pass, probabilities.detach()))  # type: ignore[no-untyped-call] # no annotations
        return probabilities @ value

    def _pass(self, probabilities: Tensor, gradient: Tensor) -> None:
        weighted = (gradient.float() * probabilities.float()).clamp_min_(0).mean(1)[0]  # [Q, N]
        self._row = self._row + self._row[: len(weighted)] @ weighted


def _read_tokens(config: VitConfig) -> Tensor:
    """Which tokens the head reads: their shares [N], 1 in all."""
    rows, columns = config.grid_size
    shares = torch.zeros(config.prefix_tokens + rows * columns)
    if config.mean_pooling:
        shares[config.prefix_tokens :] = 1 / (rows * columns)
    else:
        heads = 2 if config.distillation_head else 1  # whose logits are averaged
        shares[:heads] = 1 / heads
    return shares


def _on_grid(tokens: Tensor, config: VitConfig) -> Tensor:
    """The values of all tokens [N] → those of the patches [rows, columns]."""
    return tokens[config.prefix_tokens :].reshape(config.grid_size)


@contextmanager
def _attending(network: VisionTransformer, attend: Attend) -> Iterator[None]:
    """Within this context all layers attend this way."""
    layers = [block.attn for block in network.blocks if isinstance(block, Block)]
    before = [layer.attend for layer in layers]
    try:
        for layer in layers:
            layer.attend = attend  # type: ignore[assignment] # it needs to take no more than a layer gives
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.attend = own
