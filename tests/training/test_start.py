"""What a run starts from: checkpoints of every layout and family, and heads for other labels."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from headless import make_headless
from places import GOLDENS
from safetensors.torch import load_file
from small_checkpoints import PLAIN, jax_arrays, write_npz, write_timm
from small_trainings import CONFIG, CPU, PLAIN_RECIPE, at_rate_zero, checkpoint, pictures, start, train
from torch import nn

from vithybrid_cli.bench.random_weights import write_random
from vithybrid_cli.checkpoints.checkpoint import Checkpoint, Layout
from vithybrid_cli.checkpoints.load import load_network, read_weights
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.run import StartingPoint, TrainingRun

GOLDEN = GOLDENS / "hf-hybrid-small"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledPictures:
    return pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: LabelledPictures) -> Path:
    """The output of two epochs; tests only read it."""
    return train(data, tmp_path_factory.mktemp("trained"))


def test_fine_tuning_on_other_labels_begins_with_the_weights_and_a_new_head(trained: Path, tmp_path: Path) -> None:
    data = pictures(tmp_path, count=2, labels=("amber", "green", "teal"))
    network = TrainingRun(checkpoint(trained), data, PLAIN_RECIPE, tmp_path / "out", device=CPU).trainer.network
    before = load_file(trained / "model.safetensors")
    assert isinstance(network.norm, nn.LayerNorm)
    assert torch.equal(network.norm.weight, before["vit.layernorm.weight"])
    assert isinstance(network.head, nn.Linear)
    assert network.head.weight.shape == (3, 16)
    assert not network.head.weight.any()
    assert network.config.labels == ("amber", "green", "teal")


def test_fine_tuning_on_the_same_labels_keeps_their_order_and_the_head(data: LabelledPictures, tmp_path: Path) -> None:
    swapped = LabelledPictures(("red", "blue"), data.items, 1 - data.targets)
    begin = checkpoint(train(swapped, tmp_path / "start"))
    assert begin.checkpoint.config.labels == ("red", "blue")
    run = TrainingRun(begin, data, PLAIN_RECIPE, tmp_path / "out", device=CPU)
    before = load_file(tmp_path / "start" / "model.safetensors")
    assert torch.equal(run.trainer.network.state_dict()["head.weight"], before["classifier.weight"])
    assert run.config.labels == ("red", "blue")
    assert run.trainer.data.targets.tolist() == swapped.targets.tolist()


def test_fine_tuning_a_checkpoint_of_transformers_starts_with_its_weights(tmp_path: Path) -> None:
    data = pictures(tmp_path / "pictures", count=1)
    train(data, tmp_path / "out", at_rate_zero(), checkpoint(GOLDEN))
    before, after = (load_file(folder / "model.safetensors") for folder in (GOLDEN, tmp_path / "out"))
    same = [
        name for name, tensor in before.items() if after[name].shape == tensor.shape and (after[name] == tensor).all()
    ]
    assert sorted(before.keys() - set(same)) == ["classifier.bias", "classifier.weight"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("hf-vit", id="ViT"),
        pytest.param("hf-deit", id="DeiT"),
        pytest.param("hf-beit", id="BEiT"),
        pytest.param("timm-hybrid", id="timm"),
        pytest.param("jax-hybrid/R50+ViT.npz", id="JAX"),
    ],
)
def test_fine_tuning_starts_from_each_layout_and_family(name: str, tmp_path: Path) -> None:
    data = pictures(tmp_path / "pictures", count=1)
    begin = checkpoint(GOLDEN.parent / name)
    trained = checkpoint(train(data, tmp_path / "out", at_rate_zero(), begin)).checkpoint
    assert trained.layout is Layout.TRANSFORMERS
    assert trained.config == replace(begin.config, labels=("blue", "red"))
    before, after = read_weights(begin.checkpoint), read_weights(trained)
    assert sorted(name for name in before if not torch.equal(before[name], after[name])) == ["head.bias", "head.weight"]


@pytest.mark.parametrize("pooler", [False, True])
def test_fine_tuning_a_network_without_a_head_gives_it_one(tmp_path: Path, pooler: bool) -> None:
    backbone = make_headless(tmp_path / "backbone", pooler=pooler)
    data = pictures(tmp_path / "pictures", count=1)
    trained = checkpoint(
        train(data, tmp_path / "out", replace(PLAIN_RECIPE, epochs=1), checkpoint(backbone))
    ).checkpoint
    assert trained.config.labels == ("blue", "red")
    assert len(load_network(trained)(torch.zeros(1, 3, 64, 64))[0]) == 2


def test_a_head_whose_layer_would_be_left_out_is_not_trained_on(tmp_path: Path) -> None:
    data = pictures(tmp_path / "pictures", count=1, labels=("LABEL_0", "LABEL_1"))
    arrays = jax_arrays(replace(PLAIN, labels=data.labels, pooler=True))
    begin = checkpoint(write_npz(tmp_path / "in21k.npz", arrays))
    with pytest.raises(UsageError, match="has these labels already, and a layer between encoder and head"):
        TrainingRun(begin, data, PLAIN_RECIPE, tmp_path / "out", device=CPU)
    assert (
        TrainingRun(
            begin, replace(data, labels=("cat", "dog")), PLAIN_RECIPE, tmp_path / "out", device=CPU
        ).config.pooler
        is False
    )


@pytest.mark.parametrize(
    ("name", "says"), [("hf-bit", "is a BiT, which"), ("hf-deit-distilled", "with two heads, which")]
)
def test_what_cannot_be_trained_is_said_before_anything_is_written(
    name: str, says: str, data: LabelledPictures, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        TrainingRun(checkpoint(GOLDEN.parent / name), data, PLAIN_RECIPE, tmp_path / "out", device=CPU)
    assert not (tmp_path / "out").exists()


def test_what_transformers_has_no_class_for_is_refused_before_an_epoch_is_spent(
    data: LabelledPictures, tmp_path: Path
) -> None:
    begin = checkpoint(write_timm(tmp_path / "timm", PLAIN, "vit_base_patch16_32", global_pool="avg"))
    with pytest.raises(ModelError, match="transformers has no ViT whose head reads the mean of the patches"):
        TrainingRun(begin, data, PLAIN_RECIPE, tmp_path / "out", device=CPU)


def test_a_start_that_runs_at_another_size_than_it_is_stored_for_is_trained_at_that_size(tmp_path: Path) -> None:
    stored = replace(CONFIG, backbone=None, family="beit", patch_size=(8, 8), absolute_positions=True)
    write_random(stored, Preprocessing((24, 24), (24, 24)), tmp_path / "beit")
    begin = StartingPoint(Checkpoint.read(tmp_path / "beit"), with_weights=True)
    begin.check()
    assert begin.config.image_size == (24, 24)
    assert begin.weights(begin.head(("c",)))["embeddings.position_embeddings"].shape == (1, 10, 16)


def test_a_start_whose_preprocessing_does_not_fit_its_network_is_refused(
    data: LabelledPictures, tmp_path: Path
) -> None:
    begin = StartingPoint(
        replace(start().checkpoint, preprocessing=Preprocessing.default((24, 24))), with_weights=False
    )
    with pytest.raises(ModelError, match="takes pictures of 16×16, but its preprocessing gives 24×24"):
        TrainingRun(begin, data, PLAIN_RECIPE, tmp_path, device=CPU)
