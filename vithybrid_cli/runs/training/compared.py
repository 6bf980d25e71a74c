"""Which pictures of a training are there several times, whatever they are for: one file, or files that hold the same.

All parts are compared in one pass, so that each file is looked at once.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from vithybrid_cli.items import Item
from vithybrid_cli.runs.training.copies import Copies, Labelled
from vithybrid_cli.runs.training.overlap import Overlap
from vithybrid_cli.training.contents import same

if TYPE_CHECKING:
    from vithybrid_cli.training.data import LabelledPictures

Files = dict[str, Labelled]  # by where they lie, whatever path or link leads there
Contents = Mapping[str, int]  # a number for each file: that of the first which holds the same


class Compared(NamedTuple):
    """What was found among the pictures to learn from, and between the test and these."""

    copies: Copies
    overlap: Overlap


def compare(
    trained: "LabelledPictures",
    chooser: "LabelledPictures | None" = None,
    test: "LabelledPictures | None" = None,
    *,
    same_place: bool = False,
) -> Compared:
    """Look at all that does not lie at addresses. What cannot be read is the same as nothing; training tells of it.

    ``same_place`` says that ``test`` comes from where the others come from. That tells for what can be read from its
    beginning to its end alone, whose pictures a test does not keep.
    """
    real = real_files()
    learnt, choosing = _files(trained, real), {} if chooser is None else _files(chooser, real)
    tested = {} if test is None else {real(item): item for item in test.items}
    contents = _contents(tested | {file: item for part in (choosing, learnt) for file, (item, _) in part.items()})
    copies = _copies(learnt, choosing, contents)
    if same_place and test is not None and len(test.items) < len(test.targets):
        return Compared(copies, Overlap(len(learnt), len(choosing)))
    return Compared(copies, Overlap(_both(tested, learnt, contents), _both(tested, choosing, contents)))


def real_files() -> Callable[[Item], str]:
    """A function that gives the file of an item; each folder is looked up but once."""
    folder = lru_cache(maxsize=None)(os.path.realpath)

    def real(item: Item) -> str:
        if os.path.islink(item.name):  # noqa: PTH114 (a hundred thousand of them)
            return os.path.realpath(item.name)
        where, name = os.path.split(item.name)
        return os.path.join(folder(where), name)  # noqa: PTH118

    return real


def _files(part: "LabelledPictures", real: Callable[[Item], str]) -> Files:
    """Each file of a part with its label, by the first of the paths that lead to it."""
    files: dict[str, Labelled] = {}
    for item, target in zip(part.items, part.targets, strict=True):
        files.setdefault(real(item), (item, part.labels[target]))
    return files


def _contents(items: Mapping[str, Item]) -> Contents:
    paths, numbers = list(items), {file: number for number, file in enumerate(items)}
    for first, *others in same(list(items.values())):
        numbers.update((paths[index], first) for index in others)
    return numbers


def _both(tested: Collection[str], others: Collection[str], contents: Contents) -> int:
    """How many of the tested files are among the others, or hold the same as one of these."""
    there = {contents[file] for file in others}
    return sum(contents[file] in there for file in tested)


def _copies(learnt: Files, choosing: Files, contents: Contents) -> Copies:
    every = learnt | {file: labelled for file, labelled in choosing.items() if file not in learnt}
    groups: defaultdict[int, list[Labelled]] = defaultdict(list)
    for file, labelled in every.items():
        groups[contents[file]].append(labelled)
    contradicting: list[tuple[Labelled, Labelled]] = []
    within: list[tuple[str, str]] = []
    for group in groups.values():
        first: dict[str, Item] = {}
        for item, label in group:
            if (before := first.setdefault(label, item)) is not item:
                within.append((before.name, item.name))
        if len(first) > 1:
            (label, item), (other_label, other) = list(first.items())[:2]
            contradicting.append(((item, label), (other, other_label)))
    return Copies(len(every), tuple(contradicting), tuple(within), tuple(_learnt(learnt, choosing, contents)))


def _learnt(learnt: Files, choosing: Files, contents: Contents) -> Iterator[tuple[str, str]]:
    """The names of each that chooses the epoch and of the same under its label that is trained on."""
    names = {(contents[file], label): item.name for file, (item, label) in learnt.items()}
    for file, (item, label) in choosing.items():
        if (name := names.get((contents[file], label))) is not None:
            yield item.name, name
