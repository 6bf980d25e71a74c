"""What a checkpoint says about itself: layout, network, labels, preprocessing; no weights. No torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from vithybrid_cli.checkpoints.layouts import jax as jax_layout
from vithybrid_cli.checkpoints.layouts import timm as timm_layout
from vithybrid_cli.checkpoints.layouts import transformers as transformers_config
from vithybrid_cli.checkpoints.layouts.inferred import NotThisLayout
from vithybrid_cli.checkpoints.weights import TensorShape, is_npz, metadata, npz_outlines, tensor_shapes
from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.hub.files import (
    CONFIG,
    PICKLE_SUFFIXES,
    PREPROCESSOR_CONFIG,
    WEIGHTS,
    WEIGHTS_INDEX,
    read_checkpoint_json,
    shards,
)
from vithybrid_cli.images.limits import MAX_RESIZED_PIXELS
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig

_TIMM_MODEL_TYPES = (None, "timm_wrapper")  # of timm itself, and of transformers around it
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
INERT = "relative_position_index"  # ends the names of buffers in older files of BEiT, which are no weights
_AGAIN = "Fetch the checkpoint again."


class Layout(StrEnum):
    """Which library's names and files a checkpoint has."""

    TRANSFORMERS = "transformers"
    TIMM = "timm"
    JAX = "Google JAX"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder or a single file: where it is, its layout, and what its files say.

    ``config`` is the network to run; ``stored_size`` is the image size (height, width) of its weights where that is
    another one. ``descriptions`` are the files beside the weights that it was read from. ``problem_type`` is
    transformers' field of that name.
    """

    path: Path
    config: NetworkConfig
    preprocessing: Preprocessing
    layout: Layout = Layout.TRANSFORMERS
    stored_size: tuple[int, int] | None = None
    descriptions: tuple[Path, ...] = ()
    problem_type: str | None = None

    @classmethod
    def read(cls, path: Path, image_size: int | None = None) -> "Checkpoint":
        """Read what ``path``, a folder or a weights file, says of its network.

        With an ``image_size`` the network takes pictures of that size. Raises ModelError when there is no readable
        checkpoint, UsageError when the network cannot take pictures of that size.
        """
        checkpoint = _read_npz(path) if is_npz(path) else _read_described(path)
        return checkpoint if image_size is None else checkpoint.at(image_size)

    def at(self, image_size: int) -> "Checkpoint":
        """The same for pictures of another size, in pixels. Raises UsageError for one that is too small or large."""
        if image_size < (least := self.config.least_size):
            raise UsageError(f"{self.path} needs pictures of {least} pixels, not {image_size}.", "Raise {image_size}.")
        size = (image_size, image_size)
        preprocessing = self.preprocessing.at(size) if image_size**2 <= MAX_RESIZED_PIXELS else None
        if preprocessing is None or preprocessing.resized_pixels > MAX_RESIZED_PIXELS:
            raise UsageError(f"Pictures of {image_size}² pixels are too large.", "Lower {image_size}.")
        config, stored = replace(self.config, image_size=size), self.stored_size or self.config.image_size
        return replace(self, config=config, preprocessing=preprocessing, stored_size=stored)

    @property
    def stored_config(self) -> NetworkConfig:
        """The network that the weights are for."""
        return self.config if self.stored_size is None else replace(self.config, image_size=self.stored_size)

    @property
    def activation(self) -> Activation:
        """What makes scores of its outputs, as in transformers' image classification pipeline, but for regression.

        One label is a question of yes or no. The values of a regression are what they are.
        """
        if self.problem_type == "regression":
            return Activation.NONE
        if self.problem_type == "multi_label_classification" or len(self.config.labels) == 1:
            return Activation.SIGMOID
        return Activation.SOFTMAX

    def weight_files(self) -> list[Path]:
        """The files that hold the weights. Raises ModelError when there are none, or for a bad index."""
        return weight_files(self.path)

    def files(self) -> list[Path]:
        """All files that decide what the network computes. Raises ModelError as `weight_files` does."""
        return [*self.descriptions, *self.weight_files()]

    def tensors(self) -> list[TensorShape]:
        """The network's tensors under their published names, from the headers of the weights alone.

        Raises ModelError when they are missing or damaged.
        """
        found = [tensor for file in self.weight_files() for tensor in tensor_shapes(file)]
        if self.layout is Layout.JAX:
            ours = jax_layout.prefix_of(tensor.name for tensor in found)
            return [tensor for tensor in found if tensor.name.startswith(ours)]
        return [tensor for tensor in found if not tensor.name.endswith(INERT)]


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
    raise _absent(path, WEIGHTS)


def _absent(folder: Path, name: str) -> ModelError:
    """The error for a folder without its config or weights; some single files of weights need neither."""
    others = sorted(file.name for file in folder.glob("*") if file.suffix in (".npz", ".safetensors"))
    if others and (name == WEIGHTS or is_npz(folder / others[0])):
        return ModelError(f"{folder} holds no {name}, but {others[0]}.", "Name that file instead of its folder.")
    return ModelError(
        f"{folder} holds no {name}, so it is no checkpoint folder.", "Name another folder, or a file of weights."
    )


def _read_npz(path: Path) -> Checkpoint:
    try:
        config = jax_layout.read_config(jax_layout.without_prefix(npz_outlines(path)))
    except NotThisLayout as error:
        raise ModelError(f"{path} cannot be used: {error.cause}", "Use a ViT or hybrid of Google's.") from error
    return Checkpoint(path, config, jax_layout.default_preprocessing(config.image_size), Layout.JAX)


def _read_described(path: Path) -> Checkpoint:
    """A checkpoint with a ``config.json``."""
    described = _Described.by(path)
    if "architecture" in described.config and described.config.get("model_type") in _TIMM_MODEL_TYPES:
        return _read_timm(path, described)
    return _read_transformers(path, described)


@dataclass(frozen=True, slots=True)
class _Described:
    """A config, a preprocessor config if there is one, and the files that they are from."""

    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any] | None
    files: tuple[Path, ...] = ()

    @classmethod
    def by(cls, path: Path) -> "_Described":
        """From a folder's files; for a single file from its header, or else from the files beside it."""
        if not path.is_file():
            return cls._in_folder(path)
        if path.suffix in PICKLE_SUFFIXES:
            raise _pickle(path)
        if path.suffix != ".safetensors":
            raise ModelError(
                f"{path} is no weights file.", f"Name a .safetensors or .npz file, or a folder with {CONFIG}."
            )
        inside = metadata(path)
        texts = {name: inside[name] for name in (CONFIG, "config", PREPROCESSOR_CONFIG) if name in inside}
        parsed = {name: _parsed(text, path) for name, text in texts.items()}
        config = parsed.get(CONFIG, parsed.get("config"))
        if config is not None:
            return cls(config, parsed.get(PREPROCESSOR_CONFIG))
        if (path.parent / CONFIG).is_file():
            return cls._in_folder(path.parent)
        raise ModelError(f"{path} does not say what network it is for.", f"Put its {CONFIG} beside it.")

    @classmethod
    def _in_folder(cls, folder: Path) -> "_Described":
        config, preprocessor = folder / CONFIG, folder / PREPROCESSOR_CONFIG
        if not config.is_file():
            raise _absent(folder, CONFIG)
        if not preprocessor.is_file():
            return cls(read_checkpoint_json(config), None, (config,))
        return cls(read_checkpoint_json(config), read_checkpoint_json(preprocessor), (config, preprocessor))


