"""A training run on disk: the checkpoint in the published layout, and beside it what a resumed run needs."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vithybrid_cli.checkpoints.folder import CONFIG, PREPROCESSOR_CONFIG, WEIGHTS
from vithybrid_cli.checkpoints.key_maps import TRANSFORMERS_HYBRID
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import HybridConfig
from vithybrid_cli.training.network import raw_name, raw_weights
from vithybrid_cli.training.trainer import Trainer

STATE = "training_state.safetensors"


def write_checkpoint(
    out: Path, config: HybridConfig, preprocessing: Preprocessing, weights: dict[str, Tensor], dtype: torch.dtype
) -> None:
    """Write ``config.json``, ``preprocessor_config.json`` and ``model.safetensors``, each atomically."""
    out.mkdir(parents=True, exist_ok=True)
    published = TRANSFORMERS_HYBRID.from_ours(weights)
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in published.items()}
    _write_tensors(out / WEIGHTS, tensors, {"format": "pt"})
    _write_json(out / CONFIG, {**config.to_dict(), "torch_dtype": str(dtype).removeprefix("torch.")})
    _write_json(out / PREPROCESSOR_CONFIG, preprocessing.to_dict())


def _write_json(file: Path, content: dict[str, Any]) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(file)


def _write_tensors(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    part = file.with_name(f"{file.name}.part")
    save_file(tensors, part, metadata)
    part.replace(file)


def write_state(out: Path, trainer: Trainer, epochs_done: int, run: str) -> None:
    """Write weights and optimiser moments in float32; ``run`` says what a resumed run must have in common with this."""
    tensors = {f"weights/{name}": weight.contiguous() for name, weight in raw_weights(trainer.network).items()}
    for name, parameter in trainer.network.named_parameters():
        for key, value in trainer.optimizer.state[parameter].items():
            tensors[f"{key}/{raw_name(name)}"] = value.contiguous()
    _write_tensors(out / STATE, tensors, {"epochs_done": str(epochs_done), "run": run})


def restore_state(out: Path, trainer: Trainer, run: str) -> int:
    """Put a written state back into ``trainer``; returns how many epochs are done.

    Raises UsageError where there is none or it belongs to another run, ModelError where it is damaged.
    """
    file = out / STATE
    if not file.is_file():
        raise UsageError(f"{out} holds no run to resume. Leave out --resume to start one.")
    try:
        with safe_open(file, framework="pt") as state:
            metadata = state.metadata()
            tensors = {name: state.get_tensor(name) for name in state.keys()}  # noqa: SIM118 (no dict)
    except SafetensorError as error:
        raise ModelError(f"{file} cannot be read: {error}. Start again without --resume.") from error
    if metadata["run"] != run:
        raise UsageError(f"{out} holds another run: {_difference(metadata['run'], run)}. Resume with the same options.")
    _put_back(trainer, tensors)
    return int(metadata["epochs_done"])


def _put_back(trainer: Trainer, tensors: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in trainer.network.named_parameters():
            parameter.copy_(tensors[f"weights/{raw_name(name)}"])
            keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}/{raw_name(name)}" in tensors]
            moments = {key: tensors[f"{key}/{raw_name(name)}"].to(parameter.device) for key in keys}
            # AdamW walks parameter and moments together: they need one memory layout
            trainer.optimizer.state[parameter] = {
                key: value if key == "step" else torch.empty_like(parameter).copy_(value)
                for key, value in moments.items()
            }


def _difference(theirs: str, ours: str) -> str:
    before, now = json.loads(theirs), json.loads(ours)
    names = [name for name in now if before.get(name) != now[name]]
    return ", ".join(f"its {name} is {before.get(name)}, not {now[name]}" for name in names)
