"""A loop in a thread of its own, in which what lies at addresses is fetched; it never keeps the program alive."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self, TypeVar

from vithybrid_cli.errors import VitHybridError
from vithybrid_cli.sources.remote.addresses import is_web
from vithybrid_cli.sources.remote.failures import of_filesystem
from vithybrid_cli.sources.remote.filesystems import FileSystems, scheme_and_path
from vithybrid_cli.sources.remote.limits import LIMITS, Limits
from vithybrid_cli.sources.remote.threads import in_thread
from vithybrid_cli.sources.remote.web import Answer, Take, Web

Value = TypeVar("Value")

_GRACE = 2.0  # seconds that connections have to be closed in; the program does not wait longer for them


class Connections:
    """Fetches from servers, many at once. A context manager: what is being fetched is dropped with it."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)
        self._web: Web | None = None
        self._filesystems = FileSystems()
        self._places = asyncio.Semaphore(limits.connections)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what is being fetched, and close all connections. Closing twice does nothing."""
        if self._thread.is_alive():
            self.call(self._loop.stop)
            if threading.current_thread() is not self._thread:  # in which a finalizer may run
                self._thread.join(_GRACE)

    def submit(self, coroutine: Coroutine[Any, Any, Value]) -> "Future[Value]":
        """Run this in the loop. Its future is cancelled by `close`."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call this in the loop soon, unless it has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def result(self, coroutine: Coroutine[Any, Any, Value]) -> Value:
        """What this gives in the loop, waiting for it."""
        return self.submit(coroutine).result()

    async def fetch(self, name: str, take: Take, max_bytes: int) -> bytes:
        """What lies at an address, once it has one of the places. Raises ImageError, and UsageError for no package.

        ``take`` is asked for room for each part of it.
        """
        async with self._places:
            await take(0)
            if is_web(name):
                return (await (await self.web()).get(name, take, max_bytes)).content
            return await self._from_filesystem(name, take, max_bytes)

    async def get(self, name: str, max_bytes: int, part: tuple[int, int]) -> Answer:
        """A part of what lies at an address of the web."""
        return await (await self.web()).get(name, free, max_bytes, part)

    async def web(self) -> Web:
        """What asks servers of the web, opened when it is needed first."""
        if self._web is None:
            self._web = await Web.opened(self.limits)
        return self._web

    async def _from_filesystem(self, name: str, take: Take, max_bytes: int) -> bytes:
        scheme, _ = scheme_and_path(name)
        try:
            async with asyncio.timeout(self.limits.whole):
                content = await in_thread(lambda: self._filesystems.read(name, max_bytes))
        except VitHybridError:
            raise
        except Exception as error:  # a store raises whatever its client does
            raise of_filesystem(error, scheme) from error
        await take(len(content))
        return content

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._end()

    def _end(self) -> None:
        """Cancel what is left, and close what is open."""
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._ended())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _ended(self) -> None:
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        if self._web is not None:
            await self._web.close()


async def free(size: int) -> None:
    """There is always room."""
