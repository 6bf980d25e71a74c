"""Names become folders: through paths, the catalog, the cache, and the hub's own client against a hub of our own."""

import errno
import hashlib
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
from hub_server import COMMIT, FILES, GOLDEN, NAME, NEXT_COMMIT, Hub, client_pointed_at, point_client_at, running
from huggingface_hub import constants

from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.hub import catalog
from vithybrid_cli.hub.errors import hub_errors_as_model_errors
from vithybrid_cli.hub.locate import is_cached, locate

WEIGHTS = FILES["model.safetensors"]
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, and a client in this process that knows no other hub, cache or token."""
    with running() as server, client_pointed_at(server, tmp_path, monkeypatch):
        server.add(NAME, {**FILES, "pytorch_model.bin": b"pickle", "README.md": b"words", "other.safetensors": b"big"})
        yield server


@pytest.fixture
def no_network(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the client at a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    point_client_at(f"http://127.0.0.1:{port}", monkeypatch)


@pytest.fixture
def catalogued(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the served model into the catalog, with the sha256 of its weights."""
    entry = replace(catalog.BASE_384, alias="small", hub_id=NAME, sha256=SHA256)
    monkeypatch.setattr(catalog, "ENTRIES", (catalog.TINY, entry))
    return "small"


# Older clients give up where a connection breaks in the middle of a file.
RESUMES = tuple(map(int, huggingface_hub.__version__.split(".")[:2])) >= (1, 24)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Paths and names, without a network.


def test_an_existing_folder_is_taken_as_it_is() -> None:
    assert locate(str(GOLDEN)) == GOLDEN


def test_a_weights_file_is_taken_as_it_is() -> None:
    assert locate(GOLDEN / "model.safetensors") == GOLDEN / "model.safetensors"


def test_a_folder_with_the_form_of_a_hub_id_wins_over_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert locate(NAME) == tmp_path / NAME


def test_an_alias_wins_over_a_folder_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base-384").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="google/vit-hybrid-base-bit-384 is not in the cache"):
        locate("base-384", offline=True)
    assert locate("./base-384") == tmp_path / "base-384"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("./nothing-here", id="relative"),
        pytest.param("../no-such-folder-beside", id="parent"),
        pytest.param("/no/such/folder", id="absolute"),
        pytest.param("~/no-such-folder-of-mine", id="home"),
        pytest.param("runs/tiny/best", id="two slashes"),
        pytest.param("runs/", id="slash at the end"),
        pytest.param("weights.safetensors", id="weights file"),
        pytest.param("runs/weights.npz", id="weights file in a folder"),
        pytest.param(Path("owner/name"), id="Path object"),
    ],
)
def test_a_path_that_does_not_exist_is_no_hub_id(name: str | Path) -> None:
    with pytest.raises(ModelError, match="There is no folder or file"):
        locate(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("tinny", "Did you mean tiny\\?", id="mistyped alias"),
        pytest.param("google/vit-hybrid-base-bit-384x y", "Did you mean google/", id="mistyped hub id"),
        pytest.param("foo bar", "A hub id looks like google/", id="space"),
        pytest.param("foo", "A hub id looks like google/", id="bare word"),
        pytest.param("a--b/c", "A hub id looks like", id="double dash"),
        pytest.param("", "A hub id looks like", id="empty"),
        pytest.param("x" * 5000, "A hub id looks like", id="too long for a file name"),
    ],
)
def test_a_name_that_no_model_can_have_gets_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ModelError, match=hint):
        locate(name)


def test_a_revision_of_a_folder_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="Leave out revision"):
        locate(str(GOLDEN), revision="main")


