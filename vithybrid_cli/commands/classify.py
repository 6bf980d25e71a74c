"""``vithybrid classify``: files, folders, patterns and lists of paths in, labels out."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from vithybrid_cli.checkpoints.catalog import DEFAULT_MODEL
from vithybrid_cli.commands import options
from vithybrid_cli.commands.destination import format_of, is_file, opened
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.load import open_classifier
from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.commands.sources import Sources
from vithybrid_cli.images.limits import DEFAULT_MAX_PIXELS
from vithybrid_cli.output import Format, Writer, open_writer
from vithybrid_cli.results import ImageResult


def classify(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUTS",
            help="Pictures, folders of pictures, quoted patterns, or - for a list of paths on stdin.",
            show_default=False,
        ),
    ] = None,
    model: options.Model = DEFAULT_MODEL,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, metavar="N", help="How many labels at most.")] = 5,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, metavar="SCORE", help="Only labels of at least this score.")
    ] = 0.0,
    output_format: options.OutputFormat = None,
    output: options.Output = None,
    files_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read paths from this file, one per line; - for stdin.", show_default=False),
    ] = None,
    null: Annotated[bool, typer.Option("--null", "-0", help="Paths in lists end with NUL, not newline.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first picture that cannot be read.")] = False,
    device: options.Device = "auto",
    dtype: options.DtypeOption = options.Dtype.FLOAT32,
    attention: options.Attention = options.AttentionKind.SDPA,
    engine: options.Engine = options.EngineKind.AUTO,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    max_pixels: options.MaxPixels = DEFAULT_MAX_PIXELS,
    revision: options.Revision = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Label pictures.

    A picture that cannot be read becomes a record with its error in its place, and the run goes on.

    Examples:

      vithybrid classify cat.jpg

      vithybrid classify photos/ -f csv -o labels.csv

      find . -name '*.jpg' -print0 | vithybrid classify - -0 -k 1 | jq .
    """
    sources = Sources(tuple(inputs or ()), files_from, null)
    sources.check()
    classifier = open_classifier(
        model,
        revision=revision,
        offline=offline,
        device=device,
        dtype=dtype,
        attention=attention,
        engine=engine,
        quiet=quiet or no_progress,
    )
    results = classifier.classify(
        sources.paths(), top_k, threshold, batch_size=batch_size, workers=workers, max_pixels=max_pixels
    )
    with closing(results), opened(output) as stream:
        chosen = output_format or format_of(output, stream)
        on_screen = chosen is Format.TABLE and stream.isatty()  # rows on the screen are progress enough
        shown = not (quiet or no_progress or on_screen or sources.single)
        progress = Progress(enabled=shown, live=is_file(stream), count=sources.counter())
        with open_writer(chosen, stream, single=sources.single) as writer, progress:
            _write(results, writer, progress, named=not (quiet or on_screen), strict=strict)
    if progress.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _write(results: Iterable[ImageResult], writer: Writer, progress: Progress, *, named: bool, strict: bool) -> None:
    """Write each result as it comes; failures are ``named`` on stderr, and with ``strict`` the first is the last."""
    for result in results:
        writer.write(result)
        progress.advance(failed=result.error is not None)
        if result.error is not None and named:
            progress.report(f"{result.path}: {result.error}")
        if result.error is not None and strict:
            return
