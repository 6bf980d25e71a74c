"""``vithybrid embed``: files, folders, patterns and lists of paths in, a feature of each picture out."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import typer

from vithybrid_cli.choices import Feature
from vithybrid_cli.commands import options
from vithybrid_cli.commands.fetching import read_checkpoint
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.interrupts import Interrupts
from vithybrid_cli.commands.load import Running, open_embedder
from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.commands.run_record import open_record
from vithybrid_cli.commands.write_results import write_results
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.images.limits import DEFAULT_MAX_PIXELS
from vithybrid_cli.output import Format, Writer, visible
from vithybrid_cli.output.destination import (
    DISK_ERRORS,
    is_file,
    is_plain_file,
    opened,
    require_writable,
    unwritable,
)
from vithybrid_cli.output.formats import prepare_stream
from vithybrid_cli.output.json_records import JsonLinesWriter
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.results import EmbeddingResult
from vithybrid_cli.sources.inputs import Sources


class EmbeddingFormat(StrEnum):
    """How features are written."""

    JSONL = "jsonl"
    NPY = "npy"


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
            rich_help_panel=options.OUTPUT_PANEL,
            show_default="npy for a file of that suffix, else jsonl",
            help="How features are written.",
        ),
    ] = None,
    output: options.Output = None,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    strict: options.Strict = False,
    device: options.Device = "auto",
    dtype: options.DtypeOption = options.Dtype.FLOAT32,
    attention: options.Attention = options.AttentionKind.SDPA,
    engine: options.Engine = options.EngineKind.AUTO,
    compiled: options.Compile = False,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    max_pixels: options.MaxPixels = DEFAULT_MAX_PIXELS,
    fast_jpeg: options.FastJpeg = False,
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

      vithybrid embed cat.jpg -m tiny | jq .embedding
    """
    sources = Sources(tuple(inputs or ()), files_from, null)
    sources.check()
    chosen = output_format or _format_of(output)
    _require_place(output, chosen)
    sources.require_apart(output)
    if output is not None and chosen is EmbeddingFormat.NPY:
        sources.require_apart(_lines_file(output))
    checkpoint = read_checkpoint(
        model, revision=revision, offline=offline, image_size=image_size, quiet=quiet or no_progress
    )
    running = Running(device, dtype, attention, engine, compiled)
    embedder = open_embedder(checkpoint, running, feature, quiet=quiet or no_progress)
    size = batch_size or embedder.engine.batch_size
    results = embedder.embed(
        sources.paths(),
        batch_size=size,
        workers=workers,
        max_pixels=max_pixels,
        pauses=sources.streamed,
        fast_jpeg=fast_jpeg,
    )
    if chosen is EmbeddingFormat.NPY and output is not None:
        destination = _npy_writer(output, embedder.width, quiet=quiet)
    else:
        destination = _lines_writer(output, embedder.width, quiet=quiet)
    with closing(results), Interrupts() as interrupts, destination as (writer, live):
        shown = not (quiet or no_progress or sources.single)
        progress = Progress(enabled=shown, live=live, count=sources.counter())
        until = interrupts.between(results, Batches(1 if sources.streamed else size))
        with writer, progress:
            write_results(until, writer, progress, named=not quiet, strict=strict)
    if progress.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _format_of(output: Path | None) -> EmbeddingFormat:
    """The format where none was asked for. Raises UsageError for the suffix of one in which there are no features."""
    suffix = output.suffix.removeprefix(".").lower() if output else ""
    if suffix in list(Format) and suffix != Format.JSONL:
        raise UsageError(
            f"features are written as jsonl or npy, and not as {suffix}. Give --format, or another suffix."
        )
    return EmbeddingFormat.NPY if suffix == EmbeddingFormat.NPY else EmbeddingFormat.JSONL


def _require_place(output: Path | None, chosen: EmbeddingFormat) -> None:
    """Raise UsageError where this format cannot be written."""
    require_writable(output)
    if chosen is EmbeddingFormat.JSONL:
        return
    if output is None or not is_plain_file(output):
        where = "stdout" if output is None else output
        raise UsageError(
            f"an npy file begins with the number of its rows, which {where} cannot take back once it is written. "
            "Give -o NAME.npy, or --format jsonl."
        )
    require_writable(_lines_file(output))


def _lines_file(output: Path) -> Path:
    """Where the records lie that say what the rows are of."""
    return output.with_name(output.name + ".jsonl")


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """The stream to write JSON lines to; what `classify --resume` knows of an earlier file of this name goes."""
    with opened(output) as stream:
        open_record(output, Format.TABLE, resume=False).write()  # nothing goes on with features, or with a table
        prepare_stream(Format.JSONL, stream)
        yield stream


@contextmanager
def _lines_writer(output: Path | None, width: int, *, quiet: bool) -> Iterator[tuple[Writer[EmbeddingResult], bool]]:
    """A writer of JSON lines, and whether they leave room for a line on stderr that changes.

    On a terminal it says at the end, unless ``quiet``, what to do with so many numbers.
    """
    with _opened(output) as stream:
        yield JsonLinesWriter(stream), is_file(stream)
        if stream.isatty() and not quiet:
            typer.echo(f"these are {width} numbers for each picture; -o features.npy puts them into a file", err=True)


@contextmanager
def _npy_writer(output: Path, width: int, *, quiet: bool) -> Iterator[tuple[Writer[EmbeddingResult], bool]]:
    """A writer of a matrix and the lines beside it, which says at the end where what is, unless ``quiet``."""
    from vithybrid_cli.output.npy import NpyWriter  # imports NumPy

    lines = _lines_file(output)
    with _opened(lines) as stream, _opened_matrix(output) as matrix:
        writer = NpyWriter(matrix, stream, width)
        yield writer, True
    if not quiet:
        rows = "1 row" if writer.rows == 1 else f"{writer.rows} rows"
        typer.echo(visible(f"{output} has {rows} of {width} numbers; {lines} says which row is whose"), err=True)


@contextmanager
def _opened_matrix(output: Path) -> Iterator[BinaryIO]:
    """The file, to be written anywhere in it. Raises UsageError when it cannot be opened, or when the disk fills up."""
    try:
        output.touch()
        stream = output.open("r+b")
    except OSError as error:
        raise unwritable(output, error) from error
    try:
        with stream:
            yield stream
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise unwritable(output, error, "What was written stays; give another --output.") from error
