"""``vithybrid evaluate``: how good a model is on a folder of labelled pictures."""

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vithybrid_cli.commands import options
from vithybrid_cli.commands.fetching import read_checkpoint
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.load import Running, open_classifier
from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.errors import UsageError
from vithybrid_cli.evaluation.rows import write_report
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.images.limits import DEFAULT_MAX_PIXELS
from vithybrid_cli.output.destination import format_of, opened, require_writable
from vithybrid_cli.sources.labelled import label_folders, labelled_pictures

if TYPE_CHECKING:
    from vithybrid_cli.evaluation.figures import Report
    from vithybrid_cli.pipeline.classifier import Classifier


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with one folder of pictures per label.")],
    model: options.Model = DEFAULT_MODEL,
    output_format: options.OutputFormat = None,
    output: options.Output = None,
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
    """Measure a model on labelled pictures: accuracy, each label's recall and precision, what is confused.

    A label folder is named by the label, by its first name (tabby for "tabby, tabby cat"), or by the class index.

    Example: vithybrid evaluate photos/held-out -m runs/mine
    """
    from vithybrid_cli.evaluation.figures import match_labels

    names = label_folders(folder)
    checkpoint = read_checkpoint(
        model, revision=revision, offline=offline, image_size=image_size, quiet=quiet or no_progress
    )
    running = Running(device, dtype, attention, engine, compiled)
    classifier = open_classifier(model, checkpoint, running, quiet=quiet or no_progress)
    labels = match_labels(names, classifier.labels)
    progress = Progress(
        enabled=not (quiet or no_progress), count=lambda: sum(1 for _ in labelled_pictures(folder, labels))
    )
    require_writable(output)
    report = measure(
        classifier,
        folder,
        labels,
        progress,
        batch_size=batch_size,
        workers=workers,
        max_pixels=max_pixels,
        fast_jpeg=fast_jpeg,
        quiet=quiet,
    )
    with opened(output) as stream:
        write_report(output_format or format_of(output, stream), stream, report)
    if report.unreadable:
        raise typer.Exit(EXIT_SOME_FAILED)


def measure(
    classifier: "Classifier",
    folder: Path,
    labels: dict[str, int],
    progress: Progress,
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    fast_jpeg: bool = False,
    quiet: bool = False,
) -> "Report":
    """Classify all pictures of ``folder``; ``labels`` gives the class index of each of its label folders.

    Each unreadable one is a line on stderr unless ``quiet``. Raises UsageError when there are no pictures at all.
    """
    from vithybrid_cli.evaluation.figures import TOP_K, Evaluation

    evaluation = Evaluation(classifier.labels)
    # The loader takes each path in a thread of its own, always ahead of its result, and results keep the order.
    pending: deque[int] = deque()

    def paths() -> Iterator[str]:
        for path, index in labelled_pictures(folder, labels):
            pending.append(index)
            yield path

    results = classifier.classify(
        paths(), TOP_K, batch_size=batch_size, workers=workers, max_pixels=max_pixels, fast_jpeg=fast_jpeg
    )
    with closing(results), progress:
        for result in results:
            evaluation.add(pending.popleft(), result)
            progress.advance(failed=result.error is not None)
            if result.error is not None and not quiet:
                progress.report(f"{result.path}: {result.error}")
    if not progress.done:
        raise UsageError(f"{folder} holds no pictures.")
    return evaluation.report()