def test_neither_torch_nor_the_hub_client_is_imported_with_the_module() -> None:
    code = (
        "import sys, vithybrid_cli.hub.locate; "
        "print([m for m in ('torch', 'huggingface_hub', 'httpx2', 'httpx', 'tqdm') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


# Fetching.


def test_only_the_needed_files_are_fetched(server: Hub) -> None:
    folder = locate(NAME)
    assert names_in(folder) == set(FILES)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert not server.asked("GET", "README") + server.asked("GET", ".bin")


def test_a_cached_model_is_used_without_any_request(server: Hub) -> None:
    first = locate(NAME)
    server.requests.clear()
    assert locate(NAME) == first
    assert server.requests == []


def test_that_a_model_has_no_preprocessor_config_is_remembered(server: Hub) -> None:
    server.add(NAME, {name: FILES[name] for name in ("config.json", "model.safetensors")})
    first = locate(NAME)
    server.requests.clear()
    assert locate(NAME) == first
    assert server.requests == []


def test_a_model_that_another_program_cached_in_part_is_completed(server: Hub) -> None:
    for name in ("config.json", "model.safetensors"):
        huggingface_hub.hf_hub_download(NAME, name)
    server.requests.clear()
    assert names_in(locate(NAME)) == set(FILES)
    assert not server.asked("GET", "/cdn/")


def test_an_update_fetches_what_is_new_and_checks_it(server: Hub) -> None:
    first = locate(NAME)
    repository = server.repositories[NAME]
    repository.files[NEXT_COMMIT] = {**FILES, "config.json": FILES["config.json"] + b"\n"}
    repository.refs["main"] = NEXT_COMMIT
    assert locate(NAME) == first
    second = locate(NAME, update=True)
    assert (second.name, (second / "config.json").read_bytes()[-1:]) == (NEXT_COMMIT, b"\n")
    assert len(server.asked("GET", "/cdn/")) == 1
    assert locate(NAME) == second


def test_an_update_without_a_network_makes_do_with_the_cache(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = locate(NAME)
    server.status = 503
    assert locate(NAME, update=True) == first


def test_a_revision_is_fetched_beside_the_main_one(server: Hub) -> None:
    repository = server.repositories[NAME]
    repository.files[NEXT_COMMIT] = {**FILES, "config.json": b"{}"}
    repository.refs["refs/pr/1"] = NEXT_COMMIT
    folder = locate(NAME, revision="refs/pr/1")
    assert (folder / "config.json").read_bytes() == b"{}"
    assert locate(NAME) != folder
    server.requests.clear()
    assert locate(NAME, revision="refs/pr/1") == folder
    assert locate(NAME, revision=NEXT_COMMIT) == folder
    assert server.requests == []


def test_a_sharded_checkpoint_comes_with_its_shards_only(server: Hub) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    server.add(
        NAME,
        {
            "config.json": b"{}",
            "model.safetensors.index.json": json.dumps(index).encode(),
            "model-00001-of-00002.safetensors": b"one",
            "model-00002-of-00002.safetensors": b"two",
            "model-00009-of-00009.safetensors": b"left over",
        },
    )
    folder = locate(NAME)
    assert names_in(folder) == {"config.json", "model.safetensors.index.json", *index["weight_map"].values()}
    server.requests.clear()
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert not is_cached(NAME)
    assert locate(NAME) == folder
    assert is_cached(NAME)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        pytest.param(b'{"weight_map": {"a": "../x"}}', "names files outside", id="outside"),
        pytest.param(b'{"weight_map": {"a": "b.safetensors"}}', "lacks b.safetensors", id="missing shard"),
        pytest.param(b'{"weight_map": {"a": "b.bin"}}', "names b.bin, which is no file of safetensors", id="a pickle"),
        pytest.param(b"{}", "no readable weight_map", id="no map"),
        pytest.param(b"<html>", "is a web page", id="a web page"),
        pytest.param(b"[", "cannot be read", id="no JSON"),
    ],
)
def test_a_bad_index_of_shards_is_an_error(server: Hub, index: bytes, message: str) -> None:
    server.add(NAME, {"config.json": b"{}", "model.safetensors.index.json": index})
    with pytest.raises(ModelError, match=message):
        locate(NAME)


def test_progress_is_reported_file_by_file(server: Hub) -> None:
    calls: list[tuple[str, int, int | None]] = []
    locate(NAME, progress=lambda name, done, total: calls.append((name, done, total)))
    assert calls[0] == ("config.json", 0, len(FILES["config.json"]))
    assert calls[-1] == ("model.safetensors", len(WEIGHTS), len(WEIGHTS))
    assert {name for name, _, _ in calls} == set(FILES)


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), OSError("a bug"), KeyError("a bug")], ids=lambda e: type(e).__name__
)
def test_a_failure_of_the_progress_callback_is_not_blamed_on_the_hub(server: Hub, error: Exception) -> None:
    def fail(name: str, done: int, total: int | None) -> None:
        raise error

    with pytest.raises(type(error), match="a bug") as caught:
        locate(NAME, progress=fail)
    assert caught.value is error


