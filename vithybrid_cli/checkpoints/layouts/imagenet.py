"""ImageNet's classes, for layouts that only number them, and for folders that are named by WordNet ids.

``imagenet-labels.tsv`` holds what timm 1.0.31 lists (``timm.data.ImageNetInfo``): a WordNet id, the lemmas of its
synset, and the letters of the lists that have it. Every list is in the order of its ids. Ids and lemmas are those of
WordNet 3.0 (Princeton University).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("imagenet-labels.tsv")
CLASSES = 1000
# Letters by the number of classes, which tells the lists apart, as timm's ``infer_imagenet_subset`` does.
_LISTS = {
    CLASSES: "a",  # ImageNet-1k
    11_221: "b",  # ImageNet-21k-P as MIIL trains with it, out of the release of fall 2011
    11_821: "c",  # timm's ImageNet-12k
    21_841: "d",  # ImageNet-22k, the release of fall 2011
    21_843: "e",  # Google's ImageNet-21k, with two classes more
}
_MOVED = 21_842  # Microsoft's for FocalNet: ImageNet-1k, and then the rest of ImageNet-22k


@dataclass(frozen=True, slots=True)
class ClassList:
    """The classes of one list, by index: their WordNet ids, and their labels, "tench, Tinca tinca" for n01440764."""

    wnids: tuple[str, ...]
    labels: tuple[str, ...]


@cache
def class_list(count: int) -> ClassList | None:
    """The list of so many classes; None where there is none."""
    if count == _MOVED:
        first = _chosen(_LISTS[CLASSES])
        rest = {wnid: label for wnid, label in _chosen(_LISTS[21_841]).items() if wnid not in first}
        classes: Mapping[str, str] = {**first, **rest}
    elif count in _LISTS:
        classes = _chosen(_LISTS[count])
    else:
        return None
    return ClassList(tuple(classes), tuple(classes.values()))


@cache
def wordnet_labels() -> Mapping[str, str]:
    """The label of every WordNet id that is in any of the lists."""
    return {wnid: label for wnid, label, _ in _rows()}


def imagenet_labels() -> tuple[str, ...]:
    """ImageNet-1k's labels in the order of their class index, "tench, Tinca tinca" first."""
    return labels_by_count(CLASSES)


def labels_by_count(count: int) -> tuple[str, ...]:
    """The labels of ImageNet's list of so many classes; ``LABEL_0`` … for any other number."""
    found = class_list(count)
    return unnamed_labels(count) if found is None else found.labels


def unnamed_labels(count: int) -> tuple[str, ...]:
    """``LABEL_0`` …, as transformers calls classes without names."""
    return tuple(f"LABEL_{index}" for index in range(count))


def _chosen(letter: str) -> dict[str, str]:
    return {wnid: label for wnid, label, lists in _rows() if letter in lists}


def _rows() -> list[list[str]]:
    _, *lines = _TABLE.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines]
