"""The fields of a BiT in transformers' ``config.json``: a hybrid's ``backbone_config``, or a BiT classifier's own.

Field names and defaults are those of transformers 4.57's ``BitConfig``.
"""

from collections.abc import Mapping
from typing import Any, get_args

from vithybrid_cli.checkpoints.layouts.fields import Fields, field_error, shown
from vithybrid_cli.model.config import STEM_STRIDE, Activation, BitConfig, bottleneck_width

ACTIVATIONS = get_args(Activation)


def read_bit(config: Mapping[str, Any], where: str, layer_type: str) -> BitConfig:
    """The network of these fields, whose blocks must be of ``layer_type``; errors call the fields ``where``.

    Raises ModelError for a field that is wrong or not supported.
    """
    fields = Fields(config, where)
    fields.require("model_type", ("bit",), default="bit")
    fields.require("layer_type", (layer_type,), default="preactivation")
    fields.require("num_channels", (3,), default=3)
    fields.require("width_factor", (1,), default=1)
    hybrid = layer_type == "bottleneck"
    depths, hidden_sizes = _stages(fields)
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
    check_groups(backbone, where)
    return backbone


def write_bit(config: BitConfig) -> dict[str, Any]:
    """The fields that ``read_bit`` reads back."""
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


def check_groups(config: BitConfig, where: str) -> None:
    """Raise ModelError where the groups of GroupNorm do not divide the channels."""
    widths = {config.embedding_size, *config.hidden_sizes, *map(bottleneck_width, config.hidden_sizes)}
    if uneven := sorted(width for width in widths if width % config.num_groups):
        raise field_error(where, f"num_groups {config.num_groups} does not divide {uneven[0]} channels")


def _stages(fields: Fields) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Blocks and channels of each stage; R-Ti/16 has none."""
    if fields.config.get("depths") == []:
        return (), ()
    depths = fields.integers("depths", (3, 4, 6, 3))
    hidden_sizes = fields.integers("hidden_sizes", (256, 512, 1024, 2048))[: len(depths)]
    if len(hidden_sizes) < len(depths):
        raise field_error(fields.where, f"{len(depths)} depths, but only {len(hidden_sizes)} hidden_sizes")
    if (stride := fields.integer("output_stride", 32)) < STEM_STRIDE * 2 ** (len(depths) - 1):
        raise field_error(fields.where, f"output_stride {stride} needs dilation, which is not supported")
    return depths, hidden_sizes


def _pads_same(padding: Any, where: str, *, required: bool) -> bool:
    if isinstance(padding, str) and padding.upper() == "SAME":
        return True
    if padding is None and not required:
        return False
    known = "'SAME'" if required else "'SAME', null"
    raise field_error(where, f"global_padding {shown(padding)} is not supported; known: {known}")


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
        raise field_error(fields.where, f"output {shown(name)} is not supported; known: {', '.join(known)}")
    return names.index(name)
