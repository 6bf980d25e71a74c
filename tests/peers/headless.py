"""Small networks of other tasks than classification, and the features that transformers reads from them: FOLDER.

Writes a checkpoint for each of ``CASES``, with pictures and their features in its ``activations.safetensors``. Features
are what the head of an image classifier would read. Runs in the peers' environment.
"""

import sys
from pathlib import Path

import torch
from random_tensors import random_tensors
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BeitConfig, DeiTConfig, PretrainedConfig, ViTConfig
from transformers.models.beit import BeitForMaskedImageModeling, BeitForSemanticSegmentation
from transformers.models.deit import DeiTForMaskedImageModeling
from transformers.models.vit import ViTForMaskedImageModeling

LAYERS = 4
ENCODER = {"hidden_size": 48, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "intermediate_size": 96}
PLAIN = {**ENCODER, "image_size": 64, "patch_size": 8}
MASKED = {**PLAIN, "use_mask_token": True, "vocab_size": 32}
SHARED, EACH = {"use_shared_relative_position_bias": True}, {"use_relative_position_bias": True}
CLS = {"use_mean_pooling": False, "use_absolute_position_embeddings": True}
SEGMENTING = {"out_indices": [1, 2, 3, 4], "pool_scales": [1, 2], "num_labels": 5}

CASES: dict[str, tuple[type[nn.Module], PretrainedConfig]] = {
    "vit-masked": (ViTForMaskedImageModeling, ViTConfig(**PLAIN, encoder_stride=8)),
    "deit-masked": (DeiTForMaskedImageModeling, DeiTConfig(**PLAIN, encoder_stride=8)),
    "beit-masked": (BeitForMaskedImageModeling, BeitConfig(**MASKED, **SHARED)),
    "beit-masked-cls": (BeitForMaskedImageModeling, BeitConfig(**MASKED, **EACH, **CLS)),
    "beit-segmenting": (BeitForSemanticSegmentation, BeitConfig(**PLAIN, **EACH, **SEGMENTING)),
}


def main(folder: Path) -> None:
    for seed, (name, (kind, config)) in enumerate(CASES.items()):
        network = kind(config).eval()
        network.load_state_dict(random_tensors(network, seed), strict=False)  # but for buffers
        network.save_pretrained(folder / name)
        pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
        tensors = {"pixel_values": pictures, "features": features(kind, folder / name, pictures)}
        save_file(tensors, folder / name / "activations.safetensors")


@torch.inference_mode()
def features(kind: type[nn.Module], folder: Path, pictures: Tensor) -> Tensor:
    """Of a BEiT the mean of its patches, by the pooler whose norm such files lack; else CLS after the last norm.

    The latter from the network inside of the saved one: from a BEiT with a last norm of its own and another one before
    its mask head, ``AutoModel`` loads neither.
    """
    if getattr(AutoConfig.from_pretrained(folder), "use_mean_pooling", False):
        return AutoModel.from_pretrained(folder).eval()(pixel_values=pictures).pooler_output.clone()
    network = kind.from_pretrained(folder).eval().base_model
    return network(pixel_values=pictures).last_hidden_state[:, 0].clone()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
