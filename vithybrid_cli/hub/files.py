"""Which files make up a checkpoint: their names, and what the JSON ones among them say. Imports nothing heavy."""

import json
import re
from pathlib import Path
from typing import Any

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.foreign import foreign

CONFIG = "config.json"
PREPROCESSOR_CONFIG = "preprocessor_config.json"
WEIGHTS = "model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"  # of peft
WEIGHTS_INDEX = "model.safetensors.index.json"
INDEX_SUFFIX = ".index.json"  # of the file that names the shards of weights
WEIGHTS_SUFFIXES = (".safetensors", ".npz")  # of single files that are read
# Endings that frameworks give to pickles: torch (bin, pt, pth, ckpt), plain Python (pkl) and joblib.
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".joblib")

# What training writes beside the weights: no weights of a network. torch, transformers' Trainer, accelerate.
_TRAINING_STATE = re.compile(
    r"(?:optimizer|optim|scheduler|scaler|sampler|rng_state|random_states|training_args|trainer_state|train_state"
    r"|custom_checkpoint)[\w.-]*\.(?:pt|pth|bin|ckpt|pkl|json|safetensors)$"
)

_AGAIN = "Fetch the checkpoint again."


def is_training_state(name: str) -> bool:
    """Whether a file of this name is the state of a training run, and holds no network."""
    return _TRAINING_STATE.match(name) is not None


def read_checkpoint_json(file: Path) -> dict[str, Any]:
    """The JSON object in a ``file`` of a checkpoint. Raises ModelError when it is missing or broken."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{file.parent} holds no {file.name}, so it is no checkpoint folder.", "Name another folder."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        if told := foreign(file):
            raise told from error
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{file} cannot be read ({reason}).", _AGAIN) from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} holds no JSON object.", _AGAIN)
    return content


def shards(index: Path) -> list[str]:
    """The names of the files in the weight map of a sharded checkpoint, sorted.

    Raises ModelError when the index cannot be read, or names what can be no file of its folder.
    """
    weight_map = read_checkpoint_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} is no index of a sharded checkpoint: it has no readable weight_map.", _AGAIN)
    names = weight_map.values()
    if not all(isinstance(name, str) and name.isprintable() and Path(name).name == name for name in names):
        raise ModelError(f"{index} names files outside its own folder, or with names that no file can have.", _AGAIN)
    return sorted(set(names))
