"""timm's folders: a ``config.json`` that names an architecture, and tensors whose shapes tell the rest. No torch.

timm 1.0 prepares pictures in ``timm.data.transforms_factory.transforms_imagenet_eval``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from vithybrid_cli.checkpoints.layouts.fields import Fields, field_error, shown
from vithybrid_cli.checkpoints.layouts.imagenet import labels_by_count, unnamed_labels
from vithybrid_cli.checkpoints.layouts.inferred import Shapes, TensorNames, encoder_width, infer, infer_bit
from vithybrid_cli.checkpoints.layouts.labels import counted, wrong_count
from vithybrid_cli.checkpoints.layouts.timm_variants import Variant, unknown_part, variant_of
from vithybrid_cli.hub.files import CONFIG as _FILE
from vithybrid_cli.images.preprocess import INTERPOLATIONS, Preprocessing, timm_preprocessing
from vithybrid_cli.images.timm_crop import CROP_MODES
from vithybrid_cli.model.config import Activation, BitClassifierConfig, BitConfig, NetworkConfig, VitConfig

# Where a file names none: ``DEFAULT_CROP_PCT``, ``IMAGENET_DEFAULT_MEAN`` and ``…_STD`` in timm.data.constants.
_CROP_PCT = 0.875
IMAGENET_STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# Arguments of timm's constructors that are read here, follow from the tensors, or do not matter for inference.
_HARMLESS = {
    *("img_size", "num_heads", "patch_size", "embed_dim", "depth", "mlp_ratio", "qkv_bias", "num_classes", "in_chans"),
    *("drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"),
    *("dynamic_img_size", "dynamic_img_pad", "strict_img_size", "global_pool", "weight_init", "fix_init", "act_layer"),
    *("init_values", "class_token", "no_embed_class", "pos_embed", "fc_norm", "use_fc_norm", "head_init_scale"),
    *("use_abs_pos_emb", "use_rel_pos_bias", "use_shared_rel_pos_bias"),
    *("layers", "channels", "width_factor", "stem_chs", "zero_init_last"),
}
# Those that matter and are computed for these values alone.
_OFF = (False, None)
_ONLY: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("qk_norm", "scale_attn_norm", "scale_mlp_norm", "scale_mlp", "swiglu_mlp", "reg_tokens"), _OFF),
    **dict.fromkeys(("pre_norm", "pool_include_prefix", "embed_norm_layer", "use_naflex", "features_only"), _OFF),
    **dict.fromkeys(("avg_down", "basic"), _OFF),
    **dict.fromkeys(("proj_bias", "final_norm", "preact"), (True,)),
    "norm_layer": (None, "layernorm"),
    "attn_layer": ("", "attn"),
    "stem_type": ("fixed",),
    "output_stride": (32,),
    "bottle_ratio": (0.25,),
}
_ACTIVATIONS: dict[str, Activation] = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}

_NAMES = TensorNames(
    stem=("patch_embed.backbone.stem.conv.weight", "patch_embed.backbone.conv.weight"),
    block="patch_embed.backbone.stages.*.blocks.*.conv3.weight",
    first=0,
    projection="patch_embed.proj.weight",
    positions="pos_embed",
    layer="blocks.*.mlp.fc1.weight",
    qkv_bias="blocks.0.attn.qkv.bias",
    head="head.weight",
    pooler="",
)
_BEIT_NAMES = replace(_NAMES, qkv_bias="blocks.0.attn.q_bias")
_TABLE, _SHARED_TABLE = "blocks.0.attn.relative_position_bias_table", "rel_pos_bias.relative_position_bias_table"
_BIT_HEAD = "head.fc.weight"


def read_config(config: Mapping[str, Any], shapes: Shapes) -> NetworkConfig:
    """The network of a timm ``config.json`` with tensors of these shapes. Raises ModelError for what is not known."""
    variant = variant_of(config.get("architecture"), _FILE)
    if part := unknown_part(shapes):
        raise field_error(_FILE, f"the weights have {part}, which is not supported")
    arguments = Fields(Fields(config, _FILE).mapping("model_args") or {}, f"{_FILE}, model_args")
    for name, value in arguments.config.items():
        if name not in _HARMLESS and value not in _ONLY.get(name, ()):
            raise field_error(arguments.where, f"{name} = {shown(value)} is not supported")
    if variant.kind == "bit":
        return _bit(config, arguments, shapes, variant)
    network = _encoded(config, arguments, shapes, variant)
    pool = _pool(config, arguments, ("token", "avg", ""), default=variant.pool)
    if network.labels and not pool:
        raise field_error(_FILE, "global_pool '' gives every patch logits of its own, which is not supported")
    if network.labels and pool == "token" and not network.class_token:
        raise field_error(_FILE, "global_pool 'token' is not possible without a CLS token, which the weights lack")
    if network.distillation_token and pool == "avg":
        raise field_error(_FILE, "global_pool 'avg' with a distillation token is not supported")
    mean_pooling = pool == "avg" or not network.class_token
    return replace(
        network,
        mean_pooling=mean_pooling,
        norm_before_pooling=mean_pooling and "fc_norm.weight" not in shapes,
    )


def _encoded(config: Mapping[str, Any], arguments: Fields, shapes: Shapes, variant: Variant) -> VitConfig:
    """The network as far as its head does not matter."""
    beit, distilled = variant.kind == "beit", "dist_token" in shapes
    heads = _heads(arguments, shapes, variant)
    network = infer(
        shapes,
        _BEIT_NAMES if beit else _NAMES,
        labels=_labels(config, shapes.get(_NAMES.head)),
        num_attention_heads=heads,
        image_size=_image_size(config, arguments),
        hidden_act=_activation(arguments, variant),
    )
    if network.encoder.hidden_size % heads:
        raise field_error(_FILE, f"{heads} heads do not divide a width of {network.encoder.hidden_size}")
    network = replace(
        network,
        family="beit" if beit else "deit" if distilled else network.family,
        encoder=replace(
            network.encoder,
            layer_scale=not shapes.keys().isdisjoint(("blocks.0.ls1.gamma", "blocks.0.gamma_1")),
            relative_positions=_relative_positions(shapes),
        ),
        class_token="cls_token" in shapes,
        distillation_token=distilled,
        distillation_head="head_dist.weight" in shapes,
    )
    return _with_positions(network, arguments, shapes)


def _with_positions(network: VitConfig, arguments: Fields, shapes: Shapes) -> VitConfig:
    rows, columns = network.grid_size
    sides = zip(network.image_size, network.patch_size, strict=True)
    if arguments.config.get("dynamic_img_pad") and network.backbone is None and any(a % b for a, b in sides):
        raise field_error(
            arguments.where, "dynamic_img_pad is not supported where patches do not divide the image size"
        )
    positions = shapes.get(_NAMES.positions)
    of_patches = positions is not None and positions[1:2] == (rows * columns,) and network.prefix_tokens > 0
    return replace(network, absolute_positions=positions is not None, only_patches_have_positions=of_patches)


def _relative_positions(shapes: Shapes) -> Literal["none", "each", "shared"]:
    if _TABLE in shapes and _SHARED_TABLE in shapes:
        raise field_error(_FILE, "relative position biases both for each layer and shared are not supported")
    return "each" if _TABLE in shapes else "shared" if _SHARED_TABLE in shapes else "none"


def _heads(arguments: Fields, shapes: Shapes, variant: Variant) -> int:
    """The number of heads: as given, as the tables of relative positions have it, or as the architecture has it."""
    tables = [shape for name in (_TABLE, _SHARED_TABLE) if len(shape := shapes.get(name, ())) == 2]
    if tables:
        default = tables[0][1]
    elif "embed_dim" in arguments.config:
        default = variant.heads
    else:
        default = variant.heads_of(encoder_width(shapes, _NAMES))
    return arguments.integer("num_heads", default)


def _activation(arguments: Fields, variant: Variant) -> Activation:
    given = arguments.config.get("act_layer")
    if given is None:
        return variant.hidden_act
    if given not in _ACTIVATIONS:
        raise field_error(arguments.where, f"act_layer = {shown(given)} is not supported")
    return _ACTIVATIONS[given]


def _bit(config: Mapping[str, Any], arguments: Fields, shapes: Shapes, variant: Variant) -> BitClassifierConfig:
    like = BitConfig(preactivation=True, same_padding=False, hidden_act=_activation(arguments, variant))
    backbone = infer_bit(shapes, "stem.conv.weight", "stages.*.blocks.*.conv3.weight", 0, like)
    labels = _labels(config, shapes.get(_BIT_HEAD))
    _pool(config, arguments, ("avg",) if labels else ("avg", ""), default="avg")
    return BitClassifierConfig(backbone, labels, _image_size(config, arguments))


def read_preprocessing(config: Mapping[str, Any], image_size: tuple[int, int]) -> Preprocessing:
    """How timm prepares a picture by its ``config.json``: ``resolve_data_config`` and ``create_transform``.

    ``image_size`` is the (height, width) that the network takes. Sizes and crops for tests (``test_input_size``,
    ``test_crop_pct``), which timm applies only where it is asked to, are passed over. Raises ModelError for what is not
    supported.
    """
    described = pretrained_cfg(config)
    # timm takes null, 0 and an empty text for an absent field.
    fields = Fields({name: value for name, value in described.config.items() if value}, described.where)
    mean, std = _channels(fields, "mean"), _channels(fields, "std")
    if min(std) <= 0:
        raise field_error(fields.where, f"std must be above zero, not {list(std)}")
    return timm_preprocessing(
        image_size,
        crop_pct=fields.number("crop_pct", _CROP_PCT),
        crop_mode=fields.require("crop_mode", CROP_MODES, default="center"),
        interpolation=fields.require("interpolation", tuple(INTERPOLATIONS), default="bicubic"),
        mean=mean,
        std=std,
    )


def _channels(fields: Fields, name: str) -> tuple[float, float, float]:
    values = fields.sequence(name)
    if values is None:
        return IMAGENET_STATISTICS[name]
    if len(values) != 3 or not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise field_error(fields.where, f"{name} must be a list of three numbers, not {list(values)!r}")
    red, green, blue = map(float, values)
    return red, green, blue


def pretrained_cfg(config: Mapping[str, Any]) -> Fields:
    """The part of a ``config.json`` that describes the weights; older files have its fields beside the architecture."""
    fields = Fields(config, _FILE)
    return Fields(fields.mapping("pretrained_cfg") or config, f"{_FILE}, pretrained_cfg")


def _pool(config: Mapping[str, Any], arguments: Fields, known: tuple[str, ...], default: str) -> str:
    """What the head reads: the file says it at three places, of which the first that does is right."""
    for fields in (arguments, Fields(config, _FILE), pretrained_cfg(config)):
        if fields.config.get("global_pool") is not None:
            pool: str = fields.require("global_pool", known, default=default)
            return pool
    return default


def _image_size(config: Mapping[str, Any], arguments: Fields) -> tuple[int, int]:
    if arguments.config.get("img_size") is not None:
        return arguments.size("img_size", 224)
    size = pretrained_cfg(config).integers("input_size", (3, 224, 224))
    if len(size) != 3 or size[0] != 3:
        raise field_error(_FILE, f"input_size {list(size)} is not supported; known: [3, height, width]")
    return size[1], size[2]


def _labels(config: Mapping[str, Any], head: tuple[int, ...] | None) -> tuple[str, ...]:
    """The labels of a ``head`` of that shape; none without one."""
    if not head:
        return ()
    inside = pretrained_cfg(config)
    fields = Fields(config, _FILE)
    names = _names(fields, "label_names", head[0]) or _names(inside, "label_names", head[0])
    if names is None and "pretrained_cfg" not in config:
        names = _names(fields, "labels", head[0])  # what older files call them
    return labels_by_count(head[0]) if names is None else names


def _names(fields: Fields, name: str, count: int) -> tuple[str, ...] | None:
    """A list of names, or timm's other form, an object from class indices to names that may have gaps."""
    given = fields.config.get(name)
    if isinstance(given, Mapping):
        numbered = {str(index): given.get(str(index)) for index in range(count)}
        if excess := sorted(given.keys() - numbered.keys()):
            raise field_error(fields.where, f"{name} names a class {excess[0]!r}, but the head has {count} classes")
        names: Sequence[Any] = tuple(numbered.values())
    else:
        names = fields.sequence(name) or ()
    if names and len(names) != count:
        raise wrong_count(f"names {counted(len(names), 'label', 'labels')}", count)
    unnamed = unnamed_labels(len(names))
    return tuple(other if label is None else str(label) for label, other in zip(names, unnamed, strict=True)) or None
