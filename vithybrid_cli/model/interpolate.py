"""Weights for pictures of another size: positions are interpolated from one grid of patches to another.

As transformers' ``interpolate_pos_encoding`` does for the ViT and for BEiT's relative positions. A Hybrid ViT's grid is
that of its feature map.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from vithybrid_cli.model.beit import EXTRA_DISTANCES
from vithybrid_cli.model.config import NetworkConfig, VitConfig

_POSITIONS, _TABLE = "position_embeddings", "relative_position_bias.table"


def resized(tensors: Mapping[str, Tensor], stored: NetworkConfig, wanted: NetworkConfig) -> dict[str, Tensor]:
    """The tensors of a network, under our names, for the image size of ``wanted`` instead of ``stored``."""
    if not (isinstance(stored, VitConfig) and isinstance(wanted, VitConfig)) or stored.grid_size == wanted.grid_size:
        return dict(tensors)
    return {name: _resized(name, tensor, stored, wanted) for name, tensor in tensors.items()}


def _resized(name: str, tensor: Tensor, stored: VitConfig, wanted: VitConfig) -> Tensor:
    if name.endswith(_POSITIONS):
        prefix = tensor[:, : stored.prefix_positions]
        patches = interpolated(tensor[0, stored.prefix_positions :], stored.grid_size, wanted.grid_size, "bicubic")
        return torch.cat((prefix.float(), patches[None]), dim=1)
    if name.endswith(_TABLE):
        old, new = ((2 * rows - 1, 2 * columns - 1) for rows, columns in (stored.grid_size, wanted.grid_size))
        distances, extra = tensor[:-EXTRA_DISTANCES], tensor[-EXTRA_DISTANCES:]
        return torch.cat((interpolated(distances, old, new, "bilinear"), extra.float()))
    return tensor


def interpolated(values: Tensor, old: tuple[int, int], new: tuple[int, int], mode: str) -> Tensor:
    """Values on a grid [rows · columns, D], interpolated in float32 to another grid over the same area."""
    grid = values.float().reshape(1, *old, -1).permute(0, 3, 1, 2)
    return F.interpolate(grid, size=new, mode=mode, align_corners=False).permute(0, 2, 3, 1).flatten(0, 2)
