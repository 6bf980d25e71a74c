"""``vithybrid embed``: files, folders, patterns and lists of paths in, a feature of each picture out."""

from typing import Annotated

import typer

from vithybrid_cli.choices import Feature
from vithybrid_cli.commands import options
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.output.formats import EmbeddingFormat
from vithybrid_cli.runs.embed import embed as embed_run
from vithybrid_cli.settings import (
    DEFAULT_DECODE_TIMEOUT,
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_PIXELS,
    Decoding,
    Reading,
    Running,
    Writing,
)


def embed(
    inputs: options.Inputs = None,
    model: options.Model = DEFAULT_MODEL,
    feature: Annotated[
        Feature,
        typer.Option(
            help="auto is what the model's own head reads; cls is the CLS token, mean the mean of the patch tokens."
        ),
    ] = Feature.AUTO,
    output_format: Annotated[
        EmbeddingFormat | None,
        typer.Option(
            "--format",
            "-f",
            case_sensitive=False,
            rich_help_panel=options.OUTPUT_PANEL,
            show_default="what the suffix of the file says, else jsonl",
            help="How features are written.",
        ),
    ] = None,
    output: options.Output = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            rich_help_panel=options.OUTPUT_PANEL,
            help="Continue the interrupted run that wrote --output (npy or jsonl), or start it.",
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
    """Turn pictures into vectors, for search, clustering or a classifier of your own.

    Similar pictures have similar vectors: compare them by the cosine of their angle.

    A picture that cannot be read becomes a record with its error in its place, and the run goes on.

    NAME.npy has a row for each picture that could be read, and NAME.npy.jsonl beside it says which row is whose.

    Examples:

      vithybrid embed photos/ -o features.npy

      vithybrid embed photos/ -o features.npy --resume

      vithybrid embed photos/ -o features.parquet

      vithybrid embed cat.jpg -m tiny | jq .embedding
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
    where = Writing(output=output, format=output_format, resume=resume)
    with Stderr(quiet=quiet, no_progress=no_progress) as watch:
        tally = embed_run(what, how, where, feature, watch)
    if tally.failed:
        raise typer.Exit(EXIT_SOME_FAILED)
