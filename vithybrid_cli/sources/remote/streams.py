"""An archive or a table at an address is read as a file: in parts where the server gives them, else in a stream."""

import io
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from vithybrid_cli.errors import FetchFailed, VitHybridError
from vithybrid_cli.sources.remote import failures
from vithybrid_cli.sources.remote.addresses import is_web, offline_error
from vithybrid_cli.sources.remote.connections import Connections
from vithybrid_cli.sources.remote.filesystems import FileSystems, scheme_and_path
from vithybrid_cli.sources.remote.limits import LIMITS, Limits
from vithybrid_cli.sources.remote.web import Answer, NoParts, target_of

if TYPE_CHECKING:
    import aiohttp

Value = TypeVar("Value")

_PART = 4 * 2**20  # bytes that are asked for at once
_BUFFER = 2**16


def open_stream(address: str, *, offline: bool = False, limits: Limits = LIMITS) -> BinaryIO:
    """What lies at an address, to be read from its beginning, and anywhere if it is ``seekable()``.

    Raises FetchFailed, here and when it is read; UsageError for a missing package. Whoever calls closes it.
    """
    if offline:
        raise offline_error()
    raw = _web_file(address, limits) if is_web(address) else _StoreFile(address)
    return cast("BinaryIO", io.BufferedReader(raw, _BUFFER))


def _web_file(address: str, limits: Limits) -> io.RawIOBase:
    """In parts, if the server has them."""
    connections = Connections(limits)
    try:
        first = connections.result(connections.get(address, _PART, (0, _PART)))
    except NoParts:
        try:
            return _WebStream(connections, address)
        except BaseException:
            connections.close()
            raise
    except BaseException:
        connections.close()
        raise
    return _WebFile(connections, address, first)


class _Raw(io.RawIOBase):
    """What is read from somewhere else."""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Read on. Raises FetchFailed."""
        content = self._next(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _next(self, most: int) -> bytes:
        """Some of the next bytes, and none at the end."""
        raise NotImplementedError


class _WebFile(_Raw):
    """A file on a server, in parts. When one is begun that follows the one before, the next of them is fetched, too."""

    def __init__(self, connections: Connections, address: str, first: Answer) -> None:
        super().__init__()
        self._connections, self._address = connections, address
        self._at, self._start, self._content = 0, 0, first.content
        self._total, self._version = first.total, first.version
        self._ahead: tuple[int, Future[Answer]] | None = None

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; nothing is fetched before it is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._total or 0}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def close(self) -> None:
        """Close the connections."""
        if not self.closed:
            self._connections.close()
        super().close()

    def _next(self, most: int) -> bytes:
        if self._total is not None and self._at >= self._total:
            return b""
        if not self._start <= self._at < self._start + len(self._content):
            self._load()
        begin = self._at - self._start
        content = self._content[begin : begin + most]
        self._at += len(content)
        return content

    def _load(self) -> None:
        """Fetch the part that begins at the place at hand."""
        follows = self._at == self._start + len(self._content)
        ahead, self._ahead = self._ahead, None
        future = ahead[1] if ahead is not None and ahead[0] == self._at else self._asked(self._at)
        answer = future.result()
        if (answer.total, answer.version) != (self._total, self._version):
            raise FetchFailed("It was changed while it was read.", "Run the command again.")
        self._start, self._content = self._at, answer.content
        after = self._start + len(self._content)
        if follows and self._total is not None and after < self._total:
            self._ahead = after, self._asked(after)

    def _asked(self, start: int) -> Future[Answer]:
        return self._connections.submit(self._connections.get(self._address, _PART, (start, start + _PART)))


class _WebStream(_Raw):
    """A file on a server that gives no parts of it."""

    def __init__(self, connections: Connections, address: str) -> None:
        super().__init__()
        self._connections, self._address = connections, address
        self._response = connections.result(self._opened())

    def close(self) -> None:
        """Close the connections."""
        if not self.closed:
            if hasattr(self, "_response"):
                self._connections.call(self._response.close)
            self._connections.close()
        super().close()

    async def _opened(self) -> "aiohttp.ClientResponse":
        return await (await self._connections.web()).open_again(target_of(self._address))

    def _next(self, most: int) -> bytes:
        return self._connections.result(self._read(most))

    async def _read(self, most: int) -> bytes:
        import aiohttp

        try:
            return await self._response.content.read(most)
        except (aiohttp.ClientError, OSError) as error:
            raise failures.of_web(error).error from error


class _StoreFile(_Raw):
    """A file of a bucket, the hub or another store."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._scheme, _ = scheme_and_path(address)
        self._file: BinaryIO = self._explained(lambda: FileSystems().of(address).open(address, _PART))

    def seekable(self) -> bool:
        """Where its file system can do that."""
        return self._file.seekable()

    def tell(self) -> int:
        """The place of the next byte."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def close(self) -> None:
        """Close it."""
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()

    def _next(self, most: int) -> bytes:
        return self._explained(lambda: self._file.read(most))

    def _explained(self, function: Callable[[], Value]) -> Value:
        """What it gives. Raises FetchFailed for what its file system raises."""
        try:
            return function()
        except VitHybridError:
            raise
        except Exception as error:  # a store raises whatever its client does
            raise failures.of_filesystem(error, self._scheme) from error
