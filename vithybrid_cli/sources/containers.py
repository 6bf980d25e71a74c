"""Files and addresses that hold pictures, by suffix: archives and tables.

Another kind of container is a module of its own and a row in `KINDS`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from vithybrid_cli.items import Item
from vithybrid_cli.settings import DEFAULT_MAX_BYTES
from vithybrid_cli.sources.exclude import Exclude
from vithybrid_cli.sources.survey import Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is wanted of containers, and how it is read.

    ``survey`` counts what is left out; ``raw``: cameras' raw files are pictures; ``column`` is the one of a table that
    has the pictures; ``max_bytes`` is how large one picture may be; ``offline``: no connection is opened.
    """

    survey: Survey = field(default_factory=Survey)
    exclude: Exclude = field(default_factory=Exclude)
    raw: bool = False
    column: str | None = None
    max_bytes: int = DEFAULT_MAX_BYTES
    offline: bool = False


class Container(Protocol):
    """What holds pictures."""

    def items(self) -> Iterator[Item]:
        """All its pictures in its own order, lazily.

        What is wrong with one of them, or with the container from some place on, is an item whose ``open`` raises that
        ImageError. What is no picture is counted as left out.
        """
        ...

    def item(self, member: str) -> Item:
        """The picture that is named ``SCHEME://MEMBER::CONTAINER``. Nothing is raised before it is opened."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of container: the ``scheme`` of its members' names, how it is called, and what opens it.

    ``open`` takes the path or address, and raises ImageError for what is none.
    """

    scheme: str
    suffixes: tuple[str, ...]
    open: Callable[[str, Wanted], Container]


KINDS: tuple[Kind, ...] = ()


def kind_of_container(path: str) -> Kind | None:
    """Which kind of container it is by its name; None for anything else."""
    name = path.lower()
    return next((kind for kind in KINDS if name.endswith(kind.suffixes)), None)
