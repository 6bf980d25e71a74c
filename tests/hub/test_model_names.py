"""A model of the hub is found by however people write its name; what is something else is called so."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import COMMIT, FILES, NAME, NEXT_COMMIT, Hub, client_pointed_at, running
from huggingface_hub import constants

from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.hub import timm_names
from vithybrid_cli.hub.locate import is_cached, locate
from vithybrid_cli.hub.names import understood

PAGE = f"https://huggingface.co/{NAME}"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a model whose branch v2 and pull request 3 have a newer commit."""
    with running() as server, client_pointed_at(server, tmp_path, monkeypatch):
        repository = server.add(NAME, FILES)
        repository.files[NEXT_COMMIT] = FILES
        repository.refs |= dict.fromkeys(("v2", "refs/pr/3", "topic/x"), NEXT_COMMIT)
        yield server


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "vithybrid_cli")
    return caplog


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(PAGE, id="page"),
        pytest.param(f"{PAGE}/", id="slash at the end"),
        pytest.param(f"http://hf.co/{NAME}", id="short host"),
        pytest.param(f"https://www.huggingface.co/{NAME}", id="www"),
        pytest.param(f"HuggingFace.co/{NAME}", id="no scheme"),
        pytest.param(f"{PAGE}?library=transformers#files", id="query"),
        pytest.param(f"{PAGE}/tree/main", id="files"),
        pytest.param(f"{PAGE}/blob/main/config.json", id="a file's page"),
        pytest.param(f"{PAGE}/resolve/main/model.safetensors?download=true", id="a download"),
        pytest.param(f"{PAGE}/resolve/main/model-00001-of-00002.safetensors", id="a shard"),
        pytest.param(f"{PAGE}/discussions", id="community"),
        pytest.param(f"{PAGE}.git", id="git"),
        pytest.param(f"git@hf.co:{NAME}", id="ssh"),
        pytest.param(f"https://huggingface.co/api/models/{NAME}", id="API"),
        pytest.param("{endpoint}/" + NAME, id="the endpoint in use"),
        pytest.param(f"hf-hub:{NAME}", id="timm"),
        pytest.param(f"hf_hub:{NAME}", id="older timm"),
        pytest.param(f"hf://{NAME}", id="fsspec"),
        pytest.param(f"hf://{NAME}/model.safetensors", id="a file in fsspec"),
        pytest.param(f" {NAME}\n", id="blanks around"),
    ],
)
def test_each_way_to_write_a_model_leads_to_it(server: Hub, told: pytest.LogCaptureFixture, name: str) -> None:
    name = name.format(endpoint=server.endpoint)
    folder = locate(name)
    assert folder.name == COMMIT
    [said] = told.messages
    assert said.endswith(f" is understood as {NAME}.")
    server.requests.clear()
    assert (is_cached(name), locate(name), locate(NAME)) == (True, folder, folder)
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "revision"),
    [
        pytest.param(f"{PAGE}/tree/v2", "v2", id="branch"),
        pytest.param(f"{PAGE}/blob/v2/README.md", "v2", id="a file of a branch"),
        pytest.param(f"{PAGE}/commit/{NEXT_COMMIT}", NEXT_COMMIT, id="commit"),
        pytest.param(f"{PAGE}/tree/{NEXT_COMMIT[:7]}", NEXT_COMMIT[:7], id="short commit"),
        pytest.param(f"{PAGE}/tree/refs%2Fpr%2F3", "refs/pr/3", id="pull request"),
        pytest.param(f"{PAGE}/tree/refs/pr/3", "refs/pr/3", id="pull request, not encoded"),
        pytest.param(f"{PAGE}/tree/topic%2Fx", "topic/x", id="a branch with a slash"),
        pytest.param(f"hf-hub:{NAME}@v2", "v2", id="timm"),
        pytest.param(f"{NAME}@v2", "v2", id="at"),
        pytest.param(f"{NAME}@refs/pr/3", "refs/pr/3", id="at a pull request"),
        pytest.param(f"hf://{NAME}@v2/config.json", "v2", id="a file in fsspec"),
    ],
)
def test_a_revision_in_the_name_is_the_one_that_is_fetched(
    server: Hub, told: pytest.LogCaptureFixture, name: str, revision: str
) -> None:
    assert locate(name).name == NEXT_COMMIT
    assert told.messages == [f"{name} is understood as {NAME} at revision {revision}."]
    assert locate(name, revision=revision).name == NEXT_COMMIT
    with pytest.raises(UsageError, match=rf"names revision {revision}, not v9\. Leave out revision\."):
        locate(name, revision="v9")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("https://huggingface.co/datasets/a/b", "is a dataset, not a model", id="dataset"),
        pytest.param("hf://datasets/a/b", "is a dataset, not a model", id="dataset in fsspec"),
        pytest.param("https://huggingface.co/spaces/a/b/tree/main", "is a space, not a model", id="space"),
        pytest.param("https://huggingface.co/google", "is no model's page", id="owner"),
        pytest.param("https://huggingface.co/docs/transformers", "is no model's page", id="documentation"),
        pytest.param("https://github.com/google/vit", "is no address of the hub", id="another site"),
        pytest.param("https://evilhuggingface.co/a/b", "is no address of the hub", id="a like site"),
        pytest.param("https://storage.googleapis.com/x/R50.npz", "fetch a file and name that", id="a file elsewhere"),
        pytest.param("ftp://huggingface.co/a/b", "is no address of the hub", id="another scheme"),
        pytest.param("http://[::1/a/b", "is no address", id="no address"),
        pytest.param(f"{PAGE}/resolve/main/R50%2BViT.npz", "names R50+ViT.npz, and only a whole model", id="one file"),
        pytest.param(f"{PAGE}/tree/main/onnx", "names onnx, and only a whole model", id="one folder"),
        pytest.param(f"{PAGE}/discussions/7", "give revision='refs/pr/7'", id="pull request"),
        pytest.param("hf-hub:", "is no folder, no known model and no hub id", id="nothing"),
    ],
)
def test_what_is_no_model_is_called_what_it_is(server: Hub, name: str, says: str) -> None:
    with pytest.raises(ModelError) as raised:
        locate(name)
    assert says in str(raised.value)
    assert server.requests == []


