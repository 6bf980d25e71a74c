"""``vithybrid convert``: a checkpoint of any layout becomes a folder that transformers loads."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vithybrid_cli.commands import options
from vithybrid_cli.commands.facts import FactsFormat, write_facts
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.runs.interrupts import sigterm_raised
from vithybrid_cli.runs.model import read_checkpoint
from vithybrid_cli.settings import Running

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.checkpoints.convert import Difference


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC", help="An alias of `vithybrid models`, a hub id, or a checkpoint's folder or file."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="DST", help="The folder to write: a new one, or an empty one.")],
    weights_dtype: Annotated[
        options.WeightsDtype | None,
        typer.Option(help="What the weights are written in.", show_default="what they are stored in"),
    ] = None,
    trust_pickle: Annotated[
        bool,
        typer.Option(
            "--trust-pickle",
            help="Also read a pickle (.bin, .pt, .pth, .ckpt), with torch's restricted reader. Only for files whose "
            "maker you trust.",
        ),
    ] = False,
    output_format: Annotated[
        FactsFormat | None,
        typer.Option(
            "--format",
            "-f",
            case_sensitive=False,
            show_default="text on a terminal, else json",
            help="How the report is written.",
        ),
    ] = None,
    revision: options.Revision = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Convert a checkpoint (of timm, of Google's JAX code, or of transformers) into a folder that transformers loads.

    The folder has safetensors weights, a config and the preprocessing. It is loaded again and must give the source's
    outputs for a fixed random picture; else nothing is written.

    Example: vithybrid convert timm/vit_base_r50_s16_384.orig_in21k_ft_in1k base-384
    """
    import torch

    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.checkpoints.convert import convert_checkpoint

    how = Running(model=source, revision=revision, offline=offline)
    dtype = None if weights_dtype is None else getattr(torch, weights_dtype)
    with Stderr(quiet=quiet) as stderr, sigterm_raised():
        checkpoint = read_checkpoint(how, stderr, trust_pickle=trust_pickle)
        difference = convert_checkpoint(checkpoint, out, dtype)
    facts = {
        "read": _described(checkpoint),
        "written": _described(Checkpoint.read(out.expanduser().absolute())),
        "check": _checked(checkpoint, difference),
    }
    write_facts(facts, output_format, {})


def _described(checkpoint: "Checkpoint") -> dict[str, Any]:
    """Where a checkpoint is and what it holds."""
    from vithybrid_cli.checkpoints.checkpoint import Layout
    from vithybrid_cli.checkpoints.layouts.transformers import class_of, readers

    tensors = checkpoint.tensors()
    described = {
        "file" if checkpoint.path.is_file() else "folder": str(checkpoint.path),
        "layout": checkpoint.layout,
        "dtypes": sorted({tensor.dtype for tensor in tensors}),
        "parameters": sum(tensor.elements for tensor in tensors),
    }
    if checkpoint.layout is Layout.TRANSFORMERS:
        described |= {"class": class_of(checkpoint.config), "read_by": readers(checkpoint.config)}
    return described


def _checked(source: "Checkpoint", difference: "Difference") -> dict[str, Any]:
    """How far the outputs differ, and what else can make results on pictures differ."""
    from vithybrid_cli.checkpoints.convert import crop_difference

    found = crop_difference(source)
    outputs = {
        "outputs": "logits" if source.config.labels else "features",
        "largest_difference": difference.largest,
        "allowed": difference.allowed,
    }
    return outputs if found is None else {**outputs, "pictures": found}
