"""``vithybrid classify``: files, folders, patterns and lists of paths in, labels out."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from vithybrid_cli.commands import options
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.identity import settled_model
from vithybrid_cli.commands.interrupts import Interrupts
from vithybrid_cli.commands.load import Running, open_classifier
from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.commands.resume import Start, start_of
from vithybrid_cli.commands.run_record import RunRecord, open_record
from vithybrid_cli.commands.write_results import write_results
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.images.limits import DEFAULT_MAX_PIXELS
from vithybrid_cli.output import Format, open_writer, visible
from vithybrid_cli.output.destination import format_of, format_of_file, is_file, opened, require_writable
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.sources.inputs import Sources


def classify(
    inputs: options.Inputs = None,
    model: options.Model = DEFAULT_MODEL,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, metavar="N", help="How many labels at most.")] = 5,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, metavar="SCORE", help="Only labels of at least this score.")
    ] = 0.0,
    output_format: options.OutputFormat = None,
    output: options.Output = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            rich_help_panel=options.OUTPUT_PANEL,
            help="Go on where a run that wrote --output was broken off; begin if there is none.",
        ),
    ] = False,
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
    """Label pictures.

    A picture that cannot be read becomes a record with its error in its place, and the run goes on.

    Examples:

      vithybrid classify cat.jpg

      vithybrid classify photos/ -f csv -o labels.csv

      vithybrid classify photos/ -o labels.csv --resume

      find . -name '*.jpg' -print0 | vithybrid classify - -0 -k 1 | jq .
    """
    sources = Sources(tuple(inputs or ()), files_from, null)
    sources.check()
    require_writable(output)
    if not resume:  # which keeps what is there
        sources.require_apart(output)
    record = open_record(output, output_format or format_of_file(output), resume=resume)
    record.settle(
        top_k=top_k,
        threshold=threshold,
        dtype=dtype,
        attention=attention,
        compile=compiled,
        max_pixels=max_pixels,
        fast_jpeg=fast_jpeg,
        **_chosen(engine, device, batch_size),
    )
    checkpoint = settled_model(
        model, record, revision=revision, offline=offline, image_size=image_size, quiet=quiet or no_progress
    )
    start = start_of(record, sources.paths(), strict=strict)
    if start.complete:
        _end(record, start, quiet=quiet)
        return
    running = Running(device, dtype, attention, engine, compiled)
    classifier = open_classifier(model, checkpoint, running, quiet=quiet or no_progress)
    size = batch_size or (record.earlier.batch_size if record.earlier else classifier.engine.batch_size)
    record.settle(**_chosen(classifier.engine.name, classifier.engine.device_type, size))
    results = classifier.classify(
        start.paths,
        top_k,
        threshold,
        batch_size=size,
        workers=workers,
        max_pixels=max_pixels,
        pauses=sources.streamed,
        fast_jpeg=fast_jpeg,
    )
    with closing(results), Interrupts() as interrupts, _opened(output, start, record) as stream:
        chosen = output_format or format_of(output, stream)
        on_screen = chosen is Format.TABLE and stream.isatty()  # rows on the screen are progress enough
        shown = not (quiet or no_progress or on_screen or sources.single)
        live, counter = is_file(stream), sources.counter()
        progress = Progress(enabled=shown, live=live, count=counter, done=start.done, failed=start.failed)
        writer = open_writer(chosen, stream, single=sources.single, continued=start.end > 0)
        until = interrupts.between(results, Batches(1 if sources.streamed else size))
        with _interrupt_told(record, progress, quiet=quiet), writer, progress:
            write_results(until, writer, progress, named=not (quiet or on_screen), strict=strict)
    if progress.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _chosen(engine: str, device: str, batch_size: int | None) -> dict[str, object]:
    """Those settings of a run that are not left to the machine."""
    settings = {"engine": engine, "device": device.split(":")[0], "batch_size": batch_size}
    return {name: value for name, value in settings.items() if value not in ("auto", None)}


def _end(record: RunRecord, start: Start, *, quiet: bool) -> None:
    """Write what is missing after the last result, which at most is the end of the format."""
    if not start.closed:
        with opened(record.output, keep=start.end) as stream:
            open_writer(record.output_format, stream, continued=True).close()
    if not quiet:
        typer.echo(visible(f"{record.output} has the results of all {start.done} inputs"), err=True)
    if start.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


@contextmanager
def _opened(output: Path | None, start: Start, record: RunRecord) -> Iterator[TextIO]:
    """The stream to write to, where the run begins, with the record of the run beside it."""
    remedy = "make room and go on with --resume" if record.resumable else "give another --output"
    with opened(output, keep=start.end, remedy=remedy) as stream:
        record.write()
        yield stream


@contextmanager
def _interrupt_told(record: RunRecord, progress: Progress, *, quiet: bool) -> Iterator[None]:
    """Say after an interrupt what is there, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if record.resumable and not quiet:
            line = f"interrupted after {progress.so_far}, which are in {record.output}; --resume goes on from there"
            typer.echo(visible(line), err=True)
        raise
