"""A whole process that labels pictures with transformers, batch by batch."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks.peers.networks import open_transformers
from benchmarks.serve import arguments, read_paths
from vithybrid_cli.engines.torch_devices import choose_device, require_possible, set_tf32, torch_dtype

_BATCH, _TOP_K = 8, 5


@torch.inference_mode()
def main(wanted: dict[str, Any]) -> None:
    """Write a line of JSON with five labels for each picture of the list ``pictures`` to stdout."""
    model, dtype = Path(wanted["model"]), torch_dtype(wanted["dtype"])
    device = choose_device(wanted["device"])
    require_possible(wanted["dtype"], device)
    if device.type == "cuda":  # by default torch uses TF32 in convolutions, which is not what our float32 is
        set_tf32(wanted["dtype"] == "tf32")
    load_image = import_module("transformers.image_utils").load_image
    vit_hybrid = import_module("transformers.models.deprecated.vit_hybrid")
    processor = vit_hybrid.ViTHybridImageProcessor.from_pretrained(str(model))
    network: Any = open_transformers(model).eval().to(device, dtype)
    paths = read_paths(wanted["pictures"])
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        inputs = processor(images=[load_image(path) for path in batch], return_tensors="pt")
        logits = network(inputs["pixel_values"].to(device, dtype)).logits
        best = logits.float().softmax(-1).topk(min(_TOP_K, logits.shape[-1]))
        for path, scores, indices in zip(batch, best.values.tolist(), best.indices.tolist(), strict=True):
            labels = [network.config.id2label[index] for index in indices]
            sys.stdout.write(json.dumps({"path": path, "labels": labels, "scores": scores}) + "\n")


if __name__ == "__main__":
    main(arguments())
