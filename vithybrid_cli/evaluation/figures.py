"""How good a model is on pictures whose labels are known: accuracy, recall and precision, and its confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vithybrid_cli.choices import Activation
from vithybrid_cli.evaluation.calibration import Calibration, Reliability
from vithybrid_cli.evaluation.faithful import Faithfulness
from vithybrid_cli.evaluation.intervals import wilson
from vithybrid_cli.results import ImageResult

CONFUSIONS = 10  # that are shown
TOP_K = 5  # predictions that a result must hold (fewer only if the model has fewer labels)


@dataclass(frozen=True, slots=True)
class LabelMetrics:
    """One label: how many pictures have it, for how many of them it was predicted, and how often it was in all."""

    index: int
    label: str
    pictures: int
    correct: int
    correct_top5: int
    predicted: int

    @property
    def recall(self) -> float | None:
        """``correct / pictures``; None for a label without pictures."""
        return _ratio(self.correct, self.pictures)

    @property
    def precision(self) -> float | None:
        """``correct / predicted``; None for a label that was never predicted."""
        return _ratio(self.correct, self.predicted)

    @property
    def recall_interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the recall, as `wilson` has it; None for a label without pictures."""
        return wilson(self.correct, self.pictures)

    @property
    def precision_interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the precision; None for a label that was never predicted."""
        return wilson(self.correct, self.predicted)

    def record(self) -> dict[str, Any]:
        """The metrics as plain values, in the shape of the JSON output."""
        return {
            "index": self.index,
            "label": self.label,
            "pictures": self.pictures,
            "correct": self.correct,
            "correct_top5": self.correct_top5,
            "predicted": self.predicted,
            "recall": _rounded(self.recall),
            "precision": _rounded(self.precision),
            "recall_interval": _rounded_interval(self.recall_interval),
            "precision_interval": _rounded_interval(self.precision_interval),
        }


@dataclass(frozen=True, slots=True)
class Confusion:
    """``predicted`` was predicted for ``count`` pictures of ``true``; the indices tell labels of one name apart."""

    true_index: int
    true: str
    predicted_index: int
    predicted: str
    count: int

    def record(self) -> dict[str, Any]:
        """The confusion as plain values, in the shape of the JSON output."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture that could not be read, and why, in words: an exception would keep what its traceback refers to."""

    path: str
    error_type: str
    message: str

    @classmethod
    def of(cls, path: str, error: Exception) -> Unreadable:
        """What is kept of an error."""
        return cls(path, type(error).__name__, str(error))

    def record(self) -> dict[str, Any]:
        """The same shape as an unreadable picture has in the JSON output of `classify`."""
        return {"path": self.path, "error": {"type": self.error_type, "message": self.message}}


@dataclass(frozen=True, slots=True)
class Metrics:
    """How good a model is. Pictures that could not be read are in ``unreadable`` and count for nothing else."""

    labels: tuple[LabelMetrics, ...]
    confusions: tuple[Confusion, ...]
    unreadable: tuple[Unreadable, ...]
    calibration: Calibration = field(default_factory=Calibration)
    maps: Faithfulness | None = None  # how faithful its maps are, if that was measured

    @property
    def pictures(self) -> int:
        """How many pictures were read, over all labels."""
        return sum(label.pictures for label in self.labels)

    @property
    def top1(self) -> float | None:
        """Share of the pictures whose first label is right; None without pictures."""
        return _ratio(self._correct, self.pictures)

    @property
    def top1_interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of `top1`, as `wilson` has it; None without pictures."""
        return wilson(self._correct, self.pictures)

    @property
    def top5(self) -> float | None:
        """Share of the pictures whose label is among the first five; None without pictures."""
        return _ratio(self._correct_top5, self.pictures)

    @property
    def top5_interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of `top5`; None without pictures."""
        return wilson(self._correct_top5, self.pictures)

    def with_confusions(self, most: int) -> Metrics:
        """The same with the most frequent confusions alone, at most so many."""
        return replace(self, confusions=self.confusions[:most])

    @property
    def _correct(self) -> int:
        return sum(label.correct for label in self.labels)

    @property
    def _correct_top5(self) -> int:
        return sum(label.correct_top5 for label in self.labels)

    def record(self) -> dict[str, Any]:
        """All of it as plain values, in the shape of the JSON output."""
        return {
            "pictures": self.pictures,
            "top1": _rounded(self.top1),
            "top5": _rounded(self.top5),
            "top1_interval": _rounded_interval(self.top1_interval),
            "top5_interval": _rounded_interval(self.top5_interval),
            "calibration": self.calibration.record(),
            "labels": [label.record() for label in self.labels],
            "confusions": [confusion.record() for confusion in self.confusions],
            "unreadable": [picture.record() for picture in self.unreadable],
            **({} if self.maps is None else {"maps": self.maps.record()}),
        }


class Evaluation:
    """Counts results picture by picture. It keeps a count per label and per confused pair, and what was unreadable."""

    def __init__(self, labels: Sequence[str], activation: Activation = Activation.SOFTMAX) -> None:
        """``labels`` are all labels of the model, by class index; ``activation`` is what makes its scores."""
        import numpy as np  # imported where it is used: `vithybrid --help` must not pay for it

        self._labels = tuple(labels)
        self._pictures, self._correct, self._correct_top5, self._predicted = np.zeros((4, len(labels)), np.int64)
        self._confused: Counter[tuple[int, int]] = Counter()
        self._unreadable: list[Unreadable] = []
        self._reliability = Reliability(activation)

    def add(self, true: int, result: ImageResult) -> None:
        """Count one picture whose label has the index ``true``; ``result`` holds its best ``TOP_K`` predictions.

        A picture without predictions (nothing reached the threshold) counts as wrong, but as no confusion, and has no
        score that could be right.
        """
        if result.error is not None:
            self._unreadable.append(Unreadable.of(result.path, result.error))
            return
        best = [prediction.index for prediction in result.predictions[:TOP_K]]
        self._pictures[true] += 1
        self._correct[true] += best[:1] == [true]
        self._correct_top5[true] += true in best
        if best:
            self._predicted[best[0]] += 1
            self._reliability.add(result.predictions[0].score, correct=best[0] == true)
        if best and best[0] != true:
            self._confused[true, best[0]] += 1

    def metrics(self, confusions: int | None = CONFUSIONS) -> Metrics:
        """The metrics so far, with the most frequent ``confusions``, at most so many; all of them for None.

        Labels come by index, without those that no picture has and that were never predicted. Equally frequent
        confusions come by index, too.
        """
        import numpy as np

        listed = np.flatnonzero(self._pictures + self._predicted)
        pairs = sorted(self._confused.items(), key=lambda item: (-item[1], item[0]))[:confusions]
        return Metrics(
            tuple(self._label(int(index)) for index in listed),
            tuple(Confusion(a, self._labels[a], b, self._labels[b], count) for (a, b), count in pairs),
            tuple(self._unreadable),
            self._reliability.calibration(),
        )

    def _label(self, index: int) -> LabelMetrics:
        counts = (self._pictures, self._correct, self._correct_top5, self._predicted)
        return LabelMetrics(index, self._labels[index], *(int(count[index]) for count in counts))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


def _rounded_interval(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [round(end, 6) for end in interval]
