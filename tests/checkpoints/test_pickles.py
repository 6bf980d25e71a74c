"""Weights that only torch.save wrote: read where they are trusted, by the restricted reader, and refused elsewhere."""

import argparse
import io
import json
import logging
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_checkpoints import PLAIN, random_weights, write_timm
from torch import Tensor, nn
from typer.testing import CliRunner

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.transformers import write_config
from vithybrid_cli.checkpoints.load import read_weights, transformers_map
from vithybrid_cli.commands.app import app
from vithybrid_cli.errors import ModelError
from vithybrid_cli.images.preprocess import Preprocessing

RAN: list[str] = []  # what a pickle that ran would leave behind


class Running:
    """Runs a function of Python when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return RAN.append, ("ran",)


class Somebody:
    """An object of a module that only its author has."""


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)


def published(factor: float = 1.0) -> dict[str, Tensor]:
    tensors = transformers_map(PLAIN).from_ours(random_weights(PLAIN))
    return {name: tensor.contiguous() * factor for name, tensor in tensors.items()}


def write(folder: Path, content: Any, name: str = "pytorch_model.bin", **how: Any) -> Path:
    """A folder of transformers' with this content in its pickle; the path of the pickle."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(write_config(PLAIN)), encoding="utf-8")
    options = Preprocessing.default(PLAIN.image_size).to_dict()
    (folder / "preprocessor_config.json").write_text(json.dumps(options), encoding="utf-8")
    torch.save(content, folder / name, **how)
    return folder / name


def same(checkpoint: Checkpoint, weights: Mapping[str, Tensor]) -> bool:
    found = read_weights(checkpoint)
    return found.keys() == weights.keys() and all(torch.equal(found[name], weights[name]) for name in found)


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as raised:
        read_weights(Checkpoint.read(path, trust_pickle=True))
    return str(raised.value)


def test_a_pickle_becomes_a_folder_that_all_commands_read(tmp_path: Path) -> None:
    write(tmp_path / "source", published())
    done = run("convert", tmp_path / "source", tmp_path / "out", "--trust-pickle")
    assert (done.exit_code, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["check"]["largest_difference"] == 0
    assert report["read"]["parameters"] == report["written"]["parameters"]
    assert same(Checkpoint.read(tmp_path / "out"), random_weights(PLAIN))


@pytest.mark.parametrize("command", [["info"], ["convert"], ["classify", "x.png", "-m"], ["embed", "x.png", "-m"]])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "best.pt", "last.ckpt"])
def test_nothing_reads_a_pickle_that_is_not_trusted(command: list[str], name: str, tmp_path: Path) -> None:
    file = write(tmp_path / "source", {"state_dict": published(), "hook": Running()}, name)
    rest = [tmp_path / "out"] if command == ["convert"] else []
    for path in (file, file.parent):
        done = run(*command, path, *rest)
        assert (done.exit_code, len(done.stderr.splitlines())) == (3, 1)
        assert "can run any code when it is loaded and is never read" in done.stderr
        assert "`vithybrid convert SRC DST --trust-pickle`" in done.stderr
    assert RAN == []


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "best.pt", "last.ckpt", "best.pth.tar", "A.PTH"])
def test_a_single_pickle_takes_the_config_beside_it(name: str, tmp_path: Path) -> None:
    file = write(tmp_path / "source", published(), name)
    assert same(Checkpoint.read(file, trust_pickle=True), random_weights(PLAIN))


