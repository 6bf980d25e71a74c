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
}


def main(folder: Path) -> None:
    for seed, (name, arguments) in enumerate(CASES.items()):
        network = timm.create_model(name.partition("-")[0], **{**SMALL, **arguments}).eval()
        network.load_state_dict(random_tensors(network, seed))
        timm.models.save_for_hf(network, folder / name, safe_serialization=True)
        height, width = network.patch_embed.img_size
        pixel_values = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
        tensors = {"plain/in/pixel_values": pixel_values, **computed(network, pixel_values)}
        save_file(tensors, folder / name / "activations.safetensors")


@torch.inference_mode()
def computed(network: nn.Module, pixel_values: Tensor) -> dict[str, Tensor]:
    """What ``network`` gives, by the names of `vithybrid_cli.model.outputs`."""
    states: list[Tensor] = []
    hooks = [network.blocks[0].register_forward_pre_hook(lambda module, inputs: states.append(inputs[0].clone()))]
    hooks += [
        block.register_forward_hook(lambda module, inputs, output: states.append(output.clone()))
        for block in network.blocks
    ]
    logits = network(pixel_values)
    for hook in hooks:
        hook.remove()
    last = network.forward_features(pixel_values)
    found = {f"hidden{index}": state for index, state in enumerate(states)}
    found |= {"last_hidden_state": last, "logits": logits}
    if not hasattr(network, "head_dist"):  # for two heads it would give the mean of two tokens, which neither reads
        found["pooled"] = network.forward_head(last, pre_logits=True)
    return {f"plain/out/{name}": tensor.clone() for name, tensor in found.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