def _read_timm(path: Path, described: _Described) -> Checkpoint:
    shapes = {tensor.name: tensor.shape for file in weight_files(path) for tensor in tensor_shapes(file)}
    try:
        network = timm_layout.read_config(described.config, shapes)
    except NotThisLayout as error:
        raise ModelError(f"{path} cannot be used: {error.cause}", _AGAIN) from error
    preprocessing = timm_layout.read_preprocessing(described.config, network.image_size)
    return Checkpoint(path, network, preprocessing, Layout.TIMM, descriptions=described.files[:1])


def _read_transformers(path: Path, described: _Described) -> Checkpoint:
    """Without a preprocessor config pictures are resized to the network's image size, with mean and standard deviation
    0.5, as for all published hybrids.
    """
    network = transformers_config.read_config(described.config, (lambda: _names(path)) if _has_weights(path) else None)
    if described.preprocessor is None:
        preprocessing = Preprocessing.default(network.image_size)
    else:
        processor = transformers_config.processor_of(described.config)
        preprocessing = Preprocessing.from_dict(described.preprocessor, network.image_size, processor)
    if isinstance(network, BitClassifierConfig) and preprocessing.output_size is not None:
        network = replace(network, image_size=preprocessing.output_size)  # a BiT takes pictures of any size
    problem_type = transformers_config.read_problem_type(described.config)
    return Checkpoint(path, network, preprocessing, descriptions=described.files, problem_type=problem_type)


def _has_weights(path: Path) -> bool:
    return path.is_file() or (path / WEIGHTS).is_file() or (path / WEIGHTS_INDEX).is_file()


def _names(path: Path) -> set[str]:
    return {tensor.name for file in weight_files(path) for tensor in tensor_shapes(file)}


def _parsed(text: str, path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"The config in the header of {path} cannot be read ({error}).", _AGAIN) from error
    if not isinstance(content, dict):
        raise ModelError(f"The config in the header of {path} is no JSON object.", _AGAIN)
    return content


def _pickle(path: Path) -> ModelError:
    return ModelError(
        f"{path} holds its weights as a pickle, which can run any code when it is loaded and is never read.",
        f"Convert it to {WEIGHTS} where you trust it, or use a revision that has one.",
    )
