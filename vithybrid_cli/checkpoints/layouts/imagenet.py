"""ImageNet-1k's thousand labels, for layouts that only number their classes."""

from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("imagenet-1k-labels.tsv")  # index, WordNet id, label, under a line of headings
CLASSES = 1000


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The labels in the order of their class index, "tench, Tinca tinca" first."""
    _, *lines = _TABLE.read_text(encoding="utf-8").splitlines()
    return tuple(line.split("\t")[2] for line in lines)


def labels_by_count(count: int) -> tuple[str, ...]:
    """ImageNet's labels for a thousand classes; ``LABEL_0`` … for any other number."""
    return imagenet_labels() if count == CLASSES else unnamed_labels(count)


def unnamed_labels(count: int) -> tuple[str, ...]:
    """``LABEL_0`` …, as transformers calls classes without names."""
    return tuple(f"LABEL_{index}" for index in range(count))
