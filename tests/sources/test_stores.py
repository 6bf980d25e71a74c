"""What fsspec opens: single objects, what lies below a prefix, patterns, and archives."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import huggingface_hub
import pytest
import s3fs
from hub_server import Hub, client_pointed_at
from huggingface_hub import constants
from packaging.version import Version
from web_server import Asked, WebServer, web_server

from vithybrid_cli.errors import FetchFailed
from vithybrid_cli.items import Item
from vithybrid_cli.sources.find import find
from vithybrid_cli.sources.inputs import Sources
from vithybrid_cli.sources.places import opened
from vithybrid_cli.sources.remote.filesystems import FileSystem, FileSystems
from vithybrid_cli.sources.survey import Survey

NAMES = ("a/2.png", "a/10.png", "a.jpg", "a/b/x.jpg", "a/n.txt", "a/.h/x.png", "c d/é.png", "a/s.7z", "a/@eaDir/t.jpg")
IN_ORDER = ["a.jpg", "a/10.png", "a/2.png", "a/b/x.jpg", "c d/é.png"]


@pytest.fixture
def store() -> Iterator[str]:
    """A store in memory with some pictures, and where they lie."""
    memory = fsspec.filesystem("memory")
    for name in NAMES:
        memory.pipe(f"/photos/{name}", name.encode())
    yield "memory://photos"
    memory.rm("/photos", recursive=True)


def found(*inputs: str, **options: Any) -> tuple[list[str], str | None]:
    """The names of what is found, and what is said of the rest."""
    survey = Survey()
    return [item.name for item in Sources(inputs, **options).items(survey)], survey.line()


def content(item: Item) -> bytes:
    with item.open() as stream:
        return stream.read()


@pytest.mark.parametrize("end", ["", "/"])
def test_a_prefix_gives_the_pictures_below_it_in_the_order_of_their_keys(store: str, end: str) -> None:
    names, rest = found(store + end)
    assert names == [f"{store}/{name}" for name in IN_ORDER]
    assert rest == "left out: 1 .7z, 1 .txt, 1 folder of the system (@eaDir)"
    assert [content(item) for item in Sources((store,)).items()] == [name.encode() for name in IN_ORDER]


def test_what_is_excluded_is_counted(store: str) -> None:
    names, rest = found(store, exclude=("b", "*.jpg"))
    assert names == [f"{store}/{name}" for name in ("a/10.png", "a/2.png", "c d/é.png")]
    assert rest is not None
    assert rest.endswith("excluded: 1 file, 1 folder")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        pytest.param("*.jpg", ["a.jpg"], id="of one folder"),
        pytest.param("**/*.jpg", ["a.jpg", "a/b/x.jpg"], id="at any depth"),
        pytest.param("[bc]*", ["c d/é.png"], id="of folders"),
        pytest.param("a/?.png", ["a/2.png"], id="a letter"),
        pytest.param("**", IN_ORDER, id="everything"),
    ],
)
def test_a_pattern_gives_what_it_matches(store: str, pattern: str, names: list[str]) -> None:
    assert found(f"{store}/{pattern}")[0] == [f"{store}/{name}" for name in names]


def test_a_name_that_looks_like_a_pattern_is_itself(store: str) -> None:
    fsspec.filesystem("memory").pipe("/photos/x[1].png", b"1")
    assert found(f"{store}/x[1].png")[0] == [f"{store}/x[1].png"]


@pytest.mark.parametrize("name", ["lost/", "lost", "a/n*.png", "lost.png"])
def test_what_is_not_there_is_an_item_that_says_so(store: str, name: str) -> None:
    (item,) = Sources((f"{store}/{name}",)).items()
    assert item.name == f"{store}/{name}"
    with pytest.raises(FetchFailed, match="There is nothing at this address"):
        item.open()


def test_a_folder_in_a_list_is_said_to_be_one(store: str) -> None:
    with pytest.raises(FetchFailed, match="This is a folder of a store"):
        Sources((store,)).named().item(f"{store}/a/").open()


def test_an_archive_can_be_read_anywhere(store: str) -> None:
    fsspec.filesystem("memory").pipe("/photos/a.zip", bytes(range(256)) * 100)
    with opened(f"{store}/a.zip") as stream:
        assert stream.seekable()
        assert stream.seek(-1, io.SEEK_END) == 25_599
        assert stream.read() == b"\xff"
    with pytest.raises(FetchFailed, match="There is nothing at this address"):
        opened(f"{store}/lost.zip")


def test_a_bucket_is_listed_page_by_page_as_its_pictures_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [
        {"Contents": [{"Key": "p/"}, {"Key": "p/1.png"}], "IsTruncated": True, "NextContinuationToken": "1"},
        {
            "Contents": [{"Key": "p/b.png"}, {"Key": "p/d.png"}],
            "CommonPrefixes": [{"Prefix": "p/c/"}],
            "IsTruncated": True,
            "NextContinuationToken": "2",
        },
        {"IsTruncated": False},
    ]
    asked = []

    def call_s3(method: str, **arguments: Any) -> Any:
        asked.append((arguments["Prefix"], arguments.get("ContinuationToken")))
        if arguments["Prefix"] == "p/c/":
            return {"Contents": [{"Key": "p/c/x.png"}]}
        return pages[int(arguments.get("ContinuationToken", 0))]

    system = SimpleNamespace(call_s3=call_s3, async_impl=True, _strip_protocol=lambda name: name[5:].rstrip("/"))
    monkeypatch.setattr(FileSystems, "of", lambda self, name: FileSystem(system, "s3"))
    walk = find(["s3://bucket/p/"])
    assert next(walk) == "s3://bucket/p/1.png"
    assert asked == [("p/", None)]
    assert list(walk) == [f"s3://bucket/p/{name}" for name in ("b.png", "c/x.png", "d.png")]
    assert asked == [("p/", None), ("p/", "1"), ("p/c/", None), ("p/", "2")]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of a server that speaks S3, with some pictures."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        store = fsspec.filesystem("s3")
        store.mkdir("photos")
        for name in (*NAMES, "empty.png"):
            store.pipe(f"photos/{name}", b"" if name == "empty.png" else name.encode())
        yield "s3://photos"
    server.stop()


def test_pictures_of_a_bucket_are_found_and_read(bucket: str) -> None:
    names, rest = found(bucket)
    assert names == [f"{bucket}/{name}" for name in (*IN_ORDER, "empty.png")]
    assert rest == "left out: 1 .7z, 1 .txt, 1 folder of the system (@eaDir)"
    assert [content(item) for item in Sources((bucket,)).items()] == [*(name.encode() for name in IN_ORDER), b""]
    assert found(f"{bucket}/a/*.png")[0] == [f"{bucket}/a/10.png", f"{bucket}/a/2.png"]
    with opened(f"{bucket}/a/n.txt") as stream:
        assert stream.seekable()
        assert stream.read() == b"a/n.txt"


def test_what_a_bucket_lacks_is_said(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (f"{bucket}/lost.png", "s3://nobody/lost.png", "s3://nobody/"):
        (item,) = Sources((name,)).items()
        with pytest.raises(FetchFailed, match="There is nothing at this address, or it is private"):
            item.open()


@pytest.mark.skipif(
    Version(huggingface_hub.__version__) < Version("1.0"),
    reason="older clients ask for what the loopback hub does not have",
)
def test_pictures_of_a_data_set_on_the_hub_are_found_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server() as server, client_pointed_at(Hub(server.url, server.url), tmp_path, monkeypatch):
        _serve_data_set(server)
        names, rest = found("hf://datasets/us/set")
        assert names == ["hf://datasets/us/set/a.png"]
        assert rest == "left out: 1 .txt"
        assert content(Sources(()).named().item(names[0])) == b"a picture"
        for name, said in {"set/lost.png": "There is nothing at this address", "other/a.png": "HTTP 404"}.items():
            with pytest.raises(FetchFailed, match=said):
                Sources(()).named().item(f"hf://datasets/us/{name}").open()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(FetchFailed, match="The hub may not be asked, since HF_HUB_OFFLINE is set"):
            Sources(()).named().item("hf://datasets/us/third/a.png").open()


def _serve_data_set(server: WebServer) -> None:
    """What huggingface_hub asks for, as https://huggingface.co/docs/hub/api has it."""

    def gives(path: str, value: Any) -> None:
        async def answer(asked: Asked) -> None:
            await asked.answer(json.dumps(value).encode(), content_type="application/json")

        server.on(path, answer)

    file = {"type": "file", "path": "a.png", "size": 9, "oid": "2" * 40}
    gives("/api/datasets/us/set", {"id": "us/set", "sha": "1" * 40})
    gives("/api/datasets/us/set/tree/main", [file, {**file, "path": "b.txt"}])
    server.gives("/datasets/us/set/resolve/main/a.png", b"a picture")


def test_credentials_that_are_missing_are_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(FetchFailed, match=r"No credentials for s3:// were found\. Give them .* FSSPEC_S3_ANON=true"):
        Sources(()).named().item("s3://secret/a.png").open()
