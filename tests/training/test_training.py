"""A training run: its recipe, the checkpoints that it writes, and how it is continued to the very same bytes."""

import json
import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from headless import make_headless
from PIL import Image
from places import GOLDENS
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_checkpoints import PLAIN, jax_arrays, write_npz, write_timm
from torch import nn

from vithybrid_cli import Classifier
from vithybrid_cli.bench.random_weights import write_random
from vithybrid_cli.checkpoints.checkpoint import Checkpoint, Layout
from vithybrid_cli.checkpoints.layouts.transformers import read_config
from vithybrid_cli.checkpoints.load import load_network, read_weights
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import BitConfig, EncoderConfig, VitConfig
from vithybrid_cli.training.data import LabelledPictures, read_labelled
from vithybrid_cli.training.network import raw_weights, trainable_network
from vithybrid_cli.training.run import StartingPoint, TrainingRun
from vithybrid_cli.training.state import LOCK, STATE
from vithybrid_cli.training.trainer import Recipe, Step, has_bfloat16, parameter_groups, schedule

GOLDEN = GOLDENS / "hf-hybrid-small"
CPU = torch.device("cpu")
CONFIG = VitConfig(
    EncoderConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32),
    labels=("a", "b"),
    image_size=(16, 16),
    patch_size=(1, 1),
    backbone=BitConfig(embedding_size=8, hidden_sizes=(16,), depths=(1,), num_groups=4, out_stage=1),
    family="hybrid",
)
RECIPE = Recipe(epochs=2, batch_size=4, learning_rate=1e-2, warmup_epochs=0.5)
SMALL = StartingPoint(Checkpoint(Path("small"), CONFIG, Preprocessing.default((16, 16))), with_weights=False)


def pictures(folder: Path, count: int = 8, labels: tuple[str, ...] = ("blue", "red")) -> LabelledPictures:
    """Plain pictures, which look the same however they are cropped and flipped."""
    for label in labels:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            colour = tuple(min(255, part + number) for part in ((30, 40, 180) if label == "blue" else (180, 40, 30)))
            Image.new("RGB", (20, 18), colour).save(folder / label / f"{number}.png")
    return read_labelled(folder)


def paths_of(data: LabelledPictures) -> list[str]:
    return [item.name for item in data.items]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks as small as these only lose by more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledPictures:
    return pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: LabelledPictures) -> Path:
    """The output of two epochs; tests only read it."""
    return train(data, tmp_path_factory.mktemp("trained"))


def train(
    data: LabelledPictures,
    out: Path,
    recipe: Recipe = RECIPE,
    start: StartingPoint = SMALL,
    epochs: int | None = None,
    **options: Any,
) -> Path:
    """Run, for so many epochs before it is broken off, and return the folder."""
    run = TrainingRun(start, data, recipe, out, device=CPU, **options)
    steps = run.steps()
    for step in steps:
        if epochs is not None and step.epoch == epochs:
            break
    steps.close()
    return out


def checkpoint(folder: Path, *, with_weights: bool = True) -> StartingPoint:
    return StartingPoint(Checkpoint.read(folder), with_weights)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def first_step(start: StartingPoint, data: LabelledPictures, recipe: Recipe, out: Path) -> Step:
    steps = TrainingRun(start, data, recipe, out, device=CPU).steps()
    step = next(steps)
    steps.close()
    return step


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [
        pytest.param(0, 0.0, id="start"),
        pytest.param(1, 0.5, id="half of the warm-up"),
        pytest.param(2, 1.0, id="end of the warm-up"),
        pytest.param(6, 0.5, id="half of the cosine"),
        pytest.param(4, 0.5 * (1 + math.sqrt(0.5)), id="quarter of the cosine"),
        pytest.param(10, 0.0, id="end"),
    ],
)
def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine(epoch: float, factor: float) -> None:
    assert schedule(epoch, warmup=2, epochs=10) == pytest.approx(factor, abs=1e-12)


def test_without_warm_up_the_learning_rate_starts_at_its_highest() -> None:
    assert schedule(0, warmup=0, epochs=3) == 1.0


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


def test_two_colours_are_told_apart_after_two_epochs(trained: Path, tmp_path: Path) -> None:
    held_out = pictures(tmp_path, count=3)
    results = list(Classifier.from_pretrained(trained, device="cpu").classify(held_out.items, top_k=1))
    assert [result.predictions[0].index for result in results] == held_out.targets.tolist()
    assert [result.predictions[0].label for result in results] == ["blue"] * 3 + ["red"] * 3


