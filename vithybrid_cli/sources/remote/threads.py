"""Threads for what blocks, which nobody waits for at the end of the program, as it would for those of a pool."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

Value = TypeVar("Value")


async def in_thread(function: Callable[[], Value]) -> Value:
    """What a function gives that blocks, in a thread that nobody waits for at the end of the program."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Value] = loop.create_future()

    def settle(done: "Future[Value]") -> None:
        if not result.done():
            error = done.exception()
            result.set_exception(error) if error is not None else result.set_result(done.result())

    def run() -> None:
        done: Future[Value] = Future()
        try:
            done.set_result(function())
        except Exception as error:
            done.set_exception(error)
        with suppress(RuntimeError):  # the loop has ended, and nobody waits for it
            loop.call_soon_threadsafe(settle, done)

    threading.Thread(target=run, name="fetch", daemon=True).start()
    return await result
