"""Writes a checkpoint folder in transformers' layout: weights, preprocessing and, last, the config."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from vithybrid_cli.atomic import replacing, write_text
from vithybrid_cli.checkpoints.layouts.transformers import write_config
from vithybrid_cli.checkpoints.load import transformers_map
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub.files import CONFIG, PREPROCESSOR_CONFIG, WEIGHTS
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import NetworkConfig, VitConfig


def write_checkpoint(
    out: Path,
    config: NetworkConfig,
    preprocessing: Preprocessing,
    weights: Mapping[str, Tensor],
    dtype: torch.dtype | None = None,
    problem_type: str | None = None,
) -> None:
    """Write ``model.safetensors``, ``preprocessor_config.json`` and, last, ``config.json``, each atomically.

    So a folder with a ``config.json`` holds a whole checkpoint. ``weights`` are under our names and not folded; each
    keeps its type unless a ``dtype`` is given. ``problem_type`` is transformers' field, which decides loss and scores.
    Raises UsageError when the disk refuses, ModelError where transformers has no such network.
    """
    described = write_config(config) | ({} if problem_type is None else {"problem_type": problem_type})
    published = transformers_map(config, nested=bool(config.labels)).from_ours(weights)
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in published.items()}
    widest = reduce(torch.promote_types, (tensor.dtype for tensor in tensors.values()))
    write_tensors(out / WEIGHTS, tensors, {"format": "pt"})
    _write_json(out / PREPROCESSOR_CONFIG, _processor(config, preprocessing))
    _write_json(out / CONFIG, {**described, "torch_dtype": str(widest).removeprefix("torch.")})


def write_tensors(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, which takes the place of an older one once it is whole. Raises UsageError."""
    with _refusals(file), replacing(file) as part:
        save_file(tensors, part, metadata)


def _processor(config: NetworkConfig, preprocessing: Preprocessing) -> dict[str, object]:
    """The options of the preprocessing; those of a hybrid under its own class, which does as BiT's.

    Version 5 of transformers has neither the hybrid nor its class.
    """
    options = preprocessing.to_dict()
    hybrid = isinstance(config, VitConfig) and config.family == "hybrid"
    if hybrid and options["image_processor_type"] == "BitImageProcessor":
        options["image_processor_type"] = "ViTHybridImageProcessor"
    return options


def _write_json(file: Path, content: Mapping[str, object]) -> None:
    with _refusals(file):
        write_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _refusals(file: Path) -> Iterator[None]:
    """Turn what the system refuses while ``file`` is written into a UsageError."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{file} cannot be written ({reason}).", "Make room, or name another folder; what was there is unharmed."
        ) from error
