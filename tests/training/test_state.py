"""How a run is continued to the very same bytes, and which ones are not."""

import json
import resource
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_trainings import (
    CONFIG,
    CPU,
    FULL_RECIPE,
    PLAIN_RECIPE,
    checkpoint,
    files,
    pictures,
    resumed,
    start,
    train,
    weights,
)

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Freeze
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.training.augment import RandomCrop, Varied
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.recipe import Recipe
from vithybrid_cli.training.run import StartingPoint, TrainingRun
from vithybrid_cli.training.state import LOCK, STATE


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledPictures:
    return pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: LabelledPictures) -> Path:
    """The output of two epochs; tests only read it."""
    return train(data, tmp_path_factory.mktemp("trained"))


def test_the_state_keeps_full_precision_when_the_weights_are_stored_in_half(
    data: LabelledPictures, tmp_path: Path
) -> None:
    unbroken = train(data, tmp_path / "unbroken", dtype=torch.float16)
    broken = train(data, tmp_path / "broken", epochs=1, dtype=torch.float16)
    run = TrainingRun(start(), data, PLAIN_RECIPE, broken, device=CPU, dtype=torch.float16)
    run.resume()
    list(run.steps())
    assert weights(broken) == weights(unbroken)


def test_a_run_that_was_broken_off_ends_in_the_same_bytes(
    trained: Path, data: LabelledPictures, tmp_path: Path
) -> None:
    train(data, tmp_path, epochs=1)
    (tmp_path / ".model.safetensors.0a1b2c3d.part").write_bytes(b"torn")
    (tmp_path / f".{STATE}.0a1b2c3d.part").write_bytes(b"torn")
    run = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU)
    run.resume()
    assert run.epochs_done == 1
    assert {step.epoch for step in run.steps()} == {1}
    assert weights(tmp_path) == weights(trained)


def test_a_run_that_is_done_has_no_steps_left(trained: Path, data: LabelledPictures) -> None:
    before = weights(trained)
    run = TrainingRun(start(), data, PLAIN_RECIPE, trained, device=CPU)
    run.resume()
    assert list(run.steps()) == []
    assert weights(trained) == before


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        pytest.param({"learning_rate": 0.5}, "learning_rate 0.01, not 0.5", id="learning rate"),
        pytest.param({"epochs": 3}, "epochs 2, not 3", id="epochs"),
        pytest.param(
            {"seed": 7, "augmentation": RandomCrop(0.9)}, "augmentation.min_area 0.5, not 0.9, seed 0, not 7", id="two"
        ),
        pytest.param(
            {"seed": 7, "augmentation": RandomCrop(0.9), "epochs": 5, "batch_size": 3},
            "epochs 2, not 5, batch_size 4, not 3, augmentation.min_area 0.5, not 0.9, and 1 more",
            id="many",
        ),
    ],
)
def test_a_run_with_another_recipe_is_not_continued(
    trained: Path, data: LabelledPictures, recipe: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=rf"holds another run, which is done: {says}\. Train on from its weights"):
        TrainingRun(start(), data, replace(PLAIN_RECIPE, **recipe), trained, device=CPU).resume()


def test_a_run_with_other_pictures_labels_or_network_is_not_continued(
    trained: Path, data: LabelledPictures, tmp_path: Path
) -> None:
    def resume(data: LabelledPictures, begin: StartingPoint | None = None) -> str:
        with pytest.raises(UsageError) as caught:
            TrainingRun(begin or start(), data, PLAIN_RECIPE, trained, device=CPU).resume()
        return str(caught.value)

    begin = f"The pictures are not those that the run in {trained} began with: "
    changed = LabelledPictures(data.labels, (LocalFile("x/new.png"), *data.items[3:]), data.targets[2:])
    assert resume(replace(data, items=data.items[1:], targets=data.targets[1:])) == (
        f"{begin}1 picture is gone. Put them back as they were, or train on from the weights of that run (model) in "
        "another output."
    )
    assert f"{begin}1 picture is new (x/new.png) and 3 pictures are gone. " in resume(changed)
    more = LabelledPictures(("blue", "red", "teal"), (*data.items, LocalFile("teal/1.png")), np.append(data.targets, 2))
    assert f"{begin}1 picture is new (teal/1.png). " in resume(more)
    assert f"{begin}8 pictures are new ({data.items[8].name}, " in resume(replace(data, labels=("blue", "green")))
    wider = replace(CONFIG, encoder=replace(CONFIG.encoder, intermediate_size=64))
    other = StartingPoint(replace(start().checkpoint, config=wider), with_weights=False)
    assert "config.intermediate_size 32, not 64. " in resume(data, other)


