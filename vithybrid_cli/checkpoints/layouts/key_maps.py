"""One table per published layout: what other libraries call each tensor of our networks.

A row names one of our modules or parameters and its counterpart; ``*`` stands for an index that both share, ``#`` for
one that they count from 1; ``.weight`` and ``.bias`` are added to both. Where the counterpart is a list, our tensor is
theirs stacked along the first axis; ``ZEROS`` in it stands for a part that they leave out. After ``POINTWISE`` comes a
1×1 convolution that is a linear layer here. A table may have rows for parts that a network lacks.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig

ZEROS = "(zeros)"
POINTWISE = "(1×1) "


@dataclass(frozen=True)
class Row:
    """One of our names and its counterparts in a published layout."""

    ours: str
    theirs: tuple[str, ...]
    pointwise: bool = False

    @cached_property
    def our_pattern(self) -> re.Pattern[str]:
        """Matches our tensor names of this row; the groups are the indices and the suffix."""
        return _pattern(self.ours)

    @cached_property
    def their_patterns(self) -> tuple[re.Pattern[str], ...]:
        """The same for each counterpart."""
        return tuple(_pattern(name) for name in self.theirs if name != ZEROS)

    def to_theirs(self, match: re.Match[str]) -> tuple[str, ...]:
        """The counterparts of a match of ``our_pattern``."""
        return tuple(name if name == ZEROS else _fill(name, match, 1) for name in self.theirs)

    def to_ours(self, match: re.Match[str]) -> str:
        """Our name for a match of one of ``their_patterns``."""
        first_is_1 = any("#" in name for name in self.theirs)
        return _fill(self.ours.replace("*", "#") if first_is_1 else self.ours, match, -1)


class KeyMap:
    """A published layout: renames tensors from it and to it."""

    def __init__(self, rows: Iterable[tuple[str, str | Sequence[str]]]) -> None:
        self.rows = tuple(_row(ours, (theirs,) if isinstance(theirs, str) else tuple(theirs)) for ours, theirs in rows)

    def to_ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename and stack a complete set of published tensors; the parts of a stack must have equal shapes.

        Raises KeyError for a name that no row knows and for a part that is missing.
        """
        our_names = dict.fromkeys(self._our_name(name) for name in tensors)
        return {name: self._to_ours(name, tensors) for name in our_names}

    def from_ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename our tensors to the published layout. Raises KeyError for a name that no row knows."""
        theirs: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            row, names = self._row_of(name)
            parts = tensor.chunk(len(names))
            theirs.update(zip(names, map(_as_convolution, parts) if row.pointwise else parts, strict=True))
        theirs.pop(ZEROS, None)
        return theirs

    def their_names(self, our_name: str) -> tuple[str, ...]:
        """The published names of one of our tensors. Raises KeyError for a name that no row knows."""
        return self._row_of(our_name)[1]

    def _row_of(self, our_name: str) -> tuple[Row, tuple[str, ...]]:
        for row in self.rows:
            if match := row.our_pattern.fullmatch(our_name):
                return row, row.to_theirs(match)
        raise KeyError(our_name)

    def _to_ours(self, our_name: str, tensors: Mapping[str, Tensor]) -> Tensor:
        row, names = self._row_of(our_name)
        stacked = _stacked(names, tensors)
        return stacked.flatten(1) if row.pointwise and stacked.ndim > 1 else stacked

    def _our_name(self, their_name: str) -> str:
        for row in self.rows:
            for pattern in row.their_patterns:
                if match := pattern.fullmatch(their_name):
                    return row.to_ours(match)
        raise KeyError(their_name)


def _row(ours: str, theirs: tuple[str, ...]) -> Row:
    return Row(ours, tuple(name.removeprefix(POINTWISE) for name in theirs), theirs[0].startswith(POINTWISE))


def _as_convolution(tensor: Tensor) -> Tensor:
    return tensor[:, :, None, None] if tensor.ndim == 2 else tensor  # a bias stays as it is


def _stacked(names: Sequence[str], tensors: Mapping[str, Tensor]) -> Tensor:
    if len(names) == 1:
        return tensors[names[0]]  # one alone stays memory-mapped
    like = next(tensors[name] for name in names if name != ZEROS)
    return torch.cat([torch.zeros_like(like) if name == ZEROS else tensors[name] for name in names])


def _pattern(name: str) -> re.Pattern[str]:
    indices = re.escape(name).replace(r"\*", r"(\d+)").replace(r"\#", r"([1-9]\d*)")
    return re.compile(indices + r"((?:\.(?:weight|bias))?)")


def _fill(name: str, match: re.Match[str], step: int) -> str:
    """``name`` with the indices and the suffix of a match; ``step`` is added to those at a ``#``."""
    *indices, suffix = match.groups()
    for index in indices:
        before, place, after = re.split(r"([*#])", name, maxsplit=1)
        name = before + (str(int(index) + step) if place == "#" else index) + after
    return name + suffix


