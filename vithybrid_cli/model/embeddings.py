"""A picture becomes the tokens of a ViT: its patches, or in a Hybrid ViT those of a BiT feature map, and CLS.

The Hybrid ViT is section 3.1 of https://arxiv.org/abs/2010.11929; its published checkpoint is
``google/vit-hybrid-base-bit-384``, and timm knows the same network as ``vit_base_r50_s16_384``.
"""

import torch
from torch import Tensor, nn

from vithybrid_cli.errors import UsageError
from vithybrid_cli.model.bit import Bit
from vithybrid_cli.model.config import VitConfig


class Embeddings(nn.Module):
    """Normalised pixels [B, 3, H, W] → CLS, distillation token if there is one, and patches, with positions [B, N, D].

    ``bool_masked_pos`` [B, patches] is true for the patches that the mask token replaces. Raises UsageError if there is
    no mask token, or if the mask has another shape.
    """

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width = config.encoder.hidden_size
        rows, columns = config.grid_size
        self.backbone = None if config.backbone is None else Bit(config.backbone)
        channels = 3 if config.backbone is None else config.backbone.out_channels
        self.projection = nn.Conv2d(channels, width, config.patch_size, config.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.distillation_token = _parameter(config.distillation_token, 1, width)
        self.mask_token = _parameter(config.mask_token, 1, width)
        self.position_embeddings = _parameter(config.absolute_positions, config.prefix_tokens + rows * columns, width)

    def forward(self, pixel_values: Tensor, bool_masked_pos: Tensor | None = None) -> Tensor:
        features = pixel_values if self.backbone is None else self.backbone(pixel_values)
        patches = self.projection(features).flatten(2).transpose(1, 2)  # [B, D, rows, columns] → [B, patches, D]
        if bool_masked_pos is not None:
            patches = self._masked(patches, bool_masked_pos)
        prefix = [self.cls_token] if self.distillation_token is None else [self.cls_token, self.distillation_token]
        x = torch.cat((*(token.expand(patches.shape[0], -1, -1) for token in prefix), patches), dim=1)
        return x if self.position_embeddings is None else x + self.position_embeddings

    def _masked(self, patches: Tensor, where: Tensor) -> Tensor:
        if self.mask_token is None:
            raise UsageError("This network has no mask token.", "Use a checkpoint that has one, or mask no patches.")
        if where.shape != patches.shape[:2]:
            raise UsageError(
                f"`bool_masked_pos` has the shape {list(where.shape)}.",
                f"Give one of shape {list(patches.shape[:2])}.",
            )
        return torch.where(where.bool().unsqueeze(-1), self.mask_token, patches)


def _parameter(wanted: bool, tokens: int, width: int) -> nn.Parameter | None:
    return nn.Parameter(torch.zeros(1, tokens, width)) if wanted else None
