"""A mark for each picture of a run, kept in its state, which tells what came and went when the run is resumed.

A state has no names: those of a million pictures would be as large as a network.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from vithybrid_cli.errors import are, counted, listed
from vithybrid_cli.training.data import LabelledPictures, base_name

_NAMED = 3  # pictures

Marks = npt.NDArray[np.int64]  # [number of pictures], in ascending order


def marks(parts: Sequence[LabelledPictures]) -> Marks:
    """The marks of all pictures, by label and name: they stay the same when the whole is moved, or packed."""
    return np.sort(np.array([mark for mark, _ in _marked(parts)], dtype=np.int64))


def changes(before: Marks, parts: Sequence[LabelledPictures]) -> str | None:
    """What came and went since there were the marks ``before``, in words; None for nothing."""
    gone, new = Counter(before.tolist()), []
    for mark, name in _marked(parts):
        if gone[mark]:
            gone[mark] -= 1
        else:
            new.append(name)
    said = []
    if new:
        said.append(f"{counted(len(new), 'picture')} {are(len(new))} new ({listed(new, _NAMED)})")
    if missing := gone.total():
        said.append(f"{counted(missing, 'picture')} {are(missing)} gone")
    return " and ".join(said) or None


def _marked(parts: Sequence[LabelledPictures]) -> Iterator[tuple[int, str]]:
    """The mark and the name of each picture."""
    for part in parts:
        for item, target in zip(part.items, part.targets, strict=True):
            name = f"{part.labels[target]}/{base_name(item.name)}".encode(errors="surrogateescape")
            yield int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little", signed=True), item.name