def test_the_first_loss_of_a_new_head_is_that_of_a_guess(data: LabelledPictures, tmp_path: Path) -> None:
    assert first_step(SMALL, data, RECIPE, tmp_path).loss == pytest.approx(math.log(2), rel=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_smoothed_cross_entropy_of_the_logits(
    trained: Path, data: LabelledPictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smoothing: float
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)  # no bfloat16
    start = checkpoint(trained)
    preprocessing = start.checkpoint.preprocessing
    crops = np.stack([preprocessing.pixels(Image.open(item.name)) for item in data.items])
    pixels = torch.from_numpy(preprocessing.normalization.apply(crops))
    shares = load_network(start.checkpoint)(pixels).log_softmax(dim=1)
    right = shares[torch.arange(len(data.targets)), torch.from_numpy(data.targets)]
    expected = -((1 - smoothing) * right + smoothing * shares.mean(dim=1)).mean().item()
    recipe = replace(RECIPE, batch_size=len(data.items), label_smoothing=smoothing)
    assert first_step(start, data, recipe, tmp_path).loss == pytest.approx(expected, rel=1e-4)


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
    start = StartingPoint(replace(SMALL.checkpoint, preprocessing=preprocessing), with_weights=False)
    train(data, tmp_path, replace(RECIPE, epochs=1), start)
    assert Checkpoint.read(tmp_path).preprocessing == preprocessing


def test_names_and_shapes_of_the_tensors_are_those_of_transformers(tmp_path: Path) -> None:
    data = pictures(tmp_path / "pictures", count=1)
    train(data, tmp_path / "out", replace(RECIPE, epochs=1), checkpoint(GOLDEN, with_weights=False))
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


def test_the_state_keeps_full_precision_when_the_weights_are_stored_in_half(
    data: LabelledPictures, tmp_path: Path
) -> None:
    unbroken = train(data, tmp_path / "unbroken", dtype=torch.float16)
    broken = train(data, tmp_path / "broken", epochs=1, dtype=torch.float16)
    run = TrainingRun(SMALL, data, RECIPE, broken, device=CPU, dtype=torch.float16)
    run.resume()
    list(run.steps())
    assert weights(broken) == weights(unbroken)


def test_the_network_computes_in_training_what_it_computes_after_loading(trained: Path, data: LabelledPictures) -> None:
    start = checkpoint(trained)
    network = TrainingRun(start, data, RECIPE, trained, device=CPU).trainer.network
    pixels = torch.rand(2, 3, 16, 16)
    assert torch.allclose(network(pixels), load_network(start.checkpoint)(pixels), atol=1e-5)


def test_equal_seeds_give_equal_bytes_whatever_the_threads(
    trained: Path, data: LabelledPictures, tmp_path: Path
) -> None:
    assert weights(train(data, tmp_path, workers=5)) == weights(trained)


def test_another_seed_gives_other_weights(trained: Path, data: LabelledPictures, tmp_path: Path) -> None:
    assert weights(train(data, tmp_path, replace(RECIPE, seed=1))) != weights(trained)


def test_a_run_that_was_broken_off_ends_in_the_same_bytes(
    trained: Path, data: LabelledPictures, tmp_path: Path
) -> None:
    train(data, tmp_path, epochs=1)
    (tmp_path / ".model.safetensors.0a1b2c3d.part").write_bytes(b"torn")
    (tmp_path / f".{STATE}.0a1b2c3d.part").write_bytes(b"torn")
    run = TrainingRun(SMALL, data, RECIPE, tmp_path, device=CPU)
    run.resume()
    assert run.epochs_done == 1
    assert {step.epoch for step in run.steps()} == {1}
    assert weights(tmp_path) == weights(trained)


def test_a_run_that_is_done_has_no_steps_left(trained: Path, data: LabelledPictures) -> None:
    before = weights(trained)
    run = TrainingRun(SMALL, data, RECIPE, trained, device=CPU)
    run.resume()
    assert list(run.steps()) == []
    assert weights(trained) == before


def test_steps_count_pictures_and_average_the_loss_of_the_epoch(data: LabelledPictures, tmp_path: Path) -> None:
    steps = list(TrainingRun(SMALL, data, RECIPE, tmp_path, device=CPU).steps())
    assert [(step.epoch, step.step, step.steps) for step in steps] == [(e, s, 4) for e in (0, 1) for s in (1, 2, 3, 4)]
    assert {step.pictures for step in steps} == {4}
    assert steps[-1].loss < steps[3].loss < steps[0].loss


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        pytest.param({"learning_rate": 0.5}, "learning_rate 0.01, not 0.5", id="learning rate"),
        pytest.param({"epochs": 3}, "epochs 2, not 3", id="epochs"),
        pytest.param({"seed": 7, "min_area": 0.9}, "min_area 0.5, not 0.9, seed 0, not 7", id="two"),
        pytest.param(
            {"seed": 7, "min_area": 0.9, "epochs": 5, "batch_size": 3},
            "epochs 2, not 5, batch_size 4, not 3, min_area 0.5, not 0.9, and 1 more",
            id="many",
        ),
    ],
)
def test_a_run_with_another_recipe_is_not_continued(
    trained: Path, data: LabelledPictures, recipe: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=rf"holds another run: {says}\. Resume with the options of that run"):
        TrainingRun(SMALL, data, replace(RECIPE, **recipe), trained, device=CPU).resume()


