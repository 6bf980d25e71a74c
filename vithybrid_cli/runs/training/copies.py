"""Pictures that a training run has several times: files that hold the same bytes, under one label or under several.

Most are told apart by their sizes, and of the others nearly all by how they end: a picture's last bytes are those of
its compressed pixels. Only what is alike in both is read as a whole.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from vithybrid_cli.actions.content import digest
from vithybrid_cli.errors import ImageError, are, counted, listed, short
from vithybrid_cli.items import Item
from vithybrid_cli.runs.training.overlap import real_files
from vithybrid_cli.sources.remote.addresses import is_address

if TYPE_CHECKING:
    from vithybrid_cli.training.data import LabelledPictures

MANY = 1 / 10  # of all pictures; fewer copies within a label change little
_NAMED = 2  # pairs of pictures in a line
_END = 4096  # bytes, what a disk reads at a time
_AT_A_TIME = 8  # files: on a network's disk each takes a millisecond, whatever its size
_IN_A_ROW = 256  # files that a thread looks at before it tells

Labelled = tuple[Item, str]


@dataclass(frozen=True, slots=True)
class Copies:
    """What holds the same among so many ``pictures``.

    ``contradicting`` has a pair for each that is under several labels, ``within`` the names of each copy in a label,
    after that of the picture that it is a copy of.
    """

    pictures: int = 0
    contradicting: tuple[tuple[Labelled, Labelled], ...] = ()
    within: tuple[tuple[str, str], ...] = ()

    def notes(self) -> Iterator[str]:
        """What to say of them before a training."""
        if self.contradicting:
            pairs = [
                f"{item.name} ({short(label)}) is also {other.name} ({short(other_label)})"
                for (item, label), (other, other_label) in self.contradicting
            ]
            yield (
                f"{counted(len(pairs), 'picture')} {are(len(pairs))} under several labels with the same "
                f"content, which contradict each other: {listed(pairs, _NAMED)}; remove what is under a wrong label"
            )
        if len(self.within) > MANY * self.pictures:
            first, copy = self.within[0]
            yield (
                f"{len(self.within):,} of {counted(self.pictures, 'picture')} are copies of others of their label, as "
                f"{copy} of {first}: these count several times, and of what is held out a copy may be trained on; keep "
                "one of each"
            )


def copies(*parts: "LabelledPictures | None") -> Copies:
    """Those among the pictures of all ``parts``, which are looked at but for what lies at addresses.

    What links lead to several times is there once. What cannot be read is no copy; training tells of it.
    """
    labelled = list(_once(part for part in parts if part is not None))
    contradicting: list[tuple[Labelled, Labelled]] = []
    within: list[tuple[str, str]] = []
    for group in _same(labelled):
        first: dict[str, Item] = {}
        for item, label in group:
            if (before := first.setdefault(label, item)) is not item:
                within.append((before.name, item.name))
        if len(first) > 1:
            (label, item), (other_label, other) = list(first.items())[:2]
            contradicting.append(((item, label), (other, other_label)))
    return Copies(len(labelled), tuple(contradicting), tuple(within))


def _once(parts: Iterable["LabelledPictures"]) -> Iterator[Labelled]:
    """Each file of the parts with its label, by the first of the paths that lead to it."""
    real, seen = real_files(), set()
    for part in parts:
        for item, target in zip(part.items, part.targets, strict=True):
            if (file := real(item)) not in seen:
                seen.add(file)
                yield item, part.labels[target]


def _same(labelled: Sequence[Labelled]) -> list[list[Labelled]]:
    """Those that hold the same, in groups of two and more, all in their order."""
    groups = _alike([list(labelled)], map(_size, (item for item, _ in labelled)))
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for key in (partial(_digest, last=_END), _digest):
            items = [item for group in groups for item, _ in group]
            rows = (items[at : at + _IN_A_ROW] for at in range(0, len(items), _IN_A_ROW))
            groups = _alike(groups, chain.from_iterable(pool.map(partial(_of_each, key), rows)))
    return groups


def _of_each(key: Callable[[Item], str | None], items: Iterable[Item]) -> list[str | None]:
    return [key(item) for item in items]


def _alike(groups: Sequence[Sequence[Labelled]], keys: Iterator[object]) -> list[list[Labelled]]:
    """The groups, each divided into those of which several have the same key."""
    divided = []
    for group in groups:
        parts: defaultdict[object, list[Labelled]] = defaultdict(list)
        for one in group:
            parts[next(keys)].append(one)
        divided += [part for key, part in parts.items() if key is not None and len(part) > 1]
    return divided


def _size(item: Item) -> int | None:
    """Its bytes; None where that is not known, or would have to be fetched."""
    if is_address(item.name.rpartition("::")[2]):
        return None
    size = item.held or item.stamp().size
    return size if size > 0 else None


def _digest(item: Item, last: int | None = None) -> str | None:
    """That of its content, or of so many of its ``last`` bytes; None where it cannot be read."""
    try:
        with item.open() as stream:
            if last is not None:
                stream.seek(max(stream.seek(0, os.SEEK_END) - last, 0))
            return digest(stream)
    except (ImageError, OSError):
        return None
