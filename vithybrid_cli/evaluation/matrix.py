"""The confusion matrix of the labels that are confused most, in an order in which these stand together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vithybrid_cli.evaluation.figures import LabelMetrics, Metrics

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MOST_LABELS = 40  # in a matrix whose labels can still be read


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """How often which label was predicted for which, for ``labels`` in an order in which confused ones are near.

    ``counts`` has pictures by the class indices of label and prediction, only where there are any. ``labels_left_out``
    and ``mistakes_left_out`` count what the matrix does not show.
    """

    labels: tuple[LabelMetrics, ...]
    counts: Mapping[tuple[int, int], int]
    labels_left_out: int
    mistakes_left_out: int

    @property
    def mistakes(self) -> int:
        """The pictures beside the diagonal."""
        return sum(count for (true, predicted), count in self.counts.items() if true != predicted)


def confusion_matrix(metrics: Metrics, most: int = MOST_LABELS) -> ConfusionMatrix:
    """The matrix of ``metrics`` that hold all confusions.

    Of more than ``most`` labels it has those of the most frequent confusions.
    """
    chosen = _most_confused(metrics, most)
    pairs = [pair for pair in metrics.confusions if {pair.true_index, pair.predicted_index} <= chosen.keys()]
    counts = {(pair.true_index, pair.predicted_index): pair.count for pair in pairs}
    order = seriated(list(chosen), counts)
    hits = {(index, index): row.correct for index, row in chosen.items() if row.correct}
    return ConfusionMatrix(
        labels=tuple(chosen[index] for index in order),
        counts=hits | counts,
        labels_left_out=len(metrics.labels) - len(chosen),
        mistakes_left_out=sum(pair.count for pair in metrics.confusions) - sum(counts.values()),
    )


def _most_confused(metrics: Metrics, most: int) -> dict[int, LabelMetrics]:
    by_index = {row.index: row for row in metrics.labels}
    if len(by_index) <= most:
        return by_index
    chosen: dict[int, None] = {}
    for pair in metrics.confusions:
        wanted = chosen | dict.fromkeys((pair.true_index, pair.predicted_index))
        if len(wanted) > most:
            break
        chosen = wanted
    return {index: by_index[index] for index in sorted(chosen)}


def seriated(indices: Sequence[int], confusions: Mapping[tuple[int, int], int]) -> list[int]:
    """These class indices in an order in which those that are confused with each other stand together.

    Each group that is connected by confusions is put in the order of the Fiedler vector of its graph, in which a
    label's edges weigh as many pictures as were confused either way: J. E. Atkins, E. G. Boman and B. Hendrickson, "A
    spectral algorithm for seriation and the consecutive ones problem", SIAM Journal on Computing 28 (1998), 297-310;
    here of the normalised Laplacian (J. Shi and J. Malik, "Normalized cuts and image segmentation", 2000), with which
    labels of few confusions do not decide. Larger groups come first, and labels without confusions last.
    """
    import numpy as np

    place = {index: number for number, index in enumerate(indices)}
    weights = np.zeros((len(indices), len(indices)))
    for (true, predicted), count in confusions.items():
        weights[place[true], place[predicted]] += count
        weights[place[predicted], place[true]] += count
    groups = sorted(_connected(weights), key=lambda group: (-len(group), group))
    return [indices[group[number]] for group in groups for number in _along(weights[np.ix_(group, group)])]


def _connected(weights: npt.NDArray[np.float64]) -> list[list[int]]:
    """The places of each group that edges connect, in ascending order."""
    groups, unseen = [], set(range(len(weights)))
    while unseen:
        group, found = set(), {min(unseen)}
        while found:
            group |= found
            found = {int(place) for one in found for place in weights[one].nonzero()[0]} - group
        groups.append(sorted(group))
        unseen -= group
    return groups


def _along(weights: npt.NDArray[np.float64]) -> list[int]:
    """The places of one connected group along its Fiedler vector, the end with the first place first."""
    import numpy as np

    if len(weights) < 3:
        return list(range(len(weights)))
    scale = 1 / np.sqrt(weights.sum(axis=1))
    laplacian = np.eye(len(weights)) - weights * scale[:, None] * scale
    vector = scale * np.linalg.eigh(laplacian)[1][:, 1]  # eigenvalues ascend, and the first is 0
    vector = np.round(vector / np.abs(vector).max(), 9)  # what differs by rounding alone keeps its order
    if vector[0] > 0:  # a vector and its negative are the same to eigh
        vector = -vector
    return [int(place) for place in np.argsort(vector, kind="stable")]
