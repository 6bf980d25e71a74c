"""The ``config.json`` of transformers, read into our configs and written from them.

Field names and defaults are those of transformers 4.57's ``ViTHybridConfig``, ``ViTConfig``, ``DeiTConfig``,
``BeitConfig`` and ``BitConfig``, so that a file with absent fields means here what it means there. What this package
cannot compute is named in a ``ModelError``.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, get_args

from vithybrid_cli.checkpoints.fields import Fields
from vithybrid_cli.errors import ModelError
from vithybrid_cli.model.config import (
    Activation,
    BitClassifierConfig,
    BitConfig,
    EncoderConfig,
    Family,
    NetworkConfig,
    VitConfig,
    bottleneck_width,
)

ACTIVATIONS = get_args(Activation)
STEM_STRIDE = 4  # stride 2 of the 7×7 convolution times stride 2 of the pool; fixed in every BiT
_FILE = "config.json"

# Each family by the spellings of its ``model_type``; the first is the one that is written. The published hybrid has a
# hyphen, transformers' own map an underscore.
MODEL_TYPES: dict[str, tuple[str, ...]] = {
    "hybrid": ("vit-hybrid", "vit_hybrid"),
    "vit": ("vit",),
    "deit": ("deit",),
    "beit": ("beit",),
    "bit": ("bit",),
}
# What transformers calls the network inside of a classifier of each family, and how its class names begin.
BASE_NAMES = {"hybrid": "vit", "vit": "vit", "deit": "deit", "beit": "beit", "bit": "bit"}
_CLASSES = {"hybrid": "ViTHybrid", "vit": "ViT", "deit": "DeiT", "beit": "Beit", "bit": "Bit"}
_CLASSIFIER, _TEACHER = "ForImageClassification", "ForImageClassificationWithTeacher"
_HEADS = {"classifier.weight", "classifier.1.weight", "cls_classifier.weight"}


def read_config(config: Mapping[str, Any], names: Callable[[], AbstractSet[str]] | None = None) -> NetworkConfig:
    """The network of a ``config.json``. Raises ModelError for a field that is wrong or not supported.

    ``names`` gives the names of the tensors, where there are any: a class that is no classifier leaves it to them
    whether the network has a head, a pooler and a mask token.
    """
    family = family_of(config)
    fields = Fields(config, _FILE)
    fields.require("num_channels", (3,), default=3)
    parts = _Parts.of(config, names)
    labels = read_labels(config) if parts.head else ()
    if family == "bit":
        return BitClassifierConfig(_bit(config, _FILE, "preactivation"), labels)
    network = _READERS[family](fields, config)
    return replace(
        network,
        family=family,
        encoder=_encoder(config, family),
        labels=labels,
        image_size=fields.size("image_size", 224),
        distillation_head=parts.teacher,
        pooler=parts.pooler and not network.mean_pooling,
        mask_token=parts.mask_token or network.mask_token,
    )


def family_of(config: Mapping[str, Any]) -> Any:
    """The family that ``model_type`` names. Raises ModelError for one that is not known."""
    given = config.get("model_type")
    for family, spellings in MODEL_TYPES.items():
        if given in spellings:
            return family
    known = ", ".join(repr(spelling) for spellings in MODEL_TYPES.values() for spelling in spellings)
    raise ModelError(f"{_FILE}: model_type {given!r} is not supported; known: {known}.")


@dataclass(frozen=True, slots=True)
class _Parts:
    """Which optional parts a network has."""

    head: bool = True
    teacher: bool = False
    pooler: bool = False
    mask_token: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any], names: Callable[[], AbstractSet[str]] | None) -> "_Parts":
        architecture = str((config.get("architectures") or [""])[0])
        if architecture.endswith(_TEACHER):
            return cls(teacher=True)
        if architecture.endswith(_CLASSIFIER) or names is None:
            return cls()
        found = names()
        return cls(
            head=not found.isdisjoint(_HEADS),
            teacher="distillation_classifier.weight" in found,
            pooler=any(name.endswith("pooler.dense.weight") for name in found),
            mask_token=any(name.endswith("embeddings.mask_token") for name in found),
        )


def _hybrid(fields: Fields, config: Mapping[str, Any]) -> VitConfig:
    for name in ("backbone", "use_pretrained_backbone", "use_timm_backbone", "backbone_kwargs"):
        if config.get(name):
            raise ModelError(f"{_FILE}: {name} = {config[name]!r} is not supported; a backbone_config is.")
    given = fields.mapping("backbone_config")
    backbone = _bit(_DEFAULT_BACKBONE if given is None else given, "backbone_config", "bottleneck")
    size = fields.size("image_size", 224)
    _check_feature_map(fields.sequence("backbone_featmap_shape"), backbone, size)
    return VitConfig(EncoderConfig(), backbone=backbone, patch_size=fields.size("patch_size", 1))


def _plain(fields: Fields, config: Mapping[str, Any]) -> VitConfig:
    return VitConfig(EncoderConfig(), patch_size=fields.size("patch_size", 16))


def _deit(fields: Fields, config: Mapping[str, Any]) -> VitConfig:
    return replace(_plain(fields, config), distillation_token=True)


def _beit(fields: Fields, config: Mapping[str, Any]) -> VitConfig:
    return replace(
        _plain(fields, config),
        absolute_positions=fields.boolean("use_absolute_position_embeddings", False),
        mean_pooling=fields.boolean("use_mean_pooling", True),
        mask_token=fields.boolean("use_mask_token", False),
    )


_READERS: dict[str, Callable[[Fields, Mapping[str, Any]], VitConfig]] = {
    "hybrid": _hybrid,
    "vit": _plain,
    "deit": _deit,
    "beit": _beit,
}


def _encoder(config: Mapping[str, Any], family: Family) -> EncoderConfig:
    fields = Fields(config, _FILE)
    encoder = EncoderConfig(
        hidden_size=fields.integer("hidden_size", 768),
        num_hidden_layers=fields.integer("num_hidden_layers", 12),
        num_attention_heads=fields.integer("num_attention_heads", 12),
        intermediate_size=fields.integer("intermediate_size", 3072),
        hidden_act=fields.require("hidden_act", ACTIVATIONS, default="gelu"),
        layer_norm_eps=fields.number("layer_norm_eps", 1e-12),
        qkv_bias=family == "beit" or fields.boolean("qkv_bias", True),
    )
    if encoder.hidden_size % encoder.num_attention_heads:
        raise ModelError(
            f"{_FILE}: hidden_size {encoder.hidden_size} is no multiple "
            f"of num_attention_heads {encoder.num_attention_heads}."
        )
    if family != "beit":
        return encoder
    each = fields.boolean("use_relative_position_bias", False)
    shared = fields.boolean("use_shared_relative_position_bias", False)
    if each and shared:
        raise ModelError(f"{_FILE}: relative position biases of each layer and a shared one at once are not supported.")
    return replace(
        encoder,
        layer_scale=fields.number("layer_scale_init_value", 0.1) > 0,
        relative_positions="each" if each else "shared" if shared else "none",
    )


# The backbone that ViTHybridConfig assumes where a file gives none.
_DEFAULT_BACKBONE = {
    "global_padding": "SAME",
    "layer_type": "bottleneck",
    "depths": [3, 4, 9],
    "out_features": ["stage3"],
    "embedding_dynamic_padding": True,
}


def _bit(config: Mapping[str, Any], where: str, layer_type: str) -> BitConfig:
    """The ``backbone_config`` of a hybrid, or all of a BiT's ``config.json``; its blocks must be of ``layer_type``."""
    fields = Fields(config, where)
    fields.require("model_type", ("bit",), default="bit")
    fields.require("layer_type", (layer_type,), default="preactivation")
    fields.require("num_channels", (3,), default=3)
    fields.require("width_factor", (1,), default=1)
    hybrid = layer_type == "bottleneck"
    depths, hidden_sizes = _stages(fields, where)
    backbone = BitConfig(
        embedding_size=fields.integer("embedding_size", 64),
        hidden_sizes=hidden_sizes,
        depths=depths,
        num_groups=fields.integer("num_groups", 32),
        hidden_act=fields.require("hidden_act", ACTIVATIONS, default="relu"),
        preactivation=not hybrid,
        same_padding=_pads_same(config.get("global_padding"), where, required=hybrid),
        embedding_dynamic_padding=fields.boolean("embedding_dynamic_padding", False),
        out_stage=_out_stage(fields, len(depths)) if hybrid else len(depths),
    )
    _check_groups(backbone, where)
    return backbone


