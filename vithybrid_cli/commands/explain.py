"""``vithybrid explain``: what in a picture speaks for its label, as a heat map over it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from vithybrid_cli.choices import Graphics, Method
from vithybrid_cli.commands import options
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.settings import (
    DEFAULT_DECODE_TIMEOUT,
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_PIXELS,
    Decoding,
    Reading,
    Running,
)


def _folder(text: str) -> Path:
    """The path of a folder to write to."""
    if text == "-":
        raise typer.BadParameter("Explanations are written to a folder; without --output they go to stdout.")
    return Path(text.rstrip("/" + os.sep) or text)


def explain(
    inputs: options.Inputs = None,
    model: options.Model = DEFAULT_MODEL,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Explain this label: its name, first name, index or WordNet id.",
            show_default="the best one of each picture",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="Show what speaks for the label rather than for this one."),
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            help="occlusion covers one part after another, slowly and with any engine; the others follow gradients, "
            "with torch. auto: what measures best for the model."
        ),
    ] = Method.AUTO,
    top_k: Annotated[
        int, typer.Option("--top-k", "-k", min=1, metavar="N", help="How many labels at most are given with each map.")
    ] = 5,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            parser=_folder,
            rich_help_panel=options.OUTPUT_PANEL,
            help="Write a picture and a map for each input to this folder, a sheet of several, and a manifest.",
            show_default="shown on a terminal; JSON lines in a pipe",
        ),
    ] = None,
    graphics: Annotated[
        Graphics,
        typer.Option(
            rich_help_panel=options.OUTPUT_PANEL,
            help="How pictures are shown without --output, in a pipe too: by the protocol of kitty or of iTerm2, as "
            "sixel graphics, in characters, or not at all. auto: what the terminal can.",
        ),
    ] = Graphics.AUTO,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    strict: options.Strict = False,
    exclude: options.Exclude = None,
    shards: options.Shards = None,
    archives: options.Archives = False,
    column: options.Column = None,
    device: options.Device = "auto",
    dtype: options.DtypeOption = options.Dtype.FLOAT32,
    engine: options.Engine = options.EngineKind.AUTO,
    batch_size: options.BatchSize = None,
    threads: options.Threads = None,
    workers: options.Workers = None,
    max_pixels: options.MaxPixels = DEFAULT_MAX_PIXELS,
    max_bytes: options.MaxBytes = DEFAULT_MAX_BYTES,
    fast_jpeg: options.FastJpeg = False,
    raw_preview: options.RawPreview = False,
    allow_truncated: options.AllowTruncated = False,
    background: options.Background = None,
    isolate: options.Isolate = False,
    decode_timeout: options.DecodeTimeout = DEFAULT_DECODE_TIMEOUT,
    revision: options.Revision = None,
    offline: options.Offline = False,
    image_size: options.ImageSize = None,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Show which parts of pictures speak for their labels, as heat maps over them.

    A map shows what this network reacts to, by one method; it is no proof that a label is right, nor why.

    DIR gets NAME.png and NAME.npy for each picture, sheet.png if there are several, and last manifest.json, which says
    what is what. Explanations that an earlier run left there are replaced, and other files are left alone.

    Examples:

      vithybrid explain cat.jpg

      vithybrid explain photos/ -o why/

      vithybrid explain cat.jpg --label tabby --against "tiger cat" -m base-384

      vithybrid explain cat.jpg -m tiny | jq .explanation.map
    """
    from vithybrid_cli.runs.explain.pictures import Asked
    from vithybrid_cli.runs.explain.show import explain_to

    what = Reading(
        inputs=tuple(inputs or ()),
        files_from=files_from,
        null=null,
        strict=strict,
        exclude=tuple(exclude or ()),
        shards=tuple(shards or ()),
        archives=archives,
        column=column,
        max_bytes=max_bytes,
        workers=workers,
        decoding=Decoding(
            max_pixels=max_pixels,
            fast_jpeg=fast_jpeg,
            raw_preview=raw_preview,
            allow_truncated=allow_truncated,
            background=background,
        ),
        isolate=isolate,
        decode_timeout=decode_timeout,
    )
    how = Running(
        model=model,
        revision=revision,
        offline=offline,
        image_size=image_size,
        device=device,
        dtype=dtype,
        engine=engine,
        batch_size=batch_size,
        threads=threads,
    )
    asked = Asked(label=label, against=against, method=method, top_k=top_k)
    with Stderr(quiet=quiet, no_progress=no_progress) as watch:
        tally = explain_to(output, what, how, asked, watch, graphics)
    if tally.failed:
        raise typer.Exit(EXIT_SOME_FAILED)
