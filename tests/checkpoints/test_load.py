"""Checkpoint folders into networks: strictness, folding, damage, pickles."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.transformers import read_config
from vithybrid_cli.checkpoints.load import load_network, transformers_map
from vithybrid_cli.errors import ModelError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.bit import StandardizedConv2d, standardize
from vithybrid_cli.model.build import build
from vithybrid_cli.model.config import VitConfig


@pytest.fixture
def folder(golden: Path, tmp_path: Path) -> Path:
    """A copy of a reference checkpoint to damage."""
    copy = tmp_path / "checkpoint"
    shutil.copytree(golden, copy)
    return copy


def rewrite(folder: Path, **changes: torch.Tensor | None) -> None:
    """Change tensors of a checkpoint; None removes one. ``__`` in a name stands for a dot."""
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in changes.items():
        tensors.pop(name.replace("__", "."), None)
        if tensor is not None:
            tensors[name.replace("__", ".")] = tensor
    save_file(tensors, folder / "model.safetensors")


def test_one_message_names_missing_unexpected_and_misshapen_tensors(folder: Path) -> None:
    rewrite(folder, classifier__bias=None, pooler__weight=torch.zeros(3), vit__layernorm__weight=torch.zeros(7))
    with pytest.raises(ModelError) as raised:
        load_network(Checkpoint.read(folder))
    message = str(raised.value)
    assert "missing: classifier.bias" in message
    assert "unexpected: pooler.weight" in message
    assert "misshapen: vit.layernorm.weight is [7]" in message


def misfits(folder: Path) -> str:
    """What a load says of the weights, after the name of their folder."""
    with pytest.raises(ModelError) as raised:
        load_network(Checkpoint.read(folder))
    return raised.value.cause.split("; ", 1)[1]


QUERY, KEY, VALUE = (f"vit.encoder.layer.0.attention.attention.{part}.weight" for part in ("query", "key", "value"))


def test_a_missing_query_is_named_with_its_published_name(folder: Path) -> None:
    rewrite(folder, **{QUERY: None})
    assert misfits(folder) == f"missing: {QUERY}."


def width(folder: Path) -> int:
    config = Checkpoint.read(folder).config
    assert isinstance(config, VitConfig)
    return config.encoder.hidden_size


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(lambda key: key[:, 1:], id="a column too few"),
        pytest.param(lambda key: key[0], id="a dimension too few"),
        pytest.param(lambda key: key[0, 0], id="no dimension"),
    ],
)
def test_a_key_that_cannot_be_stacked_is_misshapen(folder: Path, cut: Callable[[torch.Tensor], torch.Tensor]) -> None:
    wide = width(folder)
    key = cut(torch.zeros(wide, wide)).contiguous()
    rewrite(folder, **{KEY: key})
    assert misfits(folder) == f"misshapen: {KEY} is {list(key.shape)}, not [{wide}, {wide}]."


def test_a_query_and_a_value_whose_lengths_only_add_up_are_misshapen(folder: Path) -> None:
    wide = width(folder)
    rewrite(folder, **{QUERY: torch.zeros(wide + 8, wide), VALUE: torch.zeros(wide - 8, wide)})
    query, value = (f"is [{length}, {wide}], not [{wide}, {wide}]" for length in (wide + 8, wide - 8))
    assert misfits(folder) == f"misshapen: {QUERY} {query}, {VALUE} {value}."


def test_a_tensor_under_the_name_it_has_in_our_network_is_no_published_one(folder: Path) -> None:
    rewrite(folder, vit__layernorm__weight=None, norm__weight=torch.zeros(width(folder)))
    assert misfits(folder) == "missing: vit.layernorm.weight; unexpected: norm.weight."


def test_standardisation_is_folded_in_float32_before_any_cast(golden: Path) -> None:
    folder = Checkpoint.read(golden)
    network = load_network(folder)
    published = transformers_map(folder.config).to_ours(load_file(golden / "model.safetensors"))
    for name, module in network.named_modules():
        if isinstance(module, StandardizedConv2d):
            torch.testing.assert_close(module.weight, standardize(published[f"{name}.weight"]), rtol=0, atol=0)


def test_standardize_is_the_batch_norm_that_the_reference_uses() -> None:
    weight = torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.batch_norm(weight.reshape(1, 16, -1), None, None, training=True, eps=1e-8)
    torch.testing.assert_close(standardize(weight), expected.reshape_as(weight), rtol=1e-6, atol=1e-6)


def test_a_checkpoint_in_float16_is_computed_in_float32(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.half() for name, tensor in tensors.items()}, folder / "model.safetensors")
    network = load_network(Checkpoint.read(folder))
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_shards_load_like_one_file(folder: Path) -> None:
    whole = load_network(Checkpoint.read(folder)).state_dict()
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "model.safetensors").unlink()
    sharded = load_network(Checkpoint.read(folder)).state_dict()
    assert {name for name in whole if not torch.equal(whole[name], sharded[name])} == set()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("[]", "holds no JSON object", id="a list"),
        pytest.param("[" * 100_000, "cannot be read", id="too deep"),
        pytest.param("{}", "no readable weight_map", id="no map"),
        pytest.param('{"weight_map": {}}', "no readable weight_map", id="an empty map"),
        pytest.param('{"weight_map": ["a"]}', "no readable weight_map", id="a list as map"),
        pytest.param('{"weight_map": {"a": 1}}', "names files outside", id="a number as file"),
        pytest.param('{"weight_map": {"a": ["b"]}}', "names files outside", id="a list as file"),
        pytest.param('{"weight_map": {"a": "../x"}}', "names files outside", id="a file elsewhere"),
        pytest.param('{"weight_map": {"a": "x\\u0000"}}', "no file can have", id="NUL in a name"),
        pytest.param('{"weight_map": {"a": "x\\ud800"}}', "no file can have", id="half a character in a name"),
        pytest.param('{"weight_map": {"a": "gone"}}', "gone cannot be read", id="a file that is not there"),
    ],
)
def test_a_bad_index_of_shards_is_an_error(folder: Path, content: str, says: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=says):
        load_network(Checkpoint.read(folder))


def test_a_pickle_is_refused_with_the_reason(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="can run any code"):
        load_network(Checkpoint.read(folder))


@pytest.mark.parametrize("size", [0, 4, 1000, -1], ids=["empty", "no header", "cut header", "cut data"])
def test_damaged_weights_are_an_error_with_the_next_step(folder: Path, size: int) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:size])
    with pytest.raises(ModelError, match="Fetch the checkpoint again"):
        load_network(Checkpoint.read(folder))


@pytest.mark.parametrize("text", ["{", "[]", "\xff"], ids=["cut", "no object", "no UTF-8"])
def test_a_broken_config_is_named(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"config\.json"):
        Checkpoint.read(folder)


def test_a_folder_without_a_config_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        Checkpoint.read(tmp_path)


def test_without_preprocessor_config_the_checkpoints_own_size_and_half_are_used(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    read = Checkpoint.read(folder)
    height, width = read.config.image_size
    assert read.preprocessing == Preprocessing.default((height, width))
    assert (read.preprocessing.size, read.preprocessing.crop_size) == (height, (height, width))
    assert read.preprocessing.image_mean == read.preprocessing.image_std == (0.5, 0.5, 0.5)


def test_renaming_to_our_names_and_back_changes_nothing(golden: Path) -> None:
    published = load_file(golden / "model.safetensors")
    key_map = transformers_map(Checkpoint.read(golden).config)
    back = key_map.from_ours(key_map.to_ours(published))
    assert back.keys() == published.keys()
    assert all(np.array_equal(back[name].numpy(), published[name].numpy()) for name in published)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        pytest.param("model.gguf", "no weights file", id="another kind"),
        pytest.param("pytorch_model.bin", "can run any code", id="pickle"),
        pytest.param("model.joblib", "can run any code", id="joblib"),
    ],
)
def test_a_single_file_is_answered_with_what_to_give_instead(folder: Path, file: str, says: str) -> None:
    (folder / file).touch()
    with pytest.raises(ModelError, match=says):
        Checkpoint.read(folder / file)


def test_the_published_network_has_the_published_number_of_parameters_and_tensors() -> None:
    backbone = {
        "global_padding": "SAME",
        "layer_type": "bottleneck",
        "depths": [3, 4, 9],
        "out_features": ["stage3"],
        "embedding_dynamic_padding": True,
    }
    config = {"model_type": "vit-hybrid", "image_size": 384, "backbone_config": backbone, "num_labels": 1000}
    with torch.device("meta"):
        state = build(read_config(config)).state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == 98_950_952
    assert len([name for ours in state for name in transformers_map(read_config(config)).their_names(ours)]) == 356