_BLOCK_PARTS = ("conv1", "conv2", "conv3", "norm1", "norm2", "norm3", "downsample.conv", "downsample.norm")

Rows = list[tuple[str, str | Sequence[str]]]


def _transformers_bit(ours: str, theirs: str) -> Rows:
    stage = f"{theirs}encoder.stages.*.layers.*"
    return [
        (f"{ours}.stem.conv", f"{theirs}embedder.convolution"),
        (f"{ours}.stem.norm", f"{theirs}embedder.norm"),
        *((f"{ours}.stages.*.*.{part}", f"{stage}.{part}") for part in _BLOCK_PARTS),
    ]


def transformers_vit(base: str, *, head: str = "classifier", key_bias: bool = True) -> KeyMap:
    """Transformers' names for a ViT, Hybrid ViT, DeiT or BEiT.

    All but the heads are in a module ``base``, unless that is empty. Without ``key_bias`` keys have no bias, while
    queries and values do.
    """
    inside = f"{base}." if base else ""
    layer, attention = f"{inside}encoder.layer.*", f"{inside}encoder.layer.*.attention.attention"
    embeddings, table = f"{inside}embeddings", "relative_position_bias.relative_position_bias_table"
    biases = [f"{attention}.query.bias", f"{attention}.key.bias" if key_bias else ZEROS, f"{attention}.value.bias"]
    return KeyMap(
        [
            *_transformers_bit("embeddings.backbone", f"{embeddings}.patch_embeddings.backbone.bit."),
            ("embeddings.projection", f"{embeddings}.patch_embeddings.projection"),
            ("embeddings.cls_token", f"{embeddings}.cls_token"),
            ("embeddings.distillation_token", f"{embeddings}.distillation_token"),
            ("embeddings.mask_token", f"{embeddings}.mask_token"),
            ("embeddings.position_embeddings", f"{embeddings}.position_embeddings"),
            ("blocks.*.norm1", f"{layer}.layernorm_before"),
            ("blocks.*.attn.qkv.weight", [f"{attention}.{part}.weight" for part in ("query", "key", "value")]),
            ("blocks.*.attn.qkv.bias", biases),
            ("blocks.*.attn.relative_position_bias.table", f"{attention}.{table}"),
            ("blocks.*.attn.proj", f"{layer}.attention.output.dense"),
            ("blocks.*.ls1.gamma", f"{layer}.lambda_1"),
            ("blocks.*.norm2", f"{layer}.layernorm_after"),
            ("blocks.*.mlp.fc1", f"{layer}.intermediate.dense"),
            ("blocks.*.mlp.fc2", f"{layer}.output.dense"),
            ("blocks.*.ls2.gamma", f"{layer}.lambda_2"),
            ("relative_position_bias.table", f"{inside}encoder.{table}"),
            ("norm", f"{inside}layernorm"),
            ("fc_norm", f"{inside}pooler.layernorm"),
            ("pooler", f"{inside}pooler.dense"),
            ("head", head),
            ("head_dist", "distillation_classifier"),
        ]
    )


def transformers_bit(base: str) -> KeyMap:
    """Transformers' names for a BiT classifier, whose backbone is in a module ``base``."""
    inside = f"{base}." if base else ""
    rows = _transformers_bit("backbone", inside)
    return KeyMap([*rows, ("norm", f"{inside}norm"), ("head", "classifier.1")])


