"""Hosts become numbers in threads that nobody waits for: aiohttp's own would keep a program alive that is to end."""

import socket
from typing import TYPE_CHECKING

from vithybrid_cli.sources.remote.threads import in_thread

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver


def resolver() -> "AbstractResolver":
    """What asks the system, as many hosts at once as there are connections."""
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Resolver(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await in_thread(
                lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            )
            return [
                ResolveResult(
                    hostname=host,
                    host=str(address[0]),
                    port=int(address[1]),
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
                for kind, _, protocol, _, address in found
            ]

        async def close(self) -> None:
            """Nothing is kept."""

    return Resolver()
