"""Which pictures to test on are trained on, or choose the epoch, too: by their files, not by what they show."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from vithybrid_cli.errors import are
from vithybrid_cli.items import Item

if TYPE_CHECKING:
    from vithybrid_cli.training.data import LabelledPictures


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many pictures of a test are trained on, and how many choose the epoch."""

    trained_on: int = 0
    choosing: int = 0

    def words(self) -> str:
        """Such as ``3 are trained on and 1 chooses the epoch``; nothing if there are none."""
        parts = []
        if self.trained_on:
            parts.append(f"{self.trained_on:,} {are(self.trained_on)} trained on")
        if self.choosing:
            parts.append(f"{self.choosing:,} {'chooses' if self.choosing == 1 else 'choose'} the epoch")
        return " and ".join(parts)


def overlap(
    test: "LabelledPictures | None",
    trained: "LabelledPictures",
    chooser: "LabelledPictures | None",
    *,
    same_place: bool,
) -> Overlap:
    """How many files of ``test`` are in the others, whatever path or link leads to them; each is looked up.

    ``same_place`` says that it comes from where they come from. That tells for what can be read from its beginning to
    its end alone, whose pictures a test does not keep.
    """
    if test is None:
        return Overlap()
    choosing = () if chooser is None else chooser.items
    if same_place and len(test.items) < len(test.targets):
        return Overlap(len(trained.items), len(choosing))
    real = real_files()
    tested = {real(item) for item in test.items}

    def both(items: Iterable[Item]) -> int:
        return len(tested & {real(item) for item in items})

    return Overlap(both(trained.items), both(choosing))


def real_files() -> Callable[[Item], str]:
    """A function that gives the file of an item; each folder is looked up but once."""
    folder = lru_cache(maxsize=None)(os.path.realpath)

    def real(item: Item) -> str:
        if os.path.islink(item.name):  # noqa: PTH114 (a hundred thousand of them)
            return os.path.realpath(item.name)
        where, name = os.path.split(item.name)
        return os.path.join(folder(where), name)  # noqa: PTH118

    return real
