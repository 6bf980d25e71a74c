"""Labelled pictures become figures: how good a classifier is."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import UsageError
from vithybrid_cli.items import Item
from vithybrid_cli.runs.watch import Begin, Watch
from vithybrid_cli.settings import Reading
from vithybrid_cli.sources.labelled import Labelled
from vithybrid_cli.sources.survey import Survey

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.evaluation.examples import Examples
    from vithybrid_cli.evaluation.figures import Metrics
    from vithybrid_cli.pipeline.classifier import Classifier

_NO_LABEL = -1  # of what only says that the rest cannot be read, which counts for no label

_EACH_BY_ITSELF = (
    "the model scores each label by itself, and a folder names one label: where a picture has others too, "
    "they count as wrong in top-1, precision, confusions and the calibration error"
)


def require_measurable(checkpoint: "Checkpoint", model: str) -> None:
    """Raise for a network that folders of labels cannot measure; ``model`` is what the user calls it.

    ModelError for one without a head; UsageError for one of values, and for one of a single label.
    """
    from vithybrid_cli.pipeline.classifier import require_head  # imports NumPy and Pillow

    require_head(checkpoint, model)
    if checkpoint.problem_type == "regression":
        raise UsageError(
            f"{model} gives values (regression), which no folder of labels can measure.",
            "Get the values of pictures with `vithybrid classify`, and compare them with yours.",
        )
    if len(checkpoint.config.labels) == 1:
        raise UsageError(
            f'{model} has one label, "{checkpoint.config.labels[0]}", so there is nothing to tell it from.',
            "Get its score for each picture with `vithybrid classify`, and choose from which score on it holds.",
        )


def measure(
    classifier: "Classifier",
    source: Labelled,
    labels: Mapping[str, int],
    what: Reading,
    watch: Watch,
    examples: "Examples | None" = None,
    *,
    all_confusions: bool = False,
    told: Collection[str] = (),
) -> "Metrics":
    """Classify all pictures of ``source``; ``labels`` gives the class index of each of its labels.

    Where there are ``examples``, they are told of each picture, and the metrics have all confusions, as they have if
    these are asked for.
    `Watch.failure` is told of each that cannot be read, but for those whose names were ``told`` before. Raises
    UsageError when there are no pictures at all, and for a label that is not among ``labels``.
    """
    from vithybrid_cli.evaluation.figures import TOP_K, Evaluation

    if classifier.activation is Activation.SIGMOID:
        watch.say(_EACH_BY_ITSELF)
    evaluation = Evaluation(classifier.labels, classifier.activation)
    # Pictures are taken ahead of their results, which keep their order.
    pending: deque[int] = deque()

    survey = Survey()

    def items() -> Iterator[Item]:
        for item, label in source.pictures(survey):
            pending.append(_NO_LABEL if label is None else _index(label, labels, source))
            yield item

    outputs = classifier.outputs(items(), what)
    begin = Begin(source.count)
    with closing(outputs), watch.counting(begin) as progress:
        for path, output in outputs:
            result = classifier.result(path, output, TOP_K)
            true = pending.popleft()
            evaluation.add(true, result)
            if examples is not None:
                examples.add(true, result)
            progress.advance(failed=result.error is not None)
            if result.error is not None and path not in told:
                watch.failure(result)
    if not survey.found:
        raise UsageError(
            f"{survey.nothing()}.",
            "Give a folder with one folder of pictures per label, or an archive or table of labelled ones.",
        )
    for line in filter(None, (survey.line(), survey.excluded_nothing())):
        watch.say(line)
    return evaluation.metrics(confusions=None) if all_confusions or examples is not None else evaluation.metrics()


def _index(label: str, labels: Mapping[str, int], source: Labelled) -> int:
    try:
        return labels[label]
    except KeyError:
        cause = f"{source.where} has the label {label}, which is no label or class index of the model."
        raise UsageError(cause, "See with `vithybrid info MODEL` which there are.") from None
