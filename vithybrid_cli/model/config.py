"""Frozen descriptions of the networks, read from and written to the ``config.json`` of a transformers folder.

Field names and defaults are those of transformers 4.57's ``ViTHybridConfig`` and ``BitConfig``, so that a file with
absent fields means here what it means there. What this package cannot compute is named in a ``ModelError``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vithybrid_cli.errors import ModelError

ACTIVATIONS = ("gelu", "gelu_new", "relu")
HYBRID_MODEL_TYPES = ("vit-hybrid", "vit_hybrid")  # the published spelling, and the one of transformers' own map
BOTTLENECK_RATIO = 4
CHANNEL_MULTIPLE = 8
STEM_STRIDE = 4  # stride 2 of the 7×7 convolution times stride 2 of the pool; fixed in every BiT


@dataclass(frozen=True, slots=True)
class BitConfig:
    """A BiT ResNet of bottleneck blocks with GroupNorm, weight-standardised convolutions and SAME padding."""

    embedding_size: int = 64  # channels of the stem
    hidden_sizes: tuple[int, ...] = (256, 512, 1024, 2048)  # channels of each stage
    depths: tuple[int, ...] = (3, 4, 6, 3)  # blocks of each stage
    num_groups: int = 32
    hidden_act: str = "relu"
    embedding_dynamic_padding: bool = False  # SAME padding of the stem's pool
    out_stage: int = 4  # 1 is the first stage

    @property
    def out_channels(self) -> int:
        """Channels of the feature map."""
        return self.hidden_sizes[self.out_stage - 1]

    def feature_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the feature map of an image of ``image_size`` (height, width)."""
        height, width = (self._feature_length(length) for length in image_size)
        return height, width

    def _feature_length(self, length: int) -> int:
        length = -(-length // 2)  # the 7×7 convolution
        length = -(-length // 2) if self.embedding_dynamic_padding else (length - 3) // 2 + 1
        for _ in range(self.out_stage - 1):
            length = -(-length // 2)
        return length

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> "BitConfig":
        """Read the ``backbone_config`` of a ``config.json``. Raises ModelError for what is not supported."""
        fields = _Fields(config, "backbone_config")
        fields.require("model_type", ("bit",), default="bit")
        fields.require("layer_type", ("bottleneck",), default="preactivation")
        fields.require("num_channels", (3,), default=3)
        fields.require("width_factor", (1,), default=1)
        padding = config.get("global_padding")
        if not (isinstance(padding, str) and padding.upper() == "SAME"):
            raise ModelError(f"backbone_config: global_padding {padding!r} is not supported; known: 'SAME'.")
        depths = fields.integers("depths", (3, 4, 6, 3))
        hidden_sizes = fields.integers("hidden_sizes", (256, 512, 1024, 2048))[: len(depths)]
        if len(hidden_sizes) < len(depths):
            raise ModelError(f"backbone_config: {len(depths)} depths, but only {len(hidden_sizes)} hidden_sizes.")
        if (stride := fields.integer("output_stride", 32)) < STEM_STRIDE * 2 ** (len(depths) - 1):
            raise ModelError(f"backbone_config: output_stride {stride} needs dilation, which is not supported.")
        backbone = cls(
            embedding_size=fields.integer("embedding_size", 64),
            hidden_sizes=hidden_sizes,
            depths=depths,
            num_groups=fields.integer("num_groups", 32),
            hidden_act=fields.require("hidden_act", ACTIVATIONS, default="relu"),
            embedding_dynamic_padding=fields.boolean("embedding_dynamic_padding", False),
            out_stage=_out_stage(fields, len(depths)),
        )
        _check_groups(backbone)
        return backbone

    def to_dict(self) -> dict[str, Any]:
        """The ``backbone_config`` of a ``config.json``, as the published checkpoint spells it."""
        return {
            "model_type": "bit",
            "layer_type": "bottleneck",
            "global_padding": "SAME",
            "embedding_dynamic_padding": self.embedding_dynamic_padding,
            "embedding_size": self.embedding_size,
            "hidden_sizes": list(self.hidden_sizes),
            "depths": list(self.depths),
            "num_groups": self.num_groups,
            "hidden_act": self.hidden_act,
            "out_features": [f"stage{self.out_stage}"],
        }


# The backbone that ViTHybridConfig assumes where a file gives none.
_DEFAULT_BACKBONE = {
    "global_padding": "SAME",
    "layer_type": "bottleneck",
    "depths": [3, 4, 9],
    "out_features": ["stage3"],
    "embedding_dynamic_padding": True,
}


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """A pre-norm transformer encoder."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    qkv_bias: bool = True

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> "EncoderConfig":
        """Read the encoder's fields of a ``config.json``. Raises ModelError for what is not supported."""
        fields = _Fields(config, "config.json")
        encoder = cls(
            hidden_size=fields.integer("hidden_size", 768),
            num_hidden_layers=fields.integer("num_hidden_layers", 12),
            num_attention_heads=fields.integer("num_attention_heads", 12),
            intermediate_size=fields.integer("intermediate_size", 3072),
            hidden_act=fields.require("hidden_act", ACTIVATIONS, default="gelu"),
            layer_norm_eps=fields.number("layer_norm_eps", 1e-12),
            qkv_bias=fields.boolean("qkv_bias", True),
        )
        if encoder.hidden_size % encoder.num_attention_heads:
            raise ModelError(
                f"config.json: hidden_size {encoder.hidden_size} is no multiple "
                f"of num_attention_heads {encoder.num_attention_heads}."
            )
        return encoder


@dataclass(frozen=True, slots=True)
class HybridConfig:
    """A Hybrid ViT: the feature map of ``backbone``, cut into patches, gives the tokens of ``encoder``."""

    backbone: BitConfig
    encoder: EncoderConfig
    labels: tuple[str, ...]
    image_size: tuple[int, int] = (224, 224)  # height, width
    patch_size: tuple[int, int] = (1, 1)  # height, width on the feature map

    @property
    def grid_size(self) -> tuple[int, int]:
        """Rows and columns of patches; what is left over at the bottom and right edge is not covered."""
        height, width = self.backbone.feature_size(self.image_size)
        return height // self.patch_size[0], width // self.patch_size[1]

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> "HybridConfig":
        """Read a ``config.json``. Raises ModelError for a field that is wrong or not supported."""
        fields = _Fields(config, "config.json")
        fields.require("model_type", HYBRID_MODEL_TYPES, default=None)
        fields.require("num_channels", (3,), default=3)
        for name in ("backbone", "use_pretrained_backbone", "use_timm_backbone", "backbone_kwargs"):
            if config.get(name):
                raise ModelError(f"config.json: {name} = {config[name]!r} is not supported; a backbone_config is.")
        backbone = fields.mapping("backbone_config")
        hybrid = cls(
            backbone=BitConfig.from_dict(_DEFAULT_BACKBONE if backbone is None else backbone),
            encoder=EncoderConfig.from_dict(config),
            labels=read_labels(config),
            image_size=fields.size("image_size", 224),
            patch_size=fields.size("patch_size", 1),
        )
        _check_feature_map(fields.sequence("backbone_featmap_shape"), hybrid)
        return hybrid

    def to_dict(self) -> dict[str, Any]:
        """The ``config.json``, as the published checkpoint spells it."""
        height, width = self.backbone.feature_size(self.image_size)
        encoder = {name: getattr(self.encoder, name) for name in EncoderConfig.__slots__}
        return {
            "architectures": ["ViTHybridForImageClassification"],
            "model_type": "vit-hybrid",
            "backbone_config": self.backbone.to_dict(),
            "backbone_featmap_shape": [1, self.backbone.out_channels, height, width],
            **encoder,
            "image_size": _one_or_two(self.image_size),
            "patch_size": _one_or_two(self.patch_size),
            "num_channels": 3,
            "id2label": {str(index): label for index, label in enumerate(self.labels)},
            "label2id": {label: index for index, label in enumerate(self.labels)},
        }


def read_labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels of a ``config.json`` by class index; ``LABEL_0`` … where it names none, two by default.

    Raises ModelError when the indices are not 0 … n-1.
    """
    fields = _Fields(config, "config.json")
    names = fields.mapping("id2label")
    if not names:
        return tuple(f"LABEL_{index}" for index in range(fields.integer("num_labels", 2)))
    try:
        by_index = {int(index): str(label) for index, label in names.items()}
        return tuple(by_index[index] for index in range(len(names)))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"config.json: id2label must name the classes 0 to {len(names) - 1}: {error}.") from error


def bottleneck_width(out_channels: int) -> int:
    """Channels inside a bottleneck: a quarter, rounded to the next multiple of 8, never down by more than a tenth."""
    width = out_channels / BOTTLENECK_RATIO
    half = CHANNEL_MULTIPLE / 2
    rounded = max(CHANNEL_MULTIPLE, int(width + half) // CHANNEL_MULTIPLE * CHANNEL_MULTIPLE)
    return rounded + CHANNEL_MULTIPLE if rounded < 0.9 * width else rounded


def _check_groups(config: BitConfig) -> None:
    widths = {config.embedding_size, *config.hidden_sizes, *map(bottleneck_width, config.hidden_sizes)}
    if uneven := sorted(width for width in widths if width % config.num_groups):
        raise ModelError(f"backbone_config: num_groups {config.num_groups} does not divide {uneven[0]} channels.")


def _out_stage(fields: "_Fields", stages: int) -> int:
    names = ["stem", *(f"stage{number}" for number in range(1, stages + 1))]
    if features := fields.sequence("out_features"):
        name = features[-1]
    elif indices := fields.sequence("out_indices"):
        index = indices[-1]
        name = names[index] if isinstance(index, int) and -len(names) <= index < len(names) else f"index {index}"
    else:
        name = names[-1]
    if name not in names[1:]:
        raise ModelError(f"backbone_config: output {name!r} is not supported; known: {', '.join(names[1:])}.")
    return names.index(name)


def _check_feature_map(shape: Sequence[Any] | None, config: HybridConfig) -> None:
    expected = [config.backbone.out_channels, *config.backbone.feature_size(config.image_size)]
    if shape is not None and list(shape[-3:]) != expected:
        raise ModelError(
            f"config.json: backbone_featmap_shape is {list(shape)}, but the backbone gives "
            f"{[1, *expected]} for an image of {config.image_size[0]}×{config.image_size[1]}."
        )


def _one_or_two(size: tuple[int, int]) -> int | list[int]:
    return size[0] if size[0] == size[1] else list(size)


class _Fields:
    """Reads checked values out of one JSON object; ``where`` names it in errors.

    ``null`` stands for an absent field only where there is no default to give, as in transformers.
    """

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self.config, self.where = config, where

    def integer(self, name: str, default: int) -> int:
        return self._positive(name, self.config.get(name, default))

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        values = self.config.get(name, default)
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise ModelError(f"{self.where}: {name} must be a list of positive integers, not {values!r}.")
        return tuple(self._positive(name, value) for value in values)

    def size(self, name: str, default: int) -> tuple[int, int]:
        value = self.config.get(name, default)
        sides = self.integers(name, ()) if isinstance(value, Sequence) else (self._positive(name, value),) * 2
        if len(sides) != 2:
            raise ModelError(f"{self.where}: {name} must be one length or height and width, not {value!r}.")
        return sides[0], sides[1]

    def number(self, name: str, default: float) -> float:
        value = self.config.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
            raise ModelError(f"{self.where}: {name} must be a number that is not negative, not {value!r}.")
        return float(value)

    def boolean(self, name: str, default: bool) -> bool:
        value = self.config.get(name, default)
        if not isinstance(value, bool):
            raise ModelError(f"{self.where}: {name} must be true or false, not {value!r}.")
        return value

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        value = self.config.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise ModelError(f"{self.where}: {name} must be an object, not {value!r}.")
        return value

    def sequence(self, name: str) -> Sequence[Any] | None:
        value = self.config.get(name)
        if value is not None and (not isinstance(value, Sequence) or isinstance(value, str)):
            raise ModelError(f"{self.where}: {name} must be a list, not {value!r}.")
        return value

    def require(self, name: str, known: tuple[Any, ...], default: Any) -> Any:
        value = self.config.get(name, default)
        if value not in known:
            listed = ", ".join(repr(item) for item in known)
            raise ModelError(f"{self.where}: {name} {value!r} is not supported; known: {listed}.")
        return value

    def _positive(self, name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"{self.where}: {name} must be a positive integer, not {value!r}.")
        return value
