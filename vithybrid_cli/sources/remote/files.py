"""A picture at an address."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from vithybrid_cli.items import UNSTAMPED, Stamp
from vithybrid_cli.settings import DEFAULT_MAX_BYTES
from vithybrid_cli.sources.remote.addresses import offline_error

if TYPE_CHECKING:  # what is without addresses need not pay for an event loop
    from vithybrid_cli.sources.remote.connections import Connections
    from vithybrid_cli.sources.remote.web import Take


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What lies at an address, which is its name. ``max_bytes`` is how large it may be."""

    name: str
    max_bytes: int = DEFAULT_MAX_BYTES
    offline: bool = False

    @property
    def held(self) -> int:
        """Nothing before it is fetched."""
        return 0

    def open(self) -> BinaryIO:
        """Its bytes, fetched by a connection of its own. Raises FetchFailed, FileTooLarge, UsageError for no package.

        A pipeline fetches many at once instead (`vithybrid_cli.pipeline.fetch`).
        """
        from vithybrid_cli.sources.remote.connections import Connections, free

        with Connections() as connections:
            return io.BytesIO(connections.result(self.fetched(connections, free)))

    async def fetched(self, connections: "Connections", take: "Take") -> bytes:
        """Its bytes, within the loop of ``connections``. Raises as `open` does."""
        if self.offline:
            raise offline_error()
        return await connections.fetch(self.name, take, self.max_bytes)

    def stamp(self) -> Stamp:
        """Nothing: a server would have to be asked."""
        return UNSTAMPED
