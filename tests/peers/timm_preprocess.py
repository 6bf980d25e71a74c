"""What timm makes of pictures, for tests/data/golden/timm-preprocess: timm_preprocess.py PICTURES OUT.

PICTURES is a folder of PNG files, OUT a folder that gets ``processors.json``, each processor as the ``pretrained_cfg``
of a timm ``config.json``, and ``expected.safetensors``: the crops of each picture, uint8 [H, W, 3], as
``picture/processor``, and what each processor makes of the 256 values of a channel, float32 [3, 256], as
``values/processor``. timm has the last word on each default, and Pillow, timm and torchvision are named in the file's
metadata.

Runs in the peers' environment, which needs torchvision for it, too.
"""

import json
import sys
from pathlib import Path

import numpy as np
import PIL
import timm
import torchvision
from PIL import Image
from safetensors.numpy import save_file
from timm.data import create_transform, resolve_data_config

HALVES = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
CLIP = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
BICUBIC = {"interpolation": "bicubic", **HALVES}
PROCESSORS = {
    "defaults": {"input_size": [3, 35, 35]},
    "center-90": {"input_size": [3, 48, 48], "crop_pct": 0.9, "crop_mode": "center", **BICUBIC},
    "center-whole": {"input_size": [3, 40, 40], "crop_pct": 1.0, "crop_mode": "center", **BICUBIC},
    "center-bilinear": {"input_size": [3, 33, 33], "crop_pct": 0.91, "interpolation": "bilinear", **CLIP},
    "center-lanczos": {"input_size": [3, 32, 32], "crop_pct": 0.95, "interpolation": "lanczos", **HALVES},
    "center-nearest": {"input_size": [3, 36, 36], "crop_pct": 0.8, "interpolation": "nearest"},
    "center-box": {"input_size": [3, 31, 31], "crop_pct": 0.96, "interpolation": "box"},
    "center-hamming": {"input_size": [3, 30, 30], "crop_pct": 0.97, "interpolation": "hamming"},
    "center-tall": {"input_size": [3, 56, 31], "crop_pct": 0.9, **BICUBIC},
    "center-wide": {"input_size": [3, 32, 57], "crop_pct": 0.95, **BICUBIC},
    "center-padded": {"input_size": [3, 45, 45], "crop_pct": 1.25, **BICUBIC},
    "squash": {"input_size": [3, 38, 38], "crop_pct": 0.9, "crop_mode": "squash", **BICUBIC},
    "squash-wide": {"input_size": [3, 33, 48], "crop_pct": 1.0, "crop_mode": "squash", **BICUBIC},
    "border": {"input_size": [3, 40, 40], "crop_pct": 0.9, "crop_mode": "border", "interpolation": "bicubic", **CLIP},
    "border-whole": {"input_size": [3, 41, 41], "crop_pct": 1.0, "crop_mode": "border"},
    "border-tall": {"input_size": [3, 50, 33], "crop_pct": 0.95, "crop_mode": "border", **BICUBIC},
    "for-tests-larger": {
        "input_size": [3, 32, 32],
        "crop_pct": 0.9,
        "test_input_size": [3, 64, 64],
        "test_crop_pct": 1,
    },
    "nulls": {"input_size": [3, 32, 32], "crop_pct": None, "crop_mode": None, "interpolation": "", "mean": None},
}


def main(pictures: Path, out: Path) -> None:
    expected = {}
    for name, config in PROCESSORS.items():
        resolved = resolve_data_config(pretrained_cfg=config)
        pixels = create_transform(**resolved, normalize=False)
        for path in sorted(pictures.glob("*.png")):
            with Image.open(path) as image:
                crop = pixels(image.convert("RGB")).numpy()  # uint8 [3, H, W]
            expected[f"{path.stem}/{name}"] = np.ascontiguousarray(crop.transpose(1, 2, 0))
        expected[f"values/{name}"] = of_each_value(create_transform(**resolved))
    out.mkdir(parents=True, exist_ok=True)
    versions = {"pillow": PIL.__version__, "timm": timm.__version__, "torchvision": torchvision.__version__}
    save_file(expected, out / "expected.safetensors", versions)
    (out / "processors.json").write_text(json.dumps(PROCESSORS, indent=2) + "\n", encoding="utf-8")


def of_each_value(transform: object) -> np.ndarray:
    """What the last two steps, the tensor and its normalisation, make of each value in each channel, [3, 256]."""
    to_tensor, normalize = transform.transforms[-2:]
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)  # [1, 256, 3]
    return normalize(to_tensor(Image.fromarray(greys))).numpy()[:, 0]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