def test_the_client_draws_no_bars_of_its_own(server: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    if RESUMES:
        server.drops.append(1000)
    locate(NAME)
    assert capfd.readouterr() == ("", "")


def test_the_token_goes_to_the_hub_and_not_to_the_cdn(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    locate(NAME)
    assert {request.authorization for request in server.asked("HEAD", "/resolve/")} == {"Bearer hf_secret"}
    assert {request.authorization for request in server.asked("GET", "/cdn/")} == {None}


def test_cached_is_told_without_a_request(server: Hub) -> None:
    assert not is_cached(NAME)
    locate(NAME)
    server.requests.clear()
    assert is_cached(NAME)
    assert not is_cached(NAME, revision="v2")
    assert server.requests == []


# What goes wrong.


@pytest.mark.skipif(not RESUMES, reason="the client gives up")
def test_a_dropped_connection_is_resumed_where_it_broke(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)  # what arrived of a chunk of 10 MB is not kept
    server.drops.append(100_000)
    folder = locate(NAME)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert [request.range for request in server.asked("GET", "/cdn/")] == [None, "bytes=100000-"]


def test_a_connection_that_keeps_dropping_is_one_line_and_the_next_run_completes(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.drops.extend([0] * 20)
    with pytest.raises(ModelError, match="Check the network and run the command again") as caught:
        locate(NAME)
    assert "\n" not in str(caught.value)
    assert not is_cached(NAME)
    server.drops.clear()
    server.requests.clear()
    assert (locate(NAME) / "model.safetensors").read_bytes() == WEIGHTS
    assert not server.asked("GET", "/preprocessor_config.json")


def test_damaged_weights_are_removed_and_fetched_anew(server: Hub, tmp_path: Path) -> None:
    server.broken[SHA256] = bytes(len(WEIGHTS))
    with pytest.raises(ModelError, match=r"model.safetensors of somebody/hybrid arrived damaged .* Run the command"):
        locate(NAME)
    assert not is_cached(NAME)
    assert SHA256 not in {path.name for path in (tmp_path / "cache").rglob("*")}
    server.broken.clear()
    assert (locate(NAME) / "model.safetensors").read_bytes() == WEIGHTS


def test_weights_that_were_damaged_in_the_cache_are_found_by_an_update(server: Hub) -> None:
    (locate(NAME) / "model.safetensors").resolve().write_bytes(b"rot")
    with pytest.raises(ModelError, match="arrived damaged"):
        locate(NAME, update=True)
    assert (locate(NAME) / "model.safetensors").read_bytes() == WEIGHTS


def test_an_unknown_model_names_the_two_reasons(server: Hub) -> None:
    with pytest.raises(ModelError, match=r"There is no model 'somebody/nothing' .* private.*HF_TOKEN"):
        locate("somebody/nothing")


def test_an_unknown_revision_is_named(server: Hub) -> None:
    with pytest.raises(ModelError, match="somebody/hybrid has no revision 'v7'"):
        locate(NAME, revision="v7")


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        pytest.param((401, "GatedRepo"), r"is gated. Ask for access at .*/somebody/hybrid", id="gated"),
        pytest.param((403, "GatedRepo"), r"is gated. .*`hf auth login`", id="gated for this user"),
        pytest.param((403, ""), r"does not allow access to somebody/hybrid .* Set HF_TOKEN", id="forbidden"),
    ],
)
def test_a_model_behind_a_gate_says_how_to_get_in(server: Hub, refusal: tuple[int, str], message: str) -> None:
    server.repositories[NAME].refusal = refusal
    with pytest.raises(ModelError, match=message):
        locate(NAME)


def test_a_model_that_is_only_a_pickle_is_refused_with_the_reason(server: Hub) -> None:
    server.add(NAME, {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    with pytest.raises(ModelError, match=r"only as a pickle \(pytorch_model.bin\), which can run any code"):
        locate(NAME)
    assert not server.asked("GET", "/resolve/")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"config.json": b"{}"}, r"has no model.safetensors\.", id="no weights"),
        pytest.param(
            {"config.json": b"{}", "tf_model.h5": b""}, r"those of TensorFlow \(tf_model.h5\)", id="another's"
        ),
        pytest.param({"config.json": b"{}", "vit.safetensors": b""}, r"but vit.safetensors\. Fetch", id="another name"),
        pytest.param({"model.safetensors": b""}, r"has no config.json\.", id="no config"),
        pytest.param({"adapter_config.json": b"", "adapter_model.safetensors": b""}, "is an adapter", id="adapter"),
        pytest.param({"checkpoint-5/config.json": b""}, r"but checkpoint-5/config.json\. Fetch", id="a folder below"),
        pytest.param({"model_index.json": b""}, "is a pipeline of diffusers", id="diffusers"),
    ],
)
def test_a_repository_without_a_model_is_an_error(server: Hub, files: dict[str, bytes], message: str) -> None:
    server.add(NAME, files)
    with pytest.raises(ModelError, match=message):
        locate(NAME)


