"""A sheet shows every overlay whole, each with its label, score and name below it, and no letter beyond its cell."""

import numpy as np
import pytest
from PIL import Image

from vithybrid_cli.explain.sheet import MOST_ON_A_SHEET, Tile, sheet, small, tile_side

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]


def tile(colour: tuple[int, int, int], size: tuple[int, int] = (300, 200), label: str = "cat") -> Tile:
    return Tile(Image.new("RGB", size, colour), label, "90.1%", "photos/cat.jpg")


def test_each_picture_is_there_once_and_in_its_proportions() -> None:
    image = np.asarray(sheet([tile(colour) for colour in COLOURS], "tiny"))
    places = []
    for colour in COLOURS:
        rows, columns = np.nonzero((image == colour).all(axis=-1))
        assert (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1, len(rows)) == (200, 300, 300 * 200)
        places.append((rows.min(), columns.min()))
    assert places == sorted(places)  # row by row, from left to right


@pytest.mark.parametrize("size", [(320, 3), (3, 320), (1, 1), (2000, 1000)])
def test_pictures_of_any_shape_have_their_place(size: tuple[int, int]) -> None:
    image = np.asarray(sheet([tile(COLOURS[0], size), tile(COLOURS[1])], "tiny"))
    assert (image == COLOURS[0]).all(axis=-1).any()
    assert (image == COLOURS[1]).all(axis=-1).sum() == 300 * 200


def test_long_labels_and_other_alphabets_stay_within_their_cell() -> None:
    plain = np.asarray(sheet([tile(COLOURS[0]), tile(COLOURS[1])], "t"))
    for label in ("supercalifragilistic " * 9, "émeu, 鴯鶓\u202e", "\x1b[31m", ""):
        image = np.asarray(sheet([tile(COLOURS[0], label=label), tile(COLOURS[1])], "t" * 999))
        assert image.shape == plain.shape
        background = image[-5:, -5:].reshape(-1, 3)
        assert (background == background[0]).all()
        second = slice(image.shape[1] // 2 + 8, None)
        below = slice(240, None)
        assert np.array_equal(image[below, second], plain[below, second])  # nothing reaches into the next cell


def test_more_pictures_are_smaller_ones() -> None:
    assert [tile_side(count) for count in (2, 12, 13, 60, 61, MOST_ON_A_SHEET)] == [320, 320, 240, 240, 160, 160]
    assert small(Image.new("RGB", (1600, 800)), 160).size == (160, 80)
    assert small(Image.new("RGB", (32, 20)), 160).size == (32, 20)
