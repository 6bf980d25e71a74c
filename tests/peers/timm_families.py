"""Small networks of timm's, and what timm computes with them: timm_families.py FOLDER.

Writes for each of ``CASES`` the folder that ``save_for_hf`` makes of it and, in its ``activations.safetensors``, the
input as ``plain/in/pixel_values`` and the outputs as ``plain/out/<output>``. Runs in the peers' environment.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from networks import import_timm
from random_tensors import random_tensors
from safetensors.torch import save_file
from torch import Tensor, nn

timm = import_timm()

SMALL = {"depth": 2, "embed_dim": 64, "num_classes": 7}
# Of each network what it is called beside its architecture, and how it differs from it. A width of 64 per head is what
# is published, and is not said in the files of older versions.
CASES: dict[str, dict[str, Any]] = {
    "vit_tiny_r_s16_p8_224": {"img_size": 96, "num_heads": 4},
    "vit_small_r26_s32_224": {"img_size": 96, "num_heads": 1},
    "vit_base_r50_s16_384": {"img_size": 64, "num_heads": 2, "qkv_bias": False},
    "vit_large_r50_s32_224": {"img_size": 96, "num_heads": 2},
    "vit_base_patch16_224": {"img_size": 64, "num_heads": 2},
    "vit_base_patch16_224-avg": {"img_size": 64, "num_heads": 2, "global_pool": "avg"},
    "vit_small_patch32_224-rectangular": {"img_size": (96, 160), "num_heads": 2, "mlp_ratio": 3},
    "vit_tiny_patch16_224-features": {"img_size": 64, "num_heads": 1, "num_classes": 0},
    "deit_tiny_patch16_224": {"img_size": 64, "num_heads": 2},
    "deit_base_distilled_patch16_224": {"img_size": 64, "num_heads": 2},
    "deit3_small_patch16_224": {"img_size": 64, "num_heads": 2},
    "deit3_huge_patch14_224": {"img_size": 56},
    "deit3_base_patch16_384-rectangular": {"img_size": (64, 96), "num_heads": 2},
    "vit_huge_patch14_224": {"img_size": 56},
    "vit_giant_patch14_224": {"img_size": 56},
    "vit_base_patch16_224_miil": {"img_size": 64, "num_heads": 2},
    "vit_base_patch16_plus_240": {"img_size": 64, "num_heads": 2},
    "vit_small_patch16_36x1_224": {"img_size": 64, "num_heads": 2},
    "vit_base_patch14_dinov2": {"img_size": 70, "num_heads": 2, "num_classes": 0},
    "vit_base_patch16_224-scaled": {"img_size": 64, "num_heads": 2, "init_values": 1e-5},
    "vit_base_patch16_224-mae": {"img_size": 64, "num_heads": 2, "num_classes": 0, "global_pool": "token"},
    "vit_base_patch16_224-only_patches_have_positions": {"img_size": 64, "num_heads": 2, "no_embed_class": True},
    "vit_base_patch16_224-no_positions": {"img_size": 64, "num_heads": 2, "pos_embed": "none"},
    "vit_base_patch16_224-tanh": {"img_size": 64, "num_heads": 2, "act_layer": "gelu_tanh"},
    "vit_base_patch16_224-norm_of_token": {"img_size": 64, "num_heads": 2, "fc_norm": True},
    "vit_base_patch16_224-mean_of_norm": {"img_size": 64, "num_heads": 2, "global_pool": "avg", "fc_norm": False},
    "vit_base_patch16_224-no_cls": {"img_size": 64, "num_heads": 2, "class_token": False, "global_pool": "avg"},
    "vit_base_patch16_224-no_cls_no_head": {
        "img_size": 64,
        "num_heads": 2,
        "class_token": False,
        "global_pool": "avg",
        "num_classes": 0,
    },
    "vit_base_r50_s16_384-no_cls": {
        "img_size": 64,
        "num_heads": 2,
        "class_token": False,
        "global_pool": "avg",
        "init_values": 1e-5,
    },
    "vit_medium_patch16_gap_256": {"img_size": 64, "num_heads": 2},
    "vit_base_patch32_siglip_gap_256": {"img_size": 64, "num_heads": 2},
    "eva_large_patch14_196": {"img_size": 56, "num_heads": 2},
    "flexivit_small": {"img_size": 64, "num_heads": 2},
    "test_vit": {"img_size": 64, "num_heads": 2},
    "beit_base_patch16_224": {"img_size": 64, "num_heads": 2},
    "beit_large_patch16_384-rectangular": {"img_size": (64, 96), "num_heads": 2},
    "beitv2_base_patch16_224-shared": {
        "img_size": (96, 64),
        "num_heads": 2,
        "use_rel_pos_bias": False,
        "use_shared_rel_pos_bias": True,
    },
    "beitv2_large_patch16_224-absolute": {
        "img_size": 64,
        "num_heads": 2,
        "use_rel_pos_bias": False,
        "use_abs_pos_emb": True,
        "qkv_bias": False,
    },
    "beit_base_patch16_224-both_positions": {"img_size": 64, "num_heads": 2, "use_abs_pos_emb": True},
    "beit_base_patch16_224-token": {"img_size": 64, "num_heads": 2, "global_pool": "token"},
    "beit_base_patch16_224-mean_of_norm": {"img_size": 64, "num_heads": 2, "use_fc_norm": False},
    "beit_base_patch16_224-not_scaled": {"img_size": 64, "num_heads": 2, "init_values": None},
    "beit_base_patch16_224-features": {"img_size": 64, "num_heads": 2, "num_classes": 0},
    "resnetv2_50x1_bit": {"size": (64, 64)},
    "resnetv2_50x1_bit-features": {"size": (64, 96), "num_classes": 0},
    "resnetv2_50x3_bit": {"size": (96, 64)},
    "resnetv2_101x1_bit": {"size": (64, 64)},
}
# The blocks are as many as published, and as narrow as the groups of their norms allow.
SMALL_BIT = {"channels": (128, 128, 128, 256), "num_classes": 7}


def main(folder: Path) -> None:
    for seed, (name, arguments) in enumerate(CASES.items()):
        network, (height, width) = created(name.partition("-")[0], dict(arguments))
        network.load_state_dict(random_tensors(network, seed))
        timm.models.save_for_hf(network, folder / name, safe_serialization=True)
        pixel_values = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
        tensors = {"plain/in/pixel_values": pixel_values, **computed(network, pixel_values)}
        save_file(tensors, folder / name / "activations.safetensors")


def created(architecture: str, arguments: dict[str, Any]) -> tuple[nn.Module, tuple[int, int]]:
    """The network, and the size (height, width) of the pictures that it takes."""
    if size := arguments.pop("size", None):  # of a BiT, which takes any
        overlay = {"input_size": (3, *size)}
        arguments = {**SMALL_BIT, **arguments, "pretrained_cfg_overlay": overlay}
        return timm.create_model(architecture, **arguments).eval(), size
    network = timm.create_model(architecture, **{**SMALL, **arguments}).eval()
    return network, network.patch_embed.img_size


@torch.inference_mode()
def computed(network: nn.Module, pixel_values: Tensor) -> dict[str, Tensor]:
    """What ``network`` gives, by the names of `vithybrid_cli.model.outputs`."""
    states: list[Tensor] = []
    layers = network.blocks if hasattr(network, "blocks") else network.stages
    hooks = [layers[0].register_forward_pre_hook(lambda module, inputs: states.append(inputs[0].clone()))]
    hooks += [
        layer.register_forward_hook(lambda module, inputs, output: states.append(output.clone())) for layer in layers
    ]
    logits = network(pixel_values)
    for hook in hooks:
        hook.remove()
    last = network.forward_features(pixel_values)
    found = {f"hidden{index}": state for index, state in enumerate(states)}
    found["logits"] = logits
    if not (isinstance(getattr(network, "fc_norm", None), nn.LayerNorm) and network.global_pool == "token"):
        found["last_hidden_state"] = last  # else only CLS would be normalised
    if not hasattr(network, "head_dist"):  # for two heads it would give the mean of two tokens, which neither reads
        found["pooled"] = network.forward_head(last, pre_logits=True)
    return {f"plain/out/{name}": tensor.clone(memory_format=torch.contiguous_format) for name, tensor in found.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