def test_no_network_and_nothing_cached_is_one_line_that_names_the_built_in_model(no_network: None) -> None:
    with pytest.raises(ModelError, match="use the built-in model, tiny") as caught:
        locate(NAME)
    assert "\n" not in str(caught.value)


def test_an_outage_is_told_from_a_missing_model(server: Hub) -> None:
    server.status = 503
    with pytest.raises(ModelError, match="503"):
        locate(NAME)


def test_a_name_that_begins_like_a_folder_may_be_a_mistyped_path_which_is_said(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO, "vithybrid_cli"):
        with pytest.raises(ModelError):
            locate("runs/mien")
        assert caplog.messages == []
        (tmp_path / "runs").mkdir()
        with pytest.raises(ModelError):
            locate("runs/mien")
    assert caplog.messages == ["There is no folder runs/mien, so it is looked for on the hub."]


@pytest.mark.parametrize("offline", [False, True])
def test_a_model_that_is_not_there_may_be_a_mistyped_path(server: Hub, catalogued: str, offline: bool) -> None:
    with pytest.raises(ModelError, match=r"If a folder is meant, check its path: runs/mien is none\."):
        locate("runs/mien", offline=offline)
    if offline:
        with pytest.raises(ModelError) as caught:
            locate(catalogued, offline=True)
        assert "path" not in str(caught.value)


def test_a_path_may_be_mistyped_where_there_is_no_network(server: Hub, no_network: None) -> None:
    with pytest.raises(ModelError, match=r"Check the network.* If a folder is meant, check its path: runs/mien is"):
        locate("runs/mien")


def test_a_network_that_is_down_is_said_without_the_number_of_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"cannot be fetched from http://127.0.0.1:9 \((?!.*Errno)"):
        locate(NAME)


def test_an_update_that_cannot_ask_the_hub_says_so_and_makes_do(server: Hub, caplog: pytest.LogCaptureFixture) -> None:
    folder = locate(NAME)
    server.status = 503
    with caplog.at_level(logging.INFO, "vithybrid_cli"):
        assert locate(NAME) == folder
        assert caplog.messages == []
        assert locate(NAME, update=True) == folder
    (said,) = caplog.messages
    assert said.startswith(f"The hub cannot be asked for a newer {NAME} now (")


def test_a_file_of_the_cache_that_names_no_commit_is_an_error(server: Hub) -> None:
    folder = locate(NAME)
    (folder.parent.parent / "refs" / "main").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match=r"A file of the cache .* is damaged: it is no text"):
        locate(NAME, offline=True)


def test_an_answer_that_is_not_the_hub_s_is_an_error(server: Hub) -> None:
    server.status = 200
    with pytest.raises(ModelError, match="cannot be fetched from"):
        locate(NAME)


def test_offline_uses_the_cache_and_opens_no_connection(server: Hub) -> None:
    with pytest.raises(ModelError, match=r"not in the cache and cannot be fetched offline.* tiny\."):
        locate(NAME, offline=True)
    assert server.requests == []
    folder = locate(NAME)
    server.requests.clear()
    assert locate(NAME, offline=True, update=True) == folder
    assert server.requests == []


