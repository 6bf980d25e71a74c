"""A large file at an address is fetched in parts, of which the last few stay in memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

PART: Final = 4 * 2**20  # bytes that are asked for at once
_KEPT: Final = 4  # parts; members of an archive are read by several threads, not far from each other

Fetch = Callable[[int, int], "Future[bytes]"]  # from one byte up to another


class Parts:
    """A file of so many bytes, read anywhere by several threads at once.

    When a part is asked for that follows one in memory, the next one is fetched, too: it is there when its turn comes.
    """

    def __init__(self, fetch: Fetch, size: int, part: int = PART) -> None:
        """``fetch`` begins to fetch bytes; its future may raise ImageError."""
        self.size = size
        self._fetch, self._part = fetch, part
        self._lock = threading.Lock()
        self._parts: OrderedDict[int, Future[bytes]] = OrderedDict()

    def read_at(self, offset: int, size: int) -> bytes:
        """So many bytes from there on, or those that there are. Raises what fetching them does."""
        end = min(offset + size, self.size)
        found = []
        while offset < end:
            number = offset // self._part
            begin = offset - number * self._part
            content = self._content(number)[begin : begin + end - offset]
            found.append(content)
            offset += len(content)
        return b"".join(found)

    def put(self, number: int, content: bytes) -> None:
        """A part that is here already."""
        future: Future[bytes] = Future()
        future.set_result(content)
        self._parts[number] = future

    def _content(self, number: int) -> bytes:
        with self._lock:
            part = self._asked(number)
            if number - 1 in self._parts and (number + 1) * self._part < self.size:
                self._asked(number + 1)
                self._parts.move_to_end(number)
            while len(self._parts) > _KEPT:
                self._parts.popitem(last=False)
        try:
            return part.result()
        except BaseException:
            with self._lock:
                self._parts.pop(number, None)
            raise

    def _asked(self, number: int) -> "Future[bytes]":
        if number not in self._parts:
            begin = number * self._part
            self._parts[number] = self._fetch(begin, min(begin + self._part, self.size))
        self._parts.move_to_end(number)
        return self._parts[number]
