"""Safetensors that wait in a pull request of the hub's conversion bot are taken, and nobody else's are."""

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from hub_server import BOT, COMMIT, FILES, NAME, NEXT_COMMIT, PULL_COMMIT, Hub, Repository, client_pointed_at, running
from huggingface_hub import constants
from places import ROOT

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub import catalog
from vithybrid_cli.hub.errors import HubUnreachable
from vithybrid_cli.hub.locate import is_cached, locate

PICKLED = {"config.json": FILES["config.json"], "pytorch_model.bin": b"pickle", "README.md": b"words"}
CONVERTED = {**PICKLED, "model.safetensors": FILES["model.safetensors"]}
FORGED = {**PICKLED, "model.safetensors": b"forged"}
OTHER = "4" * 40
PINNED = [entry for entry in catalog.ENTRIES if entry.revision not in (None, "main")]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running() as server, client_pointed_at(server, tmp_path, monkeypatch):
        yield server


@pytest.fixture
def pickled(server: Hub) -> Repository:
    """A model that is a pickle on its main branch."""
    return server.add(NAME, PICKLED)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "vithybrid_cli")
    return caplog


def weights_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


# A pull request of the bot.


def test_the_pull_request_of_the_bot_is_taken_and_said_once(
    server: Hub, pickled: Repository, told: pytest.LogCaptureFixture
) -> None:
    pickled.open_pull(5, CONVERTED)
    folder = locate(NAME)
    assert (folder.name, weights_of(folder)) == (PULL_COMMIT, FILES["model.safetensors"])
    assert told.messages == [
        "somebody/hybrid has no safetensors on its main branch; those of SFconvertbot's pull request 5 are taken "
        "(commit 3333333)."
    ]
    assert not server.asked("GET", ".bin")


def test_the_next_start_asks_nothing_and_says_nothing(
    server: Hub, pickled: Repository, told: pytest.LogCaptureFixture
) -> None:
    pickled.open_pull(5, CONVERTED)
    folder = locate(NAME)
    server.requests.clear()
    told.clear()
    assert (locate(NAME), locate(NAME, offline=True), is_cached(NAME)) == (folder, folder, True)
    assert (server.requests, told.messages) == ([], [])


def test_the_decision_travels_with_a_copy_of_the_cache_and_other_programs_stand_it(
    server: Hub, pickled: Repository, tmp_path: Path
) -> None:
    pickled.open_pull(5, CONVERTED)
    locate(NAME)
    shutil.copytree(tmp_path / "cache", tmp_path / "home" / "hub", symlinks=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HF_HOME": str(tmp_path / "home"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
    }
    code = (
        "from vithybrid_cli.hub.locate import locate; from huggingface_hub import scan_cache_dir\n"
        f"report = scan_cache_dir(); print(locate({NAME!r}).name, len(report.repos), report.warnings)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{PULL_COMMIT} 1 []\n", "")


def test_shards_of_a_pull_request_are_fetched_too(pickled: Repository) -> None:
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}).encode()
    shards = {"model-1.safetensors": b"one", "model-2.safetensors": b"two"}
    pickled.open_pull(5, {**PICKLED, "model.safetensors.index.json": index, **shards})
    folder = locate(NAME)
    assert {name: (folder / name).read_bytes() for name in shards} == shards


def test_safetensors_of_the_main_branch_come_before_any_pull_request(server: Hub) -> None:
    server.add(NAME, {**FILES, "pytorch_model.bin": b"pickle"}).open_pull(5, FORGED)
    assert locate(NAME).name == COMMIT
    assert not server.asked("GET", "/discussions")


def test_an_update_takes_what_the_main_branch_has_by_then(server: Hub, pickled: Repository) -> None:
    pickled.open_pull(5, CONVERTED)
    locate(NAME)
    pickled.files[NEXT_COMMIT] = {**CONVERTED, "model.safetensors": b"merged"}
    pickled.refs["main"] = NEXT_COMMIT
    assert locate(NAME).name == PULL_COMMIT
    assert weights_of(locate(NAME, update=True)) == b"merged"
    server.requests.clear()
    assert weights_of(locate(NAME)) == b"merged"
    assert server.requests == []


def test_an_update_after_main_has_moved_does_not_take_the_older_weights(server: Hub, pickled: Repository) -> None:
    pickled.open_pull(5, CONVERTED)
    locate(NAME)
    pickled.files[NEXT_COMMIT] = {**PICKLED, "pytorch_model.bin": b"trained on"}
    pickled.refs["main"] = NEXT_COMMIT
    with pytest.raises(ModelError, match=f"pull request 5 of {BOT} is not made of its main") as raised:
        locate(NAME, update=True)
    assert "Give revision='refs/pr/5' to take that state. Run `vithybrid convert" in str(raised.value)
    assert locate(NAME, offline=True).name == PULL_COMMIT


