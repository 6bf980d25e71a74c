"""What timm makes of each name of the families that are read here: timm_names.py OUT.

Writes one JSON object: for each architecture its ``config.json`` as older versions of timm published it, the shapes of
its tensors, and what neither of them tells of the network; null where it computes what is not computed here. No network
gets weights. Runs in the peers' environment.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from networks import import_timm
from torch import nn

timm = import_timm()

NAMES = ["vit_*", "deit*", "beit*", "resnetv2_*", "eva*", "flexivit*", "test_vit*", "aimv2*", "naflexvit*"]
PLAIN = [
    ["vision_transformer.VisionTransformer", "vision_transformer.Block", "attention.Attention", "mlp.Mlp"],
    ["deit.VisionTransformerDistilled", "vision_transformer.Block", "attention.Attention", "mlp.Mlp"],
    ["beit.Beit", "beit.Block", "beit.Attention", "mlp.Mlp"],
]
ACTIVATIONS = {"GELU(approximate='none')": "gelu", "GELUTanh()": "gelu_new"}


def main(out: Path) -> None:
    names = sorted({name for pattern in NAMES for name in timm.list_models(pattern)})
    out.write_text(json.dumps({name: described(name) for name in names}), encoding="utf-8")


def described(name: str) -> dict[str, Any]:
    with torch.device("meta"):
        network = timm.create_model(name)
    resnet = type(network) is timm.models.ResNetV2
    tags = timm.models.get_arch_pretrained_cfgs(name)
    pool = network.head.global_pool.pool_type if resnet else network.global_pool
    return {
        "config": {
            "architecture": name,
            "num_classes": network.num_classes,
            "num_features": network.num_features,
            "global_pool": pool,
            "pretrained_cfg": told(network.pretrained_cfg),
        },
        "published": {tag: told(config.to_dict()) for tag, config in tags.items() if config.has_weights},
        "shapes": {key: list(tensor.shape) for key, tensor in network.state_dict().items()},
        "facts": bit(network) if resnet else transformer(network),
    }


def told(config: dict[str, Any]) -> dict[str, Any]:
    """What is left out if it is null."""
    return {key: value for key, value in config.items() if value is not None}


def transformer(network: nn.Module) -> dict[str, Any] | None:
    """Null unless every module is one that is computed here."""
    first = network.blocks[0]
    parts = [network, first, getattr(first, "attn", None), getattr(first, "mlp", None)]
    if [f"{type(part).__module__.rpartition('.')[2]}.{type(part).__name__}" for part in parts] not in PLAIN:
        return None
    norms = {module for module in network.modules() if isinstance(module, nn.LayerNorm)}
    ours = {norm for block in network.blocks for norm in (block.norm1, block.norm2)} | {network.norm, network.fc_norm}
    patches = type(network.patch_embed).__name__
    backbone = getattr(network.patch_embed, "backbone", None)
    if (
        {norm.eps for norm in norms} != {1e-6}
        or norms - ours  # of queries and keys, inside, or before the first block
        or not norms & {network.norm, network.fc_norm}
        or getattr(network, "num_reg_tokens", 0)
        or network.global_pool not in ("token", "avg")
        or patches not in ("PatchEmbed", "HybridEmbed")
        or not (backbone is None or standardized(backbone, 1e-8, "StdConv2dSame"))
    ):
        return None
    return {
        "heads": first.attn.num_heads,
        "hidden_act": ACTIVATIONS[repr(first.mlp.act)],
        "class_token": network.cls_token is not None,
        "prefix_tokens": network.num_prefix_tokens,
        "only_patches_have_positions": network.cls_token is not None and getattr(network, "no_embed_class", False),
        "mean_pooling": network.global_pool == "avg",
        "norm_of_mean": isinstance(network.fc_norm, nn.LayerNorm),
        "layer_scale": any(name.endswith(("ls1.gamma", "gamma_1")) for name in network.state_dict()),
    }


def bit(network: nn.Module) -> dict[str, Any] | None:
    blocks = {type(block).__name__ for stage in network.stages for block in stage.blocks}
    fixed = [type(part).__name__ for part in network.stem] == ["StdConv2d", "ConstantPad2d", "MaxPool2d"]
    if blocks != {"PreActBottleneck"} or not fixed or not standardized(network.stages, 1e-8, "StdConv2d"):
        return None
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    return {
        "groups": sorted({norm.num_groups for norm in norms}),
        "eps": sorted({norm.eps for norm in norms}),
        "activations": sorted({type(norm.act).__name__ for norm in norms}),
        "depths": [len(stage.blocks) for stage in network.stages],
        "hidden_sizes": [stage.blocks[0].conv3.out_channels for stage in network.stages],
    }


def standardized(module: nn.Module, eps: float, kind: str) -> bool:
    """Whether all convolutions are weight-standardised, and nothing else pools in a block."""
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    pools = [part for part in module.modules() if isinstance(part, nn.AvgPool2d)]
    return not pools and all(type(part).__name__ == kind and part.eps == eps for part in convolutions)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
