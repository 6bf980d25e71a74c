"""timm's folders: a ``config.json`` that names an architecture, and tensors whose shapes tell the rest. No torch.

timm 1.0 prepares pictures in ``timm.data.transforms_factory.transforms_imagenet_eval``.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vithybrid_cli.checkpoints.layouts.fields import Fields, field_error
from vithybrid_cli.checkpoints.layouts.imagenet import labels_by_count
from vithybrid_cli.checkpoints.layouts.inferred import Shapes, TensorNames, encoder_width, infer
from vithybrid_cli.hub.files import CONFIG as _FILE
from vithybrid_cli.images.preprocess import INTERPOLATIONS, Preprocessing, timm_preprocessing
from vithybrid_cli.images.timm_crop import CROP_MODES
from vithybrid_cli.model.config import VitConfig

_KNOWN = re.compile(
    r"vit_(tiny_r_s16_p8|small_r26_s32|base_r50_s16|large_r50_s32|(tiny|small|base|large)_patch(8|16|32))_\d+"
    r"|deit_(tiny|small|base)_(distilled_)?patch16_\d+"
)
# Where a file names none: ``DEFAULT_CROP_PCT``, ``IMAGENET_DEFAULT_MEAN`` and ``…_STD`` in timm.data.constants.
_CROP_PCT = 0.875
IMAGENET_STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# Arguments of timm's constructors that are read here, follow from the tensors, or do not matter for inference.
_HARMLESS = {
    *("img_size", "num_heads", "patch_size", "embed_dim", "depth", "mlp_ratio", "qkv_bias", "num_classes", "in_chans"),
    *("drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"),
    *("dynamic_img_size", "dynamic_img_pad", "strict_img_size", "global_pool"),
}
_HEAD_WIDTH = 64  # of every architecture that is known here: width over heads

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


def read_config(config: Mapping[str, Any], shapes: Shapes) -> VitConfig:
    """The network of a timm ``config.json`` with tensors of these shapes. Raises ModelError for what is not known."""
    fields = Fields(config, _FILE)
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or not _KNOWN.fullmatch(architecture.split(".")[0]):
        raise field_error(
            _FILE,
            f"architecture {architecture!r} is not supported; known are timm's vit_*_patch* and deit_*, and hybrids "
            "vit_tiny_r_s16_p8, vit_small_r26_s32, vit_base_r50_s16 and vit_large_r50_s32",
        )
    distilled = "dist_token" in shapes
    arguments = Fields(fields.mapping("model_args") or {}, f"{_FILE}, model_args")
    for name in arguments.config.keys() - _HARMLESS:
        raise field_error(arguments.where, f"{name} = {arguments.config[name]!r} is not supported")
    pool = _pool(arguments, default=_pool(fields, default=_pool(pretrained_cfg(config), default="token")))
    heads = arguments.integer("num_heads", max(encoder_width(shapes, _NAMES) // _HEAD_WIDTH, 1))
    network = infer(
        shapes,
        _NAMES,
        labels=_labels(config, fields, shapes),
        num_attention_heads=heads,
        image_size=_image_size(fields, arguments),
        prefix_tokens=2 if distilled else 1,
    )
    if network.encoder.hidden_size % heads:
        raise field_error(_FILE, f"{heads} heads do not divide a width of {network.encoder.hidden_size}")
    if network.labels and not pool:
        raise field_error(_FILE, "global_pool '' gives every patch logits of its own, which is not supported")
    return replace(
        network,
        family="deit" if distilled else network.family,
        distillation_token=distilled,
        distillation_head="head_dist.weight" in shapes,
        mean_pooling=pool == "avg",
    )


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


def _pool(fields: Fields, default: str) -> str:
    pool: str | None = fields.require("global_pool", ("token", "avg", "", None), default=default)
    return default if pool is None else pool


def _image_size(fields: Fields, arguments: Fields) -> tuple[int, int]:
    if "img_size" in arguments.config:
        return arguments.size("img_size", 224)
    size = pretrained_cfg(fields.config).integers("input_size", (3, 224, 224))
    if len(size) != 3 or size[0] != 3:
        raise field_error(_FILE, f"input_size {list(size)} is not supported; known: [3, height, width]")
    return size[1], size[2]


def _labels(config: Mapping[str, Any], fields: Fields, shapes: Shapes) -> tuple[str, ...]:
    head = shapes.get(_NAMES.head)
    if not head:
        return ()
    names = fields.sequence("label_names") or pretrained_cfg(config).sequence("label_names")
    if names is None and "pretrained_cfg" not in config:
        names = fields.sequence("labels")  # what older files call them
    if names is None:
        return labels_by_count(head[0])
    if len(names) != head[0]:
        raise field_error(_FILE, f"label_names has {len(names)} labels, but the head has {head[0]} classes")
    return tuple(map(str, names))
