"""What a checkpoint says about itself: layout, network, labels, preprocessing; no weights. No torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from vithybrid_cli.checkpoints.files import foreign_file, is_pickle, pickle_error
from vithybrid_cli.checkpoints.folders import no_checkpoint
from vithybrid_cli.checkpoints.layouts import jax as jax_layout
from vithybrid_cli.checkpoints.layouts import timm as timm_layout
from vithybrid_cli.checkpoints.layouts import transformers as transformers_config
from vithybrid_cli.checkpoints.layouts.inferred import NotThisLayout
from vithybrid_cli.checkpoints.layouts.labels import fitted_labels, head_classes, read_problem_type
from vithybrid_cli.checkpoints.names import TIMM, Anchors, transformers_anchors
from vithybrid_cli.checkpoints.preprocessing import fitted, read_preprocessing, require_fit
from vithybrid_cli.checkpoints.stored import (
    StoredTensor,
    has_weights,
    named,
    published_tensors,
    require_floats,
    split_unused,
    stored_tensors,
    tell_unused,
    weight_files,
)
from vithybrid_cli.checkpoints.unused import never_used
from vithybrid_cli.checkpoints.weights import is_npz, metadata, npz_outlines
from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.hub.files import CONFIG, PREPROCESSOR_CONFIG, read_checkpoint_json
from vithybrid_cli.hub.foreign import foreign, placeholder
from vithybrid_cli.images.limits import MAX_RESIZED_PIXELS
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import NetworkConfig

_TIMM_MODEL_TYPES = (None, "timm_wrapper")  # of timm itself, and of transformers around it
_PROCESSOR_CONFIG = "processor_config.json"
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
    transformers' field of that name. Pickles are read only with ``trust_pickle``, by torch's restricted reader.
    """

    path: Path
    config: NetworkConfig
    preprocessing: Preprocessing
    layout: Layout = Layout.TRANSFORMERS
    stored_size: tuple[int, int] | None = None
    descriptions: tuple[Path, ...] = ()
    problem_type: str | None = None
    trust_pickle: bool = False

    @classmethod
    def read(cls, path: Path, image_size: int | None = None, *, trust_pickle: bool = False) -> "Checkpoint":
        """Read what ``path``, a folder or a weights file, says of its network; tensors left out are logged.

        With an ``image_size`` the network takes pictures of that size. ``trust_pickle`` also reads weights that only a
        pickle holds. Raises ModelError when there is no readable checkpoint, or its preprocessing does not fit its
        network; UsageError when the network cannot take pictures of that size.
        """
        checkpoint = _read_npz(path) if is_npz(path) else _read_described(path, trust_pickle)
        checkpoint = checkpoint if image_size is None else checkpoint.at(image_size)
        require_fit(path, checkpoint.config.image_size, checkpoint.preprocessing)
        return checkpoint

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

        One label is a question of yes or no. The values of a regression are what they are; the pipeline makes
        probabilities of them, with sigmoid of one and with softmax of several.
        """
        if self.problem_type == "regression":
            return Activation.NONE
        if self.problem_type == "multi_label_classification" or len(self.config.labels) == 1:
            return Activation.SIGMOID
        return Activation.SOFTMAX

    def weight_files(self) -> list[Path]:
        """The files that hold the weights. Raises ModelError when there are none, or for a bad index."""
        return weight_files(self.path, trust_pickle=self.trust_pickle)

    def files(self) -> list[Path]:
        """All files that decide what the network computes. Raises ModelError as `weight_files` does."""
        return [*self.descriptions, *self.weight_files()]

    def tensors(self) -> list[StoredTensor]:
        """The network's tensors under their published names, from the headers of the weights alone.

        Raises ModelError when they are missing or damaged, are those of several networks, or have types of no weights.
        """
        found = stored_tensors(self.weight_files(), trust_pickle=self.trust_pickle)
        if self.layout is Layout.JAX:
            ours = jax_layout.prefix_of(tensor.name for tensor in found)
            return [tensor for tensor in found if tensor.name.startswith(ours)]
        anchors = TIMM if self.layout is Layout.TIMM else _anchors(transformers_config.family_name(self.config))
        used, _ = split_unused(named(found, anchors, self.path)[0], self.config, anchors)
        require_floats(used, self.path)
        return used


def _read_npz(path: Path) -> Checkpoint:
    try:
        config = jax_layout.read_config(jax_layout.without_prefix(npz_outlines(path)))
    except NotThisLayout as error:
        raise ModelError(f"{path} cannot be used: {error.cause}", "Use a ViT or hybrid of Google's.") from error
    return Checkpoint(path, config, jax_layout.default_preprocessing(config.image_size), Layout.JAX)


def _read_described(path: Path, trust_pickle: bool) -> Checkpoint:
    """A checkpoint with a ``config.json``."""
    described = _Described.by(path, trust_pickle)
    _require_unquantized(described.config, path)
    if "architecture" in described.config and described.config.get("model_type") in _TIMM_MODEL_TYPES:
        return _read_timm(path, described, trust_pickle)
    return _read_transformers(path, described, trust_pickle)


def _require_unquantized(config: Mapping[str, Any], path: Path) -> None:
    quantization = config.get("quantization_config")
    if not quantization:
        return
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    by = f" ({method})" if isinstance(method, str) else ""
    raise ModelError(
        f"The weights in {path} are quantised{by}, as its {CONFIG} says (quantization_config).",
        "Use the checkpoint that it was made from, in float32, float16 or bfloat16.",
    )


@dataclass(frozen=True, slots=True)
class _Described:
    """A config, a preprocessor config if there is one, and the files that they are from."""

    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any] | None
    files: tuple[Path, ...] = ()

    @classmethod
    def by(cls, path: Path, trust_pickle: bool) -> "_Described":
        """From a folder's files; for a single file from its header, or else from the files beside it."""
        if not path.is_file():
            return cls._in_folder(path, trust_pickle)
        if other := foreign_file(path):
            raise other
        if is_pickle(path):
            return cls._of_pickle(path, trust_pickle)
        if path.suffix != ".safetensors":
            raise foreign(path) or ModelError(
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
    def _of_pickle(cls, path: Path, trust_pickle: bool) -> "_Described":
        """From the files beside it; else from what timm's training script writes into it."""
        if not trust_pickle:
            raise placeholder(path) or pickle_error(path)
        if (path.parent / CONFIG).is_file():
            return cls._in_folder(path.parent)
        from vithybrid_cli.checkpoints.pickles import timm_config  # imports torch

        if config := timm_config(path):
            return cls(config, None)
        raise ModelError(
            f"{path} does not say what network it is for.",
            f"Put a {CONFIG} beside it: that of transformers, with a model_type, or of timm, with an architecture.",
        )

    @classmethod
    def _in_folder(cls, folder: Path, trust_pickle: bool = False) -> "_Described":
        config, preprocessor = folder / CONFIG, folder / PREPROCESSOR_CONFIG
        if not config.is_file():
            raise no_checkpoint(folder, CONFIG, trust_pickle=trust_pickle)
        if not preprocessor.is_file():
            return cls._with_processor(folder)
        return cls(read_checkpoint_json(config), read_checkpoint_json(preprocessor), (config, preprocessor))

    @classmethod
    def _with_processor(cls, folder: Path) -> "_Described":
        """Where transformers looks next: an image processor among those of a multimodal one."""
        config, processor = folder / CONFIG, folder / _PROCESSOR_CONFIG
        inner = read_checkpoint_json(processor).get("image_processor") if processor.is_file() else None
        if not isinstance(inner, dict):
            return cls(read_checkpoint_json(config), None, (config,))
        return cls(read_checkpoint_json(config), inner, (config, processor))


def _read_timm(path: Path, described: _Described, trust_pickle: bool) -> Checkpoint:
    tensors = published_tensors(path, TIMM, trust_pickle=trust_pickle)
    try:
        shapes = {tensor.name: tensor.shape for tensor in tensors if not never_used(tensor.name)}
        network = timm_layout.read_config(described.config, shapes)
    except NotThisLayout as error:
        raise ModelError(f"{path} cannot be used: {error.cause}", _AGAIN) from error
    tell_unused(path, tensors, network, TIMM)
    preprocessing = timm_layout.read_preprocessing(described.config, network.image_size)
    return Checkpoint(
        path,
        network,
        preprocessing,
        Layout.TIMM,
        descriptions=described.files[:1],
        problem_type=read_problem_type(described.config),  # which transformers' wrapper keeps
        trust_pickle=trust_pickle,
    )


def _read_transformers(path: Path, described: _Described, trust_pickle: bool) -> Checkpoint:
    found = has_weights(path, trust_pickle=trust_pickle)
    anchors = _anchors(transformers_config.family_of(described.config))
    published = cache(lambda: published_tensors(path, anchors, trust_pickle=trust_pickle))
    names = (lambda: {tensor.name for tensor in published()}) if found else None
    network = transformers_config.read_config(described.config, names)
    if found:
        classes = head_classes({tensor.name: tensor.shape for tensor in published()})
        network = replace(network, labels=fitted_labels(described.config, network.labels, classes))
        tell_unused(path, published(), network, anchors)
    preprocessing = read_preprocessing(path, described.config, described.preprocessor, network, trained=found)
    network, stored_size = fitted(path, network, preprocessing)
    problem_type = read_problem_type(described.config)
    return Checkpoint(
        path,
        network,
        preprocessing,
        stored_size=stored_size,
        descriptions=described.files,
        problem_type=problem_type,
        trust_pickle=trust_pickle,
    )


def _anchors(family: str) -> Anchors:
    return transformers_anchors(transformers_config.FAMILIES[family].base)


def _parsed(text: str, path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"The config in the header of {path} cannot be read ({error}).", _AGAIN) from error
    if not isinstance(content, dict):
        raise ModelError(f"The config in the header of {path} is no JSON object.", _AGAIN)
    return content
