"""Files and addresses that hold pictures, by suffix: archives and tables.

Another kind of container is a module of its own and a row in `KINDS`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from vithybrid_cli.items import Item
from vithybrid_cli.settings import DEFAULT_MAX_BYTES
from vithybrid_cli.sources.exclude import Exclude
from vithybrid_cli.sources.places import opened
from vithybrid_cli.sources.remote.addresses import is_address, path_in
from vithybrid_cli.sources.remote.urls import path_of_file_url
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.tables.suffixes import ARROW, ARROW_SUFFIXES, PARQUET, PARQUET_SUFFIXES

if TYPE_CHECKING:
    from vithybrid_cli.sources.archives.file import Readable


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

    ``open`` takes the path or address, and raises ImageError for what is none. To count the pictures of those with
    ``streamed`` suffixes takes as long as to read them.
    """

    scheme: str
    suffixes: tuple[str, ...]
    open: Callable[[str, Wanted], Container]
    streamed: tuple[str, ...] = ()


def _zip(place: str, wanted: Wanted) -> Container:
    from vithybrid_cli.sources.archives.zip import ZipArchive

    return ZipArchive(_readable(place, wanted), wanted)


def _tar(place: str, wanted: Wanted) -> Container:
    from vithybrid_cli.sources.archives.tar import open_tar

    return open_tar(_readable(place, wanted), wanted)


def _readable(place: str, wanted: Wanted) -> "Readable":
    """An archive in a file, or at an address. Raises ImageError."""
    from vithybrid_cli.sources.archives.file import ArchiveFile, Flow

    if is_address(place):
        return Flow(place, lambda: opened(place, offline=wanted.offline))
    return ArchiveFile(path_of_file_url(place) or place)


def _parquet(place: str, wanted: Wanted) -> Container:
    from vithybrid_cli.sources.tables.kinds import open_parquet

    return open_parquet(place, wanted)


def _arrow(place: str, wanted: Wanted) -> Container:
    from vithybrid_cli.sources.tables.kinds import open_arrow

    return open_arrow(place, wanted)


_COMPRESSED_TAR = (
    *(".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.lzma", ".tlz"),
    *(".tar.zst", ".tar.zstd", ".tzst"),
)

KINDS: tuple[Kind, ...] = (
    Kind("zip", (".zip", ".cbz"), _zip),
    Kind("tar", (".tar", ".cbt", *_COMPRESSED_TAR), _tar, streamed=_COMPRESSED_TAR),
    Kind(PARQUET, PARQUET_SUFFIXES, _parquet),
    Kind(ARROW, ARROW_SUFFIXES, _arrow),
)

_SCHEME, _CHAIN = "://", "::"


def kind_of_container(path: str) -> Kind | None:
    """Which kind of container it is by its name; None for anything else, and for the name of a member."""
    name = path_in(path).lower()
    kind = next((kind for kind in KINDS if name.endswith(kind.suffixes)), None)
    return None if kind is None or is_member_name(path) else kind


def suffix_of_container(path: str) -> str | None:
    """The suffix that tells its kind, as ``.tar.gz``; None for anything else."""
    name = path_in(path).lower()
    found = [suffix for kind in KINDS for suffix in kind.suffixes if name.endswith(suffix)]
    return max(found, key=len, default=None)


def member_name(scheme: str, member: str, place: str) -> str:
    """The name of a ``member`` of the container at ``place``."""
    return f"{scheme}{_SCHEME}{member}{_CHAIN}{place}"


def is_member_name(name: str) -> bool:
    """Whether this is the name of a member of a container, be it there or not."""
    scheme, found, rest = name.partition(_SCHEME)
    return bool(found) and _CHAIN in rest and any(kind.scheme == scheme for kind in KINDS)


def places(name: str) -> Iterator[tuple[Kind, str, str]]:
    """How the name of a member may be read: its kind, the member and the place of its container, likeliest first.

    Both may have ``::`` within, so that only what is there can tell where the member's name ends.
    """
    scheme, _, rest = name.partition(_SCHEME)
    kind = next((kind for kind in KINDS if kind.scheme == scheme), None)
    end = rest.rfind(_CHAIN)
    while kind is not None and end >= 0:
        yield kind, rest[:end], rest[end + len(_CHAIN) :]
        end = rest.rfind(_CHAIN, 0, end)


def place_of(name: str) -> str:
    """The path of the container of a member's name, as far as the name tells; any other name itself."""
    return name.rpartition(_CHAIN)[2] if is_member_name(name) else name
