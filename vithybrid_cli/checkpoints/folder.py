"""What a checkpoint folder says about itself, apart from its weights: architecture, labels, preprocessing. No torch."""

import math
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from vithybrid_cli.checkpoints.layout import (
    CONFIG,
    PICKLE_SUFFIXES,
    PREPROCESSOR_CONFIG,
    WEIGHTS,
    WEIGHTS_INDEX,
    read_json,
    shards,
)
from vithybrid_cli.errors import ModelError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import HybridConfig

_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """A transformers folder: where it is, and its parsed ``config.json`` and ``preprocessor_config.json``."""

    path: Path
    config: HybridConfig
    preprocessing: Preprocessing

    @classmethod
    def read(cls, path: Path) -> "CheckpointFolder":
        """Read the two JSON files of ``path``. Raises ModelError when the folder holds no readable checkpoint.

        Without ``preprocessor_config.json`` pictures are brought to the checkpoint's own image size with mean and
        standard deviation 0.5, as all published hybrids are.
        """
        if path.is_file():
            raise _single_file(path)
        config = HybridConfig.from_dict(read_json(path / CONFIG))
        file = path / PREPROCESSOR_CONFIG
        if file.is_file():
            preprocessing = Preprocessing.from_dict(read_json(file), config.image_size)
        else:
            preprocessing = Preprocessing.default(config.image_size)
        return cls(path, config, preprocessing)

    def weight_files(self) -> list[Path]:
        """The safetensors files that hold the weights. Raises ModelError when there are none, or for a bad index."""
        if (self.path / WEIGHTS).is_file():
            return [self.path / WEIGHTS]
        if (self.path / WEIGHTS_INDEX).is_file():
            return [self.path / name for name in shards(self.path / WEIGHTS_INDEX)]
        if any((self.path / name).is_file() for name in _PICKLES):
            raise _pickle(self.path)
        raise ModelError(f"{self.path} holds no {WEIGHTS}.")


def _single_file(path: Path) -> ModelError:
    if path.suffix in PICKLE_SUFFIXES:
        return _pickle(path)
    return ModelError(f"{path} is a single file. Give the folder that holds {WEIGHTS} and {CONFIG}.")


def _pickle(path: Path) -> ModelError:
    return ModelError(
        f"{path} holds its weights as a pickle, which can run any code when it is loaded and is never read. "
        f"Convert it to {WEIGHTS} where you trust it, or use a revision that has one."
    )


@dataclass(frozen=True, slots=True)
class TensorShape:
    """One tensor as the header of a safetensors file describes it."""

    name: str
    dtype: str
    elements: int


def tensor_shapes(file: Path) -> list[TensorShape]:
    """The tensors of a safetensors file, from its header alone. Raises ModelError for a damaged one."""
    try:
        with safe_open(file, framework="np") as weights:
            slices = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118 (no dict)
            return [TensorShape(name, part.get_dtype(), math.prod(part.get_shape())) for name, part in slices.items()]
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} cannot be read: {error}. Fetch the checkpoint again.") from error
