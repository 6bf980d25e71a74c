"""What transformers makes of converted folders: load_converted.py PIXELS_NPY FOLDER…; runs in the peers' environment.

Beside each folder, with the suffix .npy, go its logits; or, without a head, the features that one would read. Fails
where a tensor is missing, superfluous or misshapen.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification

POOLER = {"pooler.dense.weight", "pooler.dense.bias"}  # of a ViTModel; the networks of DINO are published without it


def main(pixels: Path, folders: list[Path]) -> None:
    values = torch.from_numpy(np.load(pixels))
    for folder in folders:
        AutoImageProcessor.from_pretrained(folder)
        with torch.inference_mode():
            np.save(folder.with_suffix(".npy"), outputs(folder, values).numpy())


def outputs(folder: Path, values: Tensor) -> Tensor:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    classifies = "ForImageClassification" in config["architectures"][0]
    auto = AutoModelForImageClassification if classifies else AutoModel
    network, loading = auto.from_pretrained(folder, output_loading_info=True)
    missing = set(loading["missing_keys"])
    wrong = [missing - (set() if classifies else POOLER), loading["unexpected_keys"], loading["mismatched_keys"]]
    if any(wrong) or type(network).__name__ != config["architectures"][0]:
        raise SystemExit(f"{folder}: {type(network).__name__}, {loading}")
    out = network.eval()(values)
    if classifies:
        return out.logits
    return out.last_hidden_state[:, 0] if missing or "pooler_output" not in out else out.pooler_output.flatten(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
