"""BEiT (https://arxiv.org/abs/2106.08254): what its encoder has that a ViT's has not.

Positions are not added to the tokens. They are a learnt bias of the attention scores, by the distance of two patches in
rows and columns (section 2.3 of the paper, after T5). And each residual branch has a learnt scale for each channel
(https://arxiv.org/abs/2103.17239), as those of DeiT III and DINOv2 have. Names follow timm's.
"""

import torch
from torch import Tensor, nn

EXTRA_DISTANCES = 3  # CLS to a patch, a patch to CLS, CLS to itself


class LayerScale(nn.Module):
    """A factor for each channel: [B, N, D] → [B, N, D]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class RelativePositionBias(nn.Module):
    """The bias of each head's scores [heads, 1 + patches, 1 + patches].

    The table [(2·rows − 1)(2·columns − 1) + 3, heads] has a row for each distance; ``index``, from `distance_index`,
    is the row of each pair of tokens. All layers may share one: for a large grid it is larger than a layer.
    """

    def __init__(self, index: Tensor, heads: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(int(index[0, 0]) + 1, heads))  # CLS to itself is the last row
        self.index: Tensor
        self.register_buffer("index", index, persistent=False)

    def forward(self) -> Tensor:
        return self.table[self.index].permute(2, 0, 1)


def distance_index(grid: tuple[int, int]) -> Tensor:
    """The row of the table for each pair of tokens [1 + patches, 1 + patches] of a grid (rows, columns).

    Always on the CPU, even if a network is built on the meta device: no checkpoint holds these numbers.
    """
    rows, columns = grid
    patches = rows * columns
    with torch.device("cpu"):
        row, column = torch.arange(patches) // columns, torch.arange(patches) % columns
        distances = (2 * rows - 1) * (2 * columns - 1)
        index = torch.empty(1 + patches, 1 + patches, dtype=torch.long)
        down = row[:, None] - row + rows - 1
        right = column[:, None] - column + columns - 1
        index[1:, 1:] = down * (2 * columns - 1) + right
        index[0, :] = distances
        index[:, 0] = distances + 1
        index[0, 0] = distances + 2
        return index