def test_an_update_without_a_network_makes_do_with_the_pull_request(server: Hub, pickled: Repository) -> None:
    pickled.open_pull(5, CONVERTED)
    folder = locate(NAME)
    server.status = 503
    assert locate(NAME, update=True) == folder


def test_a_pull_request_of_the_bot_without_weights_is_no_conversion(pickled: Repository) -> None:
    pickled.open_pull(5, PICKLED)
    with pytest.raises(ModelError, match=r"SFconvertbot's pull request has no model.safetensors\."):
        locate(NAME)


# What is not the bot's word.


@pytest.mark.parametrize(
    ("pull", "says"),
    [
        pytest.param(
            {"author": "mallory"},
            "pull request 5 says to convert it, and is not by SFconvertbot",
            id="by somebody else",
        ),
        pytest.param(
            {"author": "sfconvertbot"},
            "pull request 5 says to convert it, and is not by SFconvertbot",
            id="by somebody of a like name",
        ),
        pytest.param(
            {"author": None},
            "pull request 5 says to convert it, and is not by SFconvertbot",
            id="by somebody who is gone",
        ),
        pytest.param({"title": "Better weights"}, "no open pull request", id="with another title"),
        pytest.param({"status": "closed"}, "no open pull request", id="closed"),
        pytest.param({"status": "merged"}, "no open pull request", id="merged"),
        pytest.param({"status": "draft"}, "no open pull request", id="a draft"),
        pytest.param({"is_pull_request": False}, "no open pull request", id="a discussion"),
        pytest.param({"parent": OTHER}, "is not made of its main branch as it is", id="of an older state"),
    ],
)
def test_any_other_pull_request_is_left_alone(
    server: Hub, pickled: Repository, monkeypatch: pytest.MonkeyPatch, pull: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr("hub_server._is_asked_for", lambda pull, asked: True)  # a mirror that does not heed filters
    pickled.files[OTHER] = PICKLED
    pickled.open_pull(5, FORGED, **pull)
    with pytest.raises(ModelError, match=says) as raised:
        locate(NAME)
    assert "only as a pickle (pytorch_model.bin)" in raised.value.cause
    assert not server.asked("GET", "/cdn/") + server.asked("GET", PULL_COMMIT)


def test_the_bot_s_is_found_among_many_and_behind_a_forged_one(server: Hub, pickled: Repository) -> None:
    pickled.page = 2
    pickled.files[OTHER] = PICKLED
    pickled.open_pull(1, CONVERTED)
    pickled.open_pull(2, FORGED, commit="5" * 40, parent=OTHER)
    for number in range(3, 8):
        pickled.open_pull(number, FORGED, commit=f"{number + 3}" * 40, author="mallory")
    assert weights_of(locate(NAME)) == FILES["model.safetensors"]


def test_a_pull_request_that_somebody_fetched_by_hand_is_not_the_bot_s(server: Hub, pickled: Repository) -> None:
    pickled.open_pull(1, FORGED, author="mallory")
    assert weights_of(locate(NAME, revision="refs/pr/1")) == b"forged"
    assert not is_cached(NAME)
    with pytest.raises(ModelError, match="only as a pickle"):
        locate(NAME)


def test_another_branch_has_no_pull_request(server: Hub, pickled: Repository) -> None:
    pickled.files[OTHER] = PICKLED
    pickled.refs["v2"] = OTHER
    pickled.open_pull(5, CONVERTED)
    with pytest.raises(ModelError, match="only as a pickle"):
        locate(NAME, revision="v2")
    assert not server.asked("GET", "/discussions")


# Hubs that do not tell.


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
def test_a_mirror_without_pull_requests_is_the_same_as_none(pickled: Repository, status: int) -> None:
    pickled.open_pull(5, CONVERTED)
    pickled.no_discussions = (status, "")
    with pytest.raises(ModelError) as raised:
        locate(NAME)
    assert not isinstance(raised.value, HubUnreachable)
    assert "this hub lists no pull requests of it. Run `vithybrid convert somebody/hybrid FOLDER " in str(raised.value)


def test_a_gate_before_the_pull_requests_is_named(pickled: Repository) -> None:
    pickled.no_discussions = (403, "GatedRepo")
    with pytest.raises(ModelError, match=r"somebody/hybrid is gated\. Ask for access"):
        locate(NAME)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_outage_while_they_are_asked_for_is_an_outage(pickled: Repository, status: int) -> None:
    pickled.no_discussions = (status, "")
    with pytest.raises(HubUnreachable):
        locate(NAME)


@pytest.mark.parametrize(
    "answer", ["null", "[]", "{}", '{"discussions": [1, null, {}, {"num": "x"}], "count": 9}', '{"discussions": 1}']
)
def test_an_answer_that_is_no_list_of_pull_requests_has_none(
    server: Hub, pickled: Repository, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("hub_server.discussions_answer", lambda *_: answer)
    with pytest.raises(ModelError, match="only as a pickle"):
        locate(NAME)
    assert len(server.asked("GET", "/discussions")) <= 20


# The catalog's.


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.alias) for entry in PINNED])
def test_a_row_without_safetensors_on_main_is_fetched_from_its_pull_request(
    server: Hub, monkeypatch: pytest.MonkeyPatch, entry: catalog.Entry
) -> None:
    assert entry.hub_id is not None
    assert entry.revision is not None
    sha256 = entry.sha256 and hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    monkeypatch.setattr(catalog, "ENTRIES", (catalog.TINY, replace(entry, sha256=sha256)))
    commit = (entry.commit or "").ljust(40, "f")
    repository = server.add(entry.hub_id, PICKLED)
    repository.open_pull(1, CONVERTED, commit=commit)
    if entry.revision != commit:
        repository.refs[entry.revision] = commit
    folder = locate(entry.alias)
    assert (folder.name, weights_of(folder)) == (commit, FILES["model.safetensors"])
    assert not server.asked("GET", "/discussions")
    server.requests.clear()
    assert locate(entry.hub_id) == locate(entry.alias, offline=True) == folder
    assert is_cached(entry.alias)
    assert server.requests == []
    [cached] = huggingface_hub.scan_cache_dir(constants.HF_HUB_CACHE).repos
    assert all(revision.refs for revision in cached.revisions)  # else `hf cache prune` would remove it


