"""How good a network is on held-out pictures, and the temperature that fits its scores."""

import math
from pathlib import Path

import numpy as np
import pytest
from small_trainings import CONFIG, pictures

from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.training.augment import Pixels
from vithybrid_cli.training.held_out import LEAST_FOR_TEMPERATURE, Logits, Measured, measured


def found(sharpness: float, count: int = 500, classes: int = 5, seed: int = 0) -> Measured:
    """Logits whose scores are right at a temperature of ``sharpness``: labels are drawn from these."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.array([rng.choice(classes, p=one) for one in scores])
    return Measured((logits * sharpness).astype(np.float32), targets)


def loss(one: Measured, temperature: float) -> float:
    scaled = one.logits.astype(np.float64) / temperature
    shares = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
    return -float(shares[np.arange(len(one.targets)), one.targets].mean())


@pytest.mark.parametrize("sharpness", [0.5, 0.8, 1.0, 1.7, 3.0])
def test_the_temperature_is_the_best_of_a_fine_grid(sharpness: float) -> None:
    one = found(sharpness)
    grid = np.exp(np.linspace(math.log(1 / 4), math.log(4), 2001))
    best = float(grid[np.argmin([loss(one, float(temperature)) for temperature in grid])])
    assert one.temperature == pytest.approx(best, rel=2e-3)
    assert one.temperature == pytest.approx(sharpness, rel=0.15)
    assert loss(one, one.temperature) <= loss(one, best) + 1e-12


def test_the_sharper_the_logits_are_the_higher_is_the_temperature_in_proportion() -> None:
    soft, sharp = found(0.6).temperature, found(1.8).temperature
    assert sharp == pytest.approx(3 * soft, rel=1e-3)


def test_a_temperature_leaves_the_order_of_labels_alone_and_softens_scores_the_more_the_higher_it_is() -> None:
    logits = found(1.0, count=50).logits.astype(np.float64)
    highest = []
    for temperature in (0.5, 1.0, 2.0, 4.0):
        scores = np.exp(logits / temperature)
        scores /= scores.sum(1, keepdims=True)
        assert (scores.argmax(1) == logits.argmax(1)).all()
        highest.append(scores.max(1))
    assert (np.diff(highest, axis=0) < 0).all()


def test_logits_that_are_always_right_or_never_stay_within_the_bounds() -> None:
    logits = np.eye(3, dtype=np.float32)[np.arange(300) % 3] * 3
    assert Measured(logits, np.arange(300) % 3).temperature == pytest.approx(1 / 4, rel=1e-3)
    assert Measured(logits, (np.arange(300) + 1) % 3).temperature == pytest.approx(4, rel=1e-3)


def test_few_pictures_set_no_temperature() -> None:
    assert found(2.0, count=LEAST_FOR_TEMPERATURE - 1).temperature == 1.0
    assert found(2.0, count=LEAST_FOR_TEMPERATURE).temperature > 1.5


def test_accuracy_is_the_share_whose_first_label_is_right() -> None:
    one = Measured(np.array([[1, 0], [0, 1], [3, 2], [0, 5]], np.float32), np.array([0, 1, 1, 0]))
    assert one.correct == 2
    assert Measured(np.empty((0, 2), np.float32), np.empty(0, np.int64)).correct == 0


def test_what_cannot_be_read_is_left_out_and_named_and_the_others_keep_their_labels(tmp_path: Path) -> None:
    data = pictures(tmp_path, (40, 30))
    broken = [data.items[3].name, data.items[69].name]
    for name in broken:
        Path(name).write_bytes(b"no picture")
    sizes: list[int] = []

    def outputs(pixels: Pixels) -> Logits:
        sizes.append(len(pixels))
        return pixels[:, 0, 0, :2].astype(np.float32)[:, ::-1]  # more red than blue or green: the second label

    one = measured(data, Preprocessing.default(CONFIG.image_size), outputs, workers=2)
    assert [picture.path for picture in one.unreadable] == broken
    assert len(one.logits) == len(one.targets) == sum(sizes) == 68
    assert one.targets.tolist() == [0] * 39 + [1] * 29
    assert one.correct == 68
