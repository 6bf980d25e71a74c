"""The Hybrid ViT (https://arxiv.org/abs/2010.11929, section 3.1): a BiT feature map whose patches are a ViT's tokens.

The published checkpoint is ``google/vit-hybrid-base-bit-384``; timm knows the same network as ``vit_base_r50_s16_384``.
Each stage of the way is a module of its own, so that two ports can be compared stage by stage:
``embeddings.backbone.stem``, ``….stages.i``, ``embeddings``, ``blocks.i``, ``norm``, ``head``.
"""

import torch
from torch import Tensor, nn

from vithybrid_cli.model.bit import Bit
from vithybrid_cli.model.config import HybridConfig
from vithybrid_cli.model.vit import AttentionImplementation, Block


class HybridEmbeddings(nn.Module):
    """Normalised pixels [B, 3, H, W] → CLS and patch tokens with their positions [B, 1 + N, D]."""

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        width = config.encoder.hidden_size
        rows, columns = config.grid_size
        self.backbone = Bit(config.backbone)
        self.projection = nn.Conv2d(config.backbone.out_channels, width, config.patch_size, config.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + rows * columns, width))

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.projection(self.backbone(pixel_values))  # [B, D, rows, columns]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        return x + self.position_embeddings


class HybridViT(nn.Module):
    """Normalised pixels [B, 3, H, W] → logits [B, C], read from the CLS token."""

    def __init__(self, config: HybridConfig, attention: AttentionImplementation = "sdpa") -> None:
        super().__init__()
        self.config = config
        self.embeddings = HybridEmbeddings(config)
        self.blocks = nn.ModuleList(Block(config.encoder, attention) for _ in range(config.encoder.num_hidden_layers))
        self.norm = nn.LayerNorm(config.encoder.hidden_size, config.encoder.layer_norm_eps)
        self.head = nn.Linear(config.encoder.hidden_size, len(config.labels))

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.embeddings(pixel_values)
        for block in self.blocks[:-1]:
            x = block(x)
        x = self.blocks[-1](x, queries=1)  # the head reads the CLS token, so no other is needed after the last layer
        return self.head(self.norm(x)[:, 0])

    def last_hidden_state(self, pixel_values: Tensor) -> Tensor:
        """Normalised pixels [B, 3, H, W] → all tokens after the final norm [B, 1 + N, D]."""
        x = self.embeddings(pixel_values)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
