"""Which class of a model a WordNet id (n02123045) stands for, as ImageNet's folders are named."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from vithybrid_cli.checkpoints.layouts.imagenet import class_list, wordnet_labels

# An id alone, or before a name, as in "n02085620-Chihuahua".
_ID = re.compile(r"(n\d{8})(?![^\W_])")
_ASIDE = re.compile(r"\(.*?\)")  # as in "kite (bird of prey)"
_GAP = re.compile(r"[\s_-]+")


def wordnet_id(name: str) -> str | None:
    """The WordNet id that a name is or begins with; None where there is none."""
    found = _ID.match(name.strip())
    return found[1] if found else None


def described(name: str) -> str | None:
    """What ImageNet calls the id that a name is or begins with; None where that is not known."""
    wnid = wordnet_id(name)
    return None if wnid is None else wordnet_labels().get(wnid)


def wordnet_finder(labels: Sequence[str]) -> Callable[[str], Sequence[int]]:
    """A function from a WordNet id to the indices of the labels that it may stand for.

    Labels that are ids, or begin with them, say so themselves. The labels of one of ImageNet's lists, in its order and
    whatever names of its classes they use, have that list's ids. Other labels are compared by name with those that
    ImageNet has for the id: the whole label, else the first name, else any.
    """
    own = _positions((wordnet_id(label),) for label in labels)

    @cache
    def listed() -> Mapping[str, Sequence[int]]:
        found = class_list(len(labels))
        if found is None or not _agree(labels, found.labels):
            return {}
        return {wnid: (index,) for index, wnid in enumerate(found.wnids)}

    @cache
    def named() -> Sequence[Callable[[str], Sequence[int]]]:
        return [_by_name(labels, names) for names in (_whole, _first, _names)]

    def find(wnid: str) -> Sequence[int]:
        known = own.get(wnid) or listed().get(wnid)
        if known or wnid not in wordnet_labels() or listed():
            return known or ()
        return next((indices for by_name in named() if (indices := by_name(wordnet_labels()[wnid]))), ())

    return find


def wordnet_ids(labels: Sequence[str]) -> tuple[str | None, ...]:
    """The WordNet id of each label of a model, if it is one that ImageNet has; else None.

    Labels that are ids, or begin with them, say so themselves, and those of one of ImageNet's lists have that list's.
    Of others the whole label has to be what ImageNet calls one id, and no other.
    """
    found = class_list(len(labels))
    if found is not None and _agree(labels, found.labels):
        return found.wnids
    ids = tuple(wordnet_labels())

    def identified(label: str) -> str | None:
        wnid, [whole] = wordnet_id(label), _whole(label)
        if wnid is not None:
            return wnid if wnid in wordnet_labels() else None
        same = _called().get(whole, ())
        return ids[same[0]] if len(same) == 1 else None

    return tuple(map(identified, labels))


@cache
def _called() -> Mapping[str, Sequence[int]]:
    """Where in `wordnet_labels` each of them stands. There are more than 20,000, and a run asks for them twice."""
    return _positions(map(_whole, wordnet_labels().values()))


def _by_name(labels: Sequence[str], names: Callable[[str], Iterable[str]]) -> Callable[[str], Sequence[int]]:
    positions = _positions(map(names, labels))
    return lambda label: sorted({index for name in names(label) for index in positions.get(name, ())})


def _agree(labels: Sequence[str], listed: Sequence[str]) -> bool:
    """Whether most labels have a name of the class at their place: no other order comes near."""
    same = sum(not set(_names(a)).isdisjoint(_names(b)) for a, b in zip(labels, listed, strict=True))
    return 2 * same > len(labels)


def _whole(label: str) -> Iterable[str]:
    return (", ".join(_names(label)),)


def _first(label: str) -> Iterable[str]:
    return _names(label)[:1]


def _names(label: str) -> Sequence[str]:
    """The names in a label in one spelling: "Egyptian_cat" is "egyptian cat"."""
    plain = _GAP.sub(" ", _ASIDE.sub("", label).casefold())
    return [name for part in plain.split(",") if (name := part.strip())]


def _positions(names: Iterable[Iterable[str | None]]) -> Mapping[str, Sequence[int]]:
    """Where each name occurs."""
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for index, given in enumerate(names):
        for name in given:
            if name is not None:
                positions[name].append(index)
    return positions
