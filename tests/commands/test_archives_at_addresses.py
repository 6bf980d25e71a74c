"""Archives at addresses are read as those of folders are: by parts, in streams, and in buckets."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_program import open_fake
from PIL import Image
from places import GOLDENS
from typer.testing import CliRunner
from web_server import Asked, WebServer, web_server

from vithybrid_cli.commands.app import app
from vithybrid_cli.sources.inputs import Sources

MODEL = str(GOLDENS / "hf-hybrid-small")
SHADES = {f"{number}.png": 20 * number for number in range(7)}


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


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, shade in SHADES.items():
            archive.writestr(name, png(shade))
    return stream.getvalue()


def tarred(mode: Literal["w", "w:gz"] = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, shade in SHADES.items():
            member = tarfile.TarInfo(name)
            member.size = len(png(shade))
            archive.addfile(member, io.BytesIO(png(shade)))
    return stream.getvalue()


def classify(*arguments: str, expecting: int = 0) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["classify", "-m", MODEL, *arguments, "-f", "jsonl"], catch_exceptions=False)
    assert done.exit_code == expecting, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def labels(records: list[dict[str, Any]]) -> list[Any]:
    return [record["predictions"] for record in records]


@pytest.fixture
def as_files(tmp_path: Path) -> list[Any]:
    """What the same pictures give as files."""
    for name, shade in SHADES.items():
        (tmp_path / name).write_bytes(png(shade))
    return labels(classify(*SHADES))


ARCHIVES = [
    pytest.param("a.zip", "zip", zipped(), id="zip"),
    pytest.param("a.tar", "tar", tarred(), id="tar"),
    pytest.param("a.tar.gz", "tar", tarred("w:gz"), id="tar.gz"),
]


@pytest.mark.parametrize(("file", "scheme", "body"), ARCHIVES)
def test_an_archive_on_a_server_gives_its_members(
    server: WebServer, as_files: list[Any], file: str, scheme: str, body: bytes
) -> None:
    url = server.gives(f"/{file}", body)
    records = classify(url + "?download=1")
    assert [record["path"] for record in records] == [f"{scheme}://{name}::{url}?download=1" for name in SHADES]
    assert labels(records) == as_files
    (alone,) = classify(f"{scheme}://3.png::{url}")
    assert alone["predictions"][0]["label"] == records[3]["predictions"][0]["label"]


@pytest.mark.parametrize(("file", "scheme", "body"), ARCHIVES)
def test_a_server_that_gives_no_parts_is_enough_for_tar(
    server: WebServer, as_files: list[Any], file: str, scheme: str, body: bytes
) -> None:
    async def whole(asked: Asked) -> None:
        await asked.answer(body)

    url = server.on(f"/{file}", whole)
    if scheme == "tar":
        assert labels(classify(url)) == as_files
    else:
        (record,) = classify(url, expecting=1)
        assert record["path"] == url


@pytest.mark.parametrize(("file", "scheme", "body"), ARCHIVES)
def test_an_archive_in_a_store_gives_its_members(as_files: list[Any], file: str, scheme: str, body: bytes) -> None:
    store = fsspec.filesystem("memory")
    store.pipe(f"/shards/{file}", body)
    store.pipe("/shards/b.png", png(3))
    try:
        records = classify("memory://shards/", "--archives")
        left_out = classify("memory://shards/")
    finally:
        store.rm("/shards", recursive=True)
    members = [f"{scheme}://{name}::memory://shards/{file}" for name in SHADES]
    assert [record["path"] for record in records] == [*members, "memory://shards/b.png"]
    assert [record["path"] for record in left_out] == ["memory://shards/b.png"]


def test_an_archive_that_is_not_there_or_breaks_off_is_a_record(server: WebServer) -> None:
    body = tarred()

    async def breaks(asked: Asked) -> None:
        await asked.answer(body[:6000], length=len(body))
        asked.writer.close()

    (lost,) = classify(server.url + "/lost.tar", expecting=1)
    assert (lost["path"], lost["error"]["type"]) == (server.url + "/lost.tar", "FetchFailed")
    *records, last = classify(server.on("/cut.tar", breaks), expecting=1)
    assert [record["path"] for record in records] == [f"tar://{name}::{last['path']}" for name in SHADES][
        : len(records)
    ]
    assert (last["path"], last["error"]["type"]) == (server.url + "/cut.tar", "FetchFailed")


def test_what_lies_at_addresses_is_not_fetched_to_be_counted(server: WebServer) -> None:
    url = server.gives("/a.zip", zipped())
    for inputs in ((url,), ("memory://shards/",), (url, "memory://shards/a.tar")):
        count = Sources(inputs).counter()
        assert count is not None
        assert count() is None
    count = Sources((server.url + "/a.png",)).counter()
    assert count is not None
    assert count() == 1
    assert not server.asked


def parquet(group: int = 3) -> bytes:
    stream = io.BytesIO()
    pictures = [{"bytes": png(shade), "path": name} for name, shade in SHADES.items()]
    pq.write_table(pa.table({"image": pictures}), stream, row_group_size=group)
    return stream.getvalue()


def test_a_table_at_an_address_gives_its_rows(server: WebServer, as_files: list[Any]) -> None:
    url = server.gives("/t.parquet", parquet())
    store = fsspec.filesystem("memory")
    store.pipe("/tables/t.parquet", parquet())
    try:
        there = classify("memory://tables/", "--archives")
        left_out = classify("memory://tables/")
    finally:
        store.rm("/tables", recursive=True)
    for place, records in {url: classify(url), "memory://tables/t.parquet": there}.items():
        assert [record["path"] for record in records] == [f"parquet://{row}::{place}" for row in range(len(SHADES))]
        assert labels(records) == as_files
    assert left_out == []
    (alone,) = classify(f"parquet://3::{url}")
    assert alone["predictions"][0]["label"] == there[3]["predictions"][0]["label"]


def test_a_table_that_is_not_there_or_breaks_off_is_a_record(server: WebServer) -> None:
    body = parquet()
    (lost,) = classify(server.url + "/lost.parquet", expecting=1)
    assert (lost["path"], lost["error"]["type"]) == (server.url + "/lost.parquet", "FetchFailed")
    (cut,) = classify(server.gives("/cut.parquet", body[:-100]), expecting=1)
    assert (cut["path"], cut["error"]["type"]) == (server.url + "/cut.parquet", "DamagedArchive")

    async def whole(asked: Asked) -> None:
        await asked.answer(body)

    (stream,) = classify(server.on("/stream.parquet", whole), expecting=1)
    said = "Its server gives no parts of a file, as has to be. Fetch it first, and give the file."
    assert stream["error"] == {"type": "FetchFailed", "message": said}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "t.parquet"])
def test_offline_archives_and_tables_of_lists_are_records(server: WebServer, name: str) -> None:
    url = f"{server.url}/{name}"
    scheme = Path(name).suffix[1:]
    Path("list.txt").write_text(f"{url}\n{scheme}://0::{url}\n")
    records = classify("--files-from", "list.txt", "--offline", expecting=1)
    assert [record["path"] for record in records] == [url, f"{scheme}://0::{url}"]
    assert {record["error"]["type"] for record in records} == {"FetchFailed"}
    assert not server.asked
