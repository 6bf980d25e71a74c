"""Which rows of a model's head a head for other labels takes over: those of labels that it knows by name already."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vithybrid_cli.errors import are, counted, listed, short
from vithybrid_cli.evaluation.labels import finder, normal
from vithybrid_cli.evaluation.wordnet import described
from vithybrid_cli.training.labels import plain

_NAMED_LABELS = 10  # that a summary spells out
_ASIDE = re.compile(r"\(.*?\)")  # as in "kite (bird of prey)"

Index = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Head:
    """The ``labels`` of a head to train, and for each the row of the model's head that it begins with, if any.

    ``known`` is how many rows that has.
    """

    labels: tuple[str, ...]
    rows: tuple[int | None, ...]
    known: int = 0

    @property
    def kept(self) -> tuple[str, ...]:
        """The labels that the model knows."""
        return tuple(label for label, row in zip(self.labels, self.rows, strict=True) if row is not None)

    @property
    def new(self) -> tuple[str, ...]:
        """The labels that it has to learn."""
        return tuple(label for label, row in zip(self.labels, self.rows, strict=True) if row is None)

    def summary(self) -> str:
        """How many labels the model knows, and which are new, as one line."""
        new, count = self.new, len(self.labels)
        if not new:
            return f"the model knows {'both' if count == 2 else f'all {count}'} labels{self._dropped()}"
        if not self.kept:
            return f"the model knows none of the {count} labels"
        named = listed([short(label) for label in new], _NAMED_LABELS)
        return f"the model knows {len(self.kept)} of {count} labels; new: {named}{self._dropped()}"

    def _dropped(self) -> str:
        """Which share of the model's labels its head has no more."""
        dropped = self.known - len(self.kept)
        return f"; its {counted(dropped, 'other label')} {are(dropped)} dropped" * (dropped > 0)

    def weights(self, weights: Mapping[str, Tensor], width: int) -> dict[str, Tensor]:
        """The ``weights`` with this head, ``width`` → number of labels.

        A new label begins with the mean of all rows of the model, so that its logit is the mean of the model's logits
        for each picture: neither likely nor, once others are trained, far off. Where no label is known the head is 0.
        """
        rest = {name: tensor for name, tensor in weights.items() if not name.startswith("head.")}
        if not self.kept:
            return {**rest, **_zeros(len(self.labels), width)}
        theirs = {kind: weights[f"head.{kind}"] for kind in ("weight", "bias")}
        made = {
            f"head.{kind}": torch.stack([tensor.mean(0) if row is None else tensor[row] for row in self.rows])
            for kind, tensor in theirs.items()
        }
        return {**rest, **made}


def head_for(labels: Sequence[str], known: Sequence[str]) -> Head:
    """The head for ``labels`` from a model that knows those ``known``, some of which may have the same name.

    A label is known by its whole name or its first one ("tabby" of "tabby, tabby cat"), else by these without regard
    to case, spaces, hyphens and underscores, else by any other of its names, by a WordNet id (n02123045), or as
    `vithybrid sort` names folders (``crane (134)``). A number is the name of a label, never its index. What may stand
    for several labels, as "crane" and "maillot" do for ImageNet's, is new, unless all but one of them are named by
    other labels; so are several labels that could only be the same one.
    """
    candidates = _candidates(known)
    found = {label: tuple(candidates(label)) for label in labels}
    taken = {rows[0] for rows in found.values() if len(rows) == 1}
    for label, rows in found.items():
        left = [row for row in rows if row not in taken and normal(known[row]) == normal(label)]
        if len(rows) > 1 and len(left) == 1 and len(set(rows) - taken) == 1:
            found[label] = (left[0],)
    wanted: defaultdict[int, list[str]] = defaultdict(list)
    for label, rows in found.items():
        if len(rows) == 1:
            wanted[rows[0]].append(label)
    row_of = {_chosen(claims, known[row]): row for row, claims in wanted.items()}
    return Head(tuple(labels), tuple(row_of.get(label) for label in labels), len(known))


def _chosen(claims: Sequence[str], known: str) -> str | None:
    """Which of the labels that may be the ``known`` one it is: the only one, or the one of just that name."""
    if len(claims) == 1:
        return claims[0]
    same = [label for label in claims if normal(label) == normal(known)]
    return same[0] if len(same) == 1 else None


def _candidates(known: Sequence[str]) -> Callable[[str], Sequence[int]]:
    """A function from a label to the indices of the ``known`` ones that it may be."""
    names = [(label, meaning) if (meaning := described(label)) else (label,) for label in known]
    exact = _positions(({normal(one) for name in all_ for one in _whole_and_first(name)}) for all_ in names)
    spelt = _positions(({plain(one) for name in all_ for one in _whole_and_first(name)}) for all_ in names)
    other = _positions(({plain(_ASIDE.sub("", one)) for name in all_ for one in name.split(",")}) for all_ in names)
    otherwise = finder(known)

    def find(label: str) -> Sequence[int]:
        found = exact.get(normal(label)) or spelt.get(plain(label)) or other.get(plain(label))
        return found or (otherwise(label) if plain(label) and not label.strip().isdecimal() else ())

    return find


def _whole_and_first(name: str) -> tuple[str, str]:
    return name, name.split(",")[0]


def _positions(names: Iterable[Iterable[str]]) -> Index:
    """Where each name occurs; an empty name is none."""
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for index, given in enumerate(names):
        for name in given:
            if name:
                positions[name].append(index)
    return positions


def _zeros(labels: int, width: int) -> dict[str, Tensor]:
    return {"head.weight": torch.zeros(labels, width), "head.bias": torch.zeros(labels)}
