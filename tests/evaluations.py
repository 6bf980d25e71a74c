"""Evaluations whose pages are tested: each of a few pictures with label, prediction and score."""

import base64
import io
from collections.abc import Mapping, Sequence

from vithybrid_cli.choices import Activation
from vithybrid_cli.evaluation.examples import Examples
from vithybrid_cli.evaluation.figures import Evaluation
from vithybrid_cli.evaluation.matrix import confusion_matrix
from vithybrid_cli.report.entries import About, Thumbnail
from vithybrid_cli.report.evaluation import Evaluated, Look, write_evaluation
from vithybrid_cli.results import ImageResult, Prediction

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"' & \u2028\u202e"
PNG = base64.b64decode(  # of 2 × 1 pixels
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGM4EaChEXACAAjHAoFEgCm0AAAAAElFTkSuQmCC"
)
LOOK = Look(Thumbnail(PNG, "image/png", 2, 1), "pictures/0.jpg")

Picture = tuple[int, int, float]


def evaluated(
    labels: Sequence[str],
    *pictures: Picture,
    looks: Mapping[str, Look] | None = None,
    activation: Activation = Activation.SOFTMAX,
    paths: str = "",
) -> Evaluated:
    """The evaluation of pictures 0.jpg, 1.jpg, …"""
    evaluation, examples = Evaluation(labels, activation), Examples()
    for number, (true, predicted, score) in enumerate(pictures):
        result = ImageResult(f"{paths}{number}.jpg", (Prediction(predicted, labels[predicted], score),))
        evaluation.add(true, result)
        examples.add(true, result)
    metrics = evaluation.metrics(confusions=None)
    return Evaluated(metrics, confusion_matrix(metrics), examples, looks or {})


def page_of(
    labels: Sequence[str],
    *pictures: Picture,
    looks: Mapping[str, Look] | None = None,
    activation: Activation = Activation.SOFTMAX,
    paths: str = "",
) -> str:
    """The page of such an evaluation."""
    stream = io.StringIO()
    shown = evaluated(labels, *pictures, looks=looks, activation=activation, paths=paths)
    write_evaluation(stream, shown, About("Evaluation"))
    return stream.getvalue()
