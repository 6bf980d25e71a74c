"""ViT (https://arxiv.org/abs/2010.11929): a pre-norm transformer encoder on the patches of a picture.

One network for the whole line: the plain ViT, DINO (the same without a head), the Hybrid ViT, whose patches are those
of a feature map (`vithybrid_cli.model.embeddings`), DeiT (https://arxiv.org/abs/2012.12877: one more token and,
distilled, a head for it), DeiT III (https://arxiv.org/abs/2204.07118: LayerScale, and no position for CLS), BEiT
(`vithybrid_cli.model.beit`: positions as a bias of the attention) and the ViTs of timm without CLS.
Names follow timm's ``vision_transformer``: norm1, attn.qkv, attn.proj, ls1, norm2, mlp.fc1, mlp.fc2, ls2, fc_norm,
head, head_dist. Query, key and value are one matrix, since one product of three times the width is faster than three.
Each stage is a module of its own, so that two ports can be compared stage by stage.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from vithybrid_cli.model.beit import LayerScale, RelativePositionBias, distance_index
from vithybrid_cli.model.bit import activation
from vithybrid_cli.model.config import EncoderConfig, VitConfig
from vithybrid_cli.model.embeddings import Embeddings

AttentionImplementation = Literal["sdpa", "eager"]


def attention_probabilities(query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
    """``softmax(q kᵀ / sqrt(d) + bias)``: [B, heads, Q, d], [B, heads, N, d] → [B, heads, Q, N]."""
    # The query is scaled, not the product: q kᵀ alone overflows float16 long before its scaled value does.
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    return (scores if bias is None else scores + bias).softmax(dim=-1)


def eager_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """``softmax(q kᵀ / sqrt(d) + bias) v`` on [B, heads, N, d], as separate operations; SDPA is one kernel."""
    return attention_probabilities(query, key, bias) @ value


class Attention(nn.Module):
    """Multi-head self-attention: [B, N, D] → [B, N, D], or [B, Q, D] if only the first Q tokens are queries.

    ``bias`` [heads, N, N] is added to the scores. A layer built with ``distances`` has its own bias instead.
    """

    def __init__(
        self, config: EncoderConfig, implementation: AttentionImplementation, distances: Tensor | None
    ) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=config.qkv_bias)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.relative_position_bias = None if distances is None else RelativePositionBias(distances, self.heads)
        self.attend = F.scaled_dot_product_attention if implementation == "sdpa" else eager_attention

    def forward(self, x: Tensor, queries: int | None = None, bias: Tensor | None = None) -> Tensor:
        query, key, value = self._split(x)
        bias = self._bias(bias)
        x = self.attend(query[:, :, :queries], key, value, None if bias is None else bias[:, :queries])
        return self.proj(x.transpose(1, 2).flatten(2))

    def forward_with_map(self, x: Tensor, bias: Tensor | None, head_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """``forward`` for all tokens, and the attention probabilities [B, heads, N, N] it used.

        The probabilities of each head are multiplied by its element of ``head_mask`` [heads].
        """
        query, key, value = self._split(x)
        probabilities = attention_probabilities(query, key, self._bias(bias))
        if head_mask is not None:
            probabilities = probabilities * head_mask.to(probabilities).view(-1, 1, 1)
        return self.proj((probabilities @ value).transpose(1, 2).flatten(2)), probabilities

    def _split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value, each [B, heads, N, d]."""
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)

    def _bias(self, shared: Tensor | None) -> Tensor | None:
        return shared if self.relative_position_bias is None else self.relative_position_bias()


