"""What transformers' image processors make of pictures: processors.py FOLDER PICTURES_JSON OUT_SAFETENSORS.

Each folder in FOLDER has a ``preprocessor_config.json``, and a ``config.json`` with the ``model_type`` where the former
names no processor. OUT holds float32 [3, H, W] as ``folder/index of the picture``, and nothing of a folder whose
options transformers refuses. Runs in the peers' environment.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from transformers import AutoImageProcessor


def main(folder: Path, pictures: Path, out: Path) -> None:
    images = [Image.open(path).convert("RGB") for path in json.loads(pictures.read_text(encoding="utf-8"))]
    made = {}
    for file in sorted(folder.glob("*/preprocessor_config.json")):
        with suppress(KeyError, OSError, TypeError, ValueError):  # what transformers refuses
            made |= pixels(file.parent, images)
    save_file(made, out)


def pixels(folder: Path, images: list[Image.Image]) -> dict[str, np.ndarray]:
    processor = AutoImageProcessor.from_pretrained(str(folder), use_fast=False)
    made = [processor(images=image, return_tensors="np")["pixel_values"][0] for image in images]
    return {f"{folder.name}/{index}": np.ascontiguousarray(values) for index, values in enumerate(made)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