@pytest.fixture
def tiny_deit(server: Hub) -> Repository:
    return server.add("facebook/deit-tiny-patch16-224", PICKLED)


def test_a_pinned_pull_request_with_another_commit_is_not_taken(server: Hub, tiny_deit: Repository) -> None:
    tiny_deit.open_pull(3, FORGED, author="mallory")
    with pytest.raises(ModelError, match="only as a pickle"):
        locate("deit-tiny")
    locate("deit-tiny", revision="refs/pr/3")
    assert not is_cached("deit-tiny")


def test_a_hub_without_the_pinned_commit_is_asked_as_for_any_model(
    server: Hub, tiny_deit: Repository, told: pytest.LogCaptureFixture
) -> None:
    tiny_deit.open_pull(9, CONVERTED)
    folder = locate("deit-tiny")
    assert folder.name == PULL_COMMIT
    assert [line.partition(";")[0] for line in told.messages] == [
        "This hub has no refs/pr/3 of facebook/deit-tiny-patch16-224",
        "facebook/deit-tiny-patch16-224 has no safetensors on its main branch",
    ]
    server.requests.clear()
    assert locate("deit-tiny") == folder
    assert server.requests == []


def test_other_weights_than_the_catalog_s_are_refused_in_a_pull_request_too(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(catalog.BASE_384, alias="small", hub_id=NAME, sha256="0" * 64)
    monkeypatch.setattr(catalog, "ENTRIES", (catalog.TINY, entry))
    server.add(NAME, PICKLED).open_pull(5, CONVERTED)
    with pytest.raises(ModelError, match=f"not the ones this version knows .* Give revision={PULL_COMMIT} to accept"):
        locate("small")
    assert locate("small", revision=PULL_COMMIT).name == PULL_COMMIT


def test_a_revision_that_is_named_wins_over_the_pinned_one(server: Hub, tiny_deit: Repository) -> None:
    tiny_deit.files[NEXT_COMMIT] = FILES
    tiny_deit.refs |= {"main": NEXT_COMMIT, "refs/pr/3": "7cfd95a".ljust(40, "0")}
    tiny_deit.files["7cfd95a".ljust(40, "0")] = FORGED
    assert locate("deit-tiny", revision="main").name == NEXT_COMMIT
    assert weights_of(locate("deit-tiny")) == b"forged"


def test_the_client_reads_the_server_s_answers(server: Hub, pickled: Repository) -> None:
    """So that the server is like a hub."""
    pickled.open_pull(5, CONVERTED)
    api = huggingface_hub.HfApi(endpoint=server.endpoint)
    [pull] = api.get_repo_discussions(NAME, author=BOT, discussion_type="pull_request", discussion_status="open")
    assert (pull.num, pull.author, pull.git_reference) == (5, BOT, "refs/pr/5")
    assert [commit.commit_id for commit in api.list_repo_commits(NAME, revision="refs/pr/5")] == [PULL_COMMIT, COMMIT]
