"""What a training run writes, and on what its bytes depend."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from places import GOLDENS
from safetensors.torch import load_file
from small_trainings import CONFIG, CPU, FULL_RECIPE, PLAIN_RECIPE, checkpoint, files, pictures, start, train, weights

from vithybrid_cli import Classifier
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.transformers import read_config
from vithybrid_cli.checkpoints.load import load_network, read_weights
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.training import held_out as held_out_module
from vithybrid_cli.training import trainer
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.held_out import Measured
from vithybrid_cli.training.network import raw_weights
from vithybrid_cli.training.recipe import Recipe
from vithybrid_cli.training.run import StartingPoint, TrainingRun
from vithybrid_cli.training.state import STATE

GOLDEN = GOLDENS / "hf-hybrid-small"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledPictures:
    return pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: LabelledPictures) -> Path:
    """The output of two epochs; tests only read it."""
    return train(data, tmp_path_factory.mktemp("trained"))


def test_two_colours_are_told_apart_after_two_epochs(trained: Path, tmp_path: Path) -> None:
    held_out = pictures(tmp_path, count=3)
    results = list(Classifier.from_pretrained(trained, device="cpu").classify(held_out.items, top_k=1))
    assert [result.predictions[0].index for result in results] == held_out.targets.tolist()
    assert [result.predictions[0].label for result in results] == ["blue"] * 3 + ["red"] * 3


def test_the_folder_holds_a_checkpoint_the_state_and_nothing_else(trained: Path) -> None:
    assert sorted(file.name for file in trained.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        STATE,
    ]


def test_others_may_read_the_weights_as_they_may_read_the_config(trained: Path) -> None:
    assert (trained / "model.safetensors").stat().st_mode == (trained / "config.json").stat().st_mode


def test_the_config_names_the_folders_as_labels_and_the_type_of_the_weights(trained: Path) -> None:
    config = json.loads((trained / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "blue", "1": "red"}
    assert config["label2id"] == {"blue": 0, "red": 1}
    assert (config["model_type"], config["torch_dtype"]) == ("vit_hybrid", "float32")
    assert read_config(config) == replace(CONFIG, labels=("blue", "red"))


def test_the_preprocessing_is_that_of_the_start(data: LabelledPictures, tmp_path: Path) -> None:
    preprocessing = replace(Preprocessing.default((16, 16)), image_mean=(0.4, 0.5, 0.6), resample=2)
    begin = StartingPoint(replace(start().checkpoint, preprocessing=preprocessing), with_weights=False)
    train(data, tmp_path, replace(PLAIN_RECIPE, epochs=1), begin)
    assert Checkpoint.read(tmp_path).preprocessing == preprocessing


def test_names_and_shapes_of_the_tensors_are_those_of_transformers(tmp_path: Path) -> None:
    data = pictures(tmp_path / "pictures", count=1)
    train(data, tmp_path / "out", replace(PLAIN_RECIPE, epochs=1), checkpoint(GOLDEN, with_weights=False))
    expected = {name: tuple(tensor.shape) for name, tensor in load_file(GOLDEN / "model.safetensors").items()}
    expected |= {"classifier.weight": (2, 48), "classifier.bias": (2,)}
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in written.items()} == expected


def test_the_weights_can_be_stored_in_half_the_size(data: LabelledPictures, trained: Path, tmp_path: Path) -> None:
    train(data, tmp_path, dtype=torch.float16)
    halves, whole = load_file(tmp_path / "model.safetensors"), load_file(trained / "model.safetensors")
    assert {tensor.dtype for tensor in halves.values()} == {torch.float16}
    assert all((halves[name] == tensor.half()).all() for name, tensor in whole.items())
    assert json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["torch_dtype"] == "float16"
    (result,) = Classifier.from_pretrained(tmp_path, device="cpu").classify(data.items[:1])
    assert result.predictions[0].label == "blue"


def test_the_network_computes_in_training_what_it_computes_after_loading(trained: Path, data: LabelledPictures) -> None:
    begin = checkpoint(trained)
    network = TrainingRun(begin, data, PLAIN_RECIPE, trained, device=CPU).trainer.network
    pixels = torch.rand(2, 3, 16, 16)
    assert torch.allclose(network(pixels), load_network(begin.checkpoint)(pixels), atol=1e-5)


def test_equal_seeds_give_equal_bytes_whatever_the_threads(
    trained: Path, data: LabelledPictures, tmp_path: Path
) -> None:
    assert weights(train(data, tmp_path, workers=5)) == weights(trained)


def test_another_seed_gives_other_weights(trained: Path, data: LabelledPictures, tmp_path: Path) -> None:
    assert weights(train(data, tmp_path, replace(PLAIN_RECIPE, seed=1))) != weights(trained)


@pytest.fixture
def measures(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Makes the epochs right on one, three, three and two of four held-out pictures."""
    rights = iter((1, 3, 3, 2))

    def measured(*_: object) -> Measured:
        right = next(rights)
        return Measured(np.eye(2, dtype=np.float32)[[0] * 4], np.array([0] * right + [1] * (4 - right)))

    monkeypatch.setattr(trainer, "measured", measured)
    return rights


