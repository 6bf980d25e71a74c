"""Insertion and deletion: a map that names what decides has a better area than chance, a wrong one a worse."""

import numpy as np
import numpy.typing as npt
import pytest

from vithybrid_cli.explain.faithfulness import (
    STEPS,
    areas,
    blurred,
    centred_blob,
    mean_colour,
    random_map,
    removal_ranks,
    steps,
)

SIDE = 40
PICTURE = np.zeros((SIDE, SIDE, 3), np.uint8)
PICTURE[:10, :10] = 255  # what the label is about


def brightness_of_the_corner(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    return np.asarray(pictures[:, :10, :10].mean((1, 2, 3)) / 255)


def corner(value: float) -> npt.NDArray[np.float32]:
    """A map on a grid of 4 × 4, in which the corner differs."""
    values = np.full((4, 4), 0.5, np.float32)
    values[0, 0] = value
    return values


def test_a_map_of_what_decides_is_better_than_chance_and_one_of_all_else_worse() -> None:
    right, wrong = (areas(brightness_of_the_corner, PICTURE, corner(value)) for value in (1, 0))
    chance = areas(brightness_of_the_corner, PICTURE, random_map((SIDE, SIDE), 0))
    assert right.insertion > chance.insertion + 0.1 > wrong.insertion + 0.2
    assert right.deletion < chance.deletion - 0.1 < wrong.deletion - 0.2
    assert right.difference == right.insertion - right.deletion


def test_a_score_that_stays_has_itself_as_both_areas() -> None:
    found = areas(lambda pictures: np.full(len(pictures), 0.25), PICTURE, corner(1))
    assert (found.insertion, found.deletion) == pytest.approx((0.25, 0.25))


def test_steps_lead_from_one_picture_to_the_other_in_the_order_of_the_map() -> None:
    start, end = np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 9, np.uint8)
    ranks = np.arange(20).reshape(4, 5)
    pictures = list(steps(start, end, ranks))
    assert len(pictures) == STEPS + 1
    np.testing.assert_array_equal(pictures[0], start)
    np.testing.assert_array_equal(pictures[-1], end)
    assert [int((picture[..., 0] == 9).sum()) for picture in pictures] == list(range(21))
    assert pictures[1][0, 0, 0] == 9


def test_equal_values_come_in_an_order_that_is_random_and_always_the_same() -> None:
    ranks = removal_ranks(np.ones((2, 2), np.float32), (SIDE, SIDE))
    assert sorted(ranks.ravel().tolist()) == list(range(SIDE * SIDE))
    assert abs(ranks[: SIDE // 2].mean() / ranks.mean() - 1) < 0.1  # neither half comes first
    np.testing.assert_array_equal(ranks, removal_ranks(np.ones((2, 2), np.float32), (SIDE, SIDE)))


def test_higher_values_come_first() -> None:
    ranks = removal_ranks(np.array([[0, 1], [2, 3]], np.float32), (2, 2))
    assert ranks.tolist() == [[3, 2], [1, 0]]


def test_what_is_missing_is_blurred_or_of_the_mean_colour() -> None:
    assert (mean_colour(PICTURE) == round(255 / 16)).all()
    assert blurred(PICTURE).std() < PICTURE.std() * 0.8
    assert blurred(PICTURE).shape == PICTURE.shape


def test_a_random_map_is_the_same_for_a_seed_and_a_blob_is_highest_in_the_middle() -> None:
    np.testing.assert_array_equal(random_map((3, 3), 7), random_map((3, 3), 7))
    assert not np.array_equal(random_map((3, 3), 7), random_map((3, 3), 8))
    blob = centred_blob((5, 7))
    assert divmod(int(blob.argmax()), 7) == (2, 3)
    np.testing.assert_array_equal(blob, blob[::-1, ::-1])
