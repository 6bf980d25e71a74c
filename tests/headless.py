"""Makes checkpoints without a head, as transformers writes them for ``ViTModel``."""

import json
import shutil
from pathlib import Path

import torch
from places import GOLDENS
from safetensors.torch import load_file, save_file

HF_VIT = GOLDENS / "hf-vit"


def make_headless(folder: Path, *, pooler: bool = False) -> Path:
    """The network of ``hf-vit`` without its head; with random weights for a ``pooler`` if there is to be one."""
    folder.mkdir()
    shutil.copy(HF_VIT / "preprocessor_config.json", folder)
    config = json.loads((HF_VIT / "config.json").read_text(encoding="utf-8"))
    del config["id2label"]
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["ViTModel"]}), encoding="utf-8")
    tensors = {
        name.removeprefix("vit."): tensor
        for name, tensor in load_file(HF_VIT / "model.safetensors").items()
        if not name.startswith("classifier.")
    }
    if pooler:
        width, generator = config["hidden_size"], torch.Generator().manual_seed(0)
        tensors["pooler.dense.weight"] = torch.randn(width, width, generator=generator)
        tensors["pooler.dense.bias"] = torch.randn(width, generator=generator)
    save_file(tensors, folder / "model.safetensors")
    return folder
