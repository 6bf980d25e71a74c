"""Pictures that show another one in a part."""

import numpy as np
import pytest
import torch
from torch import nn

from vithybrid_cli.images.preprocess import Normalization
from vithybrid_cli.training.batches import Batch
from vithybrid_cli.training.gradients import Loss
from vithybrid_cli.training.mixing import cut_mixed


@pytest.fixture
def batch() -> Batch:
    """Six pictures of 8×6, each all of the colour of its number."""
    numbers = np.arange(6)
    return Batch(np.broadcast_to(numbers.astype(np.uint8)[:, None, None, None], (6, 8, 6, 3)), numbers, ())


def test_the_part_is_the_share_of_pixels_that_show_the_other(batch: Batch) -> None:
    mixed = cut_mixed(batch, 1.0, np.random.default_rng(0))
    assert mixed.others is not None
    assert mixed.part is not None
    for pixels, own, other, part in zip(mixed.pixels, mixed.targets, mixed.others, mixed.part, strict=True):
        assert other == (own - 1) % 6
        assert set(np.unique(pixels)) <= {own, other}
        assert (pixels == other).mean() == pytest.approx(part)
    assert np.count_nonzero(mixed.part) > 0


def test_a_share_of_none_leaves_all_as_they_were(batch: Batch) -> None:
    mixed = cut_mixed(batch, 0.0, np.random.default_rng(0))
    assert np.array_equal(mixed.pixels, batch.pixels)
    assert mixed.part is not None
    assert not mixed.part.any()


def test_the_loss_is_that_of_both_labels_by_their_parts(batch: Batch) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(8 * 6 * 3, 6))
    loss = Loss(network, Normalization(), torch.arange(1.0, 7.0), 0.1, torch.device("cpu"))
    mixed = cut_mixed(batch, 0.7, np.random.default_rng(3))
    assert mixed.others is not None
    assert mixed.part is not None
    apart = 0.0
    for number in range(6):
        one = np.array([number])
        both = (
            loss.part(Batch(mixed.pixels[one], labels[one], ()), np.array([0])).item()
            for labels in (mixed.targets, mixed.others)
        )
        own, other = both
        apart += (1 - mixed.part[number]) * own + mixed.part[number] * other
    together = loss.part(mixed, np.arange(6)).item()
    assert together == pytest.approx(apart / 6, rel=1e-5)
