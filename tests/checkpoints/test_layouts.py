"""Checkpoints of timm, of Google's JAX code, in single files and without a head: what is read, and what is refused."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_server import Hub, client_pointed_at, running
from places import GOLDENS
from safetensors.torch import load_file, save_file
from small_checkpoints import (
    HYBRID,
    LABELS,
    PLAIN,
    STEM_ONLY,
    Arrays,
    jax_arrays,
    random_weights,
    write_npz,
    write_timm,
)

from vithybrid_cli.checkpoints.checkpoint import Checkpoint, Layout
from vithybrid_cli.checkpoints.layouts.transformers import write_config
from vithybrid_cli.checkpoints.load import load_network, read_weights, transformers_map
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.hub.locate import locate
from vithybrid_cli.model.build import Network
from vithybrid_cli.model.config import VitConfig

QUERY = "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel"
DISTILLED = replace(PLAIN, family="deit", distillation_token=True, distillation_head=True)


def loaded(path: Path) -> dict[str, torch.Tensor]:
    return load_network(Checkpoint.read(path)).state_dict()


def refused(path: Path) -> str:
    """The one line with which a checkpoint is refused."""
    with pytest.raises(ModelError) as raised:
        load_network(Checkpoint.read(path))
    message = str(raised.value)
    assert "\n" not in message
    return message


def unequal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> list[str]:
    assert found.keys() == expected.keys()
    return [name for name in expected if not torch.equal(found[name], expected[name])]


def outputs(network: Network) -> torch.Tensor:
    """What a network makes of a random picture, with weights that lie in memory alike: MKL's sums depend on that."""
    network.load_state_dict({name: tensor.clone() for name, tensor in network.state_dict().items()}, assign=True)
    logits: torch.Tensor = network(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    return logits


# timm


@pytest.mark.parametrize(
    ("config", "architecture"),
    [
        pytest.param(PLAIN, "vit_tiny_patch16_224", id="ViT"),
        pytest.param(HYBRID, "vit_small_r26_s32_224.augreg_in21k", id="hybrid, with a tag"),
        pytest.param(STEM_ONLY, "vit_tiny_r_s16_p8_224", id="stem alone"),
        pytest.param(DISTILLED, "deit_tiny_distilled_patch16_224", id="distilled DeiT"),
        pytest.param(replace(PLAIN, encoder=replace(PLAIN.encoder, qkv_bias=False)), "vit_tiny_patch16_224", id="bias"),
    ],
)
def test_a_timm_folder_tells_its_network_and_its_weights(config: VitConfig, architecture: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint.read(write_timm(tmp_path, config, architecture))
    assert (checkpoint.layout, checkpoint.config) == (Layout.TIMM, config)
    assert unequal(read_weights(checkpoint), random_weights(config)) == []


def test_a_timm_network_without_a_head_has_no_labels(tmp_path: Path) -> None:
    config = replace(PLAIN, labels=())
    folder = write_timm(tmp_path, config, "vit_tiny_patch16_224", num_classes=0, label_names=None)
    assert Checkpoint.read(folder).config == config


def test_a_timm_network_without_a_head_needs_no_pooling(tmp_path: Path) -> None:
    config = replace(PLAIN, labels=())
    folder = write_timm(tmp_path, config, "vit_tiny_patch16_224", label_names=None, model_args={"global_pool": ""})
    assert Checkpoint.read(folder).config == config


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"global_pool": "avg"}, id="beside the architecture"),
        pytest.param({"model_args": {"global_pool": "avg"}, "global_pool": None}, id="argument"),
        pytest.param({"pretrained_cfg": {"input_size": [3, 32, 32], "global_pool": "avg"}}, id="of the weights"),
    ],
)
def test_timm_says_at_three_places_how_it_pools(fields: dict[str, Any], tmp_path: Path) -> None:
    config = replace(PLAIN, mean_pooling=True)
    folder = write_timm(tmp_path, config, "vit_tiny_patch16_224", **fields)
    assert Checkpoint.read(folder).config == config
    assert unequal(read_weights(Checkpoint.read(folder)), random_weights(config)) == []


