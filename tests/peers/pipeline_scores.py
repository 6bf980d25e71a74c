"""Small classifiers of each family and problem, and how transformers' pipeline scores a picture: FOLDER PICTURE.

Writes a checkpoint for each family and problem, and in its ``scores.json`` the pipeline's labels and scores by the
function that it was asked to apply, ``auto`` for none. Runs in the peers' environment.
"""

import json
import sys
from pathlib import Path
from typing import Any

from random_tensors import random_tensors
from transformers import (
    BeitConfig,
    BeitForImageClassification,
    BeitImageProcessor,
    BitConfig,
    BitForImageClassification,
    BitImageProcessor,
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    DeiTImageProcessor,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    pipeline,
)

SIDE = 32
SIZE = {"height": SIDE, "width": SIDE}
ENCODER = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "image_size": SIDE,
    "patch_size": 8,
}
BIT = {"embedding_size": 16, "hidden_sizes": [32, 64], "depths": [1, 1], "num_groups": 4}

Family = tuple[type, type, dict[str, Any], Any]
FAMILIES: dict[str, Family] = {
    "vit": (ViTForImageClassification, ViTConfig, ENCODER, ViTImageProcessor(size=SIZE)),
    "beit": (
        BeitForImageClassification,
        BeitConfig,
        {**ENCODER, "use_relative_position_bias": True},
        BeitImageProcessor(size=SIZE, do_center_crop=False),
    ),
    "deit": (DeiTForImageClassification, DeiTConfig, ENCODER, DeiTImageProcessor(size=SIZE, do_center_crop=False)),
    "deit-distilled": (
        DeiTForImageClassificationWithTeacher,
        DeiTConfig,
        ENCODER,
        DeiTImageProcessor(size=SIZE, do_center_crop=False),
    ),
    "bit": (BitForImageClassification, BitConfig, BIT, BitImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIZE)),
}
NAMES = ["cat", "dog", "bird", "fish", "ant, emmet", "cat"]
PROBLEMS: dict[str, dict[str, Any]] = {
    "unsaid": {"id2label": dict(enumerate(NAMES))},
    "unnamed": {"num_labels": 3},
    "single": {"id2label": dict(enumerate(NAMES)), "problem_type": "single_label_classification"},
    "multi": {"id2label": dict(enumerate(NAMES)), "problem_type": "multi_label_classification"},
    "one": {"id2label": {0: "smile"}},
    "one-of-one": {"id2label": {0: "smile"}, "problem_type": "single_label_classification"},
    "regression": {"id2label": {0: "age", 1: "height", 2: "tilt"}, "problem_type": "regression"},
    "one-value": {"id2label": {0: "age"}, "problem_type": "regression"},
}
FUNCTIONS = {"auto": None, "softmax": "softmax", "sigmoid": "sigmoid", "none": "none"}


def main(folder: Path, picture: str) -> None:
    for family, (network_class, config_class, sizes, processor) in FAMILIES.items():
        for problem, fields in PROBLEMS.items():
            place = folder / f"{family}-{problem}"
            network = network_class(config_class(**sizes, **fields)).eval()
            network.load_state_dict(random_tensors(network, seed=len(place.name)))
            network.save_pretrained(place)
            processor.save_pretrained(place)
            classify = pipeline("image-classification", model=str(place), device="cpu", use_fast=False)
            found = {name: classify(picture, function_to_apply=function) for name, function in FUNCTIONS.items()}
            (place / "scores.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
