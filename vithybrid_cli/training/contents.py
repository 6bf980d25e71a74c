"""What pictures hold, compared while hardly any is read as a whole.

Most are told apart by their sizes, and of the others nearly all by how they end: a picture's last bytes are those of
its compressed pixels. What lies at addresses is not looked at, since it would have to be fetched.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

from vithybrid_cli.actions.content import digest
from vithybrid_cli.errors import ImageError
from vithybrid_cli.items import Item
from vithybrid_cli.sources.remote.addresses import is_address

UNKNOWN = 0  # the mark of what cannot be read, or would have to be fetched
_END = 4096  # bytes, what a disk reads at a time
_AT_A_TIME = 8  # files: on a network's disk each takes a millisecond, whatever its size
_IN_A_ROW = 256  # files that a thread looks at before it tells


def same(items: Sequence[Item]) -> list[list[int]]:
    """Which of them hold the same: groups of two and more, as indices in their order.

    What cannot be read is the same as nothing; training tells of it.
    """
    groups = _alike([list(range(len(items)))], map(_size, items))
    for key in (_end, _digest):
        groups = _alike(groups, _of_all(key, [items[index] for group in groups for index in group]))
    return groups


def content_marks(items: Sequence[Item]) -> Iterator[int]:
    """A number of 64 bits for each, made of its size and its end: another one where it holds something else.

    It does not change when the picture is moved, copied or packed.
    """
    for end in _of_all(_end, items):
        yield UNKNOWN if end is None else number_of(end.encode())


def number_of(text: bytes) -> int:
    """A number of 64 bits, with its sign, that stands for a text."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


def _of_all(key: Callable[[Item], str | None], items: Sequence[Item]) -> Iterator[str | None]:
    """The key of each, several of them at a time."""
    rows = (items[at : at + _IN_A_ROW] for at in range(0, len(items), _IN_A_ROW))
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        yield from chain.from_iterable(pool.map(partial(_of_each, key), rows))


def _of_each(key: Callable[[Item], str | None], items: Iterable[Item]) -> list[str | None]:
    return [key(item) for item in items]


def _alike(groups: Sequence[Sequence[int]], keys: Iterator[object]) -> list[list[int]]:
    """The groups, each divided into those of which several have the same key."""
    divided = []
    for group in groups:
        parts: defaultdict[object, list[int]] = defaultdict(list)
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


def _end(item: Item) -> str | None:
    """Its size with the digest of its last bytes; None where the one is not known or the other cannot be read."""
    size = _size(item)
    end = None if size is None else _digest(item, last=_END)
    return None if end is None else f"{size} {end}"


def _digest(item: Item, last: int | None = None) -> str | None:
    """That of its content, or of so many of its ``last`` bytes; None where it cannot be read."""
    try:
        with item.open() as stream:
            if last is not None:
                stream.seek(max(stream.seek(0, os.SEEK_END) - last, 0))
            return digest(stream)
    except (ImageError, OSError):
        return None