def test_there_must_be_a_run_to_continue(data: LabelledPictures, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run to resume"):
        TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU).resume()


def test_a_state_that_is_cut_off_is_no_traceback(data: LabelledPictures, trained: Path, tmp_path: Path) -> None:
    run = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU)
    (tmp_path / STATE).write_bytes((trained / STATE).read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be read"):
        run.resume()


def damaged_state(trained: Path, out: Path, metadata: dict[str, str], **changes: torch.Tensor | None) -> None:
    """Write the state of ``trained`` with other metadata and tensors; None removes a tensor."""
    with safe_open(trained / STATE, framework="pt") as state:
        metadata = {**state.metadata(), **metadata}
    tensors = {**load_file(trained / STATE), **changes}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, out / STATE, metadata)


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"run": "{"}, id="a run that is cut"),
        pytest.param({"run": "[]"}, id="a run that is a list"),
        pytest.param({"epochs_done": ""}, id="no epochs"),
        pytest.param({"epochs_done": "two"}, id="epochs in words"),
        pytest.param({"epochs_done": "-1"}, id="epochs below zero"),
        pytest.param({"notes": "{"}, id="a history that is cut"),
        pytest.param({"notes": "[]"}, id="a history that is too short"),
        pytest.param({"notes": "[1, 2]"}, id="a history of something else"),
    ],
)
def test_a_state_with_damaged_metadata_is_no_traceback(
    data: LabelledPictures, trained: Path, tmp_path: Path, metadata: dict[str, str]
) -> None:
    damaged_state(trained, tmp_path, metadata)
    with pytest.raises(ModelError, match="does not hold the state of a training run"):
        TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU).resume()


