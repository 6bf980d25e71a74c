"""Which files make up a checkpoint: their names, and what the JSON ones among them say. Imports nothing heavy."""

import json
from pathlib import Path
from typing import Any

from vithybrid_cli.errors import ModelError

CONFIG = "config.json"
PREPROCESSOR_CONFIG = "preprocessor_config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
WEIGHTS_SUFFIXES = (".safetensors", ".npz")  # of single files that are read
# Endings that frameworks give to pickles: torch (bin, pt, pth, ckpt), plain Python (pkl) and joblib.
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".joblib")


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in ``file``. Raises ModelError when it is missing or broken."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{file.parent} holds no {file.name}, so it is no checkpoint folder.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} holds no JSON object.")
    return content


def shards(index: Path) -> list[str]:
    """The names of the files in the weight map of a sharded checkpoint, sorted.

    Raises ModelError when the index cannot be read, or names what can be no file of its folder.
    """
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} is no index of a sharded checkpoint: it has no readable weight_map.")
    names = weight_map.values()
    if not all(isinstance(name, str) and name.isprintable() and Path(name).name == name for name in names):
        raise ModelError(f"{index} names files outside of its own folder, or with names that no file can have.")
    return sorted(set(names))
