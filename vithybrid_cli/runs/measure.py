"""Labelled pictures become figures: how good a classifier is."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from vithybrid_cli.errors import UsageError
from vithybrid_cli.runs.watch import Begin, Watch
from vithybrid_cli.settings import Reading
from vithybrid_cli.sources.labelled import labelled_pictures
from vithybrid_cli.sources.survey import Survey

if TYPE_CHECKING:
    from vithybrid_cli.evaluation.figures import Metrics
    from vithybrid_cli.pipeline.classifier import Classifier


def measure(
    classifier: "Classifier",
    folder: Path,
    labels: Mapping[str, int],
    what: Reading,
    watch: Watch,
) -> "Metrics":
    """Classify all pictures of ``folder``; ``labels`` gives the class index of each of its label folders.

    `Watch.failure` is told of each that cannot be read. Raises UsageError when there are no pictures at all.
    """
    from vithybrid_cli.evaluation.figures import TOP_K, Evaluation

    evaluation = Evaluation(classifier.labels)
    # Paths are taken ahead of their results, which keep their order.
    pending: deque[int] = deque()

    survey = Survey()

    def found(survey: Survey) -> Iterator[tuple[str, int]]:
        return labelled_pictures(folder, labels, what.exclude, survey, raw=what.decoding.raw_preview)

    def paths() -> Iterator[str]:
        for path, index in found(survey):
            pending.append(index)
            yield path

    outputs = classifier.outputs(paths(), what)
    begin = Begin(lambda: sum(1 for _ in found(Survey())))
    with closing(outputs), watch.counting(begin) as progress:
        for path, output in outputs:
            result = classifier.result(path, output, TOP_K)
            evaluation.add(pending.popleft(), result)
            progress.advance(failed=result.error is not None)
            if result.error is not None:
                watch.failure(result)
    if not survey.found:
        raise UsageError(f"{survey.nothing()}.", "Give a folder with one folder of pictures per label.")
    if line := survey.line():
        watch.say(line)
    return evaluation.metrics()
