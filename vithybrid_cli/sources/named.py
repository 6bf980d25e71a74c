"""A name becomes an item, or the items in what it names: files, members of containers, addresses.

A member's name chains as those of fsspec do: ``zip://inner/cat.jpg::photos.zip``.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.items import Item
from vithybrid_cli.sources.containers import KINDS, Container, Kind, Wanted, kind_of_container

_CHAIN = "::"
_SCHEME = "://"


@dataclass(frozen=True, slots=True)
class Named:
    """Makes items of names, as they are ``wanted``. The container that was opened last stays open."""

    wanted: Wanted
    _opened: dict[str, Container] = field(default_factory=dict)

    def items(self, name: str) -> Iterator[Item]:
        """The pictures of a container, or the one that has this name itself."""
        kind = kind_of_container(name)
        if kind is None:
            yield self.item(name)
        else:
            yield from kind.open(name, self.wanted).items()

    def item(self, name: str) -> Item:
        """The picture of this name."""
        if _SCHEME in name:
            with suppress(ValueError):
                scheme, rest = name.split(_SCHEME, 1)
                member, place = rest.rsplit(_CHAIN, 1)
                for kind in KINDS:
                    if kind.scheme == scheme:
                        return self._container(kind, place).item(member)
        return LocalFile(name)

    def _container(self, kind: Kind, place: str) -> Container:
        if place not in self._opened:
            self._opened.clear()
            self._opened[place] = kind.open(place, self.wanted)
        return self._opened[place]
