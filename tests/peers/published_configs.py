"""What transformers and timm make of published configs with random weights: published_configs.py FOLDER PICTURES_JSON.

Each folder in FOLDER has a ``config.json``, and most a ``preprocessor_config.json``. Its ``model.safetensors`` is
written, and ``expected.safetensors``: of each picture the ``pixels`` [N, 3, H, W], and

- of a classifier its ``scores`` [N, C], by the ``labels`` in the metadata as ``pipeline`` has them, or by index,
- of any other network the ``features`` [N, D] that its pooler gives; one that its file lacks is as it is made.

What timm computes is from the ``pixels.safetensors`` in its folder, for its own transforms need torchvision. Runs in
the peers' environment.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from networks import import_timm
from random_tensors import random_tensors
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoImageProcessor
from transformers.image_utils import load_image

timm = import_timm()


def main(folder: Path, pictures: list[str]) -> None:
    for seed, file in enumerate(sorted(folder.glob("*/config.json"))):
        config = json.loads(file.read_text(encoding="utf-8"))
        made = of_timm if "architecture" in config else of_transformers
        found, labels = made(file.parent, config, pictures, seed)
        tensors = {name: tensor.contiguous() for name, tensor in found.items()}
        save_file(tensors, file.parent / "expected.safetensors", {"labels": json.dumps(labels)})


@torch.inference_mode()
def of_transformers(
    folder: Path, config: dict[str, Any], pictures: list[str], seed: int
) -> tuple[dict[str, Tensor], list[str]]:
    kind = getattr(transformers, config["architectures"][0])
    network = kind(AutoConfig.from_pretrained(str(folder)))
    save_file(random_tensors(network, seed), folder / "model.safetensors", {"format": "pt"})
    if "ForImageClassification" in kind.__name__:
        return classified(folder, pictures)
    network = transformers.AutoModel.from_pretrained(str(folder)).eval()
    processor = AutoImageProcessor.from_pretrained(str(folder))
    pixels = torch.cat([processor(load_image(path), return_tensors="pt")["pixel_values"] for path in pictures])
    return {"pixels": pixels, "features": network(pixels).pooler_output}, []


def classified(folder: Path, pictures: list[str]) -> tuple[dict[str, Tensor], list[str]]:
    """By label: two classes of one name, as ImageNet has them, are added up."""
    pipeline = transformers.pipeline("image-classification", model=str(folder), device="cpu")
    pixels = torch.cat([pipeline.preprocess(path)["pixel_values"] for path in pictures])
    labels = sorted(set(pipeline.model.config.id2label.values()))
    scores = torch.zeros(len(pictures), len(labels), dtype=torch.float64)
    for row, path in zip(scores, pictures, strict=True):
        for prediction in pipeline(path, top_k=pipeline.model.config.num_labels):
            row[labels.index(prediction["label"])] += prediction["score"]
    return {"pixels": pixels, "scores": scores}, labels


@torch.inference_mode()
def of_timm(
    folder: Path, config: dict[str, Any], pictures: list[str], seed: int
) -> tuple[dict[str, Tensor], list[str]]:
    arguments = config.get("model_args") or {}
    network = timm.create_model(config["architecture"], num_classes=config["num_classes"], **arguments).eval()
    tensors = random_tensors(network, seed)
    network.load_state_dict(tensors)
    prefix = "timm_model." if config.get("model_type") == "timm_wrapper" else ""
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    pixels = load_file(folder / "pixels.safetensors")["pixels"]
    if not config["num_classes"]:
        return {"pixels": pixels, "features": network(pixels)}, []
    return {"pixels": pixels, "scores": network(pixels).softmax(-1)}, config.get("label_names", [])


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
