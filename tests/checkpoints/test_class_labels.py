"""What the files of a checkpoint call its classes: read, checked against the head, and refused in words."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from places import GOLDENS
from safetensors.torch import save_file
from small_checkpoints import PLAIN, random_weights, write_timm

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.labels import read_labels
from vithybrid_cli.checkpoints.layouts.transformers import write_config
from vithybrid_cli.checkpoints.load import load_network, transformers_map
from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import ModelError
from vithybrid_cli.images.preprocess import Preprocessing

FAMILIES = ("hf-vit", "hf-beit", "hf-bit", "hf-deit", "hf-deit-distilled", "hf-hybrid-small")
UNNAMED = ("id2label", "label2id")


def folder_of(classes: int, folder: Path, **fields: Any) -> Path:
    """A folder of transformers' with a head of so many classes, no labels, and these ``fields`` in its config."""
    config = replace(PLAIN, labels=tuple(map(str, range(classes))))
    tensors = transformers_map(config).from_ours(random_weights(config))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    described = {name: value for name, value in write_config(config).items() if name not in UNNAMED}
    (folder / "config.json").write_text(json.dumps(described | fields), encoding="utf-8")
    options = Preprocessing.default(PLAIN.image_size).to_dict()
    (folder / "preprocessor_config.json").write_text(json.dumps(options), encoding="utf-8")
    return folder


def refusal(fields: dict[str, Any]) -> str:
    with pytest.raises(ModelError) as raised:
        read_labels(fields)
    message = str(raised.value)
    assert message.startswith("config.json: ")
    assert not any(part in message for part in ("None", "True", "False", "Error", "dict", "\n"))
    return message


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        pytest.param({"id2label": {"1": "dog", "0": "cat"}}, ("cat", "dog"), id="in the order of their index"),
        pytest.param({"id2label": {"0": "a"}, "num_labels": 7}, ("a",), id="num_labels beside id2label"),
        pytest.param({"id2label": {"0": "LABEL_0"}, "label2id": {"cat": 0}}, ("LABEL_0",), id="id2label decides"),
        pytest.param({"label2id": {"dog": 1, "cat": 0}}, ("cat", "dog"), id="label2id alone"),
        pytest.param({"label2id": {"dog": "1", "cat": "0"}}, ("cat", "dog"), id="label2id with texts"),
        pytest.param({"id2label": None, "label2id": {"cat": 0}}, ("cat",), id="label2id beside null"),
        pytest.param({"id2label": {}, "label2id": {"cat": 0}}, ("cat",), id="label2id beside nothing"),
        pytest.param({"id2label": {"0": 4, "1": 5.5}}, ("4", "5.5"), id="numbers"),
        pytest.param({"id2label": {"0": False, "1": True}}, ("false", "true"), id="truth values"),
        pytest.param({"id2label": {"0": "", "1": "a"}}, ("", "a"), id="an empty text"),
        pytest.param({"id2label": {"0": "a", "1": "a"}}, ("a", "a"), id="alike"),
        pytest.param({"id2label": {" 0": "a", "01": "b"}}, ("a", "b"), id="numbers as Python reads them"),
        pytest.param({"num_labels": None}, ("LABEL_0", "LABEL_1"), id="null labels"),
        pytest.param({"num_labels": 3, "_num_labels": 5}, ("LABEL_0", "LABEL_1", "LABEL_2"), id="an older file"),
        pytest.param({}, ("LABEL_0", "LABEL_1"), id="nothing"),
    ],
)
def test_labels_are_read_as_transformers_reads_them_and_from_label2id_alone(
    fields: dict[str, Any], labels: tuple[str, ...]
) -> None:
    assert read_labels(fields) == labels