def _stages(fields: Fields, where: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    depths = () if fields.config.get("depths") == [] else fields.integers("depths", (3, 4, 6, 3))
    hidden_sizes = fields.integers("hidden_sizes", (256, 512, 1024, 2048))[: len(depths)]
    if len(hidden_sizes) < len(depths):
        raise ModelError(f"{where}: {len(depths)} depths, but only {len(hidden_sizes)} hidden_sizes.")
    if (stride := fields.integer("output_stride", 32)) < STEM_STRIDE * 2 ** (len(depths) - 1):
        raise ModelError(f"{where}: output_stride {stride} needs dilation, which is not supported.")
    return depths, hidden_sizes


def _pads_same(padding: Any, where: str, *, required: bool) -> bool:
    if isinstance(padding, str) and padding.upper() == "SAME":
        return True
    if padding is None and not required:
        return False
    known = "'SAME'" if required else "'SAME', null"
    raise ModelError(f"{where}: global_padding {padding!r} is not supported; known: {known}.")


def _check_groups(config: BitConfig, where: str) -> None:
    widths = {config.embedding_size, *config.hidden_sizes, *map(bottleneck_width, config.hidden_sizes)}
    if uneven := sorted(width for width in widths if width % config.num_groups):
        raise ModelError(f"{where}: num_groups {config.num_groups} does not divide {uneven[0]} channels.")


def _out_stage(fields: Fields, stages: int) -> int:
    names = ["stem", *(f"stage{number}" for number in range(1, stages + 1))]
    if features := fields.sequence("out_features"):
        name = features[-1]
    elif indices := fields.sequence("out_indices"):
        index = indices[-1]
        name = names[index] if isinstance(index, int) and -len(names) <= index < len(names) else f"index {index}"
    else:
        name = names[-1]
    known = names[1:] if stages else names
    if name not in known:
        raise ModelError(f"{fields.where}: output {name!r} is not supported; known: {', '.join(known)}.")
    return names.index(name)


def _check_feature_map(shape: Sequence[Any] | None, backbone: BitConfig, image_size: tuple[int, int]) -> None:
    expected = [backbone.out_channels, *backbone.feature_size(image_size)]
    if shape is not None and list(shape[-3:]) != expected:
        raise ModelError(
            f"{_FILE}: backbone_featmap_shape is {list(shape)}, but the backbone gives "
            f"{[1, *expected]} for an image of {image_size[0]}×{image_size[1]}."
        )


def read_labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels of a ``config.json`` by class index; ``LABEL_0`` … where it names none, two by default.

    Raises ModelError when the indices are not 0 … n-1.
    """
    fields = Fields(config, _FILE)
    names = fields.mapping("id2label")
    if not names:
        return unnamed_labels(fields.integer("num_labels", 2))
    try:
        by_index = {int(index): str(label) for index, label in names.items()}
        return tuple(by_index[index] for index in range(len(names)))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{_FILE}: id2label must name the classes 0 to {len(names) - 1}: {error}.") from error


def unnamed_labels(count: int) -> tuple[str, ...]:
    """What transformers calls classes that have no names."""
    return tuple(f"LABEL_{index}" for index in range(count))


def write_config(config: NetworkConfig) -> dict[str, Any]:
    """The ``config.json`` that transformers reads; a hybrid's as the published checkpoint spells it."""
    if isinstance(config, BitClassifierConfig):
        return {**_class_of("bit", config), **_write_bit(config.backbone), **_write_labels(config.labels)}
    return {
        **_class_of(config.family, config),
        **_WRITERS[config.family](config),
        **_write_encoder(config.encoder),
        "image_size": _one_or_two(config.image_size),
        "patch_size": _one_or_two(config.patch_size),
        "num_channels": 3,
        **_write_labels(config.labels),
    }


def _class_of(family: str, config: NetworkConfig) -> dict[str, Any]:
    kind = _CLASSIFIER if config.labels else "Model"
    if isinstance(config, VitConfig) and config.distillation_head:
        kind = _TEACHER
    return {"architectures": [_CLASSES[family] + kind], "model_type": MODEL_TYPES[family][0]}


def _write_hybrid(config: VitConfig) -> dict[str, Any]:
    assert config.backbone is not None
    backbone = _write_bit(config.backbone)
    height, width = config.backbone.feature_size(config.image_size)
    shape = [1, config.backbone.out_channels, height, width]
    return {"backbone_config": {"model_type": "bit", **backbone}, "backbone_featmap_shape": shape}


def _write_beit(config: VitConfig) -> dict[str, Any]:
    return {
        "use_absolute_position_embeddings": config.absolute_positions,
        "use_mask_token": config.mask_token,
        "use_mean_pooling": config.mean_pooling,
        "use_relative_position_bias": config.encoder.relative_positions == "each",
        "use_shared_relative_position_bias": config.encoder.relative_positions == "shared",
        "layer_scale_init_value": 0.1 if config.encoder.layer_scale else 0,
    }


_WRITERS: dict[str, Callable[[VitConfig], dict[str, Any]]] = {
    "hybrid": _write_hybrid,
    "vit": lambda config: {},
    "deit": lambda config: {},
    "beit": _write_beit,
}


def _write_encoder(encoder: EncoderConfig) -> dict[str, Any]:
    return {
        "hidden_size": encoder.hidden_size,
        "num_hidden_layers": encoder.num_hidden_layers,
        "num_attention_heads": encoder.num_attention_heads,
        "intermediate_size": encoder.intermediate_size,
        "hidden_act": encoder.hidden_act,
        "layer_norm_eps": encoder.layer_norm_eps,
        "qkv_bias": encoder.qkv_bias,
    }


def _write_bit(config: BitConfig) -> dict[str, Any]:
    return {
        "layer_type": "preactivation" if config.preactivation else "bottleneck",
        "global_padding": "SAME" if config.same_padding else None,
        "embedding_dynamic_padding": config.embedding_dynamic_padding,
        "embedding_size": config.embedding_size,
        "hidden_sizes": list(config.hidden_sizes),
        "depths": list(config.depths),
        "num_groups": config.num_groups,
        "hidden_act": config.hidden_act,
        "out_features": [f"stage{config.out_stage}" if config.out_stage else "stem"],
    }


def _write_labels(labels: tuple[str, ...]) -> dict[str, Any]:
    if not labels:
        return {}
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def _one_or_two(size: tuple[int, int]) -> int | list[int]:
    return size[0] if size[0] == size[1] else list(size)
