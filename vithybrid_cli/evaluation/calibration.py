"""Whether scores are what they say: of all pictures with a score of 0.8, are 80 % right?

The expected calibration error and the reliability diagram of C. Guo et al., "On Calibration of Modern Neural Networks"
(2017), https://arxiv.org/abs/1706.04599, with their 15 bins of equal width over the score of the first label.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vithybrid_cli.choices import Activation

BINS = 15
EDGES = tuple(edge / BINS for edge in range(BINS + 1))
NO_PROBABILITIES = "The model's scores are raw outputs, not probabilities, so there is nothing to hold them against."


@dataclass(frozen=True, slots=True)
class Bin:
    """The pictures whose score is above ``low`` and at most ``high``; the first bin has those of a score of 0, too."""

    low: float
    high: float
    pictures: int
    correct: int
    total_score: float

    @property
    def mean_score(self) -> float | None:
        """The mean of the scores; None without pictures."""
        return self.total_score / self.pictures if self.pictures else None

    @property
    def accuracy(self) -> float | None:
        """The share of the pictures whose first label is right; None without pictures."""
        return self.correct / self.pictures if self.pictures else None

    def record(self) -> dict[str, Any]:
        """The bin as plain values, in the shape of the JSON output."""
        shares = {"low": self.low, "high": self.high, "mean_score": self.mean_score, "accuracy": self.accuracy}
        low, high, mean, accuracy = (None if share is None else round(share, 6) for share in shares.values())
        return {"low": low, "high": high, "pictures": self.pictures, "mean_score": mean, "accuracy": accuracy}


@dataclass(frozen=True, slots=True)
class Calibration:
    """The reliability of scores that ``activation`` made, in ``bins``.

    Softmax gives the first label the probability that it is the right one. Sigmoid gives it the probability that it
    applies, whatever other labels do, and the error tells how far that is from how often it is the picture's one label:
    where pictures have labels beside it, scores look surer than they are. Raw outputs have no bins.
    """

    activation: Activation = Activation.SOFTMAX
    bins: tuple[Bin, ...] = ()

    @property
    def error(self) -> float | None:
        """The expected calibration error; None without pictures, and for raw outputs.

        It is the mean of ``|accuracy - mean_score|`` over bins, weighted by their pictures (equation 3 of Guo et al.).
        """
        pictures = sum(one.pictures for one in self.bins)
        if not pictures:
            return None
        return sum(abs(one.correct - one.total_score) for one in self.bins) / pictures

    @property
    def why_not(self) -> str | None:
        """A sentence on why there can be no calibration error; None where there can be."""
        return NO_PROBABILITIES if self.activation is Activation.NONE else None

    def record(self) -> dict[str, Any]:
        """The calibration as plain values, in the shape of the JSON output."""
        error = self.error
        record: dict[str, Any] = {
            "error": None if error is None else round(error, 6),
            "scores": str(self.activation),
            "bins": [one.record() for one in self.bins],
        }
        return record if self.why_not is None else record | {"why_not": self.why_not}


class Reliability:
    """Counts scores picture by picture."""

    def __init__(self, activation: Activation) -> None:
        """``activation`` is what made the scores."""
        self._activation = activation
        self._pictures, self._correct = [0] * BINS, [0] * BINS
        self._total_score = [0.0] * BINS

    def add(self, score: float, *, correct: bool) -> None:
        """Count a picture by the ``score`` of its first label."""
        place = bin_of(score)
        self._pictures[place] += 1
        self._correct[place] += correct
        self._total_score[place] += score

    def calibration(self) -> Calibration:
        """What was counted so far."""
        if self._activation is Activation.NONE:
            return Calibration(self._activation)
        counts = zip(EDGES, EDGES[1:], self._pictures, self._correct, self._total_score, strict=False)
        return Calibration(self._activation, tuple(Bin(*count) for count in counts))


def bin_of(score: float, edges: Sequence[float] = EDGES) -> int:
    """The number of the bin that a score is in."""
    return min(max(bisect_left(edges, score) - 1, 0), len(edges) - 2)