def test_a_full_disk_is_noticed_before_the_download(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=400_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ModelError, match=r"There is no room for somebody/hybrid \(0 MB\).*set HF_HOME"):
        locate(NAME)
    assert not server.asked("GET", "/cdn/")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "There is no room for a/b", id="disk full"),
        pytest.param(PermissionError(errno.EACCES, "Permission denied"), "cannot be read or wr", id="no permission"),
        pytest.param(OSError(errno.EROFS, "Read-only file system"), "cannot be read or wr", id="read-only"),
        pytest.param(OSError("Consistency check failed:\nmore"), r"\(Consistency check failed\)", id="short file"),
    ],
)
def test_a_failure_of_the_machine_is_one_line(error: Exception, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught, hub_errors_as_model_errors("a/b", "main"):
        raise error
    assert "\n" not in str(caught.value)


# The catalog's word on a checkpoint.


def test_an_alias_is_fetched_and_held_against_the_catalog(server: Hub, catalogued: str) -> None:
    assert locate(catalogued) == locate(NAME)


def test_weights_that_changed_upstream_are_refused_before_the_download(server: Hub, catalogued: str) -> None:
    server.add(NAME, {**FILES, "model.safetensors": b"other"})
    with pytest.raises(ModelError, match=r"not the ones this version knows .* Give revision='main' to accept them"):
        locate(catalogued)
    assert not server.asked("GET", "/resolve/")


def test_naming_a_revision_accepts_other_weights_for_that_run_only(server: Hub, catalogued: str) -> None:
    server.add(NAME, {**FILES, "model.safetensors": b"other"})
    assert (locate(catalogued, revision="main") / "model.safetensors").read_bytes() == b"other"
    assert not is_cached(catalogued)
    assert is_cached(catalogued, revision="main")
    with pytest.raises(ModelError, match="Give revision='main'"):
        locate(catalogued)


def test_other_files_may_change_upstream(server: Hub, catalogued: str) -> None:
    server.add(NAME, {**FILES, "README.md": b"new", "config.json": FILES["config.json"] + b"\n"})
    assert locate(catalogued).is_dir()


def test_weights_in_the_cache_older_than_the_catalog_are_fetched_anew(server: Hub, catalogued: str) -> None:
    server.add(NAME, {**FILES, "model.safetensors": b"older"})
    locate(NAME, revision="main")
    server.repositories[NAME].files[NEXT_COMMIT] = FILES
    server.repositories[NAME].refs["main"] = NEXT_COMMIT
    assert (locate(catalogued) / "model.safetensors").read_bytes() == WEIGHTS


# In a process of its own, where the client reads its environment.


@pytest.fixture
def run(server: Hub, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HF_HOME": str(tmp_path / "home"),
            "HF_ENDPOINT": server.endpoint,
            "NO_PROXY": "127.0.0.1,localhost",
            **variables,
        }
        command = [sys.executable, "-c", f"from vithybrid_cli.hub.locate import is_cached, locate\n{code}"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return run


def test_the_environment_of_the_client_applies(
    server: Hub, run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    first = run(f"print(locate({NAME!r}))", HF_TOKEN="hf_secret")
    folder = tmp_path / "home" / "hub" / "models--somebody--hybrid" / "snapshots" / COMMIT
    assert (first.stdout, first.stderr) == (f"{folder}\n", "")
    assert server.asked("GET", "/api/models/")[0].authorization == "Bearer hf_secret"
    (tmp_path / "home" / ".agent_harnesses.json").unlink(missing_ok=True)  # what the client notes of its own affairs
    server.requests.clear()
    assert run(f"print(locate({NAME!r}))").stdout == f"{folder}\n"
    assert server.requests == []


def test_the_client_s_offline_variable_applies(
    server: Hub, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    result = run(f"locate({NAME!r})", HF_HUB_OFFLINE="1")
    assert "fetched offline (HF_HUB_OFFLINE is set). Run `vithybrid download" in result.stderr.splitlines()[-1]
    assert server.requests == []
