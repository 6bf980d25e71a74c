"""What is wrong around the program, be it a variable or a server, is one line that names it; what is not, passes."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_server import FILES, GOLDEN, NAME, Hub, client_pointed_at, running
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of the client's HTTP library
from warm import program

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.errors import HubUnreachable, hub_errors_as_model_errors
from vithybrid_cli.hub.locate import locate

REQUESTS = HTTPError.__module__.startswith("requests")  # else httpx

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, and a client in this process that knows no other hub, cache or token."""
    with running() as server, client_pointed_at(server, tmp_path, monkeypatch):
        server.add(NAME, FILES)
        yield server


@pytest.fixture
def run(server: Hub, tmp_path: Path) -> Run:
    """Run the program with the hub of this test, and with these variables beside."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "HF_HOME": str(tmp_path / "home"),
            "HF_ENDPOINT": server.endpoint,
            "NO_PROXY": "127.0.0.1,localhost",
            "COLUMNS": "100",
            **variables,
        }
        command = [*program(), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd=tmp_path)

    return run


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that exits with 3."""
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1), done.stderr[-1000:]
    return done.stderr


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        pytest.param({"ALL_PROXY": "socks5://127.0.0.1:9"}, "ALL_PROXY names a SOCKS proxy", id="SOCKS"),
        pytest.param({"HTTP_PROXY": "ftp://127.0.0.1:9"}, "HTTP_PROXY names a proxy for ftp", id="a proxy for ftp"),
        pytest.param({"http_proxy": "http://x:port"}, "http_proxy holds no address of a proxy", id="a proxy's port"),
        pytest.param({"HTTP_PROXY": "http://"}, "HTTP_PROXY holds no address of a proxy", id="a proxy without host"),
        pytest.param({"HTTP_PROXY": "http://a b"}, "HTTP_PROXY holds no address of a proxy", id="a proxy with a space"),
        pytest.param({"HTTP_PROXY": "http://me:secret@127.0.0.1:9"}, "Check the network, HTTP_PROXY", id="dead proxy"),
        pytest.param({"HF_ENDPOINT": "notaurl"}, "HF_ENDPOINT is 'notaurl', which", id="a hub that is no address"),
        pytest.param({"HF_ENDPOINT": "http://"}, "HF_ENDPOINT is 'http://', which", id="a hub without host"),
        pytest.param({"HF_ENDPOINT": "http://a b"}, "HF_ENDPOINT is 'http://a b', which", id="a hub with a space"),
        pytest.param({"HF_ENDPOINT": "http://[::1"}, "HF_ENDPOINT is 'http://[::1', which", id="a hub in brackets"),
        pytest.param({"HF_ENDPOINT": "http://127.0.0.1:x"}, "HF_ENDPOINT is", id="a hub's port"),
        pytest.param({"HF_ENDPOINT": "http://é é"}, "HF_ENDPOINT is 'http://é é', which", id="a hub that is not ASCII"),
        pytest.param({"HF_ENDPOINT": "http://127.0.0.1:9"}, "Check the network and HF_ENDPOINT", id="nobody there"),
        pytest.param({"HF_HUB_ETAG_TIMEOUT": "abc"}, "HF_HUB_ETAG_TIMEOUT is 'abc', which", id="a time that is none"),
        pytest.param({"HF_HUB_ETAG_TIMEOUT": "-1"}, "HF_HUB_ETAG_TIMEOUT is '-1', which", id="a negative time"),
        pytest.param({"HF_HUB_ETAG_TIMEOUT": ""}, "HF_HUB_ETAG_TIMEOUT is '', which", id="no time"),
        pytest.param({"HF_HUB_DOWNLOAD_TIMEOUT": "9" * 40}, "HF_HUB_DOWNLOAD_TIMEOUT is '99", id="too long a time"),
        pytest.param({"HF_HOME": "afile"}, "HF_HOME is 'afile', which is no folder", id="a file for a home"),
        pytest.param({"HF_HUB_CACHE": "afile"}, "HF_HUB_CACHE is 'afile', which", id="a file for a cache"),
        pytest.param({"HF_HUB_CACHE": "x" * 300}, "(File name too long). Make it so, or set HF_HUB_CACHE", id="long"),
        pytest.param({"HF_HOME": "/proc/x"}, "set HF_HOME to a folder that can", id="no place to write"),
        pytest.param({"HF_HUB_CACHE": "/proc/x"}, "set HF_HUB_CACHE to a folder that can", id="no place for the cache"),
        pytest.param({"HF_TOKEN": "hf_€"}, "HF_TOKEN holds characters that cannot be sent", id="no token"),
        pytest.param({"HF_HUB_USER_AGENT_ORIGIN": "a\nb"}, "HF_HUB_USER_AGENT_ORIGIN holds", id="a line break"),
        pytest.param({"HF_TOKEN_PATH": "."}, "The access token in . cannot be read (Is a directory)", id="a folder"),
        pytest.param({"HF_TOKEN_PATH": "binary"}, "binary holds no access token. Run", id="a binary file"),
    ],
)
def test_a_variable_that_is_wrong_is_named(run: Run, tmp_path: Path, variables: dict[str, str], says: str) -> None:
    (tmp_path / "afile").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    if any("proxy" in name.lower() for name in variables):
        variables = {"NO_PROXY": "", **variables}
    said = refusal(run("download", "-q", NAME, **variables))
    assert says in said
    assert "secret" not in said


