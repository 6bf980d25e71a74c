"""Maps show what a network looks at: the weights here are set by hand, so that the answer is the colour of a corner."""

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vithybrid_cli.choices import Method
from vithybrid_cli.explain.differentiable import computation
from vithybrid_cli.explain.explainer import possible_methods
from vithybrid_cli.explain.target import Target
from vithybrid_cli.model.build import Network, build
from vithybrid_cli.model.config import BitClassifierConfig, BitConfig, EncoderConfig, NetworkConfig, VitConfig
from vithybrid_cli.model.vit import Block, VisionTransformer

SIDE, CELL = 32, 8  # pixels; four cells in each direction
LABELS = ("red", "blue")
WIDTH = 8
ENCODER = EncoderConfig(WIDTH, 2, 2, 16, layer_norm_eps=1e-6)
PATCHES: dict[str, Any] = {"labels": LABELS, "image_size": (SIDE, SIDE), "patch_size": (CELL, CELL)}
STEM = BitConfig(WIDTH, (), (), num_groups=1, embedding_dynamic_padding=True, out_stage=0)
CONFIGS: dict[str, NetworkConfig] = {
    "vit": VitConfig(ENCODER, **PATCHES),
    "distilled": VitConfig(ENCODER, **PATCHES, family="deit", distillation_token=True, distillation_head=True),
    "beit": VitConfig(
        EncoderConfig(WIDTH, 2, 2, 16, layer_scale=True, relative_positions="each"),
        **PATCHES,
        family="beit",
        absolute_positions=False,
        mean_pooling=True,
    ),
    "hybrid": VitConfig(ENCODER, LABELS, (SIDE, SIDE), (2, 2), STEM, family="hybrid"),
    "bit": BitClassifierConfig(STEM, LABELS, (SIDE, SIDE)),
}
CORNERS = list(product((0, 3), (0, 3)))
CASES = [
    pytest.param(family, method, id=f"{family} {method}")
    for family in CONFIGS
    for method in possible_methods(CONFIGS[family])
    if method is not Method.OCCLUSION
]


def reads_colours(config: NetworkConfig) -> Network:
    """Channel 0 is how red a token is, 1 how blue. Attention carries both to all tokens, and the head reads them."""
    network = build(config)
    for name, parameter in network.named_parameters():
        torch.nn.init.constant_(parameter, name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "gamma")))
    stem = network.embeddings.backbone if isinstance(network, VisionTransformer) else network.backbone
    if stem is not None:
        assert isinstance(stem.stem.conv.weight, Tensor)
        stem.stem.conv.weight[(0, 1), (0, 2), 3, 3] = 1  # the pixel in the middle
    if isinstance(network, VisionTransformer):
        projection = network.embeddings.projection.weight  # [D, channels, h, w]
        blue = 1 if stem is not None else 2
        projection[(0, 1), (0, blue)] = 1 / projection[0, 0].numel()
        for block in network.blocks:
            assert isinstance(block, Block)
            block.attn.qkv.weight[(2 * WIDTH, 2 * WIDTH + 1), (0, 1)] = 1  # values
            block.attn.proj.weight.copy_(torch.eye(WIDTH))
        for parameter in network.fc_norm.parameters():
            parameter.fill_(1)
    for head in (network.head, getattr(network, "head_dist", None)):
        if head is not None:
            assert isinstance(head, nn.Linear)
            head.weight.copy_(torch.eye(len(LABELS), WIDTH))
    return network.eval()


def picture(colour: int, cell: tuple[int, int]) -> Tensor:
    """Dark, with faint noise [1, 3, H, W], and one square in this cell: red, or blue."""
    pixels = 0.05 * torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    row, column = (CELL * place for place in cell)
    pixels[(0, 2)[colour], row : row + CELL, column : column + CELL] += 1
    return pixels[None]


def is_highest(corner: tuple[int, int], found: Tensor, method: Method) -> bool:
    """Whether a map [rows, columns] is highest on average in this cell of the four in each direction.

    What reads a stage of the backbone, whose features see beyond their cell, needs to find the quarter alone.
    """
    cells = 2 if method is Method.ATTENTION_BACKBONE else 4
    row, column = divmod(int(F.adaptive_avg_pool2d(found[None], cells).argmax()), cells)
    return (row, column) == (corner[0] * cells // 4, corner[1] * cells // 4)


@pytest.mark.parametrize(("family", "method"), CASES)
def test_the_corner_that_decides_is_the_highest_of_the_map(family: str, method: Method) -> None:
    with torch.no_grad():
        network = reads_colours(CONFIGS[family]).requires_grad_(False)
    for colour, corner in product(range(2), CORNERS):
        found, logits = computation(method)(network, picture(colour, corner), Target())
        assert int(logits.argmax()) == colour
        assert is_highest(corner, found, method)


@pytest.mark.parametrize(("family", "method"), CASES)
def test_of_two_corners_each_speaks_for_its_own_label_against_the_other(family: str, method: Method) -> None:
    with torch.no_grad():
        network = reads_colours(CONFIGS[family]).requires_grad_(False)
    both = picture(0, (0, 3)) + picture(1, (3, 0))
    red, _ = computation(method)(network, both, Target(0, against=1))
    blue, _ = computation(method)(network, both, Target(1, against=0))
    assert is_highest((0, 3), red, method)
    assert is_highest((3, 0), blue, method)
