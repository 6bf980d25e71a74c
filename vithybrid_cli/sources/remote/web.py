"""Bytes are fetched by HTTP, in an event loop: with limits of time and size, and again where a failure may pass."""

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.request import getproxies

from vithybrid_cli import __version__
from vithybrid_cli.errors import UsageError
from vithybrid_cli.sources.remote import failures
from vithybrid_cli.sources.remote.addresses import WEB, require_aiohttp, without_credentials
from vithybrid_cli.sources.remote.failures import Failed, Failure
from vithybrid_cli.sources.remote.limits import Limits
from vithybrid_cli.sources.remote.resolver import resolver

if TYPE_CHECKING:
    import aiohttp
    import yarl

USER_AGENT = f"vithybrid/{__version__}"
_log = logging.getLogger(__name__)
_READ = (200, 203)
_SPARE = 65536  # bytes of a page that says what is wrong, which are read so that the connection can be used again
# RFC 3986: what stands in a URL that is written as it is sent.
_AS_SENT = re.compile(r"(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=\[\]-]|%[0-9A-Fa-f]{2})+")

Take = Callable[[int], Awaitable[None]]  # waits for room for so many more bytes; a negative number gives it back


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent: the bytes, how many there are in all if it was a range of them, and what tells versions."""

    content: bytes
    total: int | None = None
    version: str | None = None


class NoParts(Exception):
    """The server sends everything where a part was asked for."""


class Web:
    """Asks servers. It is made, used and closed in one event loop."""

    def __init__(self, session: "aiohttp.ClientSession", limits: Limits) -> None:
        self._session, self.limits = session, limits

    @classmethod
    async def opened(cls, limits: Limits) -> Self:
        """With the proxies of the environment. Raises UsageError for one that is none of HTTP, or a missing package."""
        require_aiohttp()
        _require_proxies()
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=limits.connect, sock_read=limits.idle)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limits.connections, resolver=resolver()),
            timeout=timeout,
            trust_env=True,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return cls(session, limits)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def get(self, url: str, take: Take, max_bytes: int, part: tuple[int, int] | None = None) -> Answer:
        """What lies at a URL, or a ``part`` of it from one byte up to another. Raises FetchFailed and FileTooLarge.

        Raises NoParts for a server that cannot give a part.
        """
        target = target_of(url)
        for attempt in range(1, self.limits.attempts + 1):
            taken = _Taken(take)
            try:
                return await self._once(target, taken, max_bytes, part)
            except Failed as failed:
                await taken.give_back()
                await self._pause(failed.failure, attempt, target.host)
            except BaseException:
                await taken.give_back()
                raise
        raise AssertionError("the last attempt has raised")

    async def open(self, url: "yarl.URL", part: tuple[int, int] | None = None) -> "aiohttp.ClientResponse":
        """The answer of a server that has what was asked for, before its body. Raises Failed, and what aiohttp does."""
        headers = {} if part is None else {"Range": f"bytes={part[0]}-{part[1] - 1}"}
        response = await self._session.get(url, headers=headers, max_redirects=self.limits.redirects)
        if response.status in _READ or (part is not None and response.status in (206, 416)):
            return response
        async with response:
            await response.content.read(_SPARE)
            raise Failed(failures.of_status(response.status, response.headers.get("Retry-After")))

    async def open_again(self, url: "yarl.URL") -> "aiohttp.ClientResponse":
        """What `open` gives, after as many attempts as `get` makes. Raises FetchFailed."""
        import aiohttp

        for attempt in range(1, self.limits.attempts + 1):
            try:
                return await self.open(url)
            except Failed as failed:
                failure = failed.failure
            except (aiohttp.ClientError, OSError) as error:
                failure = failures.of_web(error)
            await self._pause(failure, attempt, url.host)
        raise AssertionError("the last attempt has raised")

    async def _pause(self, failure: Failure, attempt: int, host: str | None) -> None:
        """Wait before the next attempt. Raises the error if there is none."""
        limits = self.limits
        attempts = limits.silent_attempts if failure.silent else limits.attempts
        if not failure.passing or attempt >= attempts or (failure.pause or 0) > limits.longest_pause:
            raise failure.error
        if failure.silent:
            _log.info("%s sent nothing for %g seconds, and is asked once more.", host, limits.idle)
        usual = limits.pause * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
        await asyncio.sleep(max(usual, failure.pause or 0))

    async def _once(self, url: "yarl.URL", taken: "_Taken", max_bytes: int, part: tuple[int, int] | None) -> Answer:
        import aiohttp

        clock = asyncio.timeout(None)
        try:
            async with clock:
                return await self._read(url, _Clock(clock, self.limits), taken, max_bytes, part)
        except TimeoutError as error:
            raise Failed(failures.too_slow() if clock.expired() else failures.of_web(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Failed(failures.of_web(error)) from error

    async def _read(
        self, url: "yarl.URL", clock: "_Clock", taken: "_Taken", max_bytes: int, part: tuple[int, int] | None
    ) -> Answer:
        clock.received(0)
        async with await self.open(url, part) as response:
            if part is not None and response.status != 206:
                return _beyond(response)
            if "Content-Encoding" not in response.headers and (response.content_length or 0) > max_bytes:
                raise failures.too_large(max_bytes)
            chunks, size = [], 0
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > max_bytes:
                    raise failures.too_large(max_bytes)
                chunks.append(chunk)
                with clock.stopped():
                    await taken.take(len(chunk))
                clock.received(size)
            return Answer(b"".join(chunks), _total(response), response.headers.get("ETag"))


def target_of(url: str) -> "yarl.URL":
    """What is asked for: as it is written, with what cannot be sent so encoded. Raises FetchFailed."""
    import yarl

    written = url.strip()
    try:
        target = yarl.URL(written, encoded=_AS_SENT.fullmatch(written) is not None)
        if target.host and (target.port or 0) < 65536:
            return target
    except ValueError:
        pass
    raise failures.not_an_address().error


class _Taken:
    """How many bytes one attempt has taken."""

    def __init__(self, take: Take) -> None:
        self._take, self._size = take, 0

    async def take(self, size: int) -> None:
        await self._take(size)
        self._size += size

    async def give_back(self) -> None:
        size, self._size = self._size, 0
        if size:
            await self._take(-size)


class _Clock:
    """Ends an attempt that gets too little in too much time. While it is stopped, as others have no room, none goes by.

    A connection on which nothing comes at all is ended earlier, by the time-outs of the session.
    """

    def __init__(self, clock: asyncio.Timeout, limits: Limits) -> None:
        self._clock, self._limits = clock, limits
        self._now = asyncio.get_running_loop().time
        self._began = self._now()

    def received(self, size: int) -> None:
        """So many bytes have arrived until now."""
        limits = self._limits
        allowed = min(limits.slow_after + size / limits.least_rate, limits.whole)
        self._clock.reschedule(self._began + allowed)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """No time goes by within this context."""
        stopped = self._now()
        self._clock.reschedule(None)
        yield
        self._began += self._now() - stopped


def _beyond(response: "aiohttp.ClientResponse") -> Answer:
    """The answer for a part that begins where there is nothing. Raises NoParts for a server that knows no parts."""
    if response.status != 416:
        raise NoParts
    found = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    return Answer(b"", int(found[1]) if found else None)


def _total(response: "aiohttp.ClientResponse") -> int | None:
    """How many bytes there are in all, of which a range was sent."""
    found = re.fullmatch(r"bytes \d+-\d+/(\d+)", response.headers.get("Content-Range", ""))
    return int(found[1]) if found and response.status == 206 else None


def _require_proxies() -> None:
    """Raise UsageError for a proxy of the environment that is none of HTTP."""
    for scheme, proxy in getproxies().items():
        if scheme in WEB and not re.match(r"https?://[^/]", proxy, re.IGNORECASE):
            raise UsageError(
                f"The proxy {without_credentials(proxy)!r} is none that can be used.",
                f"Give {scheme.upper()}_PROXY the address of an HTTP proxy, as http://host:port.",
            )
