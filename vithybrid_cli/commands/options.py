"""Options that several subcommands share, so that they are spelled and explained alike."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Dtype(StrEnum):
    """What the network computes in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


class AttentionKind(StrEnum):
    """How attention is computed; both give the same result."""

    SDPA = "sdpa"
    EAGER = "eager"


class EngineKind(StrEnum):
    """What runs the network."""

    AUTO = "auto"
    TORCH = "torch"


Model = Annotated[
    str, typer.Option("--model", "-m", help="An alias of `vithybrid models`, a hub id, or a checkpoint folder.")
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of the model on the hub.")]
Offline = Annotated[bool, typer.Option("--offline", help="Never open a connection.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
DtypeOption = Annotated[Dtype, typer.Option("--dtype", help="What the network computes in.")]
Attention = Annotated[AttentionKind, typer.Option(help="How attention is computed.")]
Engine = Annotated[EngineKind, typer.Option(help="What runs the network.")]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", "-b", min=1, help="Pictures at once.", show_default="auto")
]
Workers = Annotated[int | None, typer.Option("--workers", "-j", min=1, help="Decoding threads.", show_default="auto")]
MaxPixels = Annotated[
    int, typer.Option(min=1, help="Refuse pictures of more pixels (width × height) than this.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on stderr.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="No progress on stderr.")]
