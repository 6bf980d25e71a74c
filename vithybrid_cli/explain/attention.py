"""Maps from the attention of a transformer: gradient-weighted attention, and LeGrad.

Neither keeps more of a network than a forward pass with attention probabilities does, nor propagates relevance through
anything but these.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from vithybrid_cli.explain.target import Target
from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.model.vit import Block, VisionTransformer, attention_probabilities

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def weighted_attention(network: VisionTransformer, pixel_values: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Gradient-weighted attention of one picture [1, 3, H, W]: the map [rows, columns], and logits [1, C].

    Equations 5 and 6 of https://arxiv.org/abs/2103.15679: from the first layer to the last R ← R + Ā R, where Ā is the
    mean over the heads of (∇A ⊙ A)⁺. The map is the row of R of what the head reads. That row alone is followed, from
    the last layer to the first, as the gradients arrive: R is never there in full, nor more than one layer's gradient.
    """
    relevance = _Relevance(read_tokens(network.config).to(pixel_values.device))
    with _attending(network, relevance.attend):
        logits = network(pixel_values)
    torch.autograd.grad(target.of(logits).sum(), relevance.first)
    return on_grid(relevance.gained, network.config), logits


def legrad(network: VisionTransformer, pixel_values: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """LeGrad (https://arxiv.org/abs/2404.03214) of one picture [1, 3, H, W]: map [rows, columns], and logits [1, C].

    The head reads what each layer gives, and the map is the positive part of that logit's gradient for the layer's own
    attention, averaged over heads, queries and layers. Only one layer's gradient is there at a time.
    """
    logits = network(pixel_values)
    target = target.settled(logits)
    bias, x = network.bias(), network.embeddings(pixel_values)
    found = torch.zeros(x.shape[1], device=x.device)
    layer = _Layer()
    with _attending(network, layer.attend):
        for block in network.blocks:
            x = block(x, bias=bias)
            score = target.of(network.forward_head(network.normalized(x)))
            (gradient,) = torch.autograd.grad(score.sum(), layer.probabilities)
            found += gradient[0].float().clamp_min_(0).mean((0, 1))
            x = x.detach()
    return on_grid(found / len(network.blocks), network.config), logits


class _Layer:
    """The attention probabilities of the layer that was computed last."""

    def __init__(self) -> None:
        self.probabilities = torch.empty(0)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        self.probabilities = attention_probabilities(query, key, bias).requires_grad_()
        return self.probabilities @ value


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


def read_tokens(config: VitConfig) -> Tensor:
    """Which tokens the head reads: their shares [N], 1 in all."""
    rows, columns = config.grid_size
    shares = torch.zeros(config.prefix_tokens + rows * columns)
    if config.mean_pooling:
        shares[config.prefix_tokens :] = 1 / (rows * columns)
    else:
        heads = 2 if config.distillation_head else 1  # whose logits are averaged
        shares[:heads] = 1 / heads
    return shares


def on_grid(tokens: Tensor, config: VitConfig) -> Tensor:
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
