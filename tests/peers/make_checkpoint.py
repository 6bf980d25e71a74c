"""Writes a checkpoint of the published size and layout with random weights: make_checkpoint.py FOLDER [SEED].

Runs in the peers' environment, so that names and shapes are those of transformers and not ours.
"""

import json
import sys
from pathlib import Path
from typing import Any

from networks import build_transformers
from random_tensors import random_tensors
from safetensors.torch import save_file

PARAMETERS = 98_950_952  # of google/vit-hybrid-base-bit-384, in 356 tensors
TENSORS = 356

# What google/vit-hybrid-base-bit-384 says in its config.json, labels and fields of training aside.
CONFIG: dict[str, Any] = {
    "architectures": ["ViTHybridForImageClassification"],
    "backbone_config": {
        "depths": [3, 4, 9],
        "embedding_dynamic_padding": True,
        "embedding_size": 64,
        "global_padding": "SAME",
        "hidden_act": "relu",
        "hidden_sizes": [256, 512, 1024, 2048],
        "layer_type": "bottleneck",
        "model_type": "bit",
        "num_channels": 3,
        "num_groups": 32,
        "out_features": ["stage3"],
        "output_stride": 32,
        "stage_names": ["stem", "stage1", "stage2", "stage3"],
        "width_factor": 1,
    },
    "backbone_featmap_shape": [1, 1024, 24, 24],
    "hidden_act": "gelu",
    "hidden_size": 768,
    "id2label": {str(index): f"class {index}" for index in range(1000)},
    "label2id": {f"class {index}": index for index in range(1000)},
    "image_size": 384,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "model_type": "vit-hybrid",
    "num_attention_heads": 12,
    "num_channels": 3,
    "num_hidden_layers": 12,
    "patch_size": 1,
    "qkv_bias": True,
}

# Its preprocessor_config.json, whole.
PREPROCESSOR: dict[str, Any] = {
    "crop_size": {"height": 384, "width": 384},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "ViTHybridImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 384},
}


def main(folder: Path, seed: int) -> None:
    network = build_transformers(CONFIG)
    tensors = random_tensors(network, seed)
    count = sum(tensor.numel() for tensor in tensors.values())
    if (count, len(tensors)) != (PARAMETERS, TENSORS) or tensors.keys() != network.state_dict().keys():
        raise SystemExit(
            f"{count} parameters in {len(tensors)} tensors, where the published checkpoint has {PARAMETERS}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
