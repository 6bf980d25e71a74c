"""What lies at addresses of the web is fetched, or there is a record that says why not."""

import asyncio
import gzip
import io
import itertools
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from web_server import Asked, WebServer, own_certificate, until, web_server

from vithybrid_cli.errors import FetchFailed, FileTooLarge, ImageError, UsageError
from vithybrid_cli.sources.places import opened
from vithybrid_cli.sources.remote.connections import Connections, free
from vithybrid_cli.sources.remote.files import RemoteFile
from vithybrid_cli.sources.remote.limits import Limits
from vithybrid_cli.sources.remote.streams import open_stream

BODY = b"a picture, as far as this is concerned" * 100
IMPATIENT = Limits(connect=0.2, idle=0.2, slow_after=0.4, attempts=2, pause=0.001, longest_pause=0.05)
QUICK = Limits(pause=0.001)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as served:
        yield served


def fetched(url: str, limits: Limits = QUICK, max_bytes: int = 2**20) -> bytes | str:
    """The bytes at an address, or what is said of them."""
    with Connections(limits) as connections:
        try:
            return connections.result(RemoteFile(url, max_bytes).fetched(connections, free))
        except ImageError as error:
            return f"{type(error).__name__}: {error}"


def test_a_picture_is_what_the_server_has(server: WebServer) -> None:
    url = server.gives("/a.png", BODY)
    assert RemoteFile(url).open().read() == BODY
    assert server.seen[0]["user-agent"].startswith("vithybrid/")
    assert server.seen[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("status", "said", "requests"),
    [
        pytest.param("404 Not here", "HTTP 404 Not Found. Check the address.", 1, id="not there"),
        pytest.param("410 Gone", "HTTP 410 Gone. Check the address.", 1, id="gone"),
        pytest.param(
            "403 Forbidden",
            "HTTP 403 Forbidden. Look whether it may be read, and whether the address is still valid.",
            1,
            id="forbidden",
        ),
        pytest.param("204 No Content", "HTTP 204 No Content. Check the address.", 1, id="nothing"),
        pytest.param("304 Not Modified", "HTTP 304 Not Modified. Check the address.", 1, id="not asked for"),
        pytest.param("501 No", "HTTP 501 Not Implemented. Try again later.", 1, id="not implemented"),
        pytest.param("799 Odd", "HTTP 799. Try again later.", 1, id="no known status"),
        pytest.param("503 Busy", "HTTP 503 Service Unavailable. Try again later.", 4, id="busy for ever"),
        pytest.param("500 Bug", "HTTP 500 Internal Server Error. Try again later.", 4, id="a bug"),
    ],
)
def test_a_status_is_named_and_what_may_pass_is_tried_again(
    server: WebServer, status: str, said: str, requests: int
) -> None:
    async def refuse(asked: Asked) -> None:
        await asked.answer(b"", status)

    assert fetched(server.on("/x", refuse)) == f"FetchFailed: {said}"
    assert server.asked["/x"] == requests


def test_a_server_that_asks_for_a_pause_gets_it(server: WebServer) -> None:
    async def busy(asked: Asked) -> None:
        if asked.count == 1:
            await asked.answer(b"slow down", "429 Too Many Requests", retry_after="0")
        else:
            await asked.answer(BODY)

    assert fetched(server.on("/x", busy)) == BODY
    assert server.asked["/x"] == 2


def test_a_pause_that_is_too_long_is_not_waited_for(server: WebServer) -> None:
    async def busy(asked: Asked) -> None:
        await asked.answer(b"", "429 Too Many Requests", retry_after="86400")

    assert fetched(server.on("/x", busy)) == "FetchFailed: HTTP 429 Too Many Requests. Try again later."
    assert server.asked["/x"] == 1


async def _cut(asked: Asked) -> None:
    await asked.answer(BODY, length=len(BODY) + 100)
    asked.writer.close()


async def _cut_chunk(asked: Asked) -> None:
    await asked.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nnot that many")
    asked.writer.close()


async def _no_last_chunk(asked: Asked) -> None:
    await asked.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    asked.writer.close()


async def _reset(asked: Asked) -> None:
    await asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")
    asked.reset()


