"""A server on the loopback that sends what it should, slowly, in part, or not at all; it counts its requests."""

import asyncio
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Asked:
    """One request, and the way to answer it."""

    path: str
    headers: dict[str, str]
    writer: asyncio.StreamWriter
    count: int
    """How often this path was asked for, with this request."""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self, body: bytes = b"", status: str = "200 OK", length: int | None = None, **headers: str | int
    ) -> None:
        """A whole answer; ``length`` is what it says of its own length, which may be a lie."""
        said = {"content-length": len(body) if length is None else length, **headers}
        lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in said.items())]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def parts(self, body: bytes) -> None:
        """The range that was asked for."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if found is None:
            await self.answer(body)
            return
        first, last = int(found[1]), min(int(found[2]), len(body) - 1)
        if first > last:
            await self.answer(b"", "416 Range Not Satisfiable", content_range=f"bytes */{len(body)}")
            return
        part = body[first : last + 1]
        await self.answer(part, "206 Partial Content", content_range=f"bytes {first}-{last}/{len(body)}", etag='"1"')

    def reset(self) -> None:
        """Break the connection off."""
        self.writer.transport.abort()


Handler = Callable[[Asked], Awaitable[None]]


@dataclass
class WebServer:
    """What it answers by path, and what it was asked for."""

    port: int = 0
    handlers: dict[str, Handler] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    seen: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request, with its target as it was sent under ``""``."""
    latency: float = 0.0
    at_once: int = 0
    most_at_once: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self, path: str, handler: Handler) -> str:
        """Answer requests for this path so; its URL."""
        self.handlers[path] = handler
        return self.url + path

    def gives(self, path: str, body: bytes) -> str:
        """Answer with a file."""

        async def answer(asked: Asked) -> None:
            await asked.parts(body)

        return self.on(path, answer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError), closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                target = head[0].split(" ")[1]
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
                await reader.readexactly(int(headers.get("content-length", 0)))
                path = re.sub(r"^http://[^/]+", "", target).split("?")[0]
                self.asked[path] += 1
                self.seen.append({"": target, **headers})
                async with self._counted():
                    await asyncio.sleep(self.latency)
                    await self.handlers.get(path, _nothing)(Asked(path, headers, writer, self.asked[path]))
                if writer.is_closing():
                    break

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            self.at_once -= 1


async def _nothing(asked: Asked) -> None:
    await asked.answer(b"nothing here", "404 Not Found")


async def _all_ended() -> None:
    """Wait for the tasks of this loop."""
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """One that serves within this context."""
    served = WebServer()
    loop = asyncio.new_event_loop()

    async def start() -> asyncio.Server:
        server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
        served.port = server.sockets[0].getsockname()[1]
        return server

    server = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, name="web server")
    thread.start()
    try:
        yield served
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(_all_ended())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def own_certificate(folder: Path) -> Path:
    """A file with a certificate for 127.0.0.1 that nobody has signed, and its key."""
    now = datetime.now(UTC)
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "here.pem").write_bytes(certificate.public_bytes(pem) + private)
    return folder / "here.pem"