def test_weights_alone_are_no_state(data: LabelledPictures, trained: Path, tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes(weights(trained))
    with pytest.raises(ModelError, match="does not hold the state of a training run"):
        TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU).resume()


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        pytest.param("weights/norm.weight", None, id="no weight"),
        pytest.param("weights/norm.weight", torch.zeros(1), id="a weight that would be broadcast"),
        pytest.param("exp_avg/head.bias", None, id="no moment"),
        pytest.param("exp_avg_sq/head.bias", torch.zeros(3), id="a moment of another length"),
        pytest.param("step/head.bias", torch.zeros(2), id="several counts of steps"),
    ],
)
def test_a_state_with_damaged_tensors_changes_nothing(
    data: LabelledPictures, trained: Path, tmp_path: Path, name: str, tensor: torch.Tensor | None
) -> None:
    damaged_state(trained, tmp_path, {}, **{name: tensor})
    run = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU)
    before = {key: value.clone() for key, value in run.trainer.network.state_dict().items()}
    with pytest.raises(ModelError, match=rf"lacks the tensor {name}, or has it in another shape"):
        run.resume()
    assert all(torch.equal(value, before[key]) for key, value in run.trainer.network.state_dict().items())


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """A full disk, as far as large files are concerned."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_last_epoch_as_it_was(trained: Path, data: LabelledPictures, tmp_path: Path) -> None:
    train(data, tmp_path, epochs=1)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    run = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU)
    run.resume()
    with files_no_larger_than(5000), pytest.raises(UsageError, match=r"model\.safetensors.*too large"):
        list(run.steps())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    run = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU)
    run.resume()
    list(run.steps())
    assert weights(tmp_path) == weights(trained)


def test_a_disk_that_is_full_in_the_first_epoch_leaves_nothing_in_the_way(
    trained: Path, data: LabelledPictures, tmp_path: Path
) -> None:
    with (
        files_no_larger_than(5000),
        pytest.raises(UsageError, match=r"too large.*Make room, and go on with resume"),
    ):
        train(data, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert weights(train(data, tmp_path)) == weights(trained)


def test_an_epoch_whose_checkpoint_could_not_be_written_is_not_lost(
    trained: Path, data: LabelledPictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise UsageError("The disk is full.", "Buy another.")

    with monkeypatch.context() as patch:
        patch.setattr("vithybrid_cli.training.run.write_checkpoint", refused)
        with pytest.raises(UsageError, match=r"The disk is full\. Make room, and go on with resume\."):
            train(data, tmp_path)
    run = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU)
    run.resume()
    assert run.epochs_done == 1
    next(steps := run.steps())
    steps.close()
    assert Checkpoint.read(tmp_path).config.labels == data.labels  # that of the first epoch, before the second
    resumed(data, tmp_path)
    assert weights(tmp_path) == weights(trained)


@pytest.mark.parametrize(
    ("free", "epochs", "done", "enough"),
    [
        pytest.param(1.01, 1, 0, True, id="one epoch"),
        pytest.param(0.5, 1, 0, False, id="one epoch and too little"),
        pytest.param(1.99, 2, 0, True, id="several, of which the larger file is twice there for a while"),
        pytest.param(1.01, 2, 0, False, id="several and too little"),
        pytest.param(0.9, 2, 1, True, id="resumed, where both are there already"),
        pytest.param(0.1, 2, 1, False, id="resumed and too little"),
    ],
)
def test_room_is_looked_for_before_the_first_step(
    data: LabelledPictures,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: float,
    epochs: int,
    done: int,
    *,
    enough: bool,
) -> None:
    size = sum((trained / name).stat().st_size for name in ("model.safetensors", STATE))
    recipe = replace(PLAIN_RECIPE, epochs=epochs)
    if done:
        train(data, tmp_path, recipe, epochs=done)
    run = TrainingRun(start(), data, recipe, tmp_path, device=CPU)
    if done:
        run.resume()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=10**9, free=int(free * size)))
    with closing(run.steps()) as steps, ExitStack() as expected:
        if not enough:
            expected.enter_context(pytest.raises(UsageError, match="has room for 0 MiB, and this run needs 1 MiB"))
        next(steps)


def test_a_second_run_into_the_same_folder_is_refused_and_disturbs_nothing(
    trained: Path, data: LabelledPictures, tmp_path: Path
) -> None:
    first = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU).steps()
    next(first)
    with pytest.raises(UsageError) as caught:
        train(data, tmp_path, replace(PLAIN_RECIPE, seed=1))
    assert str(caught.value) == (
        f"Another training run is writing to {tmp_path}. Wait until it has ended, or give another output."
    )
    list(first)
    assert weights(tmp_path) == weights(trained)


def test_a_run_that_was_left_in_its_midst_gives_the_folder_free(data: LabelledPictures, tmp_path: Path) -> None:
    train(data, tmp_path, epochs=1)
    train(data, tmp_path)
    assert not (tmp_path / LOCK).exists()


def test_the_lock_of_a_run_that_was_killed_is_no_obstacle(
    trained: Path, data: LabelledPictures, tmp_path: Path
) -> None:
    (tmp_path / LOCK).touch()
    assert weights(train(data, tmp_path)) == weights(trained)
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_place_that_cannot_be_written_is_refused_before_the_training(
    data: LabelledPictures, tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    steps = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path / out, device=CPU).steps()
    with pytest.raises(UsageError, match=r"Cannot write to .*\. Give another output"):
        next(steps)


def test_the_state_says_how_many_epochs_are_done(trained: Path) -> None:
    with safe_open(trained / STATE, framework="pt") as state:
        assert state.metadata()["epochs_done"] == "2"


@pytest.mark.parametrize("recipe", [PLAIN_RECIPE, FULL_RECIPE], ids=["plain", "full"])
def test_a_run_broken_off_after_any_epoch_or_within_one_ends_in_the_same_files(
    data: LabelledPictures, tmp_path: Path, recipe: Recipe
) -> None:
    held_out = pictures(tmp_path / "held", 3)
    expected = files(train(data, tmp_path / "unbroken", recipe, held_out=held_out))
    out = tmp_path / "broken"
    train(data, out, recipe, held_out=held_out, epochs=1)
    for epochs_done in range(1, recipe.epochs):
        run = TrainingRun(start(), data, recipe, out, device=CPU, held_out=held_out)
        run.resume()
        assert run.epochs_done == epochs_done
        steps = run.steps()
        for step in steps:
            if (step.epoch, step.step) == (epochs_done + 1, 2):
                break
        steps.close()
    assert files(out) == expected
    assert resumed(data, out, recipe, held_out=held_out).epochs_done == recipe.epochs
    assert files(out) == expected


def test_a_resumed_run_knows_its_history(data: LabelledPictures, tmp_path: Path) -> None:
    held_out = pictures(tmp_path / "held", 3)
    run = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path / "out", device=CPU, held_out=held_out)
    list(run.steps())
    again = TrainingRun(start(), data, PLAIN_RECIPE, tmp_path / "out", device=CPU, held_out=held_out)
    again.resume()
    assert again.history == run.history
    assert [epoch.number for epoch in again.history] == [1, 2]
    assert [epoch.pictures for epoch in again.history] == [6, 6]


def test_other_crops_are_another_run_even_where_no_number_is_another(trained: Path, data: LabelledPictures) -> None:
    other = replace(PLAIN_RECIPE, augmentation=Varied())
    with pytest.raises(UsageError, match=r"augmentation\.kind random crops, not varied pictures\. Train on from"):
        TrainingRun(start(), data, other, trained, device=CPU).resume()


def test_a_run_that_holds_out_other_pictures_is_not_continued(data: LabelledPictures, tmp_path: Path) -> None:
    kept, held_out = data.split(0.25, seed=0)
    train(kept, tmp_path, held_out=held_out, epochs=1)
    other, others_out = data.split(0.5, seed=0)
    with pytest.raises(UsageError, match=r"holds another run: other pictures are held out of these\. Resume with"):
        TrainingRun(start(), other, PLAIN_RECIPE, tmp_path, device=CPU, held_out=others_out).resume()
    with pytest.raises(UsageError, match=r"began with: 4 pictures are gone\. Put them back"):
        TrainingRun(start(), kept, PLAIN_RECIPE, tmp_path, device=CPU).resume()
    same_number, their_rest = data.split(0.25, seed=1)
    with pytest.raises(UsageError, match=r"other pictures are held out of these"):
        TrainingRun(start(), same_number, PLAIN_RECIPE, tmp_path, device=CPU, held_out=their_rest).resume()


def test_a_state_of_the_trainer_before_there_were_recipes_says_which_run_it_is(
    data: LabelledPictures, trained: Path, tmp_path: Path
) -> None:
    with safe_open(trained / STATE, framework="pt") as state:
        metadata = state.metadata()
    old = json.loads(metadata["run"])
    old = {name: old[name] for name in ("epochs", "batch_size", "learning_rate", "config")} | {"min_area": 0.5}
    save_file(load_file(trained / STATE), tmp_path / STATE, {"run": json.dumps(old), "epochs_done": "1"})
    before = files(tmp_path)
    with pytest.raises(UsageError) as caught:
        TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU).resume()
    assert "an earlier version of this program began: 1 of 2 epochs, at a learning rate of 0.01. " in str(caught.value)
    assert files(tmp_path) == before


def test_the_state_holds_each_weight_once_and_moments_and_averages_only_of_what_learns(
    data: LabelledPictures, tmp_path: Path
) -> None:
    recipe = replace(FULL_RECIPE, epochs=1, freeze=Freeze.ENCODER)
    begin = checkpoint(train(data, tmp_path / "start"))
    tensors = load_file(train(data, tmp_path / "out", recipe, begin) / STATE)
    kinds: dict[str, set[str]] = {}
    for name in tensors:
        kind, _, parameter = name.partition("/")
        kinds.setdefault(kind, set()).add(parameter)
    learning = {"head.weight", "head.bias"}
    assert kinds.pop("weights") > learning
    assert kinds.pop("average_steps") == {""}
    assert kinds.pop("pictures") == kinds.pop("contents") == {""}
    assert kinds == {"average": learning, "step": learning, "exp_avg": learning, "exp_avg_sq": learning}
    assert all(tensor.dtype == torch.float32 for name, tensor in tensors.items() if "/" in name)


def test_a_frozen_run_ends_in_the_same_bytes_when_it_is_broken_off(data: LabelledPictures, tmp_path: Path) -> None:
    recipe = replace(FULL_RECIPE, epochs=2, freeze=Freeze.BACKBONE)
    begin = checkpoint(train(data, tmp_path / "start"))
    unbroken = train(data, tmp_path / "unbroken", recipe, begin)
    broken = train(data, tmp_path / "broken", recipe, begin, epochs=1)
    resumed(data, broken, recipe, begin)
    assert files(broken) == files(unbroken)
