"""``vithybrid info``: what a checkpoint is, told from its files without loading it."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from vithybrid_cli.checkpoints.catalog import DEFAULT_MODEL
from vithybrid_cli.checkpoints.hub import locate
from vithybrid_cli.commands import options
from vithybrid_cli.commands.fetching import fetch_progress
from vithybrid_cli.output import Format, visible
from vithybrid_cli.output.formats import prepare_stream
from vithybrid_cli.output.json_records import to_json

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.model.config import BitConfig, NetworkConfig


class InfoFormat(StrEnum):
    """How facts that are no rows are written."""

    TEXT = "text"
    JSON = "json"

    @classmethod
    def default(cls, stream: TextIO) -> "InfoFormat":
        """Text where a person reads along, JSON into a pipe."""
        return cls.TEXT if stream.isatty() else cls.JSON


def info(
    model: Annotated[
        str, typer.Argument(help="An alias of `vithybrid models`, a hub id, or a checkpoint folder.")
    ] = DEFAULT_MODEL,
    output_format: Annotated[
        InfoFormat | None,
        typer.Option("--format", "-f", show_default="text on a terminal, else json", help="How it is written."),
    ] = None,
    labels: Annotated[bool, typer.Option("--labels", help="List every label with its index.")] = False,
    revision: options.Revision = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Show a checkpoint: where it lies, its network, its preprocessing, its labels.

    Example: vithybrid info tiny --labels
    """
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint

    with fetch_progress(shown=not quiet) as progress:
        path = locate(model, revision=revision, offline=offline, progress=progress)
    facts = describe(Checkpoint.read(path), all_labels=labels)
    if (output_format or InfoFormat.default(sys.stdout)) is InfoFormat.JSON:
        prepare_stream(Format.JSON, sys.stdout)
        typer.echo(to_json(facts, indent=2))
    else:
        _print_text(facts)


def describe(folder: "Checkpoint", *, all_labels: bool) -> dict[str, Any]:
    """Everything that is shown, by section."""
    from vithybrid_cli.checkpoints.weights import tensor_shapes

    config = folder.config
    files = folder.weight_files()
    shapes = [tensor for file in files for tensor in tensor_shapes(file)]
    return {
        "folder": str(folder.path),
        "layout": folder.layout,
        "weights": {
            "files": [file.name for file in files],
            "bytes": sum(file.stat().st_size for file in files),
            "dtypes": sorted({tensor.dtype for tensor in shapes}),
            "tensors": len(shapes),
            "parameters": sum(tensor.elements for tensor in shapes),
        },
        "network": _network(config),
        "preprocessing": _preprocessing(folder),
        "labels": dict(enumerate(config.labels)) if all_labels else _few(config.labels),
    }


_FAMILIES = {"hybrid": "Hybrid ViT", "vit": "ViT", "deit": "DeiT", "beit": "BEiT"}


def _network(config: "NetworkConfig") -> dict[str, Any]:
    from vithybrid_cli.model.config import BitClassifierConfig

    height, width = config.image_size
    size = {"image_size": f"{height}×{width}"}
    if isinstance(config, BitClassifierConfig):
        return {"family": "BiT", **size, "backbone": _backbone(config.backbone)}
    encoder, (rows, columns) = config.encoder, config.grid_size
    extra = " and CLS" if config.prefix_tokens == 1 else ", CLS and a distillation token"
    return {
        "family": _FAMILIES[config.family],
        **size,
        **({} if config.backbone is None else {"backbone": _backbone(config.backbone)}),
        "tokens": f"{rows}×{columns} patches of {config.patch_size[0]}×{config.patch_size[1]},{extra}",
        "encoder": f"{encoder.num_hidden_layers} layers, width {encoder.hidden_size}, "
        f"{encoder.num_attention_heads} heads, MLP {encoder.intermediate_size}, {encoder.hidden_act}",
    }


def _backbone(backbone: "BitConfig") -> str:
    channels = "→".join(map(str, (backbone.embedding_size, *backbone.hidden_sizes)))
    if not backbone.depths:
        return f"the stem of a BiT alone, {channels} channels"
    return f"BiT, {'+'.join(map(str, backbone.depths))} blocks, channels {channels}"


def _preprocessing(folder: "Checkpoint") -> dict[str, Any]:
    """The options of the steps that are switched on."""
    from PIL import Image  # imported where it is used: `vithybrid --help` must not pay for it

    options_ = folder.preprocessing.to_dict()
    options_["resample"] = Image.Resampling(options_["resample"]).name.lower()
    names = ("size", "resample", "crop_size", "rescale_factor", "image_mean", "image_std")
    switches = {"size": "do_resize", "resample": "do_resize", "crop_size": "do_center_crop"}
    switches |= {"rescale_factor": "do_rescale", "image_mean": "do_normalize", "image_std": "do_normalize"}
    return {name: options_[name] for name in names if options_[switches[name]]}


def _few(labels: tuple[str, ...]) -> dict[str, Any]:
    return {"count": len(labels), "first": list(labels[:5])}


def _print_text(facts: dict[str, Any]) -> None:
    """One line for each fact, with nothing that could steer the terminal and only what its encoding has."""
    for line in _lines(facts):
        typer.secho(visible(line, sys.stdout.encoding), bold=line in facts)


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    names = [str(name) for content in facts.values() if isinstance(content, dict) for name in content]
    width = max(map(len, [*facts, *names])) + 2
    for section, content in facts.items():
        if not isinstance(content, dict):
            yield f"{section:<{width + 2}}{content}"
            continue
        yield section
        for name, value in content.items():
            yield f"  {name!s:<{width}}{_text(value)}"
        if not content:
            yield "  none"


def _text(value: Any) -> str:
    match value:
        case {"height": height, "width": width}:
            return f"{height}×{width}"
        case dict():
            return ", ".join(f"{name.replace('_', ' ')} {part}" for name, part in value.items())
        case list():
            separator = "; " if any("," in str(part) for part in value) else ", "  # labels have commas of their own
            return separator.join(map(str, value))
        case float():
            return f"{value:.6g}"
        case int():
            return f"{value:,}"
    return str(value)
