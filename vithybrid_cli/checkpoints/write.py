"""A checkpoint folder is written, in transformers' layout: weights, preprocessing and, last, the config."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

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

    So a folder with a ``config.json`` holds a whole checkpoint. ``weights`` are under our names and not folded; without
    a ``dtype`` each keeps its own; ``problem_type`` is what transformers goes by for loss and scores. Raises UsageError
    when the disk is full, ModelError where transformers has no such network.
    """
    described = write_config(config) | ({} if problem_type is None else {"problem_type": problem_type})
    published = transformers_map(config, nested=bool(config.labels)).from_ours(weights)
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in published.items()}
    widest = reduce(torch.promote_types, (tensor.dtype for tensor in tensors.values()))
    write_tensors(out / WEIGHTS, tensors, {"format": "pt"})
    _write_json(out / PREPROCESSOR_CONFIG, {**preprocessing.to_dict(), **_processor(config)})
    _write_json(out / CONFIG, {**described, "torch_dtype": str(widest).removeprefix("torch.")})


def write_tensors(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, which takes the place of an older one when it is whole. Raises UsageError."""
    with _replacing(file) as part:
        part.touch()
        mode = part.stat().st_mode
        save_file(tensors, part, metadata)
        part.chmod(mode)  # safetensors 0.8 leaves a file that its owner alone may read


def _processor(config: NetworkConfig) -> dict[str, str]:
    """The class of transformers for the preprocessing: version 5 has BiT's, which does what the hybrid's does."""
    hybrid = isinstance(config, VitConfig) and config.family == "hybrid"
    return {"image_processor_type": "ViTHybridImageProcessor" if hybrid else "BitImageProcessor"}


def _write_json(file: Path, content: dict[str, Any]) -> None:
    with _replacing(file) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of ``file`` when all went well. Raises UsageError when it did not."""
    part = file.with_name(f"{file.name}.part")
    try:
        yield part
        part.replace(file)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot write {file}: {reason}. What was there before is unharmed.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
