"""An archive or a table at an address is read as a file: in parts where they can be had, else in a stream."""

import io
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from vithybrid_cli.errors import FetchFailed, VitHybridError
from vithybrid_cli.sources.remote import failures
from vithybrid_cli.sources.remote.addresses import is_web, offline_error
from vithybrid_cli.sources.remote.connections import Connections
from vithybrid_cli.sources.remote.filesystems import FileSystem, FileSystems, scheme_and_path
from vithybrid_cli.sources.remote.limits import LIMITS, Limits
from vithybrid_cli.sources.remote.parts import PART, Parts
from vithybrid_cli.sources.remote.threads import in_thread
from vithybrid_cli.sources.remote.web import Answer, NoParts, target_of

if TYPE_CHECKING:
    import aiohttp

Value = TypeVar("Value")

_BUFFER = 2**16


def open_stream(address: str, *, offline: bool = False, limits: Limits = LIMITS) -> BinaryIO:
    """What lies at an address, to be read from its beginning, and anywhere if it is ``seekable()``.

    Raises FetchFailed, here and when it is read; UsageError for a missing package. Whoever calls closes it.
    """
    raw = opened_raw(address, offline=offline, limits=limits)
    return cast("BinaryIO", io.BufferedReader(raw, _BUFFER))


def opened_raw(address: str, *, offline: bool = False, limits: Limits = LIMITS) -> "RawParts | RawStream":
    """The same without a buffer. Raises as `open_stream` does."""
    if offline:
        raise offline_error()
    connections = Connections(limits)
    try:
        return _of_web(connections, address) if is_web(address) else _of_store(connections, address)
    except BaseException:
        connections.close()
        raise


def _of_web(connections: Connections, address: str) -> "RawParts | RawStream":
    """In parts, if the server has them."""
    try:
        first = connections.result(connections.get(address, PART, (0, PART)))
    except NoParts:
        return _of_web_stream(connections, address)
    if first.total is None:  # it does not say how much there is
        return _of_web_stream(connections, address)

    async def fetched(begin: int, end: int) -> bytes:
        answer = await connections.get(address, PART, (begin, end))
        _require_same(answer, first, end - begin)
        return answer.content

    parts = Parts(lambda begin, end: connections.submit(fetched(begin, end)), first.total)
    _require_same(first, first, min(PART, first.total))
    parts.put(0, first.content)
    return RawParts(connections, parts)


def _require_same(answer: Answer, first: Answer, size: int) -> None:
    """Raise FetchFailed for a part of another file, or of another length than was asked for."""
    if (answer.total, answer.version) != (first.total, first.version):
        raise FetchFailed("It was changed while it was read.", "Run the command again.")
    if len(answer.content) != size:
        raise FetchFailed("The server sent another part than was asked for.", "Fetch it first, and give the file.")


def _of_web_stream(connections: Connections, address: str) -> "RawStream":
    async def opened() -> "aiohttp.ClientResponse":
        return await (await connections.web()).open_again(target_of(address))

    response = connections.result(opened())

    async def read(most: int) -> bytes:
        import aiohttp

        try:
            return await response.content.read(most)
        except (aiohttp.ClientError, OSError) as error:
            raise failures.of_web(error).error from error

    return RawStream(connections, lambda most: connections.result(read(most)), lambda: connections.call(response.close))


def _of_store(connections: Connections, address: str) -> "RawParts | RawStream":
    scheme, _ = scheme_and_path(address)
    system = explained(lambda: FileSystems().of(address), scheme)
    size = explained(lambda: system.size(address), scheme)
    if size is None:
        file = explained(lambda: system.open(address), scheme)
        return RawStream(connections, lambda most: explained(lambda: file.read(most), scheme), file.close)

    async def fetched(begin: int, end: int) -> bytes:
        return await in_thread(lambda: explained(lambda: _part(system, address, begin, end), scheme))

    def fetch(begin: int, end: int) -> "Future[bytes]":
        return connections.submit(fetched(begin, end))

    return RawParts(connections, Parts(fetch, size))


def _part(system: FileSystem, address: str, begin: int, end: int) -> bytes:
    content = system.part(address, begin, end)
    if len(content) != end - begin:
        raise FetchFailed("It was changed while it was read.", "Run the command again.")
    return content


def explained(function: Callable[[], Value], scheme: str) -> Value:
    """What it gives. Raises FetchFailed for what its file system raises."""
    try:
        return function()
    except VitHybridError:
        raise
    except Exception as error:  # a store raises whatever its client does
        raise failures.of_filesystem(error, scheme) from error


class _Raw(io.RawIOBase):
    """A file at an address, which has connections of its own."""

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self._end = weakref.finalize(self, connections.close)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Read on. Raises FetchFailed."""
        content = self._next(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Close the connections."""
        if not self.closed:
            self._end()
        super().close()

    def _next(self, most: int) -> bytes:
        """Some of the next bytes, and none at the end."""
        raise NotImplementedError


class RawParts(_Raw):
    """A file that can be read anywhere; `read_at` by several threads at once."""

    def __init__(self, connections: Connections, parts: Parts) -> None:
        super().__init__(connections)
        self._parts, self._at = parts, 0
        self.size = parts.size
        self.read_at = parts.read_at

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; nothing is fetched before it is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def _next(self, most: int) -> bytes:
        content = self._parts.read_at(self._at, most)
        self._at += len(content)
        return content


class RawStream(_Raw):
    """A file that can only be read forward."""

    def __init__(self, connections: Connections, read: Callable[[int], bytes], end: Callable[[], None]) -> None:
        super().__init__(connections)
        self._read, self._before = read, end

    def close(self) -> None:
        """End what sends it, and close the connections."""
        if not self.closed:
            self._before()
        super().close()

    def _next(self, most: int) -> bytes:
        return self._read(most)
