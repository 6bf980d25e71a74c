"""Trainings of a second or two: networks of a few hundred weights, on a few plain pictures."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import BitConfig, EncoderConfig, VitConfig
from vithybrid_cli.training.augment import RandomCrop, Varied
from vithybrid_cli.training.data import LabelledPictures, read_labelled
from vithybrid_cli.training.recipe import Recipe
from vithybrid_cli.training.run import StartingPoint, TrainingRun
from vithybrid_cli.training.state import STATE
from vithybrid_cli.training.trainer import Step

CPU = torch.device("cpu")
CONFIG = VitConfig(
    EncoderConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32),
    labels=("a", "b"),
    image_size=(16, 16),
    patch_size=(1, 1),
    backbone=BitConfig(embedding_size=8, hidden_sizes=(16,), depths=(1,), num_groups=4, out_stage=1),
    family="hybrid",
)
PLAIN_RECIPE = Recipe(
    epochs=2, batch_size=4, learning_rate=1e-2, augmentation=RandomCrop(min_area=0.5), warmup_epochs=0.5, clip=1.0
)
# All that a recipe can hold at once.
FULL_RECIPE = Recipe(
    epochs=4,
    batch_size=4,
    learning_rate=1e-2,
    augmentation=Varied(),
    matrix_rate=0.02,
    beta2=0.99,
    warmup_epochs=0.5,
    alternate_flips=True,
    clip=1.0,
    average_epochs=0.5,
    small_size=0.5,
    small_epochs=0.5,
    layer_decay=0.8,
    head_epochs=0.25,
    class_weights=True,
)


def start(config: VitConfig = CONFIG) -> StartingPoint:
    """Random weights for this ``config``."""
    preprocessing = Preprocessing.default(config.image_size)
    return StartingPoint(Checkpoint(Path("small"), config, preprocessing), with_weights=False)


def checkpoint(folder: Path, *, with_weights: bool = True) -> StartingPoint:
    return StartingPoint(Checkpoint.read(folder), with_weights)


def pictures(
    folder: Path, count: int | Iterable[int] = 8, labels: tuple[str, ...] = ("blue", "red")
) -> LabelledPictures:
    """Plain pictures, ``count`` of each label, which look the same however they are cropped and flipped."""
    counts = [count] * len(labels) if isinstance(count, int) else list(count)
    for label, pictures_of_it in zip(labels, counts, strict=True):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(pictures_of_it):
            colour = tuple(min(255, part + number) for part in ((30, 40, 180) if label == "blue" else (180, 40, 30)))
            Image.new("RGB", (20, 18), colour).save(folder / label / f"{number}.png")
    return read_labelled(folder)


def train(
    data: LabelledPictures,
    out: Path,
    recipe: Recipe = PLAIN_RECIPE,
    begin: StartingPoint | None = None,
    epochs: int | None = None,
    **options: Any,
) -> Path:
    """Run, for so many epochs before it is broken off, and return the folder."""
    steps = TrainingRun(begin or start(), data, recipe, out, device=CPU, **options).steps()
    for step in steps:
        if epochs is not None and step.epoch == epochs:
            break
    steps.close()
    return out


def resumed(
    data: LabelledPictures,
    out: Path,
    recipe: Recipe = PLAIN_RECIPE,
    begin: StartingPoint | None = None,
    **options: Any,
) -> TrainingRun:
    """The run that ``out`` holds, at its end."""
    run = TrainingRun(begin or start(), data, recipe, out, device=CPU, **options)
    run.resume()
    list(run.steps())
    return run


def first_step(data: LabelledPictures, out: Path, recipe: Recipe, begin: StartingPoint | None = None) -> Step:
    steps = TrainingRun(begin or start(), data, recipe, out, device=CPU).steps()
    step = next(steps)
    steps.close()
    return step


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def files(folder: Path) -> dict[str, bytes]:
    """The bytes of all files; of a state those of its tensors and metadata, which safetensors writes in any order."""
    found = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != STATE}
    if not (folder / STATE).exists():
        return found
    with safe_open(folder / STATE, framework="np") as state:
        metadata = state.metadata()
    tensors = {name: tensor.tobytes() for name, tensor in load_file(folder / STATE).items()}
    return found | tensors | {name: text.encode() for name, text in metadata.items()}


def at_rate_zero(recipe: Recipe = PLAIN_RECIPE) -> Recipe:
    """One epoch in which nothing changes."""
    return replace(recipe, epochs=1, batch_size=2, learning_rate=0.0, matrix_rate=None)