async def _closed(asked: Asked) -> None:
    asked.writer.close()


async def _no_http(asked: Asked) -> None:
    await asked.send(b"220 mail.example ESMTP\r\n")
    asked.writer.close()


BROKEN = [
    pytest.param(_cut, "The connection ended before the picture did. Try again later.", id="cut off"),
    pytest.param(_cut_chunk, "The connection ended before the picture did. Try again later.", id="in a chunk"),
    pytest.param(_no_last_chunk, "The connection ended before the picture did. Try again later.", id="no last chunk"),
    pytest.param(_reset, "The connection ended before the picture did. Try again later.", id="reset"),
    pytest.param(_closed, "The server closed the connection without an answer. Try again later.", id="no answer"),
    pytest.param(_no_http, "The answer of the server is no HTTP. Check the address.", id="another protocol"),
]


@pytest.mark.parametrize(("breaks", "said"), BROKEN)
def test_what_breaks_off_is_tried_again_and_then_failed(server: WebServer, breaks: object, said: str) -> None:
    async def once(asked: Asked) -> None:
        await (breaks(asked) if asked.count < 3 else asked.answer(BODY))  # type: ignore[operator]

    assert fetched(server.on("/always", breaks)) == f"FetchFailed: {said}"  # type: ignore[arg-type]
    assert server.asked["/always"] in (
        QUICK.attempts,
        2 * QUICK.attempts,
    )  # aiohttp itself asks once more where none answers
    assert fetched(server.on("/twice", once)) == BODY