def test_a_run_with_other_pictures_labels_or_network_is_not_continued(
    trained: Path, data: LabelledPictures, tmp_path: Path
) -> None:
    def resume(data: LabelledPictures, start: StartingPoint = SMALL) -> str:
        with pytest.raises(UsageError) as caught:
            TrainingRun(start, data, RECIPE, trained, device=CPU).resume()
        return str(caught.value)

    assert "pictures 16, not 15" in resume(replace(data, items=data.items[1:], targets=data.targets[1:]))
    assert "fingerprint of the pictures' names " in resume(replace(data, targets=data.targets[::-1]))
    assert "config.id2label.1 red, not green" in resume(replace(data, labels=("blue", "green")))
    wider = replace(CONFIG, encoder=replace(CONFIG.encoder, intermediate_size=64))
    other = StartingPoint(replace(SMALL.checkpoint, config=wider), with_weights=False)
    assert "config.intermediate_size 32, not 64. " in resume(data, other)


def test_there_must_be_a_run_to_continue(data: LabelledPictures, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run to resume"):
        TrainingRun(SMALL, data, RECIPE, tmp_path, device=CPU).resume()


def test_a_state_that_is_cut_off_is_no_traceback(data: LabelledPictures, trained: Path, tmp_path: Path) -> None:
    run = TrainingRun(SMALL, data, RECIPE, tmp_path, device=CPU)
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
    ],
)
def test_a_state_with_damaged_metadata_is_no_traceback(
    data: LabelledPictures, trained: Path, tmp_path: Path, metadata: dict[str, str]
) -> None:
    damaged_state(trained, tmp_path, metadata)
    with pytest.raises(ModelError, match="does not hold the state of a training run"):
        TrainingRun(SMALL, data, RECIPE, tmp_path, device=CPU).resume()