def test_a_mirror_may_lie_below_a_path(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "https://mirror.example/hf")
    assert understood(f"https://mirror.example/hf/{NAME}/tree/v2").meaning == f"{NAME} at revision v2"


def test_a_password_in_an_address_is_not_shown(server: Hub, told: pytest.LogCaptureFixture) -> None:
    locate(f"https://me:hf_secret@huggingface.co/{NAME}")
    with pytest.raises(ModelError) as raised:
        locate("https://me:hf_secret@example.com/a/b")
    assert "secret" not in f"{told.text} {raised.value}"


@pytest.mark.parametrize(
    ("name", "hub_id"),
    [
        pytest.param("vit_base_patch16_224", "vit_base_patch16_224.augreg2_in21k_ft_in1k", id="timm's default"),
        pytest.param("timm/vit_tiny_patch16_224", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", id="with its owner"),
        pytest.param("timm:vit_base_r50_s16_384", "vit_base_r50_s16_384.orig_in21k_ft_in1k", id="with timm's prefix"),
        pytest.param("vit_base_patch16_224.augreg_in1k", "vit_base_patch16_224.augreg_in1k", id="with a tag"),
        pytest.param("vit_base_patch16_224_in21k", "vit_base_patch16_224.augreg_in21k", id="an old name"),
        pytest.param("vit_huge_patch14_224_in21k", "vit_huge_patch14_224.orig_in21k", id="an old name, orig"),
        pytest.param("vit_base_resnet50_384", "vit_base_r50_s16_384.orig_in21k_ft_in1k", id="an older name"),
        pytest.param("deit3_small_patch16_384_in21ft1k", "deit3_small_patch16_384.fb_in22k_ft_in1k", id="DeiT-3"),
        pytest.param("vit_small_patch8_224_dino", "vit_small_patch8_224.dino", id="DINO"),
        pytest.param(
            "resnetv2_152x2_bit_teacher_384",
            "resnetv2_152x2_bit.goog_teacher_in21k_ft_in1k_384",
            id="BiT's student, larger",
        ),
        pytest.param("resnetv2_50x1_bitm", "resnetv2_50x1_bit.goog_in21k_ft_in1k", id="BiT"),
    ],
)
def test_a_network_of_timm_is_the_checkpoint_that_timm_loads(server: Hub, name: str, hub_id: str) -> None:
    assert understood(name).repo_id == timm_names.hub_id(name.replace("timm/", "").replace("timm:", ""))
    assert understood(name).repo_id == f"timm/{hub_id}"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("Base-384", "Did you mean base-384?", id="case"),
        pytest.param("VIT_BASE_224", "Did you mean vit-base-224?", id="underscores"),
        pytest.param("vit-hybrid-base-bit-384", "Did you mean google/vit-hybrid-base-bit-384?", id="no owner"),
        pytest.param("deit-small-patch16", "Did you mean facebook/deit-small-patch16-224?", id="a part"),
        pytest.param("vit_xyz_patch99_1000", "One of timm's has a tag, as in timm/", id="a network without a tag"),
    ],
)
def test_a_name_that_is_nearly_right_gets_the_right_one(server: Hub, name: str, hint: str) -> None:
    with pytest.raises(ModelError) as raised:
        locate(name)
    assert hint in raised.value.remedy


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("google/vit-base-patch16", "Did you mean google/vit-base-patch16-224", id="a part"),
        pytest.param(
            "facebook/deit_tiny_patch16_224", "Did you mean facebook/deit-tiny-patch16-224?", id="underscores"
        ),
        pytest.param("timm/vit_base_patch99_clip_999", "One of timm's has a tag, as in timm/", id="no tag"),
        pytest.param("somebody/zzzzzzzz", "Check the name (`vithybrid models` lists some).", id="nothing like it"),
    ],
)
def test_a_hub_id_that_the_hub_does_not_know_gets_one_that_it_does(server: Hub, name: str, hint: str) -> None:
    with pytest.raises(ModelError) as raised:
        locate(name)
    assert hint in raised.value.remedy
    assert "For a private model set HF_TOKEN" in raised.value.remedy


def test_an_alias_may_have_a_revision() -> None:
    named = understood("deit-tiny@refs/pr/3")
    assert (named.repo_id, named.revision) == ("facebook/deit-tiny-patch16-224", "refs/pr/3")
    with pytest.raises(ModelError, match=r"Did you mean tiny\?"):
        understood("tiny@v2")


def test_a_catalogued_hub_id_in_another_case_is_the_catalogued_model(server: Hub) -> None:
    assert understood("Google/ViT-Base-Patch16-224").repo_id == "google/vit-base-patch16-224"


def test_a_path_that_exists_is_a_path_whatever_it_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Hub
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("hf-hub:somebody/hybrid", f"{NAME}@v2", "vit_base_patch16_224"):
        (tmp_path / name).mkdir(parents=True)
        assert locate(name) == tmp_path / name