@pytest.mark.parametrize(
    "rest", [BODY, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong"], ids=["noise", "an answer"]
)
def test_what_comes_after_the_length_that_was_said_never_becomes_another_picture(
    server: WebServer, rest: bytes
) -> None:
    async def more(asked: Asked) -> None:
        await asked.answer(b"0123456789" + rest, length=10)

    async def right(asked: Asked) -> None:
        await asked.answer(b"right")

    liar, other = server.on("/liar", more), server.on("/other", right)
    with Connections(QUICK) as connections:
        for _ in range(5):
            with suppress(FetchFailed):  # where what is too much arrives together with the rest
                assert connections.result(connections.fetch(liar, free, 2**20)) == b"0123456789"
            assert connections.result(connections.fetch(other, free, 2**20)) == b"right"


def test_a_stream_without_end_ends_at_the_limit(server: WebServer) -> None:
    async def endless(asked: Asked) -> None:
        await asked.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            await asked.send(b"400\r\n" + bytes(1024) + b"\r\n")

    said = "FileTooLarge: The picture has more than 100000 bytes. If you trust it, set max_bytes above 100000."
    assert fetched(server.on("/x", endless), max_bytes=100_000) == said
    assert server.asked["/x"] == 1


def test_the_limit_is_of_what_is_unpacked_and_a_length_above_it_is_not_read(server: WebServer) -> None:
    async def packed(asked: Asked) -> None:
        await asked.answer(gzip.compress(bytes(10**6)), content_encoding="gzip")

    async def long(asked: Asked) -> None:
        await asked.answer(b"", length=10**12)

    for path, handler in {"/packed": packed, "/long": long}.items():
        assert str(fetched(server.on(path, handler), max_bytes=100_000)).startswith("FileTooLarge: ")
    assert fetched(server.url + "/packed", max_bytes=10**6) == bytes(10**6)


def test_time_is_limited_for_a_byte_and_for_the_whole(server: WebServer) -> None:
    async def silent(asked: Asked) -> None:
        await asked.writer.drain()
        await _never()

    async def stuck(asked: Asked) -> None:
        await asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")
        await _never()

    async def drips(asked: Asked) -> None:
        await asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            await asked.send(b"a")
            await _soon()

    async def drips_headers(asked: Asked) -> None:
        await asked.send(b"HTTP/1.1 200 OK\r\n")
        for number in itertools.count():
            await asked.send(f"x-{number}: a\r\n".encode())
            await _soon()

    nothing = "FetchFailed: Its server sent nothing for too long. Try again later."
    assert fetched(server.on("/silent", silent), IMPATIENT) == nothing
    assert fetched(server.on("/stuck", stuck), IMPATIENT) == nothing
    assert server.asked["/stuck"] == IMPATIENT.attempts
    slow = "FetchFailed: Its server is too slow. Try again later."
    assert fetched(server.on("/drips", drips), IMPATIENT) == slow
    assert fetched(server.on("/drips-headers", drips_headers), IMPATIENT) == slow
    assert server.asked["/drips"] == 1


async def _never() -> None:
    await asyncio.sleep(3600)  # ended with the server


async def _soon() -> None:
    await asyncio.sleep(0.02)


def test_redirects_are_followed_but_not_in_circles_nor_out_of_the_web(server: WebServer) -> None:
    def to(place: str, status: str = "302 Found") -> object:
        async def redirect(asked: Asked) -> None:
            await asked.answer(b"", status, location=place)

        return redirect

    server.gives("/a.png", BODY)
    there = {
        "/once": "/a.png",
        "/twice": "/once",
        "/round": "/round",
        "/file": "file:///etc/passwd",
        "/odd": "http://[x",
    }
    for path, place in there.items():
        server.on(path, to(place))  # type: ignore[arg-type]
    assert fetched(server.url + "/twice") == BODY
    assert fetched(server.url + "/round") == (
        "FetchFailed: It redirects in circles, or too many times. Check the address."
    )
    assert server.asked["/round"] == QUICK.redirects
    assert fetched(server.url + "/file") == (
        "FetchFailed: It redirects to what is no address of the web. Check the address."
    )
    assert str(fetched(server.url + "/odd")).startswith("FetchFailed: It redirects to what is no address")


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://:80/x", "https://h:99999/x"])
def test_what_only_looks_like_an_address_is_said_to_be_none(url: str) -> None:
    assert fetched(url) == "FetchFailed: This is no address that can be asked for. Check the address."


def test_a_server_that_is_not_there_is_told(server: WebServer) -> None:
    said = str(fetched("http://127.0.0.1:1/a.png"))
    assert said == "FetchFailed: No connection could be made (Connection refused). Check the address."


def test_a_name_is_asked_for_as_it_is_written_and_else_encoded(server: WebServer) -> None:
    async def found(asked: Asked) -> None:
        await asked.answer(BODY)

    for path in ("/a%2Fb.png", "/a b é.png", "/a%20b%20%C3%A9.png"):
        server.handlers[path.replace(" ", "%20").replace("é", "%C3%A9")] = found
    assert fetched(server.url + "/a%2Fb.png?sig=a%2Bb%2F%3D&x=1;2#part") == BODY
    assert fetched(server.url + "/a b é.png") == BODY
    assert [seen[""] for seen in server.seen] == ["/a%2Fb.png?sig=a%2Bb%2F%3D&x=1;2", "/a%20b%20%C3%A9.png"]


def test_a_password_is_sent_and_never_shown(server: WebServer) -> None:
    async def refuse(asked: Asked) -> None:
        await asked.answer(b"", "401 Unauthorized")

    url = server.on("/a.png", refuse).replace("//", "//me:secret@")
    assert "secret" not in str(fetched(url))
    assert server.seen[0]["authorization"] == "Basic bWU6c2VjcmV0"
    assert "secret" not in str(fetched("http://me:secret@127.0.0.1:1/"))


def test_the_proxy_of_the_environment_is_asked(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.gives("/a.png", BODY)
    monkeypatch.setenv("http_proxy", server.url)
    assert fetched("http://photos.example/a.png") == BODY
    assert server.seen[0][""] == "http://photos.example/a.png"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetched(server.url + "/a.png") == BODY
    assert server.seen[1][""] == "/a.png"


def test_a_proxy_that_cannot_be_used_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://me:secret@127.0.0.1:1080")
    with pytest.raises(UsageError, match=r"The proxy 'socks5://127.0.0.1:1080' is none that can be used") as raised:
        fetched("https://photos.example/a.png")
    assert "HTTPS_PROXY" in str(raised.value)


def test_offline_nothing_is_asked(server: WebServer) -> None:
    url = server.gives("/a.png", BODY)
    with pytest.raises(FetchFailed, match="An address cannot be read offline"):
        RemoteFile(url, offline=True).open()
    with pytest.raises(FetchFailed, match="An address cannot be read offline"):
        opened(url, offline=True)
    assert not server.asked


def test_closing_ends_what_hangs_at_once(server: WebServer) -> None:
    async def silent(asked: Asked) -> None:
        await _never()

    connections = Connections()
    future = connections.submit(connections.fetch(server.on("/x", silent), free, 10))
    until(lambda: server.asked["/x"] == 1)
    connections.close()
    assert future.cancelled()
    assert not [thread for thread in threading.enumerate() if thread.name == "fetch"]


LARGE = os.urandom(9 * 2**20)


def test_an_archive_is_read_in_parts_where_the_server_gives_them(server: WebServer) -> None:
    with opened(server.gives("/a.zip", LARGE)) as stream:
        assert stream.seekable()
        assert stream.seek(-5, io.SEEK_END) == len(LARGE) - 5
        assert stream.read() == LARGE[-5:]
        assert stream.seek(100) == 100
        assert stream.read(10) == LARGE[100:110]
        assert stream.read() == LARGE[110:]
        assert stream.read() == b""
    assert server.asked["/a.zip"] <= 5


@pytest.mark.parametrize("body", [b"", b"a", LARGE[: 4 * 2**20], LARGE[: 4 * 2**20 + 1]], ids=len)
def test_an_archive_of_any_length_is_read_to_its_end(server: WebServer, body: bytes) -> None:
    with opened(server.gives("/a.tar", body)) as stream:
        assert stream.read() == body


def test_a_server_that_gives_no_parts_gives_a_stream(server: WebServer) -> None:
    async def whole(asked: Asked) -> None:
        await asked.answer(LARGE)

    with opened(server.on("/a.tar", whole)) as stream:
        assert not stream.seekable()
        assert stream.read() == LARGE


def test_a_part_that_breaks_off_is_fetched_again_and_a_stream_is_not(server: WebServer) -> None:
    async def parts(asked: Asked) -> None:
        if asked.count % 2:
            asked.reset()
        else:
            await asked.parts(LARGE)

    async def stream_of(asked: Asked) -> None:
        await asked.answer(BODY, length=len(BODY) + 1)
        asked.writer.close()

    with open_stream(server.on("/parts", parts), limits=QUICK) as stream:
        assert stream.read() == LARGE
    with (
        open_stream(server.on("/stream", stream_of), limits=QUICK) as stream,
        pytest.raises(FetchFailed, match="The connection ended before"),
    ):
        stream.read()


def test_an_archive_that_changes_while_it_is_read_is_said_to(server: WebServer) -> None:
    async def grows(asked: Asked) -> None:
        await asked.parts(LARGE + bytes(asked.count))

    with (
        opened(server.on("/a.tar", grows)) as stream,
        pytest.raises(FetchFailed, match="It was changed while it was read"),
    ):
        stream.read()


def test_an_archive_that_is_not_there_is_said_to_be_missing(server: WebServer) -> None:
    with pytest.raises(FetchFailed, match=r"HTTP 404 Not Found\."):
        opened(server.url + "/nothing.tar")


def test_a_picture_may_be_larger_than_a_limit_that_is_raised(server: WebServer) -> None:
    url = server.gives("/a.png", BODY)
    with pytest.raises(FileTooLarge):
        RemoteFile(url, len(BODY) - 1).open()
    assert RemoteFile(url, len(BODY)).open().read() == BODY


def test_a_certificate_is_trusted_if_the_environment_names_it(tmp_path: Path) -> None:
    file = own_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    with web_server(context) as server:
        url = server.gives("/a.png", BODY).replace("http:", "https:")
        program = [sys.executable, "-c", f"from {RemoteFile.__module__} import *; RemoteFile({url!r}).open()"]
        refused = subprocess.run(program, capture_output=True, text=True, check=False)
        assert "The certificate of its server is not trusted. If you trust it, set SSL_CERT_FILE" in refused.stderr
        assert not server.asked
        # aiohttp reads the variable when it is imported, so another program has to be run.
        subprocess.run(program, env={**os.environ, "SSL_CERT_FILE": str(file)}, check=True)
        assert server.asked["/a.png"] == 1
