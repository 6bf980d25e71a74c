"""How good a model is on pictures whose labels are known: accuracy, recall and precision, and its confusions."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vithybrid_cli.errors import UsageError
from vithybrid_cli.results import ImageResult

TOP_K = 5  # predictions that a result must hold (fewer only if the model has fewer labels)
NAMED_FOLDERS = 5  # that an error message spells out


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label: how many pictures have it, how many of these were found, and how many were given it."""

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
        """``correct / predicted``; None for a label that was never given."""
        return _ratio(self.correct, self.predicted)

    def record(self) -> dict[str, Any]:
        """The score as plain values, in the shape of the JSON output."""
        return {
            "index": self.index,
            "label": self.label,
            "pictures": self.pictures,
            "correct": self.correct,
            "correct_top5": self.correct_top5,
            "predicted": self.predicted,
            "recall": _rounded(self.recall),
            "precision": _rounded(self.precision),
        }


@dataclass(frozen=True, slots=True)
class Confusion:
    """``count`` pictures of the label ``true`` were taken for ``predicted``; the indices tell equal labels apart."""

    true_index: int
    true: str
    predicted_index: int
    predicted: str
    count: int

    def record(self) -> dict[str, Any]:
        """The confusion as plain values, in the shape of the JSON output."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found. Pictures that could not be read are in ``unreadable`` and in no other number."""

    labels: tuple[LabelScore, ...]
    confusions: tuple[Confusion, ...]
    unreadable: tuple[ImageResult, ...]

    @property
    def pictures(self) -> int:
        """Pictures that were read, over all labels."""
        return sum(score.pictures for score in self.labels)

    @property
    def top1(self) -> float | None:
        """Share of the pictures whose first label is right; None without pictures."""
        return _ratio(sum(score.correct for score in self.labels), self.pictures)

    @property
    def top5(self) -> float | None:
        """Share of the pictures whose label is among the first five; None without pictures."""
        return _ratio(sum(score.correct_top5 for score in self.labels), self.pictures)

    def record(self) -> dict[str, Any]:
        """The report as plain values, in the shape of the JSON output."""
        return {
            "pictures": self.pictures,
            "top1": _rounded(self.top1),
            "top5": _rounded(self.top5),
            "labels": [score.record() for score in self.labels],
            "confusions": [confusion.record() for confusion in self.confusions],
            "unreadable": [result.record() for result in self.unreadable],
        }


class Evaluation:
    """Counts results picture by picture; what it keeps is one number per label and pair, and the unreadable ones."""

    def __init__(self, labels: Sequence[str]) -> None:
        """``labels`` are all labels of the model, in the order of their index."""
        import numpy as np  # imported where it is used: `vithybrid --help` must not pay for it

        self._labels = tuple(labels)
        self._pictures, self._correct, self._correct_top5, self._predicted = np.zeros((4, len(labels)), np.int64)
        self._confused: Counter[tuple[int, int]] = Counter()
        self._unreadable: list[ImageResult] = []

    def add(self, true: int, result: ImageResult) -> None:
        """Count one picture whose label has the index ``true``; ``result`` holds its best ``TOP_K`` predictions.

        A picture without predictions (nothing reached the threshold) is read and wrong, but confused with nothing.
        """
        if result.error is not None:
            self._unreadable.append(result)
            return
        best = [prediction.index for prediction in result.predictions[:TOP_K]]
        self._pictures[true] += 1
        self._correct[true] += best[:1] == [true]
        self._correct_top5[true] += true in best
        if best:
            self._predicted[best[0]] += 1
        if best and best[0] != true:
            self._confused[true, best[0]] += 1

    def report(self, confusions: int = 10) -> Report:
        """The numbers so far, with so many of the most frequent ``confusions``.

        A label is listed if it has pictures or was given to one, in the order of the index. Equally frequent
        confusions come in the order of their indices.
        """
        import numpy as np

        listed = np.flatnonzero(self._pictures + self._predicted)
        pairs = sorted(self._confused.items(), key=lambda item: (-item[1], item[0]))[:confusions]
        return Report(
            tuple(self._score(int(index)) for index in listed),
            tuple(Confusion(a, self._labels[a], b, self._labels[b], count) for (a, b), count in pairs),
            tuple(self._unreadable),
        )

    def _score(self, index: int) -> LabelScore:
        counts = (self._pictures, self._correct, self._correct_top5, self._predicted)
        return LabelScore(index, self._labels[index], *(int(count[index]) for count in counts))


def match_labels(folders: Sequence[str], labels: Sequence[str]) -> dict[str, int]:
    """The class index that each folder name stands for.

    A folder is named by the whole label, or else by the index in decimal digits, or else by the first name of the
    label, the part before its first comma. A label wins over an index, so that ``7`` finds the label "7" of a model
    of digits. A label that cannot be a folder name, such as one with a slash, has its index or first name. Accents
    match however the file system composes them. Several folders may stand for one label.

    Raises ``UsageError`` if a folder stands for no label, or for several, as "crane" does for two of ImageNet.
    """
    find = _finder(labels)
    found = {folder: find(folder) for folder in folders}
    unknown = [folder for folder, indices in found.items() if not indices]
    if unknown:
        raise UsageError(_no_label(unknown))
    doubtful = {folder: indices for folder, indices in found.items() if len(indices) > 1}
    if doubtful:
        raise UsageError(_several_labels(doubtful))
    return {folder: indices[0] for folder, indices in found.items()}


def _finder(labels: Sequence[str]) -> Callable[[str], Sequence[int]]:
    """A function from a folder name to the indices that it may stand for."""
    whole = _positions(labels)
    first = _positions(label.split(",")[0] for label in labels)
    numbers = {str(index): (index,) for index in range(len(labels))}

    def find(folder: str) -> Sequence[int]:
        name = _normal(folder)
        return whole.get(name) or numbers.get(name) or first.get(name) or ()

    return find


def _positions(names: Iterable[str]) -> Mapping[str, Sequence[int]]:
    """Where each name occurs."""
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        positions[_normal(name)].append(index)
    return positions


def _normal(name: str) -> str:
    """One form for what looks the same: macOS stores folder names decomposed, labels are mostly composed."""
    return unicodedata.normalize("NFC", name).strip()


def _no_label(folders: Sequence[str]) -> str:
    names = _enumeration([f'"{folder}"' for folder in folders])
    subject = "this folder is" if len(folders) == 1 else f"{len(folders)} folders are"
    return (
        f"{subject} named after no label of the model: {names}. Name each folder by a label, by the first name of a "
        "label, or by its index; `vithybrid info MODEL` lists them"
    )


def _several_labels(folders: Mapping[str, Sequence[int]]) -> str:
    names = _enumeration([f'"{folder}" ({_either(indices)})' for folder, indices in folders.items()])
    return f"folder names that stand for several labels of the model: {names}. Name these folders by the index"


def _either(indices: Sequence[int]) -> str:
    return " or ".join(map(str, indices))


def _enumeration(names: Sequence[str]) -> str:
    more = len(names) - NAMED_FOLDERS
    return ", ".join(names[:NAMED_FOLDERS]) + (f" and {more} more" if more > 0 else "")


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 6)
