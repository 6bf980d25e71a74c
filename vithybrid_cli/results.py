"""What is known about one picture, and how a row of logits becomes labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from vithybrid_cli.errors import ImageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Outcome(Protocol):
    """What is known about one input, whatever was asked: the ``error`` is the reason why there is nothing else."""

    @property
    def path(self) -> str: ...

    @property
    def error(self) -> ImageError | None: ...

    def record(self) -> dict[str, Any]:
        """The outcome as plain values, in the shape of the JSON output."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One label with its softmax probability; ``index`` is the class index, since labels may repeat."""

    index: int
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What is known about one input: its predictions, best first, or the reason why there are none."""

    path: str
    predictions: tuple[Prediction, ...] = ()
    error: ImageError | None = None

    def record(self) -> dict[str, Any]:
        """The result as plain values, in the shape of the JSON output."""
        if self.error is not None:
            return _error_record(self.path, self.error)
        predictions = [{"index": p.index, "label": p.label, "score": round(p.score, 6)} for p in self.predictions]
        return {"path": self.path, "predictions": predictions}


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no one answer to whether they are equal
class EmbeddingResult:
    """What is known about one input: its feature float32 [D], or the reason why there is none."""

    path: str
    embedding: npt.NDArray[np.float32] | None = None
    error: ImageError | None = None

    def record(self) -> dict[str, Any]:
        """The result as plain values; each number is the shortest that gives the same float32 back."""
        if self.error is not None:
            return _error_record(self.path, self.error)
        numbers = [] if self.embedding is None else [float(str(number)) for number in self.embedding]
        return {"path": self.path, "embedding": numbers}


def _error_record(path: str, error: ImageError) -> dict[str, Any]:
    return {"path": path, "error": {"type": type(error).__name__, "message": str(error)}}


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Probabilities along the last axis, in float64: ``exp(x - max) / sum``."""
    import numpy as np  # imported where it is used: `vithybrid --help` must not pay for it

    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def best_predictions(
    logits: npt.NDArray[np.float32], labels: Sequence[str], k: int = 5, threshold: float = 0.0
) -> tuple[Prediction, ...]:
    """The ``k`` most probable labels of one row of logits [C], best first.

    Equal scores keep the order of their class index. A ``k`` above the number of labels gives them all;
    labels below ``threshold`` (a probability) are left out, so the result may be empty.
    """
    import numpy as np

    scores = softmax(logits)
    order = np.argsort(-logits, kind="stable")[:k]
    return tuple(Prediction(int(i), labels[i], float(scores[i])) for i in order if scores[i] >= threshold)
