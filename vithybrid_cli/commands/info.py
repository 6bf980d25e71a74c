"""``vithybrid info``: describes a checkpoint by its files, without loading it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vithybrid_cli.choices import Activation
from vithybrid_cli.commands import options
from vithybrid_cli.commands.facts import FactsFormat, write_facts
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.runs.model import read_checkpoint
from vithybrid_cli.settings import Running

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.model.config import BitConfig, NetworkConfig, VitConfig


def info(
    model: Annotated[
        str, typer.Argument(help="An alias of `vithybrid models`, a hub id, or a checkpoint's folder or file.")
    ] = DEFAULT_MODEL,
    output_format: Annotated[
        FactsFormat | None,
        typer.Option(
            "--format",
            "-f",
            case_sensitive=False,
            show_default="text on a terminal, else json",
            help="How it is written.",
        ),
    ] = None,
    labels: Annotated[bool, typer.Option("--labels", help="List every label with its index.")] = False,
    revision: options.Revision = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Show a checkpoint: where it lies, its layout, network, preprocessing and labels, and what it converts to.

    Weights that do not fit the network are an error; their numbers are not looked at.

    Example: vithybrid info tiny --labels
    """
    how = Running(model=model, revision=revision, offline=offline)
    with Stderr(quiet=quiet) as watch:
        checkpoint = read_checkpoint(how, watch)
        from vithybrid_cli.checkpoints.load import require_weights  # imports torch

        require_weights(checkpoint)
    facts = describe(checkpoint, all_labels=labels)
    write_facts(facts, output_format, {} if checkpoint.config.labels else {"labels": _NO_LABELS})


def describe(checkpoint: "Checkpoint", *, all_labels: bool) -> dict[str, Any]:
    """Everything that is shown, by section."""
    config = checkpoint.config
    files, tensors = checkpoint.weight_files(), checkpoint.tensors()
    return {
        "file" if checkpoint.path.is_file() else "folder": str(checkpoint.path),
        "layout": checkpoint.layout,
        "convert": _convertible(config),
        "weights": {
            "files": [file.name for file in files],
            "bytes": sum(file.stat().st_size for file in files),
            "dtypes": sorted({tensor.dtype for tensor in tensors}),
            "tensors": len(tensors),
            "parameters": sum(tensor.elements for tensor in tensors),
        },
        "network": {**_network(config), **({"scores": _SCORES[checkpoint.activation]} if config.labels else {})},
        "preprocessing": _preprocessing(checkpoint),
        "labels": dict(enumerate(config.labels)) if all_labels else _few(config.labels),
    }


def _convertible(config: "NetworkConfig") -> str:
    """What `vithybrid convert` would write, or why it cannot."""
    from vithybrid_cli.checkpoints.layouts.transformers import class_of, readers

    try:
        return f"would write a {class_of(config)} folder for {readers(config)}"
    except ModelError as error:
        return f"not possible: {error.cause}"


_NO_LABELS = "none: no head; `embed` gives its features"
_SCORES = {
    Activation.SOFTMAX: "softmax, one label is right",
    Activation.SIGMOID: "sigmoid, each label by itself",
    Activation.NONE: "none, the values as they are",
}
_FAMILIES = {"hybrid": "Hybrid ViT", "vit": "ViT", "deit": "DeiT", "beit": "BEiT"}


def _network(config: "NetworkConfig") -> dict[str, Any]:
    from vithybrid_cli.model.config import BitClassifierConfig

    height, width = config.image_size
    size = {"image_size": f"{height}×{width}"}
    if isinstance(config, BitClassifierConfig):
        return {"family": "BiT", **size, "backbone": _backbone(config.backbone), "pooling": "mean of the feature map"}
    encoder, (rows, columns) = config.encoder, config.grid_size
    return {
        "family": _FAMILIES[config.family],
        **size,
        **({} if config.backbone is None else {"backbone": _backbone(config.backbone)}),
        "tokens": f"{rows}×{columns} patches of {config.patch_size[0]}×{config.patch_size[1]}{_more_tokens(config)}",
        "encoder": f"{encoder.num_hidden_layers} layers, width {encoder.hidden_size}, "
        f"{encoder.num_attention_heads} heads, MLP {encoder.intermediate_size}, {encoder.hidden_act}"
        f"{', LayerScale' if encoder.layer_scale else ''}",
        "pooling": _pooling(config),
    }


def _more_tokens(config: "VitConfig") -> str:
    if not config.class_token:
        return ""
    tokens = ", CLS and a distillation token" if config.distillation_token else ", and CLS"
    return f"{tokens} without a position" if config.only_patches_have_positions else tokens


def _pooling(config: "VitConfig") -> str:
    """What the head reads."""
    if config.distillation_head:
        return "CLS and distillation token, each read by a head of its own; their mean"
    patches = "mean of the normalised patches" if config.norm_before_pooling else "mean of the patches"
    token = patches if config.mean_pooling else "CLS token"
    return f"{token}, through a linear layer and tanh" if config.pooler else token


def _backbone(backbone: "BitConfig") -> str:
    channels = "→".join(map(str, (backbone.embedding_size, *backbone.hidden_sizes)))
    if not backbone.depths:
        return f"the stem of a BiT alone, {channels} channels"
    return f"BiT, {'+'.join(map(str, backbone.depths))} blocks, channels {channels}"


def _preprocessing(checkpoint: "Checkpoint") -> dict[str, Any]:
    """The settings of the steps that are switched on."""
    from PIL import Image  # imported where it is used: `vithybrid --help` must not pay for it

    options_ = checkpoint.preprocessing.to_dict()
    options_["resample"] = Image.Resampling(options_["resample"]).name.lower()
    names = ("size", "resample", "crop_size", "timm", "rescale_factor", "image_mean", "image_std")
    switches = {"size": "do_resize", "resample": "do_resize", "timm": "do_resize", "crop_size": "do_center_crop"}
    switches |= {"rescale_factor": "do_rescale", "image_mean": "do_normalize", "image_std": "do_normalize"}
    shown = {name: options_[name] for name in names if name in options_ and options_[switches[name]]}
    return shown | {name: True for name in ("rescale_offset", "include_top") if options_.get(name)}


def _few(labels: tuple[str, ...]) -> dict[str, Any]:
    return {"count": len(labels), "first": list(labels[:5])}
