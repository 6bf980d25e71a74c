"""Small networks of each family, and what transformers computes with them: transformers_families.py FOLDER.

Writes a checkpoint for each of ``CASES`` and, in its ``activations.safetensors``, arguments and outputs of the calls
that the network takes, as ``<call>/in/<argument>`` and ``<call>/out/<output>``. The metadata there name the calls for
which transformers' code had to be ``mended``. Runs in the peers' environment.
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from random_tensors import random_tensors
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import BeitConfig, BitConfig, DeiTConfig, PretrainedConfig, ViTConfig
from transformers.modeling_utils import no_init_weights
from transformers.models.beit import BeitForImageClassification, BeitModel
from transformers.models.bit import BitForImageClassification, BitModel
from transformers.models.deit import DeiTForImageClassification, DeiTForImageClassificationWithTeacher, DeiTModel
from transformers.models.vit import ViTForImageClassification, ViTModel

vit_hybrid = import_module("transformers.models.deprecated.vit_hybrid")
ViTHybridConfig = vit_hybrid.ViTHybridConfig
ViTHybridForImageClassification, ViTHybridModel = vit_hybrid.ViTHybridForImageClassification, vit_hybrid.ViTHybridModel

LAYERS, HEADS = 3, 4
ENCODER = {
    "hidden_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 96,
    "attn_implementation": "eager",  # no other gives its attentions
}
PLAIN = {**ENCODER, "image_size": 64, "patch_size": 8}
RECTANGULAR = {**ENCODER, "image_size": [48, 64], "patch_size": [8, 4]}
STAGES = {"embedding_size": 16, "hidden_sizes": [32, 64, 128, 256], "num_groups": 4}
BIT = {**STAGES, "depths": [1, 2, 1, 1]}
BACKBONE = {**STAGES, "depths": [1, 2, 1], "layer_type": "bottleneck", "out_features": ["stage3"]}
SAME = {"global_padding": "SAME", "embedding_dynamic_padding": True}
HYBRID = {
    **ENCODER,
    "image_size": 128,
    "patch_size": 1,
    "backbone_config": {"model_type": "bit", **BACKBONE, **SAME},
    "backbone_featmap_shape": [1, 128, 8, 8],
}
HYBRID_OF_PATCHES = {**HYBRID, "patch_size": 2}
EACH, SHARED = {"use_relative_position_bias": True}, {"use_shared_relative_position_bias": True}
ABSOLUTE, NO_SCALE = {"use_absolute_position_embeddings": True}, {"layer_scale_init_value": 0}
CLS, MASK = {"use_mean_pooling": False}, {"use_mask_token": True}
ONE, FIVE = {"num_labels": 1}, {"num_labels": 5}

# Of each network its class, its config, and what else it is made with.
CASES: dict[str, tuple[type[nn.Module], PretrainedConfig, dict[str, bool]]] = {
    "vit": (ViTForImageClassification, ViTConfig(**PLAIN, **FIVE), {}),
    "vit-one-label": (ViTForImageClassification, ViTConfig(**PLAIN, **ONE), {}),
    "vit-without-bias": (ViTForImageClassification, ViTConfig(**PLAIN, **FIVE, qkv_bias=False), {}),
    "vit-rectangular": (ViTForImageClassification, ViTConfig(**RECTANGULAR, **FIVE), {}),
    "vit-pooler": (ViTModel, ViTConfig(**PLAIN), MASK),
    "vit-features": (ViTModel, ViTConfig(**PLAIN), {"add_pooling_layer": False}),
    "deit": (DeiTForImageClassification, DeiTConfig(**PLAIN, **FIVE), {}),
    "deit-one-label": (DeiTForImageClassification, DeiTConfig(**PLAIN, **ONE), {}),
    "deit-distilled": (DeiTForImageClassificationWithTeacher, DeiTConfig(**PLAIN, **FIVE), {}),
    "deit-pooler": (DeiTModel, DeiTConfig(**PLAIN), MASK),
    "beit-each": (BeitForImageClassification, BeitConfig(**PLAIN, **FIVE, **EACH), {}),
    "beit-shared": (BeitForImageClassification, BeitConfig(**PLAIN, **FIVE, **SHARED), {}),
    "beit-absolute": (BeitForImageClassification, BeitConfig(**PLAIN, **FIVE, **ABSOLUTE, **NO_SCALE), {}),
    "beit-cls": (BeitForImageClassification, BeitConfig(**PLAIN, **FIVE, **EACH, **ABSOLUTE, **CLS), {}),
    "beit-one-label": (BeitForImageClassification, BeitConfig(**PLAIN, **ONE, **EACH), {}),
    "beit-features": (BeitModel, BeitConfig(**PLAIN, **SHARED, **ABSOLUTE, **MASK), {}),
    "beit-cls-features": (BeitModel, BeitConfig(**PLAIN, **EACH, **MASK, **CLS), {}),
    "bit": (BitForImageClassification, BitConfig(**BIT, **FIVE), {}),
    "bit-same": (BitForImageClassification, BitConfig(**BIT, **SAME, **FIVE, hidden_act="gelu"), {}),
    "bit-one-label": (BitForImageClassification, BitConfig(**BIT, **ONE), {}),
    "bit-features": (BitModel, BitConfig(**BIT), {}),
    "hybrid": (ViTHybridForImageClassification, ViTHybridConfig(**HYBRID, **FIVE), {}),
    "hybrid-one-label": (ViTHybridForImageClassification, ViTHybridConfig(**HYBRID, **ONE), {}),
    "hybrid-of-patches": (ViTHybridForImageClassification, ViTHybridConfig(**HYBRID_OF_PATCHES, **FIVE), {}),
    "hybrid-pooler": (ViTHybridModel, ViTHybridConfig(**HYBRID), MASK),
}


def main(folder: Path) -> None:
    for seed, (name, (kind, config, arguments)) in enumerate(CASES.items()):
        with no_init_weights():  # that of the hybrid sets a mask token that a classifier lacks
            network = kind(config, **arguments).eval()
        network.load_state_dict(random_tensors(network, seed))
        network.save_pretrained(folder / name)
        tensors, mended = {}, []
        for call, inputs in calls(network):
            found, as_published = computed(network, inputs)
            tensors |= _named(f"{call}/in", inputs) | _named(f"{call}/out", found)
            mended += [] if as_published else [call]
        save_file(tensors, folder / name / "activations.safetensors", {"mended": " ".join(mended)})


def _named(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{group}/{name}": tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}


def calls(network: nn.Module) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Each call that ``network`` takes, and its arguments."""
    generator = torch.Generator().manual_seed(0)
    taken = inspect.signature(network.forward).parameters
    height, width = own_size(network)

    def pictures(height: int, width: int) -> dict[str, Tensor]:
        return {"pixel_values": torch.randn(2, 3, height, width, generator=generator)}

    if "labels" not in taken:
        yield "plain", pictures(height, width)
    elif network.num_labels == 1:
        yield "plain", {**pictures(height, width), "labels": torch.randn(2, generator=generator)}
    else:
        yield "plain", {**pictures(height, width), "labels": torch.tensor([4, 1])}
    if "head_mask" in taken:
        kept = torch.rand(LAYERS, HEADS, generator=generator).round(decimals=1)
        yield "heads", {**pictures(height, width), "head_mask": kept}
        yield "heads-of-all-layers", {**pictures(height, width), "head_mask": torch.tensor([1.0, 0.0, 1.0, 1.0])}
    if "bool_masked_pos" in taken and network.embeddings.mask_token is not None:
        where = torch.rand(2, network.embeddings.patch_embeddings.num_patches, generator=generator) < 0.4
        yield "masked", {**pictures(height, width), "bool_masked_pos": where}
    if height == width:  # its code for positions knows no others
        yield "half", pictures(height // 2, width // 2)
        yield "larger", pictures(height * 3 // 2, width * 3 // 2)
        yield "wider", pictures(height, width * 5 // 4)
        yield "with-a-rest", pictures(height + 5, width + 5)
        yield "no-multiple", pictures(height + 41, width + 41)
    if isinstance(network, vit_hybrid.ViTHybridPreTrainedModel):
        yield "same-feature-map", pictures(height - 3, width - 3)


def own_size(network: nn.Module) -> tuple[int, int]:
    """Height and width of the pictures that a network is for; a BiT is for all."""
    size = getattr(network.config, "image_size", 64)
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def computed(network: nn.Module, inputs: dict[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """All that ``network`` gives for these arguments, by the names of `vithybrid_cli.model.outputs`.

    And whether it is the code as published that gives it.
    """
    taken = inspect.signature(network.forward).parameters
    options: dict[str, Any] = {"output_hidden_states": True}
    if "head_mask" in taken:
        options["output_attentions"] = True
    if "interpolate_pos_encoding" in taken and tuple(inputs["pixel_values"].shape[2:]) != own_size(network):
        options["interpolate_pos_encoding"] = True
    try:
        return _outputs(network, inputs, options), True
    except RuntimeError:  # as many positions as tokens are needed
        if not isinstance(network, vit_hybrid.ViTHybridPreTrainedModel):
            raise
    with mended_positions(network, inputs["pixel_values"]):
        return _outputs(network, inputs, options), False


@torch.inference_mode()
def _outputs(network: nn.Module, inputs: dict[str, Tensor], options: dict[str, Any]) -> dict[str, Tensor]:
    found = network(**inputs, **options)
    tensors = {
        **{f"hidden{index}": state for index, state in enumerate(found.hidden_states)},
        **{f"attention{index}": weights for index, weights in enumerate(found.get("attentions") or ())},
        **{name: found.get(name) for name in ("last_hidden_state", "logits", "loss")},
        "pooled": found.get("pooler_output"),
    }
    if isinstance(network, BitModel):
        tensors["pooled"] = tensors["pooled"].flatten(1)  # from [B, D, 1, 1]
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


@contextmanager
def mended_positions(network: nn.Module, pixel_values: Tensor) -> Iterator[None]:
    """Has a hybrid interpolate its positions to the grid of its feature map.

    Its own code is a copy of the ViT's: it makes a position for each ``patch_size`` pixels of the picture, where there
    is a token for each ``patch_size`` cells of the feature map. It would be right if a cell were as large as a pixel,
    which it is in no BiT, and is right where the patches stay as many as they were; else it fails. Told the size of the
    feature map in the place of the picture's, it does what it is for.
    """
    embeddings = getattr(network, "vit", network).embeddings
    own_code = type(embeddings).interpolate_pos_encoding
    with torch.inference_mode():
        height, width = embeddings.patch_embeddings.backbone(pixel_values).feature_maps[-1].shape[2:]
    embeddings.interpolate_pos_encoding = lambda tokens, *size: own_code(embeddings, tokens, height, width)
    yield
    del embeddings.interpolate_pos_encoding


if __name__ == "__main__":
    main(Path(sys.argv[1]))
