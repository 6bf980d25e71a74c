"""The result for one picture, and how a row of logits becomes labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import ImageError
from vithybrid_cli.items import Item

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


UNSURE: Final = "unsure"  # the answer in place of a guess


class Outcome(Protocol):
    """The result for one input, labels or a feature; with an ``error`` there is nothing else."""

    @property
    def path(self) -> str: ...

    @property
    def error(self) -> ImageError | None: ...

    def record(self) -> dict[str, Any]:
        """The result as plain values, in the shape of the JSON output."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One label with its score; ``index`` is the class index, since labels may repeat."""

    index: int
    label: str
    score: float

    @property
    def rounded(self) -> float:
        """The score as it is written: with six decimals, and no sign before a zero."""
        return _rounded(self.score)


@dataclass(frozen=True, slots=True)
class Answer:
    """The one label that stands for a picture: a prediction's, or what a rule put in place of a guess.

    ``index`` is the class index; None for what is no class of the model, as ``unsure`` or an ancestor of several.
    """

    label: str
    score: float
    index: int | None

    @property
    def rounded(self) -> float:
        """The score as it is written."""
        return _rounded(self.score)

    @property
    def is_unsure(self) -> bool:
        """Whether it stands in place of a guess; the score is that of the guess then."""
        return self.index is None and self.label == UNSURE


@dataclass(frozen=True, slots=True)
class ImageResult:
    """The result for one picture: its predictions, best first, or the error that prevented them.

    ``instead`` is what a rule put in place of the best prediction, which stays among the predictions; and the
    best label itself where it is sure enough for the rule, but below the threshold of the predictions. ``ruled`` says
    that a rule was asked for, so that the record tells the answer, be it the best prediction or another.
    """

    path: str
    predictions: tuple[Prediction, ...] = ()
    error: ImageError | None = None
    instead: Answer | None = None
    ruled: bool = False

    def __post_init__(self) -> None:
        if self.instead is not None:
            object.__setattr__(self, "ruled", True)

    @property
    def answer(self) -> Answer | None:
        """The label of the picture; None where there is an error, or no prediction reached the threshold."""
        if self.instead is not None or not self.predictions:
            return self.instead
        best = self.predictions[0]
        return Answer(best.label, best.score, best.index)

    def record(self) -> dict[str, Any]:
        """The result as plain values, in the shape of the JSON output."""
        if self.error is not None:
            return _error_record(self.path, self.error)
        predictions = [{"index": p.index, "label": p.label, "score": p.rounded} for p in self.predictions]
        return {"path": self.path, **self._told(), "predictions": predictions}

    def _told(self) -> dict[str, Any]:
        if not self.ruled:
            return {}
        answer = self.answer
        told = {"label": answer and answer.label, "score": answer and answer.rounded}
        hidden = self.instead is not None and self.instead.index is not None  # a class that no prediction tells
        return {**told, "index": self.instead and self.instead.index} if hidden else told


@dataclass(frozen=True, slots=True, eq=False)  # comparing arrays gives arrays
class EmbeddingResult:
    """The result for one picture: its feature float32 [D], or the error that prevented it."""

    path: str
    embedding: npt.NDArray[np.float32] | None = None
    error: ImageError | None = None

    def record(self) -> dict[str, Any]:
        """The result as plain values; each number is the shortest one that is read back as the same float32."""
        if self.error is not None:
            return _error_record(self.path, self.error)
        numbers = [] if self.embedding is None else [float(str(number)) for number in self.embedding]
        return {"path": self.path, "embedding": numbers}


@dataclass(frozen=True, slots=True)
class Pictured:
    """A result and its picture as it is now.

    ``changed`` says whether the picture is another one than the result was made of; None where nothing tells.
    """

    result: ImageResult
    item: Item
    changed: bool | None


def _rounded(score: float) -> float:
    return round(score, 6) + 0.0


def _error_record(path: str, error: ImageError) -> dict[str, Any]:
    return {"path": path, "error": {"type": type(error).__name__, "message": str(error)}}


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Probabilities along the last axis, in float64: ``exp(x - max) / sum``."""
    import numpy as np  # imported where it is used: `vithybrid --help` must not pay for it

    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The probability of each class by itself, in float64: ``1 / (1 + exp(-x))``."""
    import numpy as np

    shrunk = np.exp(-np.abs(logits.astype(np.float64)))  # of no number so large that it overflows
    return np.asarray(np.where(logits >= 0, 1.0, shrunk) / (1 + shrunk))


def scores(logits: npt.NDArray[np.float32], activation: Activation) -> npt.NDArray[np.float64]:
    """What an ``activation`` makes of logits along their last axis; the order of the classes stays."""
    match activation:
        case Activation.SIGMOID:
            return sigmoid(logits)
        case Activation.NONE:
            return logits.astype("float64")
        case _:
            return softmax(logits)


def best_predictions(
    logits: npt.NDArray[np.float32],
    labels: Sequence[str],
    k: int = 5,
    threshold: float | None = None,
    activation: Activation = Activation.SOFTMAX,
) -> tuple[Prediction, ...]:
    """The ``k`` labels of one row of logits [C] with the highest scores, best first.

    Equal scores keep the order of their class index. A ``k`` above the number of labels gives them all;
    labels with scores below ``threshold`` are left out, so the result may be empty.
    """
    import numpy as np

    found = scores(logits, activation)
    order = np.argsort(-logits, kind="stable")[:k]
    least = -np.inf if threshold is None else threshold
    return tuple(Prediction(int(i), labels[i], float(found[i])) for i in order if found[i] >= least)
