"""A copy of a model that may not be all of it is completed, or refused with what is missing; never taken as it is."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_server import COMMIT, FILES, NAME, Hub, client_pointed_at, running
from huggingface_hub import hf_hub_download

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.locate import is_cached, locate

ASKED = "it was never asked whether the hub has its preprocessor_config.json"
INDEX = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
SHARDED = {
    "config.json": FILES["config.json"],
    "preprocessor_config.json": FILES["preprocessor_config.json"],
    "model.safetensors.index.json": json.dumps(INDEX).encode(),
    "model-00001-of-00002.safetensors": b"one",
    "model-00002-of-00002.safetensors": b"two",
}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running() as server, client_pointed_at(server, tmp_path, monkeypatch):
        server.add(NAME, FILES)
        yield server


def fetched_by_another_program(repo_id: str) -> Path:
    hf_hub_download(repo_id, "config.json")
    return Path(hf_hub_download(repo_id, "model.safetensors")).parent


@pytest.fixture
def in_part(server: Hub) -> Path:
    """What a program leaves in the cache that fetches config and weights only."""
    return fetched_by_another_program(NAME)


def test_offline_a_copy_without_its_preprocessing_is_an_error_and_not_a_default(in_part: Path) -> None:
    with pytest.raises(ModelError) as raised:
        locate(NAME, offline=True)
    assert str(raised.value) == (
        f"somebody/hybrid is not complete in the cache: {ASKED}; the hub cannot be asked now (offline). "
        "Run `vithybrid download somebody/hybrid` while online, or use the built-in model, tiny."
    )
    assert not is_cached(NAME)


def test_so_it_is_in_an_outage_and_the_next_run_completes_it(server: Hub, in_part: Path) -> None:
    server.status = 503
    with pytest.raises(ModelError, match=rf"{ASKED}; the hub cannot be asked now \(.*503.*Check the network"):
        locate(NAME)
    server.status = None
    assert (locate(NAME) / "preprocessor_config.json").is_file()
    server.requests.clear()
    assert locate(NAME, offline=True) == in_part
    assert server.requests == []


def test_a_snapshot_that_is_named_by_its_path_is_held_to_the_same(in_part: Path) -> None:
    with pytest.raises(ModelError) as raised:
        locate(in_part)
    assert str(raised.value) == (
        f"{in_part} is not complete: {ASKED}. Run `vithybrid download somebody/hybrid`, and name the model so."
    )
    locate(NAME)
    assert locate(in_part) == in_part


def test_a_config_of_timm_s_needs_no_other_file(server: Hub) -> None:
    config = json.dumps({"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {}}).encode()
    server.add("timm/vit.x", {"config.json": config, "model.safetensors": b"weights"})
    folder = fetched_by_another_program("timm/vit.x")
    server.requests.clear()
    assert locate("timm/vit.x") == locate("timm/vit.x", offline=True) == locate(folder) == folder
    assert server.requests == []


def lose_a_shard(folder: Path) -> None:
    (folder / "model-00002-of-00002.safetensors").unlink()


def lose_a_blob(folder: Path) -> None:
    (folder / "preprocessor_config.json").resolve().unlink()


def lose_the_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def break_off(folder: Path) -> None:
    blob = (folder / "model-00001-of-00002.safetensors").resolve()
    blob.rename(blob.with_name(f"{blob.name}.incomplete"))
    (folder / "model-00001-of-00002.safetensors").unlink()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        pytest.param(lose_a_shard, "model-00002-of-00002.safetensors is missing", id="a shard"),
        pytest.param(lose_a_blob, "preprocessor_config.json is a link to a file that is gone", id="a dangling link"),
        pytest.param(lose_the_config, "config.json is missing", id="the config"),
        pytest.param(
            break_off, "model-00001-of-00002.safetensors is missing; a download broke off", id="a download broke off"
        ),
    ],
)
def test_what_is_gone_from_the_cache_is_named_offline_and_fetched_online(
    server: Hub, harm: Callable[[Path], None], says: str
) -> None:
    server.add(NAME, SHARDED)
    folder = locate(NAME)
    harm(folder)
    with pytest.raises(ModelError) as raised:
        locate(NAME, offline=True)
    assert f"somebody/hybrid is not complete in the cache: {says}; the hub" in str(raised.value)
    with pytest.raises(ModelError, match="is not complete"):
        locate(folder)
    assert {path.name: path.read_bytes() for path in locate(NAME).iterdir()} == SHARDED


# Folders that a client has filled.


def test_a_folder_that_a_client_filled_is_taken(server: Hub, tmp_path: Path) -> None:
    hf_hub_download(NAME, "config.json", local_dir=tmp_path / "model")
    with pytest.raises(ModelError, match=r"model is not complete: model.safetensors is missing. Fetch the checkpoint"):
        locate(tmp_path / "model")
    hf_hub_download(NAME, "model.safetensors", local_dir=tmp_path / "model")
    assert locate(tmp_path / "model") == tmp_path / "model"


def test_a_link_that_leads_nowhere_is_named_in_any_folder(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent.parent / "data" / "golden" / "hf-vit", tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    (tmp_path / "model" / "model.safetensors").symlink_to(tmp_path / "gone")
    with pytest.raises(ModelError, match=r"model is not complete: model.safetensors is a link to a file that is gone"):
        locate(tmp_path / "model")


# Pickles, for those who trust them.


PICKLED = {"config.json": b"{}", "pytorch_model.bin": b"pickle", "training_args.bin": b"pickle"}


def test_a_pickle_is_fetched_only_for_those_who_trust_it(server: Hub) -> None:
    server.add(NAME, PICKLED)
    folder = locate(NAME, trust_pickle=True)
    assert (folder / "pytorch_model.bin").read_bytes() == b"pickle"
    assert not server.asked("GET", "training_args")
    assert locate(NAME, trust_pickle=True) == locate(NAME, trust_pickle=True, offline=True) == folder
    with pytest.raises(ModelError, match="only as a pickle"):
        locate(NAME)
    with pytest.raises(ModelError, match=r"not complete in the cache: model.safetensors is missing"):
        locate(NAME, offline=True)


def test_the_shards_of_a_pickle_come_with_their_index(server: Hub) -> None:
    index = json.dumps({"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}}).encode()
    shards = {"pytorch_model-1.bin": b"one", "pytorch_model-2.bin": b"two"}
    server.add(NAME, {"config.json": b"{}", "pytorch_model.bin.index.json": index, **shards})
    folder = locate(NAME, trust_pickle=True)
    assert {name: (folder / name).read_bytes() for name in shards} == shards


@pytest.mark.parametrize("name", ["model.pth", "checkpoint.pt", "best.ckpt", "weights.bin"])
def test_a_single_pickle_of_any_name_is_taken(server: Hub, name: str) -> None:
    server.add(NAME, {"config.json": b"{}", name: b"pickle", "optimizer.pt": b"", "old/model.pth": b""})
    file = locate(NAME, trust_pickle=True)
    assert (file.name, file.read_bytes(), (file.parent / "config.json").exists()) == (name, b"pickle", True)
    assert locate(NAME, trust_pickle=True) == file


def test_several_pickles_are_not_chosen_from(server: Hub) -> None:
    server.add(NAME, {"config.json": b"{}", "a.pth": b"", "b.pth": b""})
    with pytest.raises(ModelError, match=r"several pickles that may be its weights: a.pth, b.pth\."):
        locate(NAME, trust_pickle=True)


def test_safetensors_come_before_a_pickle_that_is_trusted(server: Hub) -> None:
    repository = server.add(NAME, PICKLED)
    locate(NAME, trust_pickle=True)
    repository.open_pull(5, {**PICKLED, "model.safetensors": b"converted"})
    assert (locate(NAME, trust_pickle=True) / "model.safetensors").read_bytes() == b"converted"
    server.add(NAME, {**PICKLED, **FILES})
    assert locate(NAME, trust_pickle=True, update=True).name == COMMIT