def test_pickles_in_parts_load_like_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "source", {}).parent
    tensors, names = published(), sorted(published())
    parts = {f"pytorch_model-0000{part + 1}-of-00002.bin": names[part::2] for part in range(2)}
    for file, part in parts.items():
        torch.save({name: tensors[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "pytorch_model.bin").unlink()
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert same(Checkpoint.read(folder, trust_pickle=True), random_weights(PLAIN))
    with pytest.raises(ModelError, match="can run any code"):
        read_weights(Checkpoint.read(folder))


def test_safetensors_come_before_a_pickle(tmp_path: Path) -> None:
    folder = write_timm(tmp_path, PLAIN, "vit_tiny_patch16_224")
    torch.save({"hook": Running()}, folder / "pytorch_model.bin")
    assert same(Checkpoint.read(folder, trust_pickle=True), random_weights(PLAIN))


OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
NESTED: dict[str, Callable[[Any], Any]] = {
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "optimizer": OPTIMIZER, "lr_scheduler": {"last": torch.zeros(1)}},
    "net": lambda state: {"net": state, "acc": 0.9},
    "module": lambda state: {"module": state},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer_state_dict": OPTIMIZER},
    "any name": lambda state: {"weights_of_mine": state, "loss": torch.tensor(0.1)},
    "two deep": lambda state: {"checkpoint": {"model": state}},
    "ordered": lambda state: OrderedDict(state),
    "parameters": lambda state: {name: nn.Parameter(tensor) for name, tensor in state.items()},
    "Lightning": lambda state: {
        "state_dict": {f"model.{name}": tensor for name, tensor in state.items()} | {"criterion.weight": torch.ones(3)},
        "pytorch-lightning_version": "2.1",
        "optimizer_states": [OPTIMIZER],
        "hyper_parameters": {"lr": 0.1},
    },
    "an empty average": lambda state: {"model": state, "model_ema": None},
    "parallel": lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
    "options": lambda state: {"model": state, "args": argparse.Namespace(lr=0.1, data=Path("/data"))},
    "arrays": lambda state: {"model": state, "curve": np.linspace(0, 1, 5), "names": np.array(["cat", "dog"])},
    "figures": lambda state: {"model": state, "best": np.float64(0.9), "epoch": np.int64(3), "top": np.float32(1)},
}


@pytest.mark.parametrize("how", NESTED)
@pytest.mark.parametrize("zipped", [True, False], ids=["of today", "before torch 1.6"])
def test_the_state_dict_is_found_wherever_it_lies(how: str, zipped: bool, tmp_path: Path) -> None:
    file = write(tmp_path / "source", NESTED[how](published()), _use_new_zipfile_serialization=zipped)
    assert same(Checkpoint.read(file.parent, trust_pickle=True), random_weights(PLAIN))


@pytest.mark.parametrize("key", ["model_ema", "state_dict_ema", "ema"])
def test_of_a_network_and_its_average_the_average_is_taken_and_named(
    key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vithybrid_cli")
    file = write(tmp_path / "source", {"model": published(2), key: published(), "optimizer": OPTIMIZER})
    assert same(Checkpoint.read(file.parent, trust_pickle=True), random_weights(PLAIN))
    said = f"{file} holds model, {key}; {key}, the averaged weights, is taken, as timm does."
    assert [record.getMessage() for record in caplog.records] == [said]


def test_a_student_and_its_teacher_are_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "source", {"student": published(), "teacher": published()})
    assert refused(file.parent).startswith(f"{file} holds several networks: student, teacher. Save the one")


def test_what_lies_beside_a_network_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vithybrid_cli")
    content = {"encoder": published(), "projector": {"weight": torch.zeros(2)}, "optimizer": OPTIMIZER}
    file = write(tmp_path / "source", content)
    assert same(Checkpoint.read(file.parent, trust_pickle=True), random_weights(PLAIN))
    assert [record.getMessage() for record in caplog.records] == [f"{file} also holds projector, which is left out."]


# What timm's training script saves


def timm_file(folder: Path, **content: Any) -> Path:
    made = write_timm(folder / "made", PLAIN, "vit_tiny_patch16_224")
    file = folder / "model_best.pth"
    torch.save({"state_dict": load_file(made / "model.safetensors"), "version": 2, **content}, file)
    return file


def test_a_file_of_timms_training_script_needs_no_config(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vithybrid_cli")
    options = argparse.Namespace(model="vit_tiny_patch16_224", img_size=32, mean=[0.1] * 3, std=None, crop_pct=0.5)
    file = timm_file(tmp_path, arch="vit_tiny_patch16_224", args=options, epoch=7)
    checkpoint = Checkpoint.read(file, trust_pickle=True)
    assert checkpoint.config == replace(PLAIN, labels=("LABEL_0", "LABEL_1", "LABEL_2"))
    assert checkpoint.preprocessing.image_mean == (0.1, 0.1, 0.1)
    assert checkpoint.preprocessing.image_std == (0.5, 0.5, 0.5)
    assert (checkpoint.preprocessing.size, checkpoint.preprocessing.crop_size) == (64, (32, 32))
    assert same(checkpoint, random_weights(PLAIN))
    said = "does not tell all of its preprocessing; timm's own for vit_tiny_patch16_224 is taken (std, interpolation)."
    assert [record.getMessage() for record in caplog.records] == [f"{file} {said}"]


def test_a_config_beside_it_comes_first(tmp_path: Path) -> None:
    file = timm_file(tmp_path, arch="resnet50")
    (tmp_path / "config.json").write_bytes((tmp_path / "made" / "config.json").read_bytes())
    assert Checkpoint.read(file, trust_pickle=True).config == PLAIN


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param({}, "does not say what network it is for. Put a config.json beside it", id="nothing"),
        pytest.param({"arch": "visiontransformer"}, "does not say what network it is for", id="the name of a class"),
        pytest.param({"arch": 5, "args": [1]}, "does not say what network it is for", id="something else"),
        pytest.param({"arch": "resnet50"}, "architecture 'resnet50' is not supported", id="another network"),
    ],
)
def test_a_file_that_names_no_network_says_what_to_put_beside_it(
    content: dict[str, Any], says: str, tmp_path: Path
) -> None:
    assert says in refused(timm_file(tmp_path, **content))


