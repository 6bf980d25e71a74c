"""How much may be in memory that was fetched ahead of its turn."""

import asyncio
from collections import Counter


class Room:
    """How many bytes are in memory that were fetched and not passed on. It lives in the loop that fetches."""

    def __init__(self, most: int) -> None:
        self._most, self._held, self._first = most, 0, 0
        self._of: Counter[int] = Counter()
        self._changed = asyncio.Event()

    async def take(self, number: int, size: int) -> None:
        """Wait for room for so many bytes more of this picture, and for any room at all for 0; less always fits.

        The first of those that are not passed on need not wait.
        """
        while size >= 0 and number > self._first and self._held + max(size, 1) > self._most:
            await self._changed.wait()
        self._held += size
        self._of[number] += size
        if size < 0:
            self._tell()

    def pass_on(self, number: int) -> None:
        """The bytes of this picture, the first, are another's now."""
        self._held -= self._of.pop(number, 0)
        self._first = number + 1
        self._tell()

    def _tell(self) -> None:
        """Wake all who wait."""
        self._changed.set()
        self._changed = asyncio.Event()
