"""The labels that names of folders, or those in archives and tables, stand for, and what is odd about them."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vithybrid_cli.errors import UsageError, counted, listed, short
from vithybrid_cli.evaluation.labels import normal
from vithybrid_cli.items import Item
from vithybrid_cli.sources.labelled import Labelled
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.walk import natural_key

_NAMED = 5  # labels in a message
_NAMED_FOLDERS = 3


def label_of(name: str) -> str:
    """One form for names that look the same: macOS decomposes accents in file names, and other systems do not.

    Blanks around it go, too. `vithybrid evaluate` finds a label by either form, and could not tell two such apart.
    """
    return normal(name) or name


def labels_of(names: Sequence[str]) -> tuple[str, ...]:
    """The labels in the order of their names, or in the natural one where that is the order of the names."""
    labels = dict.fromkeys(map(label_of, names))
    return tuple(sorted(labels, key=natural_key) if list(names) == sorted(names, key=natural_key) else labels)


@dataclass(frozen=True, slots=True)
class OfLabels:
    """The pictures of ``source`` whose labels are trained; the others are counted.

    ``total`` is how many those are, if that is known.
    """

    source: Labelled
    names: tuple[str, ...]
    total: int | None = None

    @property
    def where(self) -> str:
        """What the user named, in words."""
        return self.source.where

    def count(self) -> int | None:
        """How many pictures there are."""
        return self.total

    def pictures(self, survey: Survey) -> Iterator[tuple[Item, str | None]]:
        """Each picture and its label, as training has it."""
        known = frozenset(self.names)
        for item, name in self.source.pictures(survey):
            label = None if name is None else label_of(name)
            if label is None or label in known:
                yield item, label
            else:
                survey.found -= 1
                survey.untrained[label] += 1


def told_apart(names: Iterable[str]) -> Iterator[str]:
    """What to say of names that are one label and of labels that look like one."""
    of_label = _grouped(names, label_of)
    if one := [label for label, several in of_label.items() if len(several) > 1]:
        yield f"names that differ only in blanks around them, or in how accents are stored, are one label: {_some(one)}"
    for several in _grouped(of_label, plain).values():
        if len(several) > 1:
            yield f"labels that differ only in case, blanks or hyphens stay apart: {_some(several)}"


def inner_folders(folder: Path, items: Iterable[Item]) -> Iterator[str]:
    """What to say of label folders below ``folder`` whose pictures lie in folders of their own, which are no labels."""
    inner: dict[str, dict[str, None]] = {}
    for place in dict.fromkeys(os.path.dirname(item.name) for item in items):  # noqa: PTH120 (of each picture)
        parts = Path(place).relative_to(folder).parts
        if len(parts) > 1:
            inner.setdefault(parts[0], {})[parts[1]] = None
    if inner:
        label, names = next(iter(inner.items()))
        own = "a folder" if len(names) == 1 else "folders"
        others = f"; the same goes for {counted(len(inner) - 1, 'other label')}" if len(inner) > 1 else ""
        said = f"{short(label)} has {own} of its own, {listed(list(map(short, names)), _NAMED_FOLDERS)}"
        yield f"{said}; all pictures in it count as {short(label)}{others}"


def require_well_spelt(unknown: Sequence[str], missing: Sequence[str], where: str) -> None:
    """Raise UsageError where an unknown label is another spelling of one of which there are no pictures else."""
    spelt = {plain(label): label for label in missing}
    for name in unknown:
        if (meant := spelt.get(plain(name))) is not None:
            cause = f"{where} has the label {name}, which is not trained, while {meant} is."
            raise UsageError(cause, "Write them alike if they are the same label, and leave it out if not.")


def _grouped(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[key(name)].append(name)
    return groups


def plain(name: str) -> str:
    """One spelling: "Egyptian_cat" is "egyptian cat"."""
    return re.sub(r"[\s_-]+", " ", normal(name).casefold()).strip()


def _some(labels: Sequence[str]) -> str:
    return listed(labels, _NAMED)
