"""The answer where no label is sure: the first ancestor in WordNet whose labels together are, or ``unsure``."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vithybrid_cli.checkpoints.layouts.wordnet import ancestors
from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import UsageError, listed
from vithybrid_cli.evaluation.wordnet import wordnet_ids
from vithybrid_cli.results import UNSURE, Answer

_NAMED = 3  # labels that a line names


@dataclass(frozen=True, slots=True)
class Ancestor:
    """What may stand for several classes: its ``name``, and the indices of those at or below it."""

    name: str
    classes: npt.NDArray[np.intp]


class Tree:
    """What stands above the classes of one model in WordNet, where a synset may have several above it."""

    def __init__(self, wnids: Sequence[str]) -> None:
        """``wnids`` are those of the classes, by index."""
        self._wnids = wnids
        self._known: dict[int, Sequence[Ancestor]] = {}

    def answer(self, scores: npt.NDArray[np.float64], best: int, least: float) -> Answer | None:
        """The first of the ancestors of class ``best`` whose ``scores`` [C] add up to ``least``; None if none does."""
        for ancestor in self.ancestors(best):
            score = float(scores[ancestor.classes].sum())
            if score >= least:
                return Answer(ancestor.name, min(score, 1.0), None)  # a sum may end above one in its last digit
        return None

    def ancestors(self, index: int) -> Sequence[Ancestor]:
        """Those of a class: the one with the fewest classes first, so that of several ways up the narrowest counts.

        Of those with the same classes the lowest comes first, and after that the one with the lower WordNet id. The
        class itself is among them where others lie below it.
        """
        if index not in self._known:
            steps = _steps(self._wnids[index])
            found = [(len(self._all[wnid].classes), steps[wnid], wnid) for wnid in steps if wnid in self._all]
            self._known[index] = [self._all[wnid] for *_, wnid in sorted(found)]
        return self._known[index]

    @cached_property
    def _all(self) -> dict[str, Ancestor]:
        """Every synset that has several classes at or below it."""
        below: dict[str, list[int]] = {}
        for index, wnid in enumerate(self._wnids):
            for above in _steps(wnid):
                below.setdefault(above, []).append(index)
        names = ancestors().names
        return {
            wnid: Ancestor(names[wnid], np.array(indices, dtype=np.intp))
            for wnid, indices in below.items()
            if len(indices) > 1
        }


def _steps(wnid: str) -> dict[str, int]:
    """A synset and all above it, each with the number of steps of the longest way up to it."""
    steps = {wnid: 0}
    waiting = [wnid]
    while waiting:
        below = waiting.pop()
        for above in ancestors().above.get(below, ()):
            if steps.get(above, 0) <= steps[below]:
                steps[above] = steps[below] + 1
                waiting.append(above)
    return steps


def tree_of(labels: Sequence[str]) -> Tree:
    """The tree above these labels of a model. Raises UsageError where they are not those of ImageNet."""
    found = wordnet_ids(labels)
    if missing := [label for label, wnid in zip(labels, found, strict=True) if wnid is None]:
        names = listed([f'"{label}"' for label in missing], _NAMED)
        raise UsageError(
            f"{_so_many(len(missing), len(labels))} no place in WordNet: {names}.",
            "Leave out {rollup}, or give a {model} with ImageNet's labels or WordNet ids.",
        )
    return Tree([wnid for wnid in found if wnid is not None])


def _so_many(missing: int, labels: int) -> str:
    if missing == 1:
        return f"1 of the {labels:,} labels of the model is none of ImageNet's, so it has"
    some = "The labels" if missing == labels else f"{missing:,} of the {labels:,} labels"
    return f"{some} of the model are none of ImageNet's, so they have"


def require_rules(unsure: float | None, rollup: float | None, activation: Activation) -> None:
    """Raise UsageError for scores that cannot be reached, and where an ``activation`` makes none that these are for."""
    for name, score in (("unsure", unsure), ("rollup", rollup)):
        if score is None:
            continue
        if not 0 <= score <= 1:
            raise UsageError(f"The score {score} is no probability.", f"Give {{{name}}} one from 0 to 1.")
        if activation is Activation.NONE:
            cause = "The scores are the network's outputs themselves, and no probabilities."
            raise UsageError(cause, f"Leave out {{{name}}}, or give {{activation=softmax}}.")
    if rollup is not None and activation is not Activation.SOFTMAX:
        raise UsageError(
            "Each label has a score of its own with a sigmoid, and those of several do not add up.",
            "Leave out {rollup}, or give {activation=softmax}.",
        )


def instead(
    scores: npt.NDArray[np.float64], best: int, unsure: float | None, rollup: float | None, tree: Tree | None
) -> Answer | None:
    """What takes the place of class ``best``, which has the highest of the ``scores`` [C]; None where it stays.

    Below ``rollup`` that is the ancestor which reaches it, if one does. Where neither that nor the class itself reaches
    ``unsure``, it is that word, with the score of the class.
    """
    score = float(scores[best])
    rolled = tree.answer(scores, best, rollup) if tree is not None and rollup is not None and score < rollup else None
    if unsure is not None and (score if rolled is None else rolled.score) < unsure:
        return Answer(UNSURE, score, None)
    return rolled
