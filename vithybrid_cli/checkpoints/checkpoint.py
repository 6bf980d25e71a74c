"""What a checkpoint says about itself, apart from its weights: layout, network, labels, preprocessing. No torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from vithybrid_cli.checkpoints import jax_layout, timm_layout, transformers_config
from vithybrid_cli.checkpoints.layout import (
    CONFIG,
    PICKLE_SUFFIXES,
    PREPROCESSOR_CONFIG,
    WEIGHTS,
    WEIGHTS_INDEX,
    read_json,
    shards,
)
from vithybrid_cli.checkpoints.weights import is_npz, metadata, npz_arrays, tensor_shapes
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig

_TIMM_MODEL_TYPES = (None, "timm_wrapper")  # of timm itself, and of transformers around it
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


class Layout(StrEnum):
    """Whose names and files a checkpoint has."""

    TRANSFORMERS = "transformers"
    TIMM = "timm"
    JAX = "jax"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder or a single file: where it is, whose layout it has, and what its files say.

    ``config`` is the network that is to be run; ``stored_size`` is the image size (height, width) for which its weights
    are, where that is another one.
    """

    path: Path
    config: NetworkConfig
    preprocessing: Preprocessing
    layout: Layout = Layout.TRANSFORMERS
    stored_size: tuple[int, int] | None = None

    @classmethod
    def read(cls, path: Path, image_size: int | None = None) -> "Checkpoint":
        """Read what ``path``, a folder or a weights file, says of its network.

        ``image_size`` has it take pictures of another size than the one it is for. Raises ModelError when there is no
        readable checkpoint, UsageError when the network cannot take pictures of that size.
        """
        checkpoint = _read_npz(path) if is_npz(path) else _read_described(path)
        return checkpoint if image_size is None else checkpoint.at(image_size)

    def at(self, image_size: int) -> "Checkpoint":
        """The same for pictures of another size, in pixels. Raises UsageError when it is too small for the network."""
        size = (image_size, image_size)
        config = replace(self.config, image_size=size)
        least = 1 if isinstance(config, BitClassifierConfig) else min(config.grid_size)
        if least < 1:
            raise UsageError(f"--image-size {image_size} is less than one patch of {self.path}. Give a larger one.")
        stored = self.stored_size or self.config.image_size
        return replace(self, config=config, preprocessing=self.preprocessing.at(size), stored_size=stored)

    @property
    def stored_config(self) -> NetworkConfig:
        """The network that the weights are for."""
        return self.config if self.stored_size is None else replace(self.config, image_size=self.stored_size)

    def weight_files(self) -> list[Path]:
        """The files that hold the weights. Raises ModelError when there are none, or for a bad index."""
        return weight_files(self.path)

    def files(self) -> list[Path]:
        """All files that decide what the network computes."""
        folder = self.path if self.path.is_dir() else self.path.parent
        described = [] if is_npz(self.path) else [folder / CONFIG, folder / PREPROCESSOR_CONFIG]
        return [*(file for file in described if file.exists()), *self.weight_files()]


def weight_files(path: Path) -> list[Path]:
    """The weights files of a folder, or the file itself. Raises ModelError when there are none, or for a bad index."""
    if path.is_file():
        return [path]
    if (path / WEIGHTS).is_file():
        return [path / WEIGHTS]
    if (path / WEIGHTS_INDEX).is_file():
        return [path / name for name in shards(path / WEIGHTS_INDEX)]
    if any((path / name).is_file() for name in _PICKLES):
        raise _pickle(path)
    raise ModelError(f"{path} holds no {WEIGHTS}.")


def _read_npz(path: Path) -> Checkpoint:
    config = jax_layout.read_config(jax_layout.without_prefix(npz_arrays(path)))
    return Checkpoint(path, config, jax_layout.default_preprocessing(config.image_size), Layout.JAX)


def _read_described(path: Path) -> Checkpoint:
    """A checkpoint with a ``config.json``."""
    config, preprocessor = _descriptions(path)
    if "architecture" in config and config.get("model_type") in _TIMM_MODEL_TYPES:
        shapes = {tensor.name: tensor.shape for file in weight_files(path) for tensor in tensor_shapes(file)}
        network = timm_layout.read_config(config, shapes)
        return Checkpoint(path, network, timm_layout.read_preprocessing(config, network.image_size), Layout.TIMM)
    return _read_transformers(path, config, preprocessor)


def _read_transformers(path: Path, config: Mapping[str, Any], preprocessor: Mapping[str, Any] | None) -> Checkpoint:
    """Without a preprocessor config pictures are brought to the network's own image size with mean and standard
    deviation 0.5, as those of all published hybrids are.
    """
    network = transformers_config.read_config(config, (lambda: _names(path)) if _has_weights(path) else None)
    if preprocessor is None:
        preprocessing = Preprocessing.default(network.image_size)
    else:
        preprocessing = Preprocessing.from_dict(preprocessor, network.image_size)
    if isinstance(network, BitClassifierConfig) and preprocessing.output_size is not None:
        network = replace(network, image_size=preprocessing.output_size)  # a BiT takes pictures of any size
    return Checkpoint(path, network, preprocessing)


def _has_weights(path: Path) -> bool:
    return path.is_file() or (path / WEIGHTS).is_file() or (path / WEIGHTS_INDEX).is_file()


def _names(path: Path) -> set[str]:
    return {tensor.name for file in weight_files(path) for tensor in tensor_shapes(file)}


def _descriptions(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """The config and the preprocessor config: files of the folder, or text in the header of a single file."""
    if not path.is_file():
        preprocessor = path / PREPROCESSOR_CONFIG
        return read_json(path / CONFIG), read_json(preprocessor) if preprocessor.is_file() else None
    if path.suffix in PICKLE_SUFFIXES:
        raise _pickle(path)
    if path.suffix != ".safetensors":
        raise ModelError(f"{path} is no weights file. Give a .safetensors or .npz file, or a folder with {CONFIG}.")
    inside = metadata(path)
    if CONFIG in inside or "config" in inside:
        texts = inside.get(CONFIG, inside.get("config")), inside.get(PREPROCESSOR_CONFIG)
        config, preprocessing = (None if text is None else _parsed(text, path) for text in texts)
        return config or {}, preprocessing
    if (path.parent / CONFIG).is_file():
        return _descriptions(path.parent)
    raise ModelError(f"{path} does not say what network it is for. Put its {CONFIG} beside it.")


def _parsed(text: str, path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the config in the header of {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"the config in the header of {path} is no JSON object.")
    return content


def _pickle(path: Path) -> ModelError:
    return ModelError(
        f"{path} holds its weights as a pickle, which can run any code when it is loaded and is never read. "
        f"Convert it to {WEIGHTS} where you trust it, or use a revision that has one."
    )