def timm(*, stem_only: bool = False, split_bias: bool = False, scale: str = "ls{}.gamma", norm: str = "norm") -> KeyMap:
    """timm's names for a ViT, Hybrid ViT, DeiT or BEiT; a backbone that is ``stem_only`` is not nested.

    With a ``split_bias`` queries and values have one each, and keys have none. ``scale`` is the LayerScale of the
    branch ``{}``, and ``norm`` the last one of the tokens.
    """
    backbone = "patch_embed.backbone"
    stem = backbone if stem_only else f"{backbone}.stem"
    table = "relative_position_bias_table"
    biases = [f"blocks.*.attn.{part}" for part in ("q_bias", "v_bias")]
    return KeyMap(
        [
            ("embeddings.backbone.stem.conv", f"{stem}.conv"),
            ("embeddings.backbone.stem.norm", f"{stem}.norm"),
            *(
                (f"embeddings.backbone.stages.*.*.{part}", f"{backbone}.stages.*.blocks.*.{part}")
                for part in _BLOCK_PARTS
            ),
            ("embeddings.projection", "patch_embed.proj"),
            ("embeddings.cls_token", "cls_token"),
            ("embeddings.distillation_token", "dist_token"),
            ("embeddings.position_embeddings", "pos_embed"),
            *([("blocks.*.attn.qkv.bias", [biases[0], ZEROS, biases[1]])] if split_bias else []),
            *((f"blocks.*.{part}", f"blocks.*.{part}") for part in ("norm1", "attn.qkv", "attn.proj", "norm2")),
            ("blocks.*.attn.relative_position_bias.table", f"blocks.*.attn.{table}"),
            *((f"blocks.*.ls{branch}.gamma", f"blocks.*.{scale.format(branch)}") for branch in (1, 2)),
            *((f"blocks.*.{part}", f"blocks.*.{part}") for part in ("mlp.fc1", "mlp.fc2")),
            ("relative_position_bias.table", f"rel_pos_bias.{table}"),
            ("norm", norm),
            *((name, name) for name in ("fc_norm", "head", "head_dist")),
        ]
    )


def timm_bit() -> KeyMap:
    """timm's names for a BiT classifier, its ``resnetv2``."""
    blocks = [(f"backbone.stages.*.*.{part}", f"stages.*.blocks.*.{part}") for part in _BLOCK_PARTS]
    return KeyMap([("backbone.stem.conv", "stem.conv"), *blocks, ("norm", "norm"), ("head", f"{POINTWISE}head.fc")])


def timm_of(config: NetworkConfig, names: Collection[str]) -> KeyMap:
    """timm's names for a network, of whose tensors some are called ``names``: two of its classes differ, and versions.

    With the norm of a pooled CLS token, which is the token of the norm, it may say where the mean would be pooled.
    """
    if isinstance(config, BitClassifierConfig):
        return timm_bit()
    of_pooled = "fc_norm.weight" in names and not config.mean_pooling
    return timm(
        stem_only=config.backbone is not None and not config.backbone.depths,
        split_bias=config.family == "beit",
        scale="gamma_{}" if "blocks.0.gamma_1" in names else "ls{}.gamma",
        norm="fc_norm" if of_pooled else "norm",
    )


def _jax_kernel(ours: str, theirs: str) -> Rows:
    return [(f"{ours}.weight", f"{theirs}/kernel"), (f"{ours}.bias", f"{theirs}/bias")]


def _jax_norm(ours: str, theirs: str) -> Rows:
    return [(f"{ours}.weight", f"{theirs}/scale"), (f"{ours}.bias", f"{theirs}/bias")]


def _jax() -> KeyMap:
    layer, unit = "Transformer/encoderblock_*", "block#/unit#"
    attention = f"{layer}/MultiHeadDotProductAttention_1"
    stage = "embeddings.backbone.stages.*.*"
    qkv = ("query", "key", "value")
    rows = [
        *_jax_kernel("embeddings.backbone.stem.conv", "conv_root"),
        *_jax_norm("embeddings.backbone.stem.norm", "gn_root"),
        *(row for part in "123" for row in _jax_kernel(f"{stage}.conv{part}", f"{unit}/conv{part}")),
        *(row for part in "123" for row in _jax_norm(f"{stage}.norm{part}", f"{unit}/gn{part}")),
        *_jax_kernel(f"{stage}.downsample.conv", f"{unit}/conv_proj"),
        *_jax_norm(f"{stage}.downsample.norm", f"{unit}/gn_proj"),
        *_jax_kernel("embeddings.projection", "embedding"),
        ("embeddings.cls_token", "cls"),
        ("embeddings.position_embeddings", "Transformer/posembed_input/pos_embedding"),
        *_jax_norm("blocks.*.norm1", f"{layer}/LayerNorm_0"),
        ("blocks.*.attn.qkv.weight", [f"{attention}/{part}/kernel" for part in qkv]),
        ("blocks.*.attn.qkv.bias", [f"{attention}/{part}/bias" for part in qkv]),
        *_jax_kernel("blocks.*.attn.proj", f"{attention}/out"),
        *_jax_norm("blocks.*.norm2", f"{layer}/LayerNorm_2"),
        *_jax_kernel("blocks.*.mlp.fc1", f"{layer}/MlpBlock_3/Dense_0"),
        *_jax_kernel("blocks.*.mlp.fc2", f"{layer}/MlpBlock_3/Dense_1"),
        *_jax_norm("norm", "Transformer/encoder_norm"),
        *_jax_kernel("pooler", "pre_logits"),
        *_jax_kernel("head", "head"),
    ]
    return KeyMap(rows)


JAX = _jax()