@pytest.mark.parametrize(
    ("names", "says"),
    [
        pytest.param({"0": "a", "2": "c"}, "names classes up to 2, but not 1.", id="a gap"),
        pytest.param(
            {"0": "a", "9": "c"}, "names classes up to 9, but not 1, 2, 3, 4, 5 and 3 more.", id="a large gap"
        ),
        pytest.param(
            {"3": "a", "9": "c"}, "names classes up to 9, but not 0, 1, 2, 4, 5 and 3 more.", id="gaps from the start"
        ),
        pytest.param({"1": "a", "2": "c"}, "counts its 2 classes from 1, but they are counted from 0.", id="from one"),
        pytest.param({"-1": "none", "0": "a"}, "names class -1, but classes are counted from 0.", id="negative"),
        pytest.param({"0": "a", "1": None}, "has null where the label of class 1 should be.", id="null"),
        pytest.param({"0": ["a", "b"]}, 'has ["a", "b"] where the label of class 0 should be.', id="a list"),
        pytest.param({"0": {"a": None}}, 'has {"a": null} where the label of class 0 should be.', id="an object"),
        pytest.param({"cat": "0"}, "has 'cat' where a class index should be.", id="the wrong way round"),
        pytest.param({"0.0": "a"}, "has '0.0' where a class index should be.", id="no whole number"),
        pytest.param({"0": "a", "00": "b"}, "gives class 0 two labels, 'a' and 'b'.", id="twice"),
        pytest.param(["a", "b"], 'must be an object, not ["a", "b"].', id="labels as a list"),
        pytest.param(
            ["label"] * 1000, 'must be an object, not ["label", "label", "label", "label", "label", ', id="long"
        ),
        pytest.param("cat", "must be an object, not 'cat'.", id="a text"),
    ],
)
def test_labels_that_name_no_classes_are_said_in_words(names: Any, says: str) -> None:
    message = refusal({"id2label": names})
    assert message.startswith(f"config.json: id2label {says}")
    assert len(message) < 250


@pytest.mark.parametrize(
    ("indices", "says"),
    [
        pytest.param({"cat": None}, "has null where a class index should be.", id="null"),
        pytest.param({"cat": True}, "has true where a class index should be.", id="a truth value"),
        pytest.param({"cat": 0, "kitten": 0}, "gives class 0 two labels, 'cat' and 'kitten'.", id="twice"),
        pytest.param({"cat": 1, "dog": 3}, "names classes up to 3, but not 0, 2.", id="gaps"),
    ],
)
def test_a_label2id_that_names_no_classes_is_said_in_words(indices: dict[str, Any], says: str) -> None:
    assert refusal({"label2id": indices}).startswith(f"config.json: label2id {says}")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        pytest.param({"id2label": {"0": "a", "1": "b"}}, "names 2 labels, but the weights' head has 3.", id="id2label"),
        pytest.param({"label2id": {"a": 0}}, "names 1 label, but the weights' head has 3.", id="label2id"),
        pytest.param({"num_labels": 1000}, "gives num_labels 1000, but the weights' head has 3.", id="num_labels"),
    ],
)
def test_another_number_of_labels_than_the_head_has_is_said_with_both(
    fields: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as raised:
        Checkpoint.read(folder_of(3, tmp_path, **fields))
    assert str(raised.value) == (
        f"config.json {says} Use the config.json that was saved with these weights, or correct its labels."
    )


@pytest.mark.parametrize("classes", [1, 5, 1000])
def test_a_head_without_any_labels_numbers_its_classes_and_says_so(
    classes: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "vithybrid_cli"):
        checkpoint = Checkpoint.read(folder_of(classes, tmp_path))
    assert checkpoint.config.labels == tuple(f"LABEL_{index}" for index in range(classes))
    assert load_network(checkpoint)(torch.zeros(1, 3, 32, 32)).shape == (1, classes)
    (said,) = caplog.messages
    are_called = "class is called LABEL_0." if classes == 1 else f"classes are called LABEL_0 to LABEL_{classes - 1}."
    assert said == f"config.json names no labels, so the weights' {classes:,} {are_called}"


def test_two_classes_without_labels_are_transformers_default_and_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "vithybrid_cli"):
        assert Checkpoint.read(folder_of(2, tmp_path)).config.labels == ("LABEL_0", "LABEL_1")
    assert caplog.messages == []


def test_transformers_wrapper_around_timm_keeps_the_problem_type(tmp_path: Path) -> None:
    fields = {"model_type": "timm_wrapper", "problem_type": "multi_label_classification"}
    checkpoint = Checkpoint.read(write_timm(tmp_path, PLAIN, "vit_tiny_patch16_224", **fields))
    assert checkpoint.activation is Activation.SIGMOID


@pytest.mark.parametrize("name", FAMILIES)
def test_the_head_of_every_family_is_counted(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(GOLDENS / name, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    classes = len(config["id2label"])
    described = {**config, "id2label": {str(index): "x" for index in range(classes + 1)}}
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(ModelError, match=rf"names {classes + 1} labels, but the weights' head has {classes}\."):
        Checkpoint.read(folder)
    unnamed = {key: value for key, value in config.items() if key not in UNNAMED}
    (folder / "config.json").write_text(json.dumps(unnamed), encoding="utf-8")
    assert Checkpoint.read(folder).config.labels == tuple(f"LABEL_{index}" for index in range(classes))