class Mlp(nn.Module):
    """Two linear layers around an activation: [B, N, D] → [B, N, D]."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.act = activation(config.hidden_act)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """One encoder layer: [B, N, D] → [B, N, D], or [B, Q, D] for the first Q tokens, which attend to all N."""

    def __init__(self, config: EncoderConfig, attention: AttentionImplementation, distances: Tensor | None) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.attn = Attention(config, attention, distances)
        self.ls1 = LayerScale(config.hidden_size) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = Mlp(config)
        self.ls2 = LayerScale(config.hidden_size) if config.layer_scale else nn.Identity()

    def forward(self, x: Tensor, queries: int | None = None, bias: Tensor | None = None) -> Tensor:
        x = x[:, :queries] + self.ls1(self.attn(self.norm1(x), queries, bias))
        return self._through_mlp(x)

    def forward_with_map(self, x: Tensor, bias: Tensor | None, head_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """All tokens after this layer [B, N, D], and its attention probabilities [B, heads, N, N]."""
        attended, probabilities = self.attn.forward_with_map(self.norm1(x), bias, head_mask)
        return self._through_mlp(x + self.ls1(attended)), probabilities

    def _through_mlp(self, x: Tensor) -> Tensor:
        return x + self.ls2(self.mlp(self.norm2(x)))


class VisionTransformer(nn.Module):
    """Normalised pixels [B, 3, H, W] → logits [B, C]; without labels, the features [B, D] that a head would read."""

    def __init__(self, config: VitConfig, attention: AttentionImplementation = "sdpa") -> None:
        super().__init__()
        encoder, width, biases = config.encoder, config.encoder.hidden_size, config.encoder.relative_positions
        self.config = config
        self.embeddings = Embeddings(config)
        distances = None if biases == "none" else distance_index(config.grid_size)
        shared, each = (distances if biases == where else None for where in ("shared", "each"))
        self.relative_position_bias = (
            None if shared is None else RelativePositionBias(shared, encoder.num_attention_heads)
        )
        self.blocks = nn.ModuleList(Block(encoder, attention, each) for _ in range(encoder.num_hidden_layers))
        self.norm = nn.Identity() if config.norm_of_mean else nn.LayerNorm(width, encoder.layer_norm_eps)
        self.fc_norm = nn.LayerNorm(width, encoder.layer_norm_eps) if config.norm_of_mean else nn.Identity()
        self.pooler = nn.Linear(width, width) if config.pooler else None
        self.head = nn.Linear(width, len(config.labels)) if config.labels else nn.Identity()
        self.head_dist = nn.Linear(width, len(config.labels)) if config.distillation_head else None

    def forward(self, pixel_values: Tensor) -> Tensor:
        # The heads read the first tokens only, so the last layer computes no others, unless their mean is pooled.
        queries = None if self.config.mean_pooling else self.config.prefix_tokens
        return self.forward_head(self.normalized(self.encoded(pixel_values, queries)))

    def encoded(self, pixel_values: Tensor, queries: int | None = None) -> Tensor:
        """Normalised pixels [B, 3, H, W] → tokens after the last layer [B, N, D], or the first ``queries`` of them."""
        x, bias = self.embeddings(pixel_values), self.bias()
        for block in self.blocks[:-1]:
            x = block(x, bias=bias)
        return self.blocks[-1](x, queries, bias)

    def normalized(self, x: Tensor) -> Tensor:
        """Tokens after the last layer [B, N, D] → after the final norm; unchanged if that is the norm of their mean."""
        return self.norm(x)

    def forward_head(self, x: Tensor) -> Tensor:
        """Tokens after the final norm [B, N, D] → logits [B, C]. Without mean pooling the prefix tokens are enough."""
        logits = self.head(self.pooled(x))
        return logits if self.head_dist is None else (logits + self.head_dist(x[:, 1])) / 2

    def pooled(self, x: Tensor) -> Tensor:
        """Tokens after the final norm [B, N, D] → what the head reads [B, D]."""
        x = self.fc_norm(x[:, self.config.prefix_tokens :].mean(1)) if self.config.mean_pooling else x[:, 0]
        return x if self.pooler is None else self.pooler(x).tanh()

    def bias(self) -> Tensor | None:
        """The bias that all layers share [heads, N, N], if they do."""
        return None if self.relative_position_bias is None else self.relative_position_bias()