def test_weights_alone_are_no_state(data: LabelledPictures, trained: Path, tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes(weights(trained))
    with pytest.raises(ModelError, match="does not hold the state of a training run"):
        TrainingRun(SMALL, data, RECIPE, tmp_path, device=CPU).resume()


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
    run = TrainingRun(SMALL, data, RECIPE, tmp_path, device=CPU)
    before = {key: value.clone() for key, value in run.trainer.network.state_dict().items()}
    with pytest.raises(ModelError, match=rf"lacks the tensor {name}, or has it in another shape"):
        run.resume()
    assert all(torch.equal(value, before[key]) for key, value in run.trainer.network.state_dict().items())


def test_fine_tuning_on_other_labels_begins_with_the_weights_and_a_new_head(trained: Path, tmp_path: Path) -> None:
    data = pictures(tmp_path, count=2, labels=("blue", "green", "red"))
    network = TrainingRun(checkpoint(trained), data, RECIPE, tmp_path / "out", device=CPU).trainer.network
    before = load_file(trained / "model.safetensors")
    assert isinstance(network.norm, nn.LayerNorm)
    assert torch.equal(network.norm.weight, before["vit.layernorm.weight"])
    assert isinstance(network.head, nn.Linear)
    assert network.head.weight.shape == (3, 16)
    assert not network.head.weight.any()
    assert network.config.labels == ("blue", "green", "red")


def test_fine_tuning_on_the_same_labels_keeps_their_order_and_the_head(data: LabelledPictures, tmp_path: Path) -> None:
    swapped = LabelledPictures(("red", "blue"), data.items, 1 - data.targets)
    start = checkpoint(train(swapped, tmp_path / "start"))
    assert start.checkpoint.config.labels == ("red", "blue")
    run = TrainingRun(start, data, RECIPE, tmp_path / "out", device=CPU)
    before = load_file(tmp_path / "start" / "model.safetensors")
    assert torch.equal(run.trainer.network.state_dict()["head.weight"], before["classifier.weight"])
    assert run.config.labels == ("red", "blue")
    assert run.trainer.data.targets.tolist() == swapped.targets.tolist()


def test_fine_tuning_a_checkpoint_of_transformers_starts_with_its_weights(tmp_path: Path) -> None:
    data = pictures(tmp_path / "pictures", count=1)
    recipe = replace(RECIPE, epochs=1, batch_size=2, learning_rate=0.0)
    train(data, tmp_path / "out", recipe, checkpoint(GOLDEN))
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
    start = checkpoint(GOLDEN.parent / name)
    recipe = replace(RECIPE, epochs=1, batch_size=2, learning_rate=0.0)
    trained = checkpoint(train(data, tmp_path / "out", recipe, start)).checkpoint
    assert trained.layout is Layout.TRANSFORMERS
    assert trained.config == replace(start.config, labels=("blue", "red"))
    before, after = read_weights(start.checkpoint), read_weights(trained)
    assert sorted(name for name in before if not torch.equal(before[name], after[name])) == ["head.bias", "head.weight"]


def test_vectors_tokens_and_positions_do_not_decay() -> None:
    encoder = replace(CONFIG.encoder, layer_scale=True, relative_positions="each")
    network = trainable_network(replace(CONFIG, encoder=encoder, backbone=None, distillation_token=True))
    decayed, kept = parameter_groups(network, weight_decay=0.1)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(kept["params"]) == len(list(network.parameters()))
    identities = {id(parameter) for parameter in decayed["params"]}
    assert {name for name, parameter in network.named_parameters() if id(parameter) in identities} == {
        "embeddings.projection.weight",
        "blocks.0.attn.qkv.weight",
        "blocks.0.attn.proj.weight",
        "blocks.0.mlp.fc1.weight",
        "blocks.0.mlp.fc2.weight",
        "head.weight",
    }


def test_a_new_beit_begins_with_small_residual_branches_and_no_positions() -> None:
    encoder = replace(CONFIG.encoder, layer_scale=True, relative_positions="shared")
    start = raw_weights(trainable_network(replace(CONFIG, encoder=encoder)))
    assert start["blocks.0.ls1.gamma"].tolist() == pytest.approx([0.1] * 16)
    assert start["blocks.0.ls2.gamma"].tolist() == pytest.approx([0.1] * 16)
    assert not start["relative_position_bias.table"].any()


@pytest.mark.parametrize("pooler", [False, True])
def test_fine_tuning_a_network_without_a_head_gives_it_one(tmp_path: Path, pooler: bool) -> None:
    backbone = make_headless(tmp_path / "backbone", pooler=pooler)
    data = pictures(tmp_path / "pictures", count=1)
    trained = checkpoint(train(data, tmp_path / "out", replace(RECIPE, epochs=1), checkpoint(backbone))).checkpoint
    assert trained.config.labels == ("blue", "red")
    assert len(load_network(trained)(torch.zeros(1, 3, 64, 64))[0]) == 2


def test_a_head_whose_layer_would_be_left_out_is_not_trained_on(tmp_path: Path) -> None:
    data = pictures(tmp_path / "pictures", count=1, labels=("LABEL_0", "LABEL_1"))
    arrays = jax_arrays(replace(PLAIN, labels=data.labels, pooler=True))
    start = checkpoint(write_npz(tmp_path / "in21k.npz", arrays))
    with pytest.raises(UsageError, match="has these labels already, and a layer between encoder and head"):
        TrainingRun(start, data, RECIPE, tmp_path / "out", device=CPU)
    assert (
        TrainingRun(start, replace(data, labels=("cat", "dog")), RECIPE, tmp_path / "out", device=CPU).config.pooler
        is False
    )


@pytest.mark.parametrize(
    ("name", "says"), [("hf-bit", "is a BiT, which"), ("hf-deit-distilled", "with two heads, which")]
)
def test_what_cannot_be_trained_is_said_before_anything_is_written(
    name: str, says: str, data: LabelledPictures, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        TrainingRun(checkpoint(GOLDEN.parent / name), data, RECIPE, tmp_path / "out", device=CPU)
    assert not (tmp_path / "out").exists()


def test_what_transformers_has_no_class_for_is_refused_before_an_epoch_is_spent(
    data: LabelledPictures, tmp_path: Path
) -> None:
    start = checkpoint(write_timm(tmp_path / "timm", PLAIN, "vit_base_patch16_32", global_pool="avg"))
    with pytest.raises(ModelError, match="transformers has no ViT whose head reads the mean of the patches"):
        TrainingRun(start, data, RECIPE, tmp_path / "out", device=CPU)


def test_a_start_that_runs_at_another_size_than_it_is_stored_for_is_trained_at_that_size(tmp_path: Path) -> None:
    stored = replace(CONFIG, backbone=None, family="beit", patch_size=(8, 8), absolute_positions=True)
    write_random(stored, Preprocessing((24, 24), (24, 24)), tmp_path / "beit")
    start = StartingPoint(Checkpoint.read(tmp_path / "beit"), with_weights=True)
    start.check()
    assert start.config.image_size == (24, 24)
    assert start.weights(("c",))["embeddings.position_embeddings"].shape == (1, 10, 16)


def test_a_start_whose_preprocessing_does_not_fit_its_network_is_refused(
    data: LabelledPictures, tmp_path: Path
) -> None:
    start = StartingPoint(replace(SMALL.checkpoint, preprocessing=Preprocessing.default((24, 24))), with_weights=False)
    with pytest.raises(ModelError, match="takes pictures of 16×16, but its preprocessing gives 24×24"):
        TrainingRun(start, data, RECIPE, tmp_path, device=CPU)


def test_a_training_that_diverges_is_stopped_with_the_remedy(data: LabelledPictures, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the loss is not finite in epoch 1\. Give a lower learning rate \(lr\)"):
        train(data, tmp_path, replace(RECIPE, learning_rate=1e30))
    assert not (tmp_path / "config.json").exists()


def test_a_batch_that_cannot_be_read_is_skipped_and_its_loss_is_not_counted(tmp_path: Path) -> None:
    data = pictures(tmp_path, count=2)
    for path in paths_of(data)[1:]:
        Path(path).write_bytes(b"no picture")
    steps = list(
        TrainingRun(SMALL, data, replace(RECIPE, epochs=1, batch_size=1), tmp_path / "out", device=CPU).steps()
    )
    assert sorted(step.pictures for step in steps) == [0, 0, 0, 1]
    assert sorted(path for step in steps for path in step.unreadable) == sorted(paths_of(data)[1:])
    assert steps[-1].loss == pytest.approx(math.log(2), rel=1e-3)


def test_pictures_that_can_none_be_read_are_an_error_and_no_checkpoint(tmp_path: Path) -> None:
    data = pictures(tmp_path, count=2)
    for path in paths_of(data):
        Path(path).write_bytes(b"no picture")
    with pytest.raises(UsageError, match="None of the pictures could be read"):
        train(data, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


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
    run = TrainingRun(SMALL, data, RECIPE, tmp_path, device=CPU)
    run.resume()
    with files_no_larger_than(5000), pytest.raises(UsageError, match=r"model\.safetensors.*too large"):
        list(run.steps())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    run = TrainingRun(SMALL, data, RECIPE, tmp_path, device=CPU)
    run.resume()
    list(run.steps())
    assert weights(tmp_path) == weights(trained)


def test_a_second_run_into_the_same_folder_is_refused_and_disturbs_nothing(
    trained: Path, data: LabelledPictures, tmp_path: Path
) -> None:
    first = TrainingRun(SMALL, data, RECIPE, tmp_path, device=CPU).steps()
    next(first)
    with pytest.raises(UsageError) as caught:
        train(data, tmp_path, replace(RECIPE, seed=1))
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
    steps = TrainingRun(SMALL, data, RECIPE, tmp_path / out, device=CPU).steps()
    with pytest.raises(UsageError, match=r"Cannot write to .*\. Give another output"):
        next(steps)


def test_the_state_says_how_many_epochs_are_done(trained: Path) -> None:
    with safe_open(trained / STATE, framework="pt") as state:
        assert state.metadata()["epochs_done"] == "2"
