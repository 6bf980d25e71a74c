"""ViT (https://arxiv.org/abs/2010.11929): the pre-norm transformer encoder, read by a Hybrid ViT after its backbone.

Names follow timm's ``vision_transformer``: norm1, attn.qkv, attn.proj, norm2, mlp.fc1, mlp.fc2. Query, key and value
are one matrix, since one product of three times the width is faster than three.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from vithybrid_cli.model.bit import activation
from vithybrid_cli.model.config import EncoderConfig

AttentionImplementation = Literal["sdpa", "eager"]


def eager_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``softmax(q kᵀ / sqrt(d)) v`` on [B, heads, N, d], written out; what SDPA computes in one kernel."""
    scores = (query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
    return scores.softmax(dim=-1) @ value


class Attention(nn.Module):
    """Multi-head self-attention: [B, N, D] → [B, N, D], or [B, Q, D] where the first Q tokens alone ask."""

    def __init__(self, config: EncoderConfig, implementation: AttentionImplementation) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=config.qkv_bias)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.attend = F.scaled_dot_product_attention if implementation == "sdpa" else eager_attention

    def forward(self, x: Tensor, queries: int | None = None) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each [B, heads, N, d]
        x = self.attend(query[:, :, :queries], key, value)
        return self.proj(x.transpose(1, 2).flatten(2))


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

    def __init__(self, config: EncoderConfig, attention: AttentionImplementation) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.attn = Attention(config, attention)
        self.norm2 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor, queries: int | None = None) -> Tensor:
        x = x[:, :queries] + self.attn(self.norm1(x), queries)
        return x + self.mlp(self.norm2(x))
