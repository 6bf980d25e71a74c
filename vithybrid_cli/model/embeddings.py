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
    """Normalised pixels [B, 3, H, W] → CLS and distillation token, if any, and patches, with positions [B, N, D].

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
        self.cls_token = _parameter(config.class_token, 1, width)
        self.distillation_token = _parameter(config.distillation_token, 1, width)
        self.mask_token = _parameter(config.mask_token, 1, width)
        positions = config.prefix_positions + rows * columns
        self.position_embeddings = _parameter(config.absolute_positions, positions, width)
        self.only_patches_have_positions = config.only_patches_have_positions

    def forward(self, pixel_values: Tensor, bool_masked_pos: Tensor | None = None) -> Tensor:
        features = pixel_values if self.backbone is None else self.backbone(pixel_values)
        patches = self.projection(features).flatten(2).transpose(1, 2)  # [B, D, rows, columns] → [B, patches, D]
        if bool_masked_pos is not None:
            patches = self._masked(patches, bool_masked_pos)
        if self.position_embeddings is None:
            return self._with_prefix(patches)
        if self.only_patches_have_positions:
            return self._with_prefix(patches + self.position_embeddings)
        return self._with_prefix(patches) + self.position_embeddings

    def _with_prefix(self, patches: Tensor) -> Tensor:
        """The patches [B, patches, D] behind the tokens that are the same for each picture [B, N, D]."""
        prefix = [token for token in (self.cls_token, self.distillation_token) if token is not None]
        return torch.cat((*(token.expand(patches.shape[0], -1, -1) for token in prefix), patches), dim=1)

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
