"""``vithybrid evaluate``: how good a model is on a folder of labelled pictures."""

from enum import StrEnum
from typing import Annotated

import typer

from vithybrid_cli.commands import options
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.evaluation.rows import write_metrics
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.output.destination import TEXT_FORMATS, format_of, opened, require_writable, suffix_format
from vithybrid_cli.output.formats import Format
from vithybrid_cli.runs.measure import measure, require_measurable
from vithybrid_cli.runs.model import read_checkpoint, require_apart_from_model
from vithybrid_cli.runs.pages.file import is_page_name, require_page
from vithybrid_cli.settings import (
    DEFAULT_DECODE_TIMEOUT,
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_PIXELS,
    Decoding,
    Reading,
    Running,
)
from vithybrid_cli.sources.labelled.inputs import open_labelled


class FigureFormat(StrEnum):
    """How figures are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    HTML = "html"


def evaluate(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUTS",
            help="A folder with one folder of pictures per label, or archives or tables of labelled pictures.",
        ),
    ],
    model: options.Model = DEFAULT_MODEL,
    output_format: Annotated[
        FigureFormat | None,
        typer.Option(
            "--format",
            "-f",
            case_sensitive=False,
            rich_help_panel=options.OUTPUT_PANEL,
            show_default="table on a terminal, else jsonl",
            help="How figures are written; html is a page with charts and pictures.",
        ),
    ] = None,
    output: options.Output = None,
    exclude: options.Exclude = None,
    column: options.Column = None,
    label_column: options.LabelColumn = None,
    explain: Annotated[
        int | None,
        typer.Option(
            "--explain",
            min=1,
            metavar="N",
            help="Measure on N of the pictures how faithful maps of `vithybrid explain` are, by each method.",
            show_default=False,
        ),
    ] = None,
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
    """Measure a model on labelled pictures: accuracy, each label's recall and precision, what is confused.

    A label folder is named by the label, by its first name (tabby for "tabby, tabby cat"), by the class index, or as
    ImageNet's folders are by a WordNet id (n02123045).

    An archive has such folders within, or a file beside each picture that says its label (WebDataset's .cls). A table
    has a column of labels.

    Examples:

      vithybrid evaluate photos/held-out -m runs/mine

      vithybrid evaluate 'shards/val-{000..049}.tar' -m base-384

      vithybrid evaluate 'cifar10/data/test-*.parquet' -m runs/mine --label-column label

      vithybrid evaluate photos/held-out -m runs/mine -o page.html

      vithybrid evaluate photos/held-out -m runs/mine --explain 100
    """
    from vithybrid_cli.evaluation.examples import Examples
    from vithybrid_cli.evaluation.labels import match_labels
    from vithybrid_cli.pipeline.classifier import Classifier

    page = None
    if output_format is FigureFormat.HTML or (output_format is None and is_page_name(output)):
        page = require_page(output, figures=True)
    else:
        require_writable(output)
    if output_format is None and page is None:
        suffix_format(output, (*TEXT_FORMATS, FigureFormat.HTML), "Figures")
    what = Reading(
        exclude=tuple(exclude or ()),
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
    with Stderr(quiet=quiet, no_progress=no_progress) as watch:
        source = open_labelled(inputs, what, label_column, offline=offline)
        checkpoint = read_checkpoint(how, watch)
        require_apart_from_model(output, checkpoint)
        require_measurable(checkpoint, model)
        known = checkpoint.config.labels
        labels = match_labels(source.names or tuple(map(str, range(len(known)))), known)
        examples = None if page is None else Examples()
        classifier = Classifier.open(checkpoint, how)
        report = measure(classifier, source, labels, what, watch, examples)
        if explain is not None:
            from vithybrid_cli.runs.explain.faithful import with_faithfulness

            report = with_faithfulness(report, classifier, checkpoint, how, source, labels, what, watch, count=explain)
        if page is not None and examples is not None:
            from vithybrid_cli.report.entries import About
            from vithybrid_cli.runs.pages.evaluation import write_evaluation_page

            about = About(f"Evaluation of {model}", (("Model", model), ("Pictures", source.where)))
            write_evaluation_page(page, report, examples, about, what, watch, offline=offline)
    if page is None:
        with opened(output) as stream:
            chosen = format_of(output, stream) if output_format is None else Format(output_format.value)
            write_metrics(chosen, stream, report)
    if report.unreadable:
        raise typer.Exit(EXIT_SOME_FAILED)
