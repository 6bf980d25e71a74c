"""A picture to be read, wherever it lies: its name, and how to open it."""

import io
import re
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from vithybrid_cli.errors import ImageError


class Stamp(NamedTuple):
    """What tells a picture that was replaced under its name.

    For a file its size in bytes and the time of its last change in nanoseconds, as the system has them.
    """

    size: int
    mtime_ns: int


_MEMBER = re.compile(r"[a-z][a-z0-9+.-]*://(.*)::", re.DOTALL)

NO_FILE = Stamp(-1, -1)  # of a name that leads nowhere
UNSTAMPED = Stamp(0, 0)  # of what cannot be asked for less than reading it
ANOTHERS = Stamp(-3, -3)  # of an item whose name is that of one before it, which has the stamp


class Item(Protocol):
    """One picture. It costs nothing until it is opened, but for the bytes that it may hold."""

    @property
    def name(self) -> str:
        """The ``path`` of its record; given back as an input it names the same picture."""
        ...

    @property
    def held(self) -> int:
        """How many bytes of memory it keeps until it is let go of; 0 for what is read when it is opened."""
        ...

    def open(self) -> BinaryIO:
        """Its bytes from the beginning, to be read anywhere in them; whoever calls closes it. Raises ImageError."""
        ...

    def stamp(self) -> Stamp:
        """What tells it from another one of its name. Nothing is raised."""
        ...


def own_name(name: str) -> str:
    """What the file itself is called that an item of this ``name`` is: of ``zip://a.nef::photos.zip`` that is a.nef."""
    member = _MEMBER.match(name)
    return member[1] if member else name


@dataclass(frozen=True, slots=True)
class Content:
    """A picture whose bytes are in memory already, as those of a stream that goes on."""

    name: str
    content: bytes
    stamped: Stamp = UNSTAMPED

    @property
    def held(self) -> int:
        """The length of the content."""
        return len(self.content)

    def open(self) -> BinaryIO:
        """The content."""
        return io.BytesIO(self.content)

    def stamp(self) -> Stamp:
        """As it was given."""
        return self.stamped


@dataclass(frozen=True, slots=True)
class Failure:
    """What cannot be read, and why: it takes its place among the items."""

    name: str
    error: ImageError
    stamped: Stamp = UNSTAMPED

    @property
    def held(self) -> int:
        """Nothing."""
        return 0

    def open(self) -> BinaryIO:
        """Raises the error."""
        raise self.error

    def stamp(self) -> Stamp:
        """As it was given."""
        return self.stamped