@pytest.mark.parametrize("broken_off_after", [1, 2, 3, None])
def test_the_best_epoch_is_kept_the_later_of_equal_ones_also_by_a_run_that_was_broken_off(
    data: LabelledPictures, tmp_path: Path, measures: Iterator[int], broken_off_after: int | None
) -> None:
    recipe = replace(PLAIN_RECIPE, epochs=4, batch_size=16)
    out = tmp_path / "out"
    kept: list[bytes] = []
    while len(kept) < 4:
        run = TrainingRun(start(), data, recipe, out, device=CPU, held_out=data)
        if kept:
            run.resume()
        before = run.epochs_done
        with closing(run.steps()) as steps:
            for step in steps:
                if run.epochs_done > before and step.epoch:
                    kept.append(weights(out))
                if step.epoch == broken_off_after:
                    broken_off_after = None
                    break
            else:
                kept.append(weights(out))
    assert [epoch.correct for epoch in run.history] == [1, 3, 3, 2]
    assert len(set(kept)) == 3
    assert kept[2] == kept[3] == weights(out)


def test_held_out_pictures_decide_nothing_about_the_weights_of_an_epoch(
    data: LabelledPictures, tmp_path: Path, trained: Path
) -> None:
    assert weights(train(data, tmp_path / "out", held_out=pictures(tmp_path / "held", 3))) == weights(trained)


def test_held_out_pictures_that_cannot_be_read_are_named_once_and_left_out(
    data: LabelledPictures, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held_out = pictures(tmp_path / "held", 3)
    Path(held_out.items[1].name).write_bytes(b"no picture")
    run = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path / "out", device=CPU, held_out=held_out)
    list(run.steps())
    assert [epoch.pictures for epoch in run.history] == [5, 5]
    why = "This is no picture in a supported format, but a text file. Give a picture."
    assert caplog.messages == [f"{held_out.items[1].name}: {why}"]


def test_held_out_pictures_that_can_none_be_read_leave_the_last_epoch(
    data: LabelledPictures, tmp_path: Path, trained: Path
) -> None:
    held_out = pictures(tmp_path / "held", 1)
    for item in held_out.items:
        Path(item.name).write_bytes(b"no picture")
    run = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path / "out", device=CPU, held_out=held_out)
    list(run.steps())
    assert [(epoch.correct, epoch.pictures) for epoch in run.history] == [(None, None)] * 2
    assert weights(tmp_path / "out") == weights(trained)


def test_the_written_head_is_divided_by_the_temperature_that_many_held_out_pictures_set(
    data: LabelledPictures, tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out_module, "LEAST_FOR_TEMPERATURE", 6)
    run = TrainingRun(
        start(), data, PLAIN_RECIPE, tmp_path / "out", device=CPU, held_out=pictures(tmp_path / "held", 3)
    )
    list(run.steps())
    temperature = run.history[-1].temperature
    assert temperature != 1.0
    plain, divided = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path / "out"))
    for name, tensor in plain.items():
        expected = tensor / temperature if name.startswith("classifier.") else tensor
        assert torch.equal(divided[name], expected), name


@pytest.mark.parametrize("recipe", [PLAIN_RECIPE, FULL_RECIPE], ids=["plain", "full"])
@pytest.mark.parametrize(("cores", "workers"), [(2, 3), (4, 5), (7, 2)])
def test_the_bytes_are_the_same_for_up_to_seven_cores_and_any_number_of_workers(
    data: LabelledPictures,
    tmp_path: Path,
    recipe: Recipe,
    cores: int,
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
    one_core: dict[Recipe, dict[str, bytes]],
) -> None:
    monkeypatch.setattr(trainer, "available_cores", lambda: cores)
    assert files(train(data, tmp_path, recipe, workers=workers)) == one_core[recipe]