def test_older_files_of_timm_have_all_fields_in_one_place_and_labels_by_another_name(tmp_path: Path) -> None:
    folder = write_timm(tmp_path, PLAIN, "vit_tiny_patch16_224")
    older = {"architecture": "vit_tiny_patch16_224", "input_size": [3, 32, 32], "labels": list(LABELS)}
    (folder / "config.json").write_text(json.dumps(older), encoding="utf-8")
    assert Checkpoint.read(folder).config == PLAIN


def test_transformers_wrapper_around_timm_is_timms_layout(tmp_path: Path) -> None:
    folder = write_timm(tmp_path, PLAIN, "vit_tiny_patch16_224", model_type="timm_wrapper")
    assert Checkpoint.read(folder).layout is Layout.TIMM


def test_timm_weights_in_shards_load_like_one_file(tmp_path: Path) -> None:
    folder = write_timm(tmp_path, HYBRID, "vit_small_r26_s32_224")
    whole = {name: tensor.clone() for name, tensor in loaded(folder).items()}
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = {"a.safetensors": sorted(tensors)[::2], "b.safetensors": sorted(tensors)[1::2]}
    for file, names in parts.items():
        save_file({name: tensors[name] for name in names}, folder / file)
    index = {"weight_map": {name: file for file, names in parts.items() for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert unequal(loaded(folder), whole) == []


@pytest.mark.parametrize(
    ("architecture", "fields", "says"),
    [
        pytest.param("resnet50", {}, "architecture 'resnet50' is not supported; known are", id="a ResNet"),
        pytest.param("vit_base_patch16_clip_224", {}, "'vit_base_patch16_clip_224' is not supported", id="CLIP"),
        pytest.param(None, {}, "architecture null is not supported", id="null"),
        pytest.param(
            "vit_tiny_patch16_224", {"label_names": ["a"]}, "1 label, but the weights' head has 3", id="labels"
        ),
        pytest.param("vit_tiny_patch16_224", {"label_names": "abc"}, "label_names must be a list", id="labels as text"),
        pytest.param(
            "vit_tiny_patch16_224", {"global_pool": "map"}, "global_pool 'map' is not supported", id="pooling"
        ),
        pytest.param(
            "vit_tiny_patch16_224",
            {"model_args": {"global_pool": ""}},
            "global_pool '' gives every patch logits",
            id="no pooling",
        ),
        pytest.param(
            "vit_tiny_patch16_224", {"model_args": {"act_layer": "quick_gelu"}}, "act_layer = 'quick_gelu'", id="args"
        ),
        pytest.param("vit_tiny_patch16_224", {"model_args": {"num_heads": 3}}, "3 heads do not divide", id="heads"),
        pytest.param(
            "vit_tiny_patch16_224",
            {"model_args": {"img_size": 48}},
            "pos_embed is [1, 5, 64], not [1, 10, 64]",
            id="size",
        ),
    ],
)
def test_a_timm_config_that_is_not_supported_is_named(
    architecture: str, fields: dict[str, Any], says: str, tmp_path: Path
) -> None:
    assert says in refused(write_timm(tmp_path, PLAIN, architecture, **fields))


def test_timm_weights_of_another_network_are_named_with_their_file(tmp_path: Path) -> None:
    folder = write_timm(tmp_path, PLAIN, "vit_tiny_patch16_224")
    save_file({"conv1.weight": torch.zeros(2)}, folder / "model.safetensors")
    assert refused(folder).startswith(f"{folder} cannot be used: patch_embed.proj.weight is missing")


def test_a_hybrid_whose_channels_its_norms_cannot_group_is_refused(tmp_path: Path) -> None:
    backbone = HYBRID.backbone
    assert backbone is not None
    odd = replace(HYBRID, backbone=replace(backbone, num_groups=8, hidden_sizes=(64, 64)))
    assert "num_groups 32 does not divide 16 channels" in refused(write_timm(tmp_path, odd, "vit_small_r26_s32_224"))


# Google's JAX code


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(PLAIN, id="ViT"),
        pytest.param(HYBRID, id="hybrid"),
        pytest.param(STEM_ONLY, id="stem alone"),
        pytest.param(replace(PLAIN, pooler=True), id="pre-logits"),
        pytest.param(replace(PLAIN, labels=(), pooler=True), id="no head"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "opt/target/", "params/", "state/params/", "model/"])
def test_an_npz_tells_its_network_and_its_weights(config: VitConfig, prefix: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint.read(write_npz(tmp_path / "x.npz", jax_arrays(config, prefix)))
    labels = tuple(f"LABEL_{index}" for index in range(len(config.labels)))
    assert (checkpoint.layout, checkpoint.config) == (Layout.JAX, replace(config, labels=labels))
    assert unequal(read_weights(checkpoint), random_weights(config)) == []


def test_weights_of_an_npz_lie_in_memory_as_those_of_safetensors_do(tmp_path: Path) -> None:
    tensors = read_weights(Checkpoint.read(write_npz(tmp_path / "x.npz", jax_arrays(HYBRID))))
    assert [name for name, tensor in tensors.items() if not tensor.is_contiguous()] == []
    timm = load_network(Checkpoint.read(write_timm(tmp_path / "timm", HYBRID, "vit_small_r26_s32_224")))
    jax = load_network(Checkpoint.read(tmp_path / "x.npz"))
    assert [name for name, weight in jax.named_parameters() if not weight.is_contiguous()] == []
    assert unequal(jax.state_dict(), timm.state_dict()) == []  # also what is folded: its sums depend on the order
    assert torch.equal(outputs(jax), outputs(timm))


def test_heads_of_imagenets_lists_get_their_labels_and_others_none(tmp_path: Path) -> None:
    for classes, first in ((1000, "tench, Tinca tinca"), (21843, "organism, being"), (37, "LABEL_0")):
        config = replace(PLAIN, labels=("",) * classes)
        labels = Checkpoint.read(write_npz(tmp_path / "x.npz", jax_arrays(config))).config.labels
        assert (len(labels), labels[0]) == (classes, first)


def test_other_parts_of_a_training_state_are_left_out(tmp_path: Path) -> None:
    arrays = jax_arrays(PLAIN, "opt/target/")
    state = {"opt/state/step": np.array(3), **{name.replace("target", "state"): arrays[name] for name in arrays}}
    checkpoint = Checkpoint.read(write_npz(tmp_path / "x.npz", {**state, **arrays}))
    assert unequal(read_weights(checkpoint), random_weights(PLAIN)) == []
    assert sum(tensor.elements for tensor in checkpoint.tensors()) == sum(array.size for array in arrays.values())


def test_a_compressed_npz_loads(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", **jax_arrays(PLAIN))  # type: ignore[arg-type]
    assert unequal(read_weights(Checkpoint.read(tmp_path / "x.npz")), random_weights(PLAIN)) == []


def as_bfloat16(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As JAX saves it: the upper half of each float32, as two bytes of no type that NumPy knows."""
    return (array.view(np.uint32) >> 16).astype(np.uint16).view("V2")


@pytest.mark.parametrize(
    ("stored", "as_torch"),
    [
        pytest.param(lambda array: array.astype(np.float16), lambda tensor: tensor.half().float(), id="float16"),
        pytest.param(lambda array: array.astype(np.float64), lambda tensor: tensor, id="float64"),
        pytest.param(lambda array: array.astype(">f4"), lambda tensor: tensor, id="the other byte order"),
        pytest.param(
            as_bfloat16,
            lambda tensor: (tensor.view(torch.int32) >> 16 << 16).view(torch.float32),
            id="bfloat16 of JAX",
        ),
    ],
)
def test_arrays_of_other_types_load(
    stored: Callable[[Any], Any], as_torch: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path
) -> None:
    arrays = {name: stored(array) for name, array in jax_arrays(PLAIN).items()}
    tensors = read_weights(Checkpoint.read(write_npz(tmp_path / "x.npz", arrays)))
    expected = {name: as_torch(tensor) for name, tensor in random_weights(PLAIN).items()}
    assert unequal({name: tensor.float() for name, tensor in tensors.items()}, expected) == []


def test_a_jax_state_in_bfloat16_is_computed_in_float32(tmp_path: Path) -> None:
    arrays = {name: as_bfloat16(array) for name, array in jax_arrays(HYBRID).items()}
    network = load_network(Checkpoint.read(write_npz(tmp_path / "x.npz", arrays)))
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def changed(**changes: Any) -> Arrays:
    """The arrays of a ViT, some of them replaced; None removes one."""
    arrays: dict[str, Any] = {**jax_arrays(PLAIN), **changes}
    return {name: array for name, array in arrays.items() if array is not None}


POSITIONS = "Transformer/posembed_input/pos_embedding"
FC1 = "Transformer/encoderblock_1/MlpBlock_3/Dense_0/kernel"


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        pytest.param({}, f"{QUERY} with three axes is not among them (0 arrays: nothing)", id="no arrays"),
        pytest.param(
            {f"MixerBlock_{index}/kernel": np.zeros(1) for index in range(5)},
            "(5 arrays: MixerBlock_0/kernel, MixerBlock_1/kernel, MixerBlock_2/kernel, …). Use a ViT",
            id="a mixer",
        ),
        pytest.param(changed(**{QUERY: np.zeros((64, 64))}), "with three axes is not among", id="a flat query"),
        pytest.param(changed(cls=None), "; missing: cls.", id="no CLS token"),
        pytest.param(changed(more=np.zeros(1, "f4")), "; unexpected: more.", id="an array too many"),
        pytest.param(changed(cls=np.zeros((1, 64), "f4")), "misshapen: cls is [1, 64], not [1, 1, 64]", id="a shape"),
        pytest.param(changed(**{FC1: np.zeros((64, 127), "f4")}), "is [127, 64], not [128, 64]", id="another width"),
        pytest.param(
            changed(embedding=None, **{"embedding/kernel": None}), "embedding/kernel is missing", id="no patches"
        ),
        pytest.param(changed(**{POSITIONS: np.zeros((1, 0, 64))}), "leaves no room for patches", id="no positions"),
        pytest.param(
            changed(**{POSITIONS: np.zeros((1, 4, 64))}), "for 3 patches, which make no square", id="no square"
        ),
        pytest.param(changed(**{POSITIONS: np.zeros(4)}), "should have 3 dimensions", id="positions in a row"),
        pytest.param(changed(cls=np.zeros((1, 1, 64), "i4")), "is of type int32, which no weights have", id="integers"),
        pytest.param(changed(cls=np.array(["a"])), "is of type <U1, which no weights have", id="text"),
    ],
)
def test_an_npz_that_is_no_vision_transformer_is_one_error(arrays: Arrays, says: str, tmp_path: Path) -> None:
    file = write_npz(tmp_path / "x.npz", arrays)
    message = refused(file)
    assert says in message
    assert str(file) in message
    assert "config.json" not in message  # there is none


# Single files


def test_a_file_is_described_by_what_lies_beside_it_whatever_its_name(tmp_path: Path) -> None:
    source = GOLDENS / "hf-vit"
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copyfile(source / name, tmp_path / name)
    file = tmp_path / "weights.safetensors"
    shutil.copyfile(source / "model.safetensors", file)
    checkpoint, whole = Checkpoint.read(file), Checkpoint.read(source)
    assert (checkpoint.config, checkpoint.preprocessing) == (whole.config, whole.preprocessing)
    assert unequal(loaded(file), loaded(source)) == []
    names = ["config.json", "preprocessor_config.json", "weights.safetensors"]
    assert checkpoint.files() == [tmp_path / name for name in names]


@pytest.mark.parametrize("key", ["config.json", "config"])
def test_a_file_is_described_by_its_header(key: str, tmp_path: Path) -> None:
    source = GOLDENS / "hf-vit"
    texts = {name: (source / f"{name}.json").read_text(encoding="utf-8") for name in ("config", "preprocessor_config")}
    metadata = {"format": "pt", key: texts["config"], "preprocessor_config.json": texts["preprocessor_config"]}
    file = tmp_path / "x.safetensors"
    save_file(load_file(source / "model.safetensors"), file, metadata)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")  # of something else
    checkpoint, whole = Checkpoint.read(file), Checkpoint.read(source)
    assert (checkpoint.config, checkpoint.preprocessing) == (whole.config, whole.preprocessing)
    assert checkpoint.files() == [file]


def test_a_timm_config_in_the_header_is_timms_layout(tmp_path: Path) -> None:
    folder = write_timm(tmp_path / "timm", PLAIN, "vit_tiny_patch16_224")
    metadata = {"config": (folder / "config.json").read_text(encoding="utf-8")}
    save_file(load_file(folder / "model.safetensors"), tmp_path / "x.safetensors", metadata)
    assert Checkpoint.read(tmp_path / "x.safetensors").config == PLAIN


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        pytest.param({}, "does not say what network it is for. Put its config.json beside it.", id="none"),
        pytest.param({"config": "{"}, "The config in the header of", id="cut off"),
        pytest.param({"config": "[]"}, "is no JSON object", id="a list"),
        pytest.param({"config": "{}"}, "neither a model_type", id="of something else"),
    ],
)
def test_a_file_without_a_readable_config_is_one_error(metadata: dict[str, str], says: str, tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", metadata)
    assert says in refused(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param([], "holds no config.json, so it is no checkpoint folder", id="empty"),
        pytest.param(["config.json"], "holds no model.safetensors, so it is no checkpoint", id="no weights"),
        pytest.param(
            ["config.json", "x.safetensors"], "no model.safetensors, but x.safetensors. Name", id="another name"
        ),
        pytest.param(["R50.npz"], "holds no config.json, but R50.npz. Name that file", id="an npz alone"),
        pytest.param(["config.json", "pytorch_model.bin"], "can run any code", id="a pickle"),
    ],
)
def test_a_folder_that_lacks_a_file_says_what_to_give_instead(files: list[str], says: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).write_text('{"model_type": "vit"}', encoding="utf-8")
    assert says in refused(tmp_path)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        pytest.param({"model_type": "vit", "architectures": 5}, "architectures must be a list, not 5", id="classes"),
        pytest.param({"model_type": "swin"}, "model_type 'swin' is not supported; known: 'vit_hybrid'", id="Swin"),
        pytest.param({"name": "left-pad"}, "config.json: neither a model_type", id="something else's config"),
        pytest.param(
            {"model_type": "vit", "problem_type": "x"},
            "problem_type 'x' is not supported; known: 'regr",
            id="a problem",
        ),
    ],
)
def test_a_config_that_is_not_known_is_one_error(config: dict[str, Any], says: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert says in refused(tmp_path)


# transformers, without a head


def write_headless(folder: Path, config: VitConfig, *, prefix: bool) -> Path:
    """As transformers saves a ``ViTModel``, or as it is cut out of a classifier, with the names that it has there."""
    tensors = transformers_map(config, nested=prefix).from_ours(random_weights(config))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(write_config(config)), encoding="utf-8")
    return folder


@pytest.mark.parametrize("prefix", [False, True], ids=["own names", "names inside of a classifier"])
@pytest.mark.parametrize(
    "config",
    [
        pytest.param(replace(PLAIN, labels=()), id="DINO"),
        pytest.param(replace(PLAIN, labels=(), pooler=True), id="with a pooler"),
        pytest.param(replace(PLAIN, labels=(), mask_token=True), id="with a mask token"),
        pytest.param(replace(HYBRID, labels=()), id="hybrid"),
        pytest.param(replace(PLAIN, labels=(), family="deit", distillation_token=True, pooler=True), id="DeiT"),
    ],
)
def test_a_network_without_a_head_tells_its_parts_by_its_tensors(
    config: VitConfig, prefix: bool, tmp_path: Path
) -> None:
    checkpoint = Checkpoint.read(write_headless(tmp_path, config, prefix=prefix))
    assert checkpoint.config == config
    assert unequal(read_weights(checkpoint), random_weights(config)) == []


def test_a_network_without_a_head_is_the_classifier_without_its_own(tmp_path: Path) -> None:
    (tmp_path / "headless").mkdir()
    headless = Checkpoint.read(write_headless(tmp_path / "headless", replace(PLAIN, labels=()), prefix=False))
    classifier = Checkpoint.read(write_timm(tmp_path, PLAIN, "vit_tiny_patch16_224"))  # its head is drawn last
    cut = load_network(classifier, head=False).state_dict()
    assert unequal(cut, load_network(headless).state_dict()) == []


# The hub


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub, and a client in this process that knows no other."""
    with running() as server, client_pointed_at(server, tmp_path, monkeypatch):
        yield server


def test_a_timm_model_of_the_hub_is_fetched_and_loads(server: Hub, tmp_path: Path) -> None:
    folder = write_timm(tmp_path / "timm", PLAIN, "vit_tiny_patch16_224")
    files = {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}
    server.add("timm/vit", {**files, "pytorch_model.bin": b"pickle"})
    checkpoint = Checkpoint.read(locate("timm/vit"))
    assert (checkpoint.layout, checkpoint.config.labels) == (Layout.TIMM, LABELS)
    assert unequal(read_weights(checkpoint), random_weights(PLAIN)) == []
    asked = len(server.requests)
    assert locate("timm/vit") == checkpoint.path
    assert len(server.requests) == asked  # that it has no preprocessor config is remembered


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({"README.md": b""}, "somebody/vit has no config.json. Choose a ViT of transformers or", id="none"),
        pytest.param(
            {"R50+ViT.npz": b"", "README.md": b""},
            "has no config.json, but weights at {}/somebody/vit/resolve/main/R50+ViT.npz. Fetch that file",
            id="an npz alone",
        ),
    ],
)
def test_a_model_of_the_hub_without_a_config_is_one_error(server: Hub, files: dict[str, bytes], says: str) -> None:
    server.add("somebody/vit", files)
    with pytest.raises(ModelError) as raised:
        locate("somebody/vit")
    assert says.format(server.endpoint) in str(raised.value)


@pytest.mark.parametrize("name", ["hf-vit", "hf-bit", "timm-hybrid", "jax-hybrid/R50+ViT.npz"])
@pytest.mark.parametrize("size", [-3, 0, 7, 100_000, 99_999_999_999])
def test_an_image_size_that_no_network_can_take_is_refused(name: str, size: int) -> None:
    with pytest.raises(UsageError, match=rf"(pixels, not {size}\.|Pictures of {size}² pixels are too large\.)"):
        Checkpoint.read(GOLDENS / name, size)


@pytest.mark.parametrize("name", ["hf-vit", "hf-bit", "timm-hybrid", "jax-hybrid/R50+ViT.npz"])
def test_the_smallest_image_size_that_is_allowed_runs(name: str) -> None:
    least = Checkpoint.read(GOLDENS / name).config.least_size
    checkpoint = Checkpoint.read(GOLDENS / name, least)
    logits = load_network(checkpoint)(torch.zeros(1, 3, least, least))
    assert logits.shape == (1, len(checkpoint.config.labels))