@pytest.mark.skipif(REQUESTS, reason="requests reads no certificates for http")
def test_certificates_that_are_not_there_are_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "garbage.pem").write_text("garbage", encoding="utf-8")
    for file in ("missing.pem", "garbage.pem"):
        said = refusal(run("download", "-q", NAME, SSL_CERT_FILE=file))
        assert f"SSL_CERT_FILE names {file}, which holds no certificates" in said


@pytest.mark.skipif(not REQUESTS, reason="later versions do without the package")
def test_a_package_that_is_asked_for_and_missing_is_named(run: Run) -> None:
    said = refusal(run("download", "-q", NAME, HF_HUB_ENABLE_HF_TRANSFER="1"))
    assert "HF_HUB_ENABLE_HF_TRANSFER asks for the package hf_transfer" in said


@pytest.mark.parametrize("command", ["classify", "info", "download"])
def test_every_command_says_so_in_one_line(run: Run, command: str) -> None:
    arguments = ["-m", NAME, str(GOLDEN)] if command == "classify" else [NAME]
    said = refusal(run(command, *arguments, NO_PROXY="", ALL_PROXY="socks5://127.0.0.1:9"))
    assert said.startswith("vithybrid: ALL_PROXY names a SOCKS proxy, for which the package ")
    assert "HF_HUB_ETAG_TIMEOUT" in refusal(run(command, *arguments, HF_HUB_ETAG_TIMEOUT="soon"))


def test_a_local_model_does_without_all_of_them(run: Run) -> None:
    wrong = {"ALL_PROXY": "::", "HF_HUB_ETAG_TIMEOUT": "x", "HF_ENDPOINT": "http://[", "HF_TOKEN": "é"}
    assert run("info", "tiny", NO_PROXY="", **wrong).returncode == 0


def test_a_cached_model_does_without_the_network_s(run: Run) -> None:
    assert run("download", "-q", NAME).returncode == 0
    assert run("info", NAME, NO_PROXY="", ALL_PROXY="::", HF_TOKEN="é").returncode == 0


# Servers that are no hub, or a hub that is unwell.


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(b"<html>Log in</html>"), id="a page"),
        pytest.param(http(b"[1]"), id="a list"),
        pytest.param(http(b"null"), id="null"),
        pytest.param(http(b"{}"), id="an object"),
        pytest.param(http(b"[" * 100_000), id="deeply nested"),
        pytest.param(http(b"\xff\xfe{}"), id="no text"),
        pytest.param(http(b'{"siblings": "abc"}'), id="no list of files"),
        pytest.param(http(b'{"siblings": [{"x": 1}]}'), id="files without names"),
        pytest.param(http(b'{"siblings": [{"rfilename": "config.json", "size": "big"}]}'), id="no size"),
        pytest.param(http(b'{"siblings": [], "sha": "../../x"}'), id="a commit that is a path"),
        pytest.param(http(b"")[:-10], id="cut off headers"),
        pytest.param(http(b'{"siblings": []}')[:-5], id="cut off body"),
        pytest.param(b"\x00\x01garbage\r\n\r\n", id="no HTTP"),
        pytest.param(b"", id="nothing"),
        pytest.param(http(b"", "Location: /again", status="302 Found"), id="redirected for ever"),
        pytest.param(http(b"", "Location: ftp://x/y", status="302 Found"), id="redirected elsewhere"),
        pytest.param(http(b"garbage", "Content-Encoding: gzip"), id="no gzip"),
        pytest.param(http(b"", status="204 No Content"), id="no content"),
        pytest.param(http(b"oops\nline", status="500 Oops"), id="a failure"),
        pytest.param(http(b"", "Retry-After: 3600", status="429 Too Many"), id="too many requests"),
        pytest.param(http(b"", status="407 Proxy Authentication Required"), id="a proxy that wants a password"),
    ],
)
def test_an_answer_that_is_no_hub_s_is_one_line(server: Hub, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    server.raw = answer
    with pytest.raises(HubUnreachable) as caught:
        locate(NAME)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert "HF_ENDPOINT" in said or "set HF_TOKEN: it raises the limit" in said


def test_a_page_in_place_of_a_hub_is_one_line_of_the_program(server: Hub, run: Run) -> None:
    server.raw = http(b"<html>Log in</html>")
    assert "its answer is not that of a hub" in refusal(run("download", "-q", NAME))


def test_a_server_that_never_answers_is_given_up(server: Hub, run: Run) -> None:
    server.silent = threading.Event()
    try:
        said = refusal(run("download", "-q", NAME, HF_HUB_ETAG_TIMEOUT="1", HF_HUB_DOWNLOAD_TIMEOUT="1"))
    finally:
        server.silent.set()
    assert "timed out" in said
    assert "HF_ENDPOINT, HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT" in said


def test_a_transfer_from_xet_storage_that_fails_is_one_line(server: Hub, run: Run) -> None:
    pytest.importorskip("hf_xet")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        server.cas = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        said = refusal(run("download", "-q", NAME, HF_XET_CLIENT_RETRY_MAX_ATTEMPTS="0"))
    assert "cannot be fetched from" in said
    assert "xet_secret" not in said


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), TypeError("a bug"), KeyError("a bug"), ValueError("a bug"), AttributeError("bug")]
)
def test_a_mistake_in_a_program_is_not_blamed_on_the_hub(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, hub_errors_as_model_errors("a/b", "main"):
        raise error
    assert caught.value is error


def test_a_model_error_passes_unchanged() -> None:
    with pytest.raises(ModelError) as caught, hub_errors_as_model_errors("a/b", "main"):
        raise ModelError("Said already.")
    assert not isinstance(caught.value, HubUnreachable)
