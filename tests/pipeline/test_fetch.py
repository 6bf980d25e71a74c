"""What lies at addresses is fetched ahead of its turn: in order, many at once, within bounds, and never for ever."""

import asyncio
import io
import itertools
import threading
from collections.abc import Iterator

import fsspec
import pytest
from fake_program import fake_classifier
from PIL import Image
from web_server import Asked, WebServer, until, web_server

from vithybrid_cli.errors import FetchFailed, UnreadableImage
from vithybrid_cli.items import Content, Item
from vithybrid_cli.pipeline.fetch import Fetched, LiveFetched
from vithybrid_cli.settings import Reading
from vithybrid_cli.sources.remote.files import RemoteFile
from vithybrid_cli.sources.remote.limits import Limits
from vithybrid_cli.sources.remote.room import Room

SIZE = 10_000
FEW = Limits(connections=3, ahead=6, held=4 * SIZE, pause=0.001)

both = pytest.mark.parametrize("kind", [Fetched, LiveFetched])
Kind = type[Fetched] | type[LiveFetched]


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as served:
        yield served


def names_and_contents(items: Fetched | LiveFetched) -> list[tuple[str, bytes | str]]:
    def content(item: Item) -> bytes | str:
        try:
            return item.open().read()
        except FetchFailed as error:
            return error.cause

    found = [(item.name, content(item)) for item in items]
    items.close()
    return found


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (shade,) * 3).save(stream, "PNG")
    return stream.getvalue()


@both
def test_the_order_is_that_of_the_inputs_however_slow_each_is(server: WebServer, kind: Kind) -> None:
    async def late(asked: Asked) -> None:
        await asyncio.sleep(0.01 * (int(asked.path[1:]) % 4))
        await asked.answer(asked.path.encode())

    items: list[Item] = [RemoteFile(server.on(f"/{number}", late)) for number in range(40)]
    items.insert(7, Content("here", b"here"))
    items.insert(20, RemoteFile(server.url + "/lost"))
    found = names_and_contents(kind(items, FEW))
    assert [name for name, _ in found] == [item.name for item in items]
    assert found[0][1] == b"/0"
    assert found[7] == ("here", b"here")
    assert found[20][1] == "HTTP 404 Not Found."
    assert server.most_at_once == FEW.connections


@both
def test_no_more_are_asked_for_ahead_of_their_turn_than_is_allowed(server: WebServer, kind: Kind) -> None:
    items = [RemoteFile(server.gives(f"/{number}", b"x")) for number in range(30)]
    taken = []

    def listed() -> Iterator[Item]:
        for item in items:
            taken.append(item)
            yield item

    fetched = kind(listed(), FEW)
    iterator = iter(fetched)
    assert next(iterator).name == items[0].name
    until(lambda: server.asked.total() >= FEW.ahead)
    assert len(taken) <= FEW.ahead + 2
    assert len(names_and_contents(fetched)) == 29


def test_bytes_that_wait_are_bounded_and_the_next_in_order_goes_on_all_the_same(server: WebServer) -> None:
    first = threading.Event()
    sent = dict.fromkeys(range(12), 0)

    async def large(asked: Asked) -> None:
        number = int(asked.path[1:])
        await asked.send(f"HTTP/1.1 200 OK\r\ncontent-length: {200 * SIZE}\r\n\r\n".encode())
        while number == 0 and not first.is_set():
            await asyncio.sleep(0.001)
        for _ in range(200):
            await asked.send(bytes(SIZE))
            sent[number] += SIZE

    items = [RemoteFile(server.on(f"/{number}", large)) for number in range(12)]
    fetched = Fetched(items, FEW)
    threading.Timer(0.1, first.set).start()  # until then the others fill the room
    found = names_and_contents(fetched)
    assert [len(content) for _, content in found] == [200 * SIZE] * 12


