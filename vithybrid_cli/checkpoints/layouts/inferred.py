"""A config, inferred from the shapes of a network's tensors, for layouts whose files do not give it all. No torch."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from vithybrid_cli.checkpoints.layouts.bit_config import check_groups
from vithybrid_cli.errors import ModelError
from vithybrid_cli.model.config import Activation, BitConfig, EncoderConfig, VitConfig

Shapes = Mapping[str, tuple[int, ...]]

_OF_HYBRIDS = BitConfig(embedding_dynamic_padding=True)


class NotThisLayout(ModelError):
    """Tensors that are no network of the layout they are read as; the cause does not name their file."""


@dataclass(frozen=True, slots=True)
class TensorNames:
    """What a layout calls the tensors from which the config is inferred; ``*`` stands for an index.

    ``block`` is the last convolution of a backbone's block, whose two indices count up from ``first``.
    """

    stem: tuple[str, ...]
    block: str
    first: int
    projection: str
    positions: str
    layer: str  # the first linear layer of an MLP
    qkv_bias: str
    head: str
    pooler: str


def infer(
    shapes: Shapes,
    names: TensorNames,
    *,
    labels: tuple[str, ...],
    num_attention_heads: int,
    image_size: tuple[int, int] | None = None,
    hidden_act: Activation = "gelu",
) -> VitConfig:
    """The config of the network with tensors of these shapes, in torch's order of axes.

    Norms and padding are those of the ViT paper's hybrids (LayerNorm 1e-6, 32 groups, SAME). Without an ``image_size``
    the positions must be for CLS and a square, whose size is taken. Raises NotThisLayout where tensors are missing or
    do not fit each other, ModelError where GroupNorm's groups do not divide the channels.
    """
    width, channels, *patch_size = _shape(shapes, names.projection, 4)
    layers = _count(shapes, names.layer, 0)
    stem = next((name for name in names.stem if name in shapes), None)
    backbone = None if stem is None else infer_bit(shapes, stem, names.block, names.first, like=_OF_HYBRIDS)
    if backbone is not None and channels != backbone.out_channels:
        raise NotThisLayout(
            f"{names.projection} takes {channels} channels, the backbone gives {backbone.out_channels}."
        )
    stride = 1 if backbone is None else backbone.stride
    if image_size is None:
        side = _side(shapes, names)
        image_size = (side * patch_size[0] * stride, side * patch_size[1] * stride)
    return VitConfig(
        EncoderConfig(
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=num_attention_heads,
            intermediate_size=_shape(shapes, names.layer.replace("*", "0"), 2)[0],
            hidden_act=hidden_act,
            layer_norm_eps=1e-6,
            qkv_bias=names.qkv_bias in shapes,
        ),
        labels=labels,
        image_size=image_size,
        patch_size=(patch_size[0], patch_size[1]),
        backbone=backbone,
        family="vit" if backbone is None else "hybrid",
        pooler=names.pooler in shapes,
    )


def encoder_width(shapes: Shapes, names: TensorNames) -> int:
    """The width of the encoder. Raises NotThisLayout where the projection, which has it, is missing."""
    return _shape(shapes, names.projection, 4)[0]


def _side(shapes: Shapes, names: TensorNames) -> int:
    """Patches along a side of the grid that the positions are for. Raises NotThisLayout where it is no square."""
    patches = _shape(shapes, names.positions, 3)[1] - 1
    if patches < 1:
        raise NotThisLayout(f"{names.positions} is {list(shapes[names.positions])}, which leaves no room for patches.")
    side = math.isqrt(patches)
    if side * side != patches:
        raise NotThisLayout(f"{names.positions} is for {patches} patches, which make no square.")
    return side


def infer_bit(shapes: Shapes, stem: str, block: str, first: int, like: BitConfig) -> BitConfig:
    """The BiT of these tensors, which is ``like`` another but for its size.

    ``stem`` is its first convolution, ``block`` the last one of a block, whose two indices count up from ``first``.
    Raises as `infer` does.
    """
    depths, hidden_sizes = [], []
    for stage in range(first, first + 16):
        last = block.replace("*", str(stage), 1)
        if depth := _count(shapes, last, first):
            depths.append(depth)
            hidden_sizes.append(_shape(shapes, last.replace("*", str(first)), 4)[0])
    backbone = replace(
        like,
        embedding_size=_shape(shapes, stem, 4)[0],
        hidden_sizes=tuple(hidden_sizes),
        depths=tuple(depths),
        out_stage=len(depths),
    )
    check_groups(backbone, stem)
    return backbone


def _count(shapes: Shapes, pattern: str, first: int) -> int:
    """How many indices, from ``first`` on and without a gap, have a tensor."""
    regex = re.compile(re.escape(pattern).replace(r"\*", r"(\d+)"))
    found = {int(match[1]) for name in shapes if (match := regex.fullmatch(name))}
    count = 0
    while first + count in found:
        count += 1
    return count


def _shape(shapes: Shapes, name: str, dimensions: int) -> tuple[int, ...]:
    shape = shapes.get(name)
    if shape is None:
        raise NotThisLayout(f"{name} is missing from the weights, so they are no Vision Transformer of this layout.")
    if len(shape) != dimensions:
        raise NotThisLayout(f"{name} is {list(shape)}, which should have {dimensions} dimensions.")
    return shape
