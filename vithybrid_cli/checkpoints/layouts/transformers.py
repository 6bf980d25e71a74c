"""The ``config.json`` of transformers, read into our configs and written from them.

Field names and defaults are those of transformers 4.57's ``ViTHybridConfig``, ``ViTConfig``, ``DeiTConfig``,
``BeitConfig`` and ``BitConfig``, so that a file with absent fields means here what it means there. A ``ModelError``
names what this package cannot compute, or transformers cannot express.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from vithybrid_cli.checkpoints.layouts.bit_config import ACTIVATIONS, read_bit, write_bit
from vithybrid_cli.checkpoints.layouts.fields import Fields, field_error, shown
from vithybrid_cli.checkpoints.layouts.labels import read_labels, write_labels
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.files import CONFIG as _FILE
from vithybrid_cli.model.config import (
    BitClassifierConfig,
    BitConfig,
    EncoderConfig,
    NetworkConfig,
    VitConfig,
    VitFamily,
)


@dataclass(frozen=True, slots=True)
class FamilyNames:
    """What transformers calls a family."""

    model_types: tuple[str, ...]  # the first is the one that is written
    base: str  # the network inside a classifier
    classes: str  # how the names of its classes begin


# The published hybrid's ``model_type`` has a hyphen; the ``Auto`` classes and ``pipeline`` of transformers need the
# underscore.
FAMILIES = {
    "hybrid": FamilyNames(("vit_hybrid", "vit-hybrid"), "vit", "ViTHybrid"),
    "vit": FamilyNames(("vit",), "vit", "ViT"),
    "deit": FamilyNames(("deit",), "deit", "DeiT"),
    "beit": FamilyNames(("beit",), "beit", "Beit"),
    "bit": FamilyNames(("bit",), "bit", "Bit"),
}
_CLASSIFIER, _TEACHER = "ForImageClassification", "ForImageClassificationWithTeacher"
_HEADS = {f"{head}.{part}" for head in ("classifier", "classifier.1", "cls_classifier") for part in ("weight", "bias")}


def read_config(config: Mapping[str, Any], names: Callable[[], AbstractSet[str]] | None = None) -> NetworkConfig:
    """The network of a ``config.json``. Raises ModelError for a field that is wrong or not supported.

    ``names`` gives the names of the tensors, where there are any: they decide whether the network has a head and, if
    it has none or the config names no classifier, a pooler and a mask token.
    """
    family = family_of(config)
    fields = Fields(config, _FILE)
    fields.require("num_channels", (3,), default=3)
    parts = _Parts.of(config, names)
    labels = read_labels(config) if parts.head else ()
    if family == "bit":
        return BitClassifierConfig(read_bit(config, _FILE, "preactivation"), labels)
    network = _READERS[family](fields)
    if parts.pooler:
        fields.require("pooler_act", ("tanh",), default="tanh")
    network = replace(
        network,
        family=family,
        encoder=_encoder(fields, family),
        labels=labels,
        image_size=fields.size("image_size", 224),
        distillation_head=parts.teacher,
        pooler=parts.pooler and not network.mean_pooling,
        mask_token=parts.mask_token or network.mask_token,
    )
    if _mixes_rows_and_columns(network):
        raise field_error(
            _FILE,
            f"image_size {list(network.image_size)} with relative positions is not supported, unless it is square",
        )
    return network


def _mixes_rows_and_columns(network: VitConfig) -> bool:
    """Whether transformers (``BeitRelativePositionBias.forward``) takes rows for columns in a table of positions.

    It then interpolates the table of one grid to the other, even for pictures of the network's own size.
    """
    rows, columns = network.grid_size
    return network.encoder.relative_positions != "none" and rows != columns


def family_of(config: Mapping[str, Any]) -> Any:
    """The family that ``model_type`` names. Raises ModelError for one that is not known."""
    given = config.get("model_type")
    for family, names in FAMILIES.items():
        if given in names.model_types:
            return family
    if given is None:
        raise field_error(_FILE, "neither a model_type (transformers) nor an architecture (timm) is given")
    known = ", ".join(repr(name) for names in FAMILIES.values() for name in names.model_types)
    raise field_error(_FILE, f"model_type {shown(given)} is not supported; known: {known}")


def processor_of(config: Mapping[str, Any]) -> str:
    """The image processor of a family, for a file that names none. Raises ModelError as `family_of` does."""
    return f"{FAMILIES[family_of(config)].classes}ImageProcessor"


@dataclass(frozen=True, slots=True)
class _Parts:
    """Which optional parts a network has."""

    head: bool = True
    teacher: bool = False
    pooler: bool = False
    mask_token: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any], names: Callable[[], AbstractSet[str]] | None) -> "_Parts":
        architecture = str((Fields(config, _FILE).sequence("architectures") or [""])[0])
        teacher = architecture.endswith(_TEACHER)
        if names is None:
            return cls(teacher=teacher)
        found = names()
        head = not found.isdisjoint(_HEADS)
        if (teacher or architecture.endswith(_CLASSIFIER)) and (head or not found):
            return cls(teacher=teacher)
        return cls(
            head=head,
            teacher="distillation_classifier.weight" in found,
            pooler=not head and any(name.endswith("pooler.dense.weight") for name in found),
            mask_token=any(name.endswith("embeddings.mask_token") for name in found),
        )


def _hybrid(fields: Fields) -> VitConfig:
    for name in ("backbone", "use_pretrained_backbone", "use_timm_backbone", "backbone_kwargs"):
        if given := fields.config.get(name):
            raise field_error(_FILE, f"{name} = {shown(given)} is not supported; a backbone_config is")
    described = fields.mapping("backbone_config")
    backbone = read_bit(_DEFAULT_BACKBONE if described is None else described, "backbone_config", "bottleneck")
    size = fields.size("image_size", 224)
    _check_feature_map(fields.sequence("backbone_featmap_shape"), backbone, size)
    return VitConfig(EncoderConfig(), backbone=backbone, patch_size=fields.size("patch_size", 1))


def _plain(fields: Fields) -> VitConfig:
    return VitConfig(EncoderConfig(), patch_size=fields.size("patch_size", 16))


def _deit(fields: Fields) -> VitConfig:
    return replace(_plain(fields), distillation_token=True)


def _beit(fields: Fields) -> VitConfig:
    return replace(
        _plain(fields),
        absolute_positions=fields.boolean("use_absolute_position_embeddings", False),
        mean_pooling=fields.boolean("use_mean_pooling", True),
        mask_token=fields.boolean("use_mask_token", False),
    )


_READERS: dict[str, Callable[[Fields], VitConfig]] = {
    "hybrid": _hybrid,
    "vit": _plain,
    "deit": _deit,
    "beit": _beit,
}


def _encoder(fields: Fields, family: VitFamily) -> EncoderConfig:
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
        raise field_error(
            _FILE,
            f"hidden_size {encoder.hidden_size} is no multiple of num_attention_heads {encoder.num_attention_heads}",
        )
    if family != "beit":
        return encoder
    each = fields.boolean("use_relative_position_bias", False)
    shared = fields.boolean("use_shared_relative_position_bias", False)
    if each and shared:
        raise field_error(_FILE, "relative position biases both for each layer and shared are not supported")
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


def _check_feature_map(shape: Sequence[Any] | None, backbone: BitConfig, image_size: tuple[int, int]) -> None:
    expected = [backbone.out_channels, *backbone.feature_size(image_size)]
    if shape is not None and list(shape[-3:]) != expected:
        raise field_error(
            _FILE,
            f"backbone_featmap_shape is {list(shape)}, but the backbone gives {[1, *expected]} for an image of "
            f"{image_size[0]}×{image_size[1]}",
        )


def class_of(config: NetworkConfig) -> str:
    """The class of transformers for this network. Raises ModelError where there is none."""
    begins = FAMILIES[family_name(config)].classes
    if isinstance(config, VitConfig):
        if special := _without_class(config):
            raise _no_class(f"transformers has no {begins} {special}.")
        if config.distillation_head:
            return begins + _TEACHER
    return begins + (_CLASSIFIER if config.labels else "Model")


def _no_class(cause: str) -> ModelError:
    return ModelError(cause, "Use the checkpoint as it is, or another one.")


def _without_class(config: VitConfig) -> str | None:
    """What this network has and no network of its family in transformers, if there is anything."""
    beit, encoder = config.family == "beit", config.encoder
    specials = {
        "with a layer (pre_logits) between encoder and head": config.pooler and bool(config.labels),
        "without a CLS token": not config.class_token,
        "whose head reads the mean of the patches (avg pooling)": config.mean_pooling and not beit,
        "whose last norm comes before the mean of the patches": config.norm_before_pooling,
        "with scaled branches (LayerScale)": encoder.layer_scale and not beit,
        "whose CLS token has no position": config.absolute_positions and config.only_patches_have_positions,
        "without positions": not (config.absolute_positions or beit),
        "without biases of queries and values": beit and not encoder.qkv_bias,
        "that knows relative positions in a grid that is not square": _mixes_rows_and_columns(config),
    }
    return next((what for what, is_so in specials.items() if is_so), None)


def readers(config: NetworkConfig) -> str:
    """Which versions of transformers have that class: version 5 dropped the hybrid's."""
    return "transformers up to 4.57" if family_name(config) == "hybrid" else "transformers"


def family_name(config: NetworkConfig) -> str:
    """The name in ``FAMILIES`` of a network's family."""
    return config.family if isinstance(config, VitConfig) else "bit"


def write_config(config: NetworkConfig) -> dict[str, Any]:
    """The ``config.json`` that transformers reads, by its ``Auto`` classes too.

    Raises ModelError where transformers has no such network.
    """
    family = family_name(config)
    named = {"architectures": [class_of(config)], "model_type": FAMILIES[family].model_types[0]}
    if isinstance(config, BitClassifierConfig):
        return {**named, **write_bit(config.backbone), **write_labels(config.labels)}
    return {
        **named,
        **_WRITERS[family](config),
        **_write_encoder(config.encoder),
        "image_size": _one_or_two(config.image_size),
        "patch_size": _one_or_two(config.patch_size),
        "num_channels": 3,
        **write_labels(config.labels),
    }


def _write_hybrid(config: VitConfig) -> dict[str, Any]:
    assert config.backbone is not None
    backbone = write_bit(config.backbone)
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


def _one_or_two(size: tuple[int, int]) -> int | list[int]:
    return size[0] if size[0] == size[1] else list(size)