def test_the_room_is_for_all_together_but_the_first_needs_none() -> None:
    async def scenario() -> None:
        room = Room(10)
        await room.take(1, 6)
        await room.take(2, 4)
        waiting = asyncio.create_task(room.take(3, 1))
        new = asyncio.create_task(room.take(4, 0))
        await room.take(0, 100)
        await asyncio.sleep(0)
        assert not waiting.done()
        assert not new.done()
        room.pass_on(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        room.pass_on(1)
        await waiting
        await new

    asyncio.run(scenario())


@both
def test_what_the_items_raise_comes_after_what_was_before_it(server: WebServer, kind: Kind) -> None:
    def broken() -> Iterator[Item]:
        yield RemoteFile(server.gives("/a", b"a"))
        raise RuntimeError("the list ended")

    fetched = kind(broken(), FEW)
    iterator = iter(fetched)
    assert next(iterator).open().read() == b"a"
    with pytest.raises(RuntimeError, match="the list ended"):
        next(iterator)
    fetched.close()


def test_a_live_list_gives_what_has_arrived_while_it_waits(server: WebServer) -> None:
    go_on = threading.Event()

    def live() -> Iterator[Item]:
        yield RemoteFile(server.gives("/a", b"a"))
        go_on.wait()
        yield RemoteFile(server.gives("/b", b"b"))

    fetched = LiveFetched(live(), FEW)
    iterator = iter(fetched)
    assert next(iterator).open().read() == b"a"
    go_on.set()
    assert next(iterator).open().read() == b"b"
    assert next(iterator, None) is None
    fetched.close()


@both
def test_closing_ends_a_fetch_that_hangs(server: WebServer, kind: Kind) -> None:
    async def silent(asked: Asked) -> None:
        await asyncio.sleep(3600)  # ended with the server

    fetched = kind([RemoteFile(server.on("/x", silent))], FEW)
    iterator = iter(fetched)
    ended = threading.Event()

    def wait() -> None:
        assert next(iterator, None) is None
        ended.set()

    threading.Thread(target=wait).start()
    until(lambda: server.asked["/x"] == 1)
    fetched.close()
    assert ended.wait(30)


def test_only_addresses_open_connections() -> None:
    before = threading.active_count()
    fetched = Fetched([Content(str(number), b"") for number in range(1000)])
    assert len(names_and_contents(fetched)) == 1000
    assert threading.active_count() == before


def test_items_that_are_here_are_not_taken_further_ahead_than_asked_for() -> None:
    numbers = itertools.count()
    fetched = Fetched(Content(str(next(numbers)), b"") for _ in range(10))
    assert next(fetched).name == "0"
    assert next(numbers) == 1
    fetched.close()


def test_pictures_at_addresses_are_classified_in_order_with_a_record_for_each(server: WebServer) -> None:
    urls = [server.gives(f"/{number}.png", png(20 * number)) for number in range(10)]
    page = server.gives("/page.jpg", b"<!DOCTYPE html><html><body>Log in</body></html>")
    empty = server.gives("/empty.jpg", b"")
    inputs = [*urls[:5], server.url + "/lost.png", page, empty, *urls[5:]]
    results = list(fake_classifier().classify(inputs))
    assert [result.path for result in results] == inputs
    errors = {result.path: result.error for result in results if result.error is not None}
    assert [(type(error), error.cause) for error in errors.values()] == [
        (FetchFailed, "HTTP 404 Not Found."),
        (
            UnreadableImage,
            "This is no picture in a supported format, but an HTML page, as sites send in place of a picture.",
        ),
        (UnreadableImage, "The file is empty."),
    ]


def test_isolated_processes_get_the_bytes(server: WebServer) -> None:
    urls = [server.gives("/a.png", png(1)), server.url + "/lost.png", server.gives("/b.png", png(2))]
    plain = list(fake_classifier().classify(urls))
    isolated = list(fake_classifier().classify(urls, isolate=True, workers=1))
    assert [(result.path, result.predictions, str(result.error)) for result in isolated] == [
        (result.path, result.predictions, str(result.error)) for result in plain
    ]


def test_a_live_list_of_addresses_gives_each_once(server: WebServer) -> None:
    urls = [server.gives(f"/{number}.png", png(number)) for number in range(20)]
    assert [path for path, _ in fake_classifier().outputs(urls, Reading(), live=True)] == urls


def test_pictures_of_other_stores_are_fetched_too() -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/fetch/a.png", png(1))
    store.pipe("/fetch/large.png", bytes(2000))
    try:
        results = list(
            fake_classifier().classify(
                ["memory://fetch/a.png", "memory://fetch/lost.png", "memory://fetch/large.png"], max_bytes=1999
            )
        )
    finally:
        store.rm("/fetch", recursive=True)
    assert [None if result.error is None else str(result.error) for result in results] == [
        None,
        "There is nothing at this address, or it is private. Check the address.",
        "The picture has more than 1999 bytes. If you trust it, set max_bytes above 1999.",
    ]
