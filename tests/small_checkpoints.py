"""Small checkpoints with random weights, in the files of timm and of Google's JAX code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor

from vithybrid_cli.checkpoints.layouts import key_maps
from vithybrid_cli.model.build import build
from vithybrid_cli.model.config import BitConfig, EncoderConfig, NetworkConfig, VitConfig

Arrays = dict[str, npt.NDArray[Any]]

LABELS = ("tench", "crane", "crane")
ENCODER = EncoderConfig(64, 2, 1, 128, layer_norm_eps=1e-6)
PLAIN = VitConfig(ENCODER, LABELS, (32, 32), (16, 16))
HYBRID = VitConfig(
    ENCODER,
    LABELS,
    (64, 64),
    (1, 1),
    BitConfig(32, (128, 128), (1, 2), embedding_dynamic_padding=True, out_stage=2),
    family="hybrid",
)
# R-Ti/16: no stages, and patches of 8 on the feature map of the stem
STEM_ONLY = VitConfig(
    ENCODER,
    LABELS,
    (64, 64),
    (8, 8),
    BitConfig(32, (), (), embedding_dynamic_padding=True, out_stage=0),
    family="hybrid",
)


def random_weights(config: NetworkConfig, seed: int = 0) -> dict[str, Tensor]:
    """Weights under our names, all different from 0 and from each other."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        state = build(config).state_dict()
    return {name: torch.randn(tensor.shape, generator=generator) / 10 for name, tensor in state.items()}


def write_timm(folder: Path, config: NetworkConfig, architecture: str, **fields: Any) -> Path:
    """A folder as timm pushes it to the hub; ``fields`` are added to its config."""
    beit = isinstance(config, VitConfig) and config.family == "beit"
    tensors = key_maps.timm_of(config, {"blocks.0.gamma_1"} if beit else ()).from_ours(random_weights(config))
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    size = [3, *config.image_size]
    described = {
        "architecture": architecture,
        "num_classes": len(config.labels),
        "label_names": list(config.labels),
        "pretrained_cfg": {"input_size": size, "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 0.9},
    }
    (folder / "config.json").write_text(json.dumps({**described, **fields}), encoding="utf-8")
    return folder


def jax_arrays(config: VitConfig, prefix: str = "") -> Arrays:
    """The arrays of a file of Google's, with the axes as JAX has them."""
    tensors = key_maps.JAX.from_ours(random_weights(config))
    heads = config.encoder.num_attention_heads
    return {prefix + name: _in_jax_order(name, tensor.numpy(), heads) for name, tensor in tensors.items()}


def write_npz(file: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> Path:
    """A file of these arrays, not compressed."""
    np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's types take the names for its own arguments
    return file


def _in_jax_order(name: str, array: npt.NDArray[Any], heads: int) -> npt.NDArray[Any]:
    """The inverse of `vithybrid_cli.checkpoints.layouts.jax.in_torch_order`."""
    module, _, kind = name.rpartition("/")
    projects = module.endswith(("/query", "/key", "/value"))
    if kind == "kernel" and array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    elif kind == "kernel":
        array = array.T
        if projects:
            array = array.reshape(array.shape[0], heads, -1)
        elif module.endswith("/out"):
            array = array.reshape(heads, -1, array.shape[-1])
    elif projects:
        array = array.reshape(heads, -1)
    elif "gn" in module.rpartition("/")[2]:
        array = array.reshape(1, 1, 1, -1)
    return np.ascontiguousarray(array)
