"""Names of members in little memory: where they are, and which came up before."""

from array import array
from bisect import bisect_left
from zlib import crc32

_LEAST_SLOTS, _HASH = 1024, 2**64 - 1


class Index:
    """Where members are, by name: 16 bytes for each. A name may lead to places of others, too."""

    def __init__(self) -> None:
        self._keys, self._places = array("Q"), array("Q")
        self._sorted = 0

    def __len__(self) -> int:
        return len(self._places)

    def add(self, name: str, place: int) -> None:
        """The next member is there."""
        self._keys.append(_key(name) << 32 | len(self._places))
        self._places.append(place)

    def find(self, name: str) -> list[int]:
        """The places at which a member of this name may be, in the order in which they were added."""
        if self._sorted != len(self._keys):
            self._keys = array("Q", sorted(self._keys))
            self._sorted = len(self._keys)
        key, places = _key(name), []
        at = bisect_left(self._keys, key << 32)
        while at < len(self._keys) and self._keys[at] >> 32 == key:
            places.append(self._places[self._keys[at] & 0xFFFFFFFF])
            at += 1
        return places


class Seen:
    """A set of names, told apart by 64 bits of a hash: at most 32 bytes for each, where a set of texts takes 150."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _LEAST_SLOTS))
        self._count = 0

    def add(self, name: str) -> bool:
        """Whether this name is new."""
        if 2 * self._count >= len(self._slots):
            self._grow()
        return self._put(hash(name) & _HASH or 1)  # 0 is a free slot

    def _put(self, value: int) -> bool:
        slots, most = self._slots, len(self._slots) - 1
        at = value & most
        while slots[at]:
            if slots[at] == value:
                return False
            at = (at + 1) & most
        slots[at] = value
        self._count += 1
        return True

    def _grow(self) -> None:
        before, self._slots, self._count = self._slots, array("Q", bytes(16 * len(self._slots))), 0
        for value in filter(None, before):
            self._put(value)


def _key(name: str) -> int:
    return crc32(name.encode("utf-8", "surrogatepass"))
