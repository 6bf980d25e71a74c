"""Steps and epochs: losses, gradients in parts, sizes, rates, and what stops a training."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_trainings import CPU, PLAIN_RECIPE, checkpoint, first_step, pictures, start, train

from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.errors import UsageError
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.precision import has_bfloat16
from vithybrid_cli.training.run import TrainingRun


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledPictures:
    return pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: LabelledPictures) -> Path:
    """The output of two epochs; tests only read it."""
    return train(data, tmp_path_factory.mktemp("trained"))


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        pytest.param({"avx512_bf16": True, "amx_bf16": False}, True, id="AVX-512 with bfloat16"),
        pytest.param({"avx512_bf16": False, "amx_bf16": True}, True, id="AMX"),
        pytest.param({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False, id="AVX-512 without"),
        pytest.param({"architecture": "aarch64"}, False, id="another architecture"),
    ],
)
def test_bfloat16_is_used_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert has_bfloat16(CPU) is expected
    assert has_bfloat16(torch.device("mps")) is False


def test_a_torch_that_does_not_list_what_a_processor_can_do_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = has_bfloat16(CPU)
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    monkeypatch.setattr(torch, "cpu", SimpleNamespace(**{name: getattr(torch.cpu, name) for name in known}))
    assert has_bfloat16(CPU) is found


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_smoothed_cross_entropy_of_the_logits(
    trained: Path, data: LabelledPictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smoothing: float
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)  # no bfloat16
    begin = checkpoint(trained)
    preprocessing = begin.checkpoint.preprocessing
    crops = np.stack([preprocessing.pixels(Image.open(item.name)) for item in data.items])
    pixels = torch.from_numpy(preprocessing.normalization.apply(crops))
    shares = load_network(begin.checkpoint)(pixels).log_softmax(dim=1)
    right = shares[torch.arange(len(data.targets)), torch.from_numpy(data.targets)]
    expected = -((1 - smoothing) * right + smoothing * shares.mean(dim=1)).mean().item()
    recipe = replace(PLAIN_RECIPE, batch_size=len(data.items), label_smoothing=smoothing)
    assert first_step(data, tmp_path, recipe, begin).loss == pytest.approx(expected, rel=1e-4)


def test_the_first_loss_of_a_new_head_is_that_of_a_guess(data: LabelledPictures, tmp_path: Path) -> None:
    assert first_step(data, tmp_path, PLAIN_RECIPE).loss == pytest.approx(math.log(2), rel=1e-3)


def test_steps_count_pictures_and_average_the_loss_of_the_epoch(data: LabelledPictures, tmp_path: Path) -> None:
    steps = list(TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU).steps())
    assert [(step.epoch, step.step, step.steps) for step in steps] == [(e, s, 4) for e in (0, 1) for s in (1, 2, 3, 4)]
    assert {step.pictures for step in steps} == {4}
    assert steps[-1].loss < steps[3].loss < steps[0].loss


def test_a_training_that_diverges_is_stopped_with_the_remedy(data: LabelledPictures, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the loss is not finite in epoch 1\. Give a lower learning rate \(lr\)"):
        train(data, tmp_path, replace(PLAIN_RECIPE, learning_rate=1e30))
    assert not (tmp_path / "config.json").exists()


def test_a_batch_that_cannot_be_read_is_skipped_and_its_loss_is_not_counted(tmp_path: Path) -> None:
    data = pictures(tmp_path, count=2)
    for path in [item.name for item in data.items][1:]:
        Path(path).write_bytes(b"no picture")
    steps = list(
        TrainingRun(start(), data, replace(PLAIN_RECIPE, epochs=1, batch_size=1), tmp_path / "out", device=CPU).steps()
    )
    assert sorted(step.pictures for step in steps) == [0, 0, 0, 1]
    assert sorted(path for step in steps for path in step.unreadable) == sorted([item.name for item in data.items][1:])
    assert steps[-1].loss == pytest.approx(math.log(2), rel=1e-3)


def test_pictures_that_can_none_be_read_are_an_error_and_no_checkpoint(tmp_path: Path) -> None:
    data = pictures(tmp_path, count=2)
    for path in [item.name for item in data.items]:
        Path(path).write_bytes(b"no picture")
    with pytest.raises(UsageError, match="None of the pictures could be read"):
        train(data, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