# What the restricted reader does not read


def test_what_asks_for_more_than_tensors_is_refused_with_what_it_asks_for(tmp_path: Path) -> None:
    for zipped in (True, False):
        file = write(
            tmp_path / "source", {"model": published(), "x": Somebody()}, _use_new_zipfile_serialization=zipped
        )
        said = refused(file.parent)
        assert f"{file} wants {__name__}.Somebody" in said
        assert "save the state_dict() of its network alone" in said


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "source", {"model": published(), "x": np.array([Somebody()], dtype=object)})
    assert "which torch's restricted reader does not load" in refused(file.parent)


def test_what_would_run_code_does_not(tmp_path: Path) -> None:
    file = write(tmp_path / "source", {"model": published(), "x": Running()})
    assert "which torch's restricted reader does not load" in refused(file.parent)
    assert RAN == []


def test_a_whole_network_is_refused_with_its_class(tmp_path: Path) -> None:
    file = write(tmp_path / "source", nn.Linear(2, 2))
    assert f"{file} wants torch.nn.modules.linear.Linear" in refused(file.parent)


def test_a_torchscript_program_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "source", {})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", b"")
        archive.writestr("x/constants.pkl", b"")
        archive.writestr("x/code/__torch__.py", b"")
    assert f"{file} is a TorchScript program" in refused(file.parent)


def saved(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\nsize 5\n", "is a Git-LFS pointer", id="a pointer"),
        pytest.param(b"<!DOCTYPE html><html>", "is a web page", id="a page"),
        pytest.param(saved({"x": torch.zeros(9)})[:-40], "cannot be read as a file of torch.save", id="cut off"),
        pytest.param(b"nothing of the kind", "is no file of torch.save, or is damaged", id="something else"),
        pytest.param(pickle.dumps({"x": 1}), "torch.save", id="a pickle of Python"),
        pytest.param(pickle.dumps(Somebody(), 2), "Somebody", id="an object of Python"),
        pytest.param(saved({"epoch": 3}), "holds no tensors by name", id="no tensors"),
        pytest.param(saved(torch.zeros(3)), "holds no tensors by name", id="a tensor"),
        pytest.param(saved([torch.zeros(3)]), "holds no tensors by name", id="a list"),
        pytest.param(saved({"optimizer": OPTIMIZER}), "holds no tensors by name", id="an optimizer"),
        pytest.param(saved({"x": torch.zeros(3)}), "do not fit its config.json", id="another network"),
    ],
)
def test_what_is_no_state_dict_is_one_error(content: bytes, says: str, tmp_path: Path) -> None:
    file = write(tmp_path / "source", {})
    file.write_bytes(content)
    assert says in refused(file.parent)


def test_integers_in_a_pickle_are_no_weights(tmp_path: Path) -> None:
    file = write(tmp_path / "source", {name: tensor.to(torch.int8) for name, tensor in published().items()})
    assert "are of type int8, so they are quantised or no weights" in refused(file.parent)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_pickle_keeps_its_type(dtype: torch.dtype, tmp_path: Path) -> None:
    write(tmp_path / "source", {name: tensor.to(dtype) for name, tensor in published().items()})
    done = run("convert", tmp_path / "source", tmp_path / "out", "--trust-pickle")
    assert (done.exit_code, done.stderr) == (0, "")
    assert {tensor.dtype for tensor in load_file(tmp_path / "out" / "model.safetensors").values()} == {dtype}


def test_a_folder_without_a_config_says_to_name_the_pickle(tmp_path: Path) -> None:
    file = timm_file(tmp_path, arch="vit_tiny_patch16_224")
    (tmp_path / "made" / "config.json").unlink()
    assert (
        refused(tmp_path)
        == f"{tmp_path} holds no config.json, but {file.name}. Name such a file instead of its folder."
    )


def test_the_only_pickle_of_a_folder_is_taken_whatever_its_name(tmp_path: Path) -> None:
    write(tmp_path / "run", {"model": published()}, "best.pth")
    torch.save({}, tmp_path / "run" / "optimizer.pt")
    done = run("convert", tmp_path / "run", tmp_path / "out", "--trust-pickle")
    assert done.exit_code == 0, done.stderr
    assert same(Checkpoint.read(tmp_path / "out"), random_weights(PLAIN))
    write(tmp_path / "run", {"model": published()}, "last.pth")
    done = run("convert", tmp_path / "run", tmp_path / "again", "--trust-pickle")
    assert done.exit_code == 3
    assert "best.pth" in done.stderr
