"""``vithybrid classify``: files, folders, patterns and lists of paths in, labels out."""

from typing import Annotated

import typer

from vithybrid_cli.choices import Activation
from vithybrid_cli.commands import options
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.runs.label import label
from vithybrid_cli.runs.pages.page import is_page, label_on_page
from vithybrid_cli.settings import (
    DEFAULT_DECODE_TIMEOUT,
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_PIXELS,
    Decoding,
    Reading,
    Running,
    Writing,
)


def classify(
    inputs: options.Inputs = None,
    model: options.Model = DEFAULT_MODEL,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, metavar="N", help="How many labels at most.")] = 5,
    threshold: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Only labels of at least this score.", show_default=False)
    ] = None,
    activation: Annotated[
        Activation,
        typer.Option(
            help="What makes scores of the network's outputs: softmax if one label is right, sigmoid if each may be, "
            "none for the outputs themselves. auto: as the model's config says."
        ),
    ] = Activation.AUTO,
    unsure: options.Unsure = None,
    rollup: options.Rollup = None,
    output_format: options.LabelFormatOption = None,
    output: options.Output = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            rich_help_panel=options.OUTPUT_PANEL,
            help="Continue the interrupted run that wrote --output, or start it.",
        ),
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            rich_help_panel=options.OUTPUT_PANEL,
            help="Keep what --output knows, label new and changed pictures, drop those no longer among the inputs.",
        ),
    ] = False,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    strict: options.Strict = False,
    exclude: options.Exclude = None,
    shards: options.Shards = None,
    archives: options.Archives = False,
    column: options.Column = None,
    device: options.Device = "auto",
    dtype: options.DtypeOption = options.Dtype.FLOAT32,
    attention: options.Attention = options.AttentionKind.SDPA,
    engine: options.Engine = options.EngineKind.AUTO,
    compiled: options.Compile = False,
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
    """Label pictures.

    A picture that cannot be read becomes a record with its error in its place, and the run goes on.

    Examples:

      vithybrid classify cat.jpg

      vithybrid classify photos/ -f csv -o labels.csv

      vithybrid classify photos/ -o labels.csv --resume

      vithybrid classify photos/ -o labels.csv --update

      vithybrid classify photos/ --rollup 0.8 --unsure 0.5

      vithybrid classify photos/ -o labels.html

      find . -name '*.jpg' -print0 | vithybrid classify - -0 -k 1 | jq .
    """
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
        attention=attention,
        engine=engine,
        compile=compiled,
        batch_size=batch_size,
        threads=threads,
    )
    where = Writing(
        output=output,
        format=output_format,
        resume=resume,
        update=update,
        top_k=top_k,
        threshold=threshold,
        activation=activation,
        unsure=unsure,
        rollup=rollup,
    )
    with Stderr(quiet=quiet, no_progress=no_progress) as watch:
        failed = label_on_page(what, how, where, watch) if is_page(where) else label(what, how, where, watch).failed
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)
