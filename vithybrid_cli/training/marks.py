"""Two marks for each picture of a run, kept in its state, which tell what is another when the run is resumed.

A state has no names: those of a million pictures would be as large as a network.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vithybrid_cli.errors import are, counted, listed
from vithybrid_cli.training.contents import UNKNOWN, content_marks, number_of
from vithybrid_cli.training.data import LabelledPictures, base_name

_NAMED = 3  # pictures


@dataclass(frozen=True, slots=True)
class Marks:
    """Those of pictures by label and name, and of their contents, both [number of pictures].

    They stay the same when the whole is moved, copied or packed. A state has them without ``names``.
    """

    pictures: npt.NDArray[np.int64]
    contents: npt.NDArray[np.int64]
    names: tuple[str, ...] = ()

    def in_order(self) -> "Marks":
        """In ascending order, which says nothing about that of the pictures."""
        order = np.lexsort((self.contents, self.pictures))
        return Marks(self.pictures[order], self.contents[order])


def marks(parts: Sequence[LabelledPictures]) -> Marks:
    """The marks of all pictures; each is looked at."""
    pictures, items = [], []
    for part in parts:
        for item, target in zip(part.items, part.targets, strict=True):
            name = f"{part.labels[target]}/{base_name(item.name)}"
            pictures.append(number_of(name.encode(errors="surrogateescape")))
            items.append(item)
    contents = np.fromiter(content_marks(items), dtype=np.int64, count=len(items))
    return Marks(np.array(pictures, dtype=np.int64), contents, tuple(item.name for item in items))


def changes(before: Marks, now: Marks) -> str | None:
    """What came, went or was changed in its place since there were the marks ``before``, in words; None for nothing.

    What could not be read then or cannot be read now counts as unchanged.
    """
    there = Counter(zip(before.pictures.tolist(), before.contents.tolist(), strict=True))
    unlike = []
    for picture, content, name in zip(now.pictures.tolist(), now.contents.tolist(), now.names, strict=True):
        if there[picture, content]:
            there[picture, content] -= 1
        else:
            unlike.append((picture, content, name))
    left: defaultdict[int, list[int]] = defaultdict(list)
    for picture, content in there.elements():
        left[picture].append(content)
    new, changed = [], []
    for picture, content, name in unlike:  # only now, since several may have one name in different folders
        if not left[picture]:
            new.append(name)
        elif UNKNOWN not in (content, left[picture].pop()):
            changed.append(name)
    said = []
    if new:
        said.append(f"{counted(len(new), 'picture')} {are(len(new))} new ({listed(new, _NAMED)})")
    if missing := sum(map(len, left.values())):
        said.append(f"{counted(missing, 'picture')} {are(missing)} gone")
    if changed:
        was = "was" if len(changed) == 1 else "were"
        said.append(f"{counted(len(changed), 'picture')} {was} changed ({listed(changed, _NAMED)})")
    return " and ".join(said) or None
