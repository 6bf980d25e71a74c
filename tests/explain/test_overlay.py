"""A map lies over the picture where the network saw what it is of, however that was resized, cropped or turned."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from vithybrid_cli.choices import Method
from vithybrid_cli.explain.heatmap import HeatMap
from vithybrid_cli.explain.overlay import coarse, colour, opacity, overlay, spread, strength, within
from vithybrid_cli.explain.seen import LONGEST_SIDE, SHORTEST_LONG_SIDE, Seen, SeenReader
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.images.preprocess import Preprocessing, timm_preprocessing
from vithybrid_cli.settings import Decoding

SIDE = 64
GREY, RED = (120, 120, 120), (250, 10, 10)
MARK = 0.34, 0.36, 0.46, 0.52  # left, top, right, bottom as parts of the picture: off its middle in both directions
SHORTEST = Preprocessing(size=72, crop_size=(SIDE, SIDE))
SQUASHED = Preprocessing(size=(SIDE, SIDE), crop_size=(SIDE, SIDE), do_center_crop=False)


def heat(values: Any, *, signed: bool = False) -> HeatMap:
    return HeatMap(np.asarray(values, np.float32), Method.ATTENTION, signed)


def marked(size: tuple[int, int]) -> Image.Image:
    """A grey picture of this (width, height) with a red mark."""
    image = Image.new("RGB", size, GREY)
    width, height = size
    box = (MARK[0] * width, MARK[1] * height, MARK[2] * width - 1, MARK[3] * height - 1)
    ImageDraw.Draw(image).rectangle(tuple(map(round, box)), fill=RED)
    return image


def seen(file: Path, preprocessing: Preprocessing, decoding: Decoding | None = None) -> Seen:
    reader = SeenReader(preprocessing, (SIDE, SIDE), decoding or Decoding())
    return reader.unpacked(reader.read(LocalFile(str(file)), lambda size: None))


def is_red(pixels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray(pixels[..., 0].astype(int) - pixels[..., 1] > 115)


def overlap(found: Seen) -> float:
    """Of what the network saw red and of what is red in the picture, the part that is both."""
    map_of_red = heat(is_red(found.pixels))
    part = within(found.box_shown, found.shown.size)
    strong = spread(map_of_red, found.box_shown, part) > 0.5
    red = is_red(np.asarray(found.shown.crop(part)))
    assert red.any()
    return float((strong & red).sum() / (strong | red).sum())


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((500, 320), id="landscape"),
        pytest.param((333, 517), id="portrait"),
        pytest.param((400, 400), id="square"),
        pytest.param((SIDE, SIDE), id="as the network takes it"),
        pytest.param((45, 40), id="enlarged"),
        pytest.param((2400, 1700), id="reduced"),
        pytest.param((900, 300), id="elongated"),
    ],
)
@pytest.mark.parametrize(
    "preprocessing",
    [
        pytest.param(SHORTEST, id="shortest edge and crop"),
        pytest.param(SQUASHED, id="squashed"),
        pytest.param(Preprocessing(size=(80, 72), crop_size=(SIDE, SIDE)), id="squashed and cropped"),
        pytest.param(timm_preprocessing((SIDE, SIDE), crop_pct=0.875), id="timm"),
        pytest.param(timm_preprocessing((SIDE, SIDE), crop_pct=1.0), id="timm, all of the shorter side"),
        pytest.param(timm_preprocessing((SIDE, SIDE), crop_pct=0.9, crop_mode="squash"), id="timm, squashed"),
        pytest.param(timm_preprocessing((SIDE, SIDE), crop_pct=1.0, crop_mode="border"), id="timm, with a border"),
        pytest.param(timm_preprocessing((SIDE, SIDE), crop_pct=1.25), id="timm, smaller than the crop"),
    ],
)
def test_a_map_of_the_mark_lies_on_the_mark(
    tmp_path: Path, size: tuple[int, int], preprocessing: Preprocessing
) -> None:
    marked(size).save(tmp_path / "a.png")
    assert overlap(seen(tmp_path / "a.png", preprocessing)) > 0.72  # a pixel of the network around it is not sure


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_lies_on_its_side_is_upright_under_its_map(tmp_path: Path, orientation: int) -> None:
    upright = marked((500, 320))
    back = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE"}
    back |= {6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}  # what the camera had done
    stored = upright.transpose(Image.Transpose[back[orientation]]) if orientation in back else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    found = seen(tmp_path / "a.png", SHORTEST)
    assert (found.size, found.shown.size) == ((500, 320), (500, 320))
    assert np.array_equal(np.asarray(found.shown), np.asarray(upright))
    assert overlap(found) > 0.8


def test_a_jpeg_that_is_decoded_at_a_part_of_its_size_has_its_map_in_place(tmp_path: Path) -> None:
    marked((2400, 1700)).save(tmp_path / "a.jpg", quality=95)
    found = seen(tmp_path / "a.jpg", SHORTEST, Decoding(fast_jpeg=True))
    assert found.size == (300, 213)  # an eighth
    assert overlap(found) > 0.72


def test_the_box_is_what_the_crop_keeps_in_the_pictures_own_pixels() -> None:
    image = Image.new("RGB", (720, 144))  # resized to 360 × 72
    assert SHORTEST.seen(image) == (2 * 148, 2 * 4, 2 * 212, 2 * 68)
    assert SQUASHED.seen(image) == (0, 0, 720, 144)
    border = timm_preprocessing((SIDE, SIDE), crop_pct=1.0, crop_mode="border")  # resized to 64 × 13
    assert border.seen(image) == (0, -25 * 144 / 13, 720, 39 * 144 / 13)


def test_what_is_read_is_what_the_network_is_given(tmp_path: Path) -> None:
    image = Image.effect_noise((211, 150), 80).convert("RGB")
    image.save(tmp_path / "a.png")
    found = seen(tmp_path / "a.png", SHORTEST)
    assert np.array_equal(found.pixels, SHORTEST.pixels(image))


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((4000, 2000), (LONGEST_SIDE, LONGEST_SIDE // 2)),
        ((1000, 700), (1000, 700)),
        ((32, 16), (SHORTEST_LONG_SIDE, SHORTEST_LONG_SIDE // 2)),
        ((30000, 3), (LONGEST_SIDE, 1)),
    ],
)
def test_a_picture_keeps_its_proportions_within_bounds(
    tmp_path: Path, size: tuple[int, int], drawn: tuple[int, int]
) -> None:
    Image.new("RGB", size).save(tmp_path / "a.png")
    found = seen(tmp_path / "a.png", SQUASHED)
    assert (found.size, found.shown.size) == (size, drawn)


def test_the_picture_shows_where_the_map_is_weak_and_the_colour_where_it_is_strong() -> None:
    picture = Image.new("RGB", (400, 200), GREY)
    values = np.zeros((4, 8))
    values[1, 6] = 1
    drawn = np.asarray(overlay(picture, heat(values), (0, 0, 400, 200)), int)
    assert drawn.shape == (200, 400, 3)
    assert np.array_equal(drawn[150, 50], GREY)
    red, green, blue = drawn[75, 325]  # the middle of the cell
    assert red > 200
    assert red > green > blue + 50
    assert opacity(np.ones(1, np.float32)).max() < 0.9  # of the picture something is left


def test_what_the_network_did_not_see_is_dark_and_has_a_line_before_it() -> None:
    picture = Image.new("RGB", (400, 200), (200, 200, 200))
    drawn = np.asarray(overlay(picture, heat(np.zeros((2, 2))), (100, 0, 300, 200)), int)
    assert (drawn[:, :98] < 90).all()
    assert (drawn[:, 302:] < 90).all()
    assert (drawn[:, 100:300] == 200).all()  # and all that it saw is there
    assert (drawn[:, 99] > 220).all()
    assert (drawn[:, 300] > 220).all()


def test_all_of_a_picture_that_was_seen_has_no_line() -> None:
    picture = Image.new("RGB", (40, 20), GREY)
    drawn = overlay(picture, heat(np.ones((2, 2))), (0, 0, 40, 20))
    assert np.array_equal(np.asarray(drawn), np.asarray(picture))  # nor any colour: nothing stands out


def test_a_box_beyond_the_picture_is_cut_off() -> None:
    values = [[5.0, 0.0], [0.0, 0.0]]  # its strong part lies in the border
    drawn = overlay(Image.new("RGB", (100, 100), GREY), heat(values), (-300, -300, 100, 100))
    assert drawn.size == (100, 100)
    assert (np.abs(np.asarray(drawn, int)[80:, 80:] - GREY) <= 2).all()


def test_strength_begins_at_the_smallest_value_or_where_a_signed_map_is_neutral() -> None:
    assert strength(heat([[2.0, 3.0, 4.0]])).tolist() == [[0.0, 0.5, 1.0]]
    assert strength(heat([[2.0, 3.0, 4.0]], signed=True)).tolist() == [[0.5, 0.75, 1.0]]
    assert strength(heat([[-8.0, 1.0, 4.0]], signed=True)).tolist() == [[0.0, 0.25, 1.0]]


def test_a_single_peak_of_a_fine_map_does_not_hide_the_rest() -> None:
    values = np.zeros((16, 16))
    values[2:6, 2:6] = 1
    values[3, 3] = 100
    assert strength(heat(values))[2:6, 2:6].min() == 1
    few = np.zeros((16, 16))
    few[3, 3], few[3, 4] = 4, 2  # less than what is all of the colour
    assert strength(heat(few))[3, 3:5].tolist() == [1, 0.5]


@pytest.mark.parametrize("value", [0.0, 7.0, -1.0, float("nan"), float("inf")])
def test_a_map_in_which_nothing_stands_out_is_no_strength(value: float) -> None:
    assert strength(heat([[value, value]])).tolist() == [[0.0, 0.0]]


def test_colours_become_lighter_with_strength() -> None:
    light = colour(np.linspace(0, 1, 50, dtype=np.float32)) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light) > 0).all()


def test_a_coarse_map_has_the_pictures_shape_and_no_numbers_outside_of_what_was_seen() -> None:
    values = np.zeros((4, 4))
    values[0, 3] = 1
    found = coarse(heat(values), (100, 0, 300, 200), (400, 200), 16, 8)
    assert found.shape == (8, 16)
    assert np.isnan(found[:, :4]).all()
    assert np.isnan(found[:, 12:]).all()
    assert divmod(int(np.nanargmax(found)), 16) == (0, 11)
    assert found[6, 5] == 0
