"""Addresses on the command line: in arguments and lists, offline, resumed, updated, and interrupted."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_program import open_fake
from fsspec.registry import _registry
from PIL import Image
from places import GOLDENS, ROOT
from typer.testing import CliRunner
from web_server import Asked, WebServer, until, web_server

from vithybrid_cli.commands.app import app

MODEL = str(GOLDENS / "hf-hybrid-small")
PROGRAM = [sys.executable, str(ROOT / "tests" / "fake_program.py"), "classify", "-m", MODEL]


@pytest.fixture(autouse=True)
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs in this process has the engine of fake_program, and a cache and a folder of its own."""
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", open_fake)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as served:
        yield served


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (shade,) * 3).save(stream, "PNG")
    return stream.getvalue()


def classify(*arguments: str, expecting: int = 0, stdin: str | None = None) -> str:
    done = CliRunner().invoke(app, ["classify", "-m", MODEL, *arguments], input=stdin, catch_exceptions=False)
    assert done.exit_code == expecting, done.output
    return done.stderr


def records(file: str = "out.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def test_arguments_and_lists_may_be_addresses(server: WebServer) -> None:
    urls = [server.gives(f"/{number}.png", png(number)) for number in range(4)]
    Path("here.png").write_bytes(png(50))
    Path("list.txt").write_text("\n".join([urls[1], "here.png", urls[2]]))
    stdin = f"{urls[3]}\n{server.url}/lost.png\n"
    said = classify(urls[0], "-", "--files-from", "list.txt", "-o", "out.jsonl", expecting=1, stdin=stdin)
    lost = f"{server.url}/lost.png"
    assert [record["path"] for record in records()] == [urls[0], urls[3], lost, urls[1], "here.png", urls[2]]
    assert records()[2]["error"] == {"type": "FetchFailed", "message": "HTTP 404 Not Found. Check the address."}
    assert f"{lost}: HTTP 404 Not Found. Check the address." in said


def test_offline_refuses_arguments_at_once_and_gives_a_record_for_those_in_lists(server: WebServer) -> None:
    url = server.gives("/a.png", png(1))
    said = classify(url, "--offline", "-o", "out.jsonl", expecting=2)
    assert f"{url} cannot be read offline. Leave out --offline, or fetch it first and give the file." in said
    assert not Path("out.jsonl").exists()
    classify("-", "--offline", "-o", "out.jsonl", expecting=1, stdin=url)
    assert records()[0]["error"]["type"] == "FetchFailed"
    assert not server.asked


def test_a_missing_package_is_one_line_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)  # where another test has used it
    for address in ("https://photos.example/a.png", "s3://photos/a.png"):
        for arguments, stdin in (([address], None), (["-"], address)):
            said = classify(*arguments, "-o", "out.jsonl", expecting=2, stdin=stdin)
            assert "need one more library. Install it with `pip install 'vithybrid-cli[remote]'`." in said


def test_an_unknown_kind_of_address_is_a_record(server: WebServer) -> None:
    classify("foo://bar/a.png", "-o", "out.jsonl", expecting=1)
    assert records()[0]["error"]["type"] == "MissingFile"


def test_the_same_pictures_in_urls_of_files_and_of_data(tmp_path: Path) -> None:
    import base64

    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "é.png").write_bytes(png(9))
    url = (tmp_path / "a b" / "é.png").as_uri()
    data = "data:image/png;base64," + base64.b64encode(png(9)).decode()
    classify(url, data, (tmp_path / "a b").as_uri(), "-o", "out.jsonl")
    first, second, third = records()
    assert [first["path"], second["path"], third["path"]] == [url, data, str(tmp_path / "a b" / "é.png")]
    assert first["predictions"][0]["label"] == second["predictions"][0]["label"] == third["predictions"][0]["label"]


def test_a_resumed_run_fetches_only_what_is_not_done(server: WebServer) -> None:
    urls = [server.gives(f"/{number}.png", png(number)) for number in range(9)]
    Path("list.txt").write_text("\n".join(urls))
    classify("--files-from", "list.txt", "-o", "out.jsonl")
    whole = Path("out.jsonl").read_text()
    Path("out.jsonl").write_text("".join(whole.splitlines(keepends=True)[:6]))
    server.asked.clear()
    classify("--files-from", "list.txt", "-o", "out.jsonl", "--resume")
    assert Path("out.jsonl").read_text() == whole
    assert sorted(server.asked) == ["/6.png", "/7.png", "/8.png"]


def test_an_updated_run_keeps_what_it_has_and_tries_again_what_failed(server: WebServer) -> None:
    urls = [server.gives(f"/{number}.png", png(number)) for number in range(3)]
    inputs = [*urls, server.url + "/late.png", server.url + "/never.png"]
    classify(*inputs, "-o", "out.jsonl", expecting=1)
    server.gives("/late.png", png(77))
    server.asked.clear()
    classify(*inputs, "-o", "out.jsonl", "--update", expecting=1)
    assert [(record["path"], "error" in record) for record in records()] == [
        *((url, False) for url in [*urls, server.url + "/late.png"]),
        (server.url + "/never.png", True),
    ]
    assert set(server.asked) == {"/late.png", "/never.png"}


def test_a_strict_run_ends_at_what_cannot_be_fetched(server: WebServer) -> None:
    urls = [server.gives(f"/{number}.png", png(number)) for number in range(3)]
    said = classify(*urls, server.url + "/lost.png", *urls, "--strict", "-o", "out.jsonl", expecting=1)
    assert "HTTP 404 Not Found." in said
    assert [record["path"] for record in records()][:3] == urls
    assert len(records()) <= 4


@pytest.mark.parametrize("live", [False, True], ids=["arguments", "a list on stdin"])
def test_ctrl_c_ends_a_run_that_waits_for_a_server(server: WebServer, live: bool) -> None:
    async def silent(asked: Asked) -> None:
        await asyncio.sleep(3600)  # ended with the server

    url = server.on("/x.png", silent)
    arguments = [*PROGRAM, "-" if live else url, "-o", "out.jsonl"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, process_group=0
    ) as program:
        assert program.stdin is not None
        if live:
            program.stdin.write(url + "\n")
            program.stdin.flush()
        until(lambda: server.asked["/x.png"] == 1)
        program.send_signal(signal.SIGINT)
        assert program.wait(20) == 130
        assert program.stderr is not None
        said = program.stderr.read()
    assert "Traceback" not in said, said
