"""A name becomes an item, or the items in what it names: files, members of containers, addresses.

A member's name chains as those of fsspec do: ``zip://inner/cat.jpg::photos.zip``.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from vithybrid_cli.errors import ImageError, MissingFile, NotAFile
from vithybrid_cli.images.local import LocalFile, stamp_of
from vithybrid_cli.items import NO_FILE, Failure, Item, Stamp
from vithybrid_cli.sources.containers import Container, Kind, Wanted, is_member_name, kind_of_container, places
from vithybrid_cli.sources.remote.addresses import is_address, offline_error
from vithybrid_cli.sources.remote.files import RemoteFile
from vithybrid_cli.sources.remote.urls import DataUrl, FileUrl, is_data_url, path_of_file_url
from vithybrid_cli.sources.survey import Survey

_MOST_OPENED = 8  # containers that stay open: names may come from several in turn


@dataclass(frozen=True, slots=True)
class Named:
    """Makes items of names, as they are ``wanted``. The containers that were used last stay open."""

    wanted: Wanted
    _opened: dict[tuple[str, str], Container | ImageError] = field(default_factory=dict)

    def items(self, name: str) -> Iterator[Item]:
        """The pictures of a container, or the one that has this name itself."""
        kind = kind_of_container(name)
        if kind is None or self._is_refused(name):
            yield self.item(name)
            return
        try:
            container = kind.open(name, self.wanted)
        except ImageError as error:
            yield _unopened(name, error)
        else:
            yield from container.items()

    def _is_refused(self, place: str) -> bool:
        """Whether a connection would have to be opened, and none may be."""
        return self.wanted.offline and is_address(place)

    def item(self, name: str) -> Item:
        """The picture of this name. A container is none, but what is wrong with it can be asked for."""
        if is_member_name(name):
            return self._member(name)
        kind = kind_of_container(name)
        return (
            _lying_at(name, self.wanted) if kind is None or self._is_refused(name) else _Whole(name, kind, self.wanted)
        )

    def _member(self, name: str) -> Item:
        readings = list(places(name))
        kind, member, place = next((one for one in readings if os.path.lexists(one[2])), readings[0])
        container = self._container(kind, place)
        if isinstance(container, ImageError):
            return Failure(name, container, NO_FILE)
        return container.item(member)

    def _container(self, kind: Kind, place: str) -> Container | ImageError:
        key = kind.scheme, place
        container = self._opened.pop(key, None)
        if self._is_refused(place):
            return offline_error()
        if container is None:
            try:
                container = kind.open(place, self.wanted)
            except MissingFile:
                container = MissingFile(f"There is no file {place}, of which it would be a member.", "Check the path.")
            except ImageError as error:
                container = error
            if len(self._opened) == _MOST_OPENED:
                del self._opened[next(iter(self._opened))]
        self._opened[key] = container
        return container


@dataclass(frozen=True, slots=True)
class _Whole:
    """A container in the place of a picture, as its record that it is damaged has it."""

    name: str
    kind: Kind
    wanted: Wanted

    @property
    def held(self) -> int:
        """Nothing."""
        return 0

    def open(self) -> BinaryIO:
        """What stands in its place among the items, whose error is raised; NotAFile where there is nothing wrong."""
        last = None
        for item in self.kind.open(self.name, replace(self.wanted, survey=Survey())).items():
            last = item
        if last is not None and last.name == self.name:
            return last.open()
        raise NotAFile(
            "This is no picture, but what holds pictures.", "Give its members, as `find_pictures` and the commands do."
        )

    def stamp(self) -> Stamp:
        """That of its file."""
        return stamp_of(self.name)


def _unopened(name: str, error: ImageError) -> Item:
    """What stands for a container that cannot be opened; a file that is not there is looked for again."""
    return LocalFile(name) if isinstance(error, MissingFile) else Failure(name, error, stamp_of(name))


def _lying_at(name: str, wanted: Wanted) -> Item:
    """The picture in a file, or at an address."""
    if ":" in name:
        if (path := path_of_file_url(name)) is not None:
            return FileUrl(name, path)
        if is_data_url(name):
            return DataUrl(name)
        if is_address(name):
            return RemoteFile(name, wanted.max_bytes, wanted.offline)
    return LocalFile(name)
