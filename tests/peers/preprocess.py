"""What transformers' processor makes of pictures: preprocess.py FOLDER PICTURES_JSON OUT_NPY [--load].

OUT is float32 [N, 3, H, W]. With --load files are opened by transformers' ``load_image``, which turns them as their
EXIF says; without, by Pillow alone. Runs in the peers' environment.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from transformers.image_utils import load_image
from transformers.models.deprecated.vit_hybrid import ViTHybridImageProcessor


def main(folder: Path, pictures: Path, out: Path, upright: bool) -> None:
    paths = json.loads(pictures.read_text(encoding="utf-8"))
    processor = ViTHybridImageProcessor.from_pretrained(str(folder))
    stacked = None
    for index, path in enumerate(paths):
        image = load_image(path) if upright else Image.open(path)
        values = processor(images=image, return_tensors="np")["pixel_values"]  # [1, 3, H, W]
        if stacked is None:
            stacked = np.lib.format.open_memmap(out, "w+", values.dtype, (len(paths), *values.shape[1:]))
        stacked[index] = values[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:] == ["--load"])
