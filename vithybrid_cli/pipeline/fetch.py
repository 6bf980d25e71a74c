"""What lies at addresses is fetched ahead of its turn, many at once, within bounds of number and bytes.

Items that are here already pass through as they are. The order stays, and the picture that is next is always fetched
on, however full the room is: so nothing can wait for ever.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from vithybrid_cli.errors import ImageError
from vithybrid_cli.items import UNSTAMPED, Content, Item, Stamp
from vithybrid_cli.pipeline.loader import as_value
from vithybrid_cli.sources.remote.files import RemoteFile
from vithybrid_cli.sources.remote.limits import LIMITS, Limits

if TYPE_CHECKING:  # who reads files alone does not pay for an event loop
    from vithybrid_cli.sources.remote.connections import Connections
    from vithybrid_cli.sources.remote.room import Room


class Fetched:
    """The ``items`` with those at addresses fetched: such a one has its bytes, or its error, in memory.

    They are iterated by whoever asks for the next one, as far ahead as ``limits`` allow. What they raise is raised
    after what came before it.
    """

    def __init__(self, items: Iterable[Item], limits: Limits = LIMITS) -> None:
        self._items, self._limits = iter(items), limits
        self._ahead = _Ahead(limits)
        self._waiting: deque[_Waiting] = deque()
        self._end: BaseException | None = None

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        while self._end is None and self._may_look_further():
            try:
                self._waiting.append(self._ahead.begun(next(self._items)))
            except Exception as error:  # StopIteration among them
                self._end = error
        if self._waiting:
            return self._ahead.finished(self._waiting.popleft())
        assert self._end is not None
        raise self._end

    def close(self) -> None:
        """Drop what is being fetched."""
        self._ahead.close()

    def _may_look_further(self) -> bool:
        """Whether one is fetched that has to be waited for, and there is room for more beside it."""
        if not self._waiting:
            return True
        fetching = any(waiting.content is not None for waiting in self._waiting)
        return fetching and _has_room(self._waiting, self._limits)


class LiveFetched:
    """What `Fetched` gives, for ``items`` that may block: a thread of its own iterates them."""

    def __init__(self, items: Iterable[Item], limits: Limits = LIMITS) -> None:
        self._items, self._limits = items, limits
        self._ahead = _Ahead(limits)
        self._waiting: deque[_Waiting] = deque()
        self._end: BaseException | None = None
        self._changed = threading.Condition()
        # A daemon: a thread that waits for standard input cannot be woken, and must not keep the program alive.
        self._thread = threading.Thread(target=self._run, name="addresses", daemon=True)

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        if self._thread.ident is None:
            self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._end is not None)
            if not self._waiting:
                assert self._end is not None
                raise self._end
            first = self._waiting.popleft()
            self._changed.notify_all()
        return self._ahead.finished(first)

    def close(self) -> None:
        """Drop what is being fetched. Nobody waits for the items."""
        self._stop(StopIteration())
        self._ahead.close()

    def _stop(self, error: BaseException) -> None:
        with self._changed:
            if self._end is None:
                self._end = error
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._changed.wait_for(self._may_look_further)
                    if self._end is not None:
                        return
                    self._waiting.append(self._ahead.begun(item))
                    self._changed.notify_all()
            self._stop(StopIteration())
        except BaseException as error:  # raised again by whoever takes the results
            self._stop(error)

    def _may_look_further(self) -> bool:
        return self._end is not None or not self._waiting or _has_room(self._waiting, self._limits)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An item, and its content to come if it is fetched; ``number`` counts those."""

    item: Item
    content: "Future[bytes] | None" = None
    number: int = 0


def _has_room(waiting: "deque[_Waiting]", limits: Limits) -> bool:
    return len(waiting) < limits.ahead and sum(other.item.held for other in waiting) < limits.held


class _Ahead:
    """Has items fetched. Connections are made with the first that lies at an address."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._opened: tuple[Connections, Room] | None = None
        self._closed = False
        self._number = 0

    def begun(self, item: Item) -> _Waiting:
        """Have it fetched if it has to be. Raises StopIteration once this is closed."""
        if not isinstance(item, RemoteFile):
            return _Waiting(item)
        connections, room = self._open()
        number, self._number = self._number, self._number + 1
        content = connections.submit(item.fetched(connections, partial(room.take, number)))
        return _Waiting(item, content, number)

    def finished(self, waiting: _Waiting) -> Item:
        """The item with its content, waiting for it. Raises StopIteration once this is closed."""
        if waiting.content is None:
            return waiting.item
        connections, room = self._open()
        try:
            return Content(waiting.item.name, waiting.content.result())
        except ImageError as error:
            return _Unfetched(waiting.item.name, as_value(error))
        except CancelledError:
            raise StopIteration from None
        finally:
            connections.call(room.pass_on, waiting.number)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._opened is not None:
                self._opened[0].close()

    def _open(self) -> "tuple[Connections, Room]":
        from vithybrid_cli.sources.remote.connections import Connections
        from vithybrid_cli.sources.remote.room import Room

        with self._lock:
            if self._closed:
                raise StopIteration
            if self._opened is None:
                self._opened = Connections(self._limits), Room(self._limits.held)
            return self._opened


@dataclass(frozen=True, slots=True)
class _Unfetched:
    """An item that could not be fetched."""

    name: str
    error: ImageError

    @property
    def held(self) -> int:
        return 0

    def open(self) -> BinaryIO:
        raise self.error

    def stamp(self) -> Stamp:
        return UNSTAMPED