@pytest.fixture(scope="module")
def one_core(tmp_path_factory: pytest.TempPathFactory, data: LabelledPictures) -> dict[Recipe, dict[str, bytes]]:
    """What is written where everything happens in one thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "available_cores", lambda: 1)
        return {
            recipe: files(train(data, tmp_path_factory.mktemp("one"), recipe, workers=1))
            for recipe in (PLAIN_RECIPE, FULL_RECIPE)
        }


def test_the_bytes_are_the_same_beside_a_busy_loop(trained: Path, data: LabelledPictures, tmp_path: Path) -> None:
    done = threading.Event()

    def spin() -> None:
        while not done.is_set():
            pass

    busy = [threading.Thread(target=spin) for _ in range(2)]
    for thread in busy:
        thread.start()
    try:
        train(data, tmp_path, workers=3)
    finally:
        done.set()
        for thread in busy:
            thread.join()
    assert files(tmp_path) == files(trained)


def test_the_average_of_the_weights_is_written_and_the_training_goes_on_from_the_weights(
    data: LabelledPictures, tmp_path: Path
) -> None:
    recipe = replace(PLAIN_RECIPE, epochs=1, average_epochs=10.0)
    run = TrainingRun(start(), data, recipe, tmp_path, device=CPU)
    seen = [raw_weights(run.trainer.network)["head.bias"].clone() for _ in run.steps()]
    written = load_file(tmp_path / "model.safetensors")["classifier.bias"]
    assert torch.allclose(written, torch.stack(seen).mean(0), atol=1e-7)  # the plain mean of the four steps
    assert torch.equal(raw_weights(run.trainer.network)["head.bias"], seen[-1])


def test_weights_that_are_infinite_after_the_last_step_are_not_written(data: LabelledPictures, tmp_path: Path) -> None:
    recipe = replace(PLAIN_RECIPE, epochs=1, batch_size=16, warmup_epochs=0.0, learning_rate=1e39, clip=None)
    with pytest.raises(UsageError, match=r"the weights are not finite in epoch 1\. Give a lower learning rate"):
        train(data, tmp_path, recipe)
    assert not (tmp_path / "config.json").exists()


SIZES = [
    pytest.param(CONFIG, id="hybrid"),
    pytest.param(replace(CONFIG, backbone=None, patch_size=(4, 4), family="vit"), id="ViT"),
    pytest.param(replace(CONFIG, backbone=None, patch_size=(4, 4), family="deit", distillation_token=True), id="DeiT"),
]


@pytest.mark.parametrize("config", SIZES)
def test_a_run_that_begins_with_small_pictures_writes_the_whole_grid_of_positions(
    data: LabelledPictures, tmp_path: Path, config: VitConfig
) -> None:
    run = TrainingRun(start(config), data, FULL_RECIPE, tmp_path, device=CPU)
    before = raw_weights(run.trainer.network)["embeddings.position_embeddings"].clone()
    assert [run.trainer.size_in(epoch) for epoch in range(4)] == [(8, 8), (8, 8), (16, 16), (16, 16)]
    next(steps := run.steps())
    for _ in range(4):  # into the second epoch, the first of which is written
        next(steps)
    steps.close()
    written = Checkpoint.read(tmp_path)
    assert written.config.image_size == config.image_size
    network = load_network(written)
    assert network(torch.zeros(1, 3, 16, 16)).shape == (1, 2)
    after = read_weights(written)["embeddings.position_embeddings"]
    assert after.shape == before.shape
    assert not torch.equal(after, before)


def test_a_beit_keeps_one_size(data: LabelledPictures, tmp_path: Path) -> None:
    encoder = replace(CONFIG.encoder, layer_scale=True, relative_positions="shared")
    config = replace(CONFIG, backbone=None, patch_size=(4, 4), family="beit", encoder=encoder, absolute_positions=False)
    run = TrainingRun(start(config), data, FULL_RECIPE, tmp_path, device=CPU)
    assert {run.trainer.size_in(epoch) for epoch in range(4)} == {(16, 16)}
    list(run.steps())
    assert load_network(Checkpoint.read(tmp_path))(torch.zeros(1, 3, 16, 16)).shape == (1, 2)
