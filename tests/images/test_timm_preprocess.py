"""Preprocessing of timm's checkpoints is that of timm 1.0.31 with torchvision 0.28.

The goldens were made by ``tests/peers/timm_preprocess.py`` with the Pillow that their metadata names. With that one all
pixels are equal. Another version may resize with other weights, which is a matter of one grey level.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import pytest
from PIL import Image
from places import GOLDENS
from safetensors import safe_open
from safetensors.numpy import load_file

from vithybrid_cli.checkpoints.layouts.timm import read_preprocessing
from vithybrid_cli.errors import ImageTooLarge, ModelError
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.preprocess import Preprocessing, timm_preprocessing
from vithybrid_cli.images.timm_crop import CropMode, TimmCrop

PICTURES = GOLDENS / "preprocess"
GOLDEN = GOLDENS / "timm-preprocess"
PROCESSORS = json.loads((GOLDEN / "processors.json").read_text())
EXPECTED = load_file(GOLDEN / "expected.safetensors")
CROPS = sorted(key for key in EXPECTED if not key.startswith("values/"))
with safe_open(GOLDEN / "expected.safetensors", "numpy") as file:
    PILLOW = file.metadata()["pillow"]


def described(pretrained_cfg: Mapping[str, Any]) -> Preprocessing:
    """What a ``config.json`` with this ``pretrained_cfg`` asks for."""
    _, height, width = pretrained_cfg.get("input_size", (3, 64, 64))
    config = {"architecture": "vit_base_r50_s16_384", "pretrained_cfg": pretrained_cfg}
    return read_preprocessing(config, (height, width))


def levels_apart(key: str) -> npt.NDArray[np.int16]:
    """By how many grey levels each pixel of a crop differs from timm's."""
    picture, processor = key.split("/")
    actual = described(PROCESSORS[processor]).pixels(decode(PICTURES / f"{picture}.png"))
    assert EXPECTED[key].shape == actual.shape
    return np.asarray(np.abs(EXPECTED[key].astype(np.int16) - actual))


def test_the_goldens_have_each_picture_with_each_processor() -> None:
    pictures = [path.stem for path in PICTURES.glob("*.png")]
    assert sorted(f"{picture}/{name}" for picture in pictures for name in PROCESSORS) == CROPS
    assert len(pictures) == 10


@pytest.mark.skipif(PIL.__version__ != PILLOW, reason=f"the goldens were made with Pillow {PILLOW}")
@pytest.mark.parametrize("key", CROPS)
def test_with_the_same_pillow_pixels_are_those_of_timm(key: str) -> None:
    assert levels_apart(key).max() == 0


@pytest.mark.parametrize("key", CROPS)
def test_with_the_pillow_at_hand_no_pixel_is_more_than_one_grey_level_from_timm(key: str) -> None:
    assert levels_apart(key).max() <= (0 if key.endswith("nearest") else 1)


@pytest.mark.parametrize("name", sorted(PROCESSORS))
def test_normalised_values_are_those_of_timm_to_the_last_bit(name: str) -> None:
    np.testing.assert_array_equal(
        EXPECTED[f"values/{name}"], described(PROCESSORS[name]).normalization.table(), strict=True
    )


def test_what_a_config_leaves_open_is_as_in_timm() -> None:
    expected = timm_preprocessing(
        (224, 224), crop_pct=0.875, interpolation="bicubic", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    assert expected == described({"input_size": [3, 224, 224]})
    assert (expected.size, expected.crop_size) == (256, (224, 224))


def test_older_configs_have_the_fields_beside_the_architecture() -> None:
    fields = {"crop_pct": 0.95, "crop_mode": "squash", "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3}
    config = {"architecture": "vit_base_r50_s16_384", **fields}
    expected = timm_preprocessing((384, 384), crop_pct=0.95, crop_mode="squash", interpolation="bilinear")
    assert expected == read_preprocessing(config, (384, 384))


@pytest.mark.parametrize(
    ("config", "named"),
    [
        pytest.param({"interpolation": "random"}, "interpolation 'random'", id="a filter by chance"),
        pytest.param({"interpolation": 3}, "interpolation 3", id="a filter by number"),
        pytest.param({"crop_mode": "corner"}, "crop_mode 'corner'", id="crop mode"),
        pytest.param({"crop_pct": "0.9"}, "crop_pct must be a number", id="text for a share"),
        pytest.param({"crop_pct": -0.9}, "crop_pct must be a number", id="negative share"),
        pytest.param({"crop_pct": 90}, "`crop_pct` 90.0 makes no sense", id="per cent"),
        pytest.param({"crop_pct": 1e-300}, "`crop_pct` 1e-300 makes no sense", id="gigantic pictures"),
        pytest.param({"crop_pct": 1e-320}, "makes no sense", id="infinite pictures"),
        pytest.param({"mean": [0.5]}, "mean must be a list of three numbers", id="one channel"),
        pytest.param({"mean": 0.5}, "mean must be a list", id="a number for channels"),
        pytest.param({"std": [0.5, True, 0.5]}, "std must be a list of three numbers", id="a switch for a number"),
        pytest.param({"std": [0.5, float("nan"), 0.5]}, "std must be a list of three numbers", id="not a number"),
        pytest.param({"std": [0.5, 0, 0.5]}, "std must be above zero", id="division by zero"),
    ],
)
def test_what_is_not_supported_is_named(config: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError) as caught:
        described(config)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        pytest.param(8, 0, id="none"),
        pytest.param(9, 0, id="half a pixel, down to 0"),
        pytest.param(10, 1, id="one"),
        pytest.param(11, 2, id="one and a half, up to 2"),
        pytest.param(13, 2, id="two and a half, down to 2"),
        pytest.param(15, 4, id="three and a half, up to 4"),
        pytest.param(7, 0, id="border of one, right and below"),
        pytest.param(6, -1, id="border on both sides"),
        pytest.param(3, -2, id="border of two and three"),
    ],
)
def test_half_pixels_go_to_the_even_side_and_the_odd_line_of_a_border_is_the_last(length: int, expected: int) -> None:
    assert expected == TimmCrop(1.0).start(length, 8)
    pixels = timm_preprocessing((8, 8), crop_pct=1.0, crop_mode="squash")
    columns = Image.fromarray(np.full((8, length, 3), 100, np.uint8) + np.arange(length, dtype=np.uint8)[:, None])
    row = np.zeros(8, np.uint8)
    shown = np.arange(max(expected, 0), min(expected + 8, length))
    row[shown - expected] = 100 + shown
    whole = Preprocessing(size=8, crop_size=(8, 8), do_resize=False, timm=pixels.timm)
    assert row.tolist() == whole.pixels(columns)[0, :, 0].tolist()


@pytest.mark.parametrize(
    ("mode", "picture", "expected"),
    [
        pytest.param("center", (100, 50), (128, 64), id="covers, held by the width"),
        pytest.param("center", (50, 100), (48, 96), id="covers, held by the height"),
        pytest.param("center", (31, 77), (48, 119), id="rounded to the nearest"),
        pytest.param("border", (100, 50), (48, 24), id="inside, held by the height"),
        pytest.param("border", (50, 100), (32, 64), id="inside, held by the width"),
        pytest.param("border", (10, 5), (48, 24), id="enlarged"),
        pytest.param("squash", (100, 50), (48, 64), id="squashed"),
    ],
)
def test_unequal_sides_keep_the_proportions_unless_squashed(
    mode: CropMode, picture: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert expected == TimmCrop(1.0, mode).resized(picture, (48, 64))


def test_border_has_the_colour_of_the_mean_and_squash_and_centre_a_black_one() -> None:
    mean = (0.485, 0.456, 1.5)
    colours = {mode: TimmCrop(1.0, mode).fill(mean) for mode in ("center", "squash", "border")}
    assert colours == {"center": (0, 0, 0), "squash": (0, 0, 0), "border": (124, 116, 255)}


def test_a_picture_of_which_nothing_would_be_left_is_refused() -> None:
    border = timm_preprocessing((64, 64), crop_pct=1.0, crop_mode="border")
    with pytest.raises(ImageTooLarge, match=r"its 3 × 2000 pixels would be resized to 0 × 64"):
        border.pixels(noise(3, 2000))
    assert border.pixels(noise(20, 2000)).shape == (64, 64, 3)


def test_an_extremely_elongated_picture_is_refused_before_it_takes_gigabytes() -> None:
    with pytest.raises(ImageTooLarge, match=r"1 × 5000 pixels would be resized to 250 × 1250000"):
        timm_preprocessing((224, 200), crop_pct=0.8).pixels(noise(1, 5000))


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("size", [(96, 96), (37, 51), (300, 200)])
def test_at_another_size_it_is_what_timm_would_do_there(mode: CropMode, size: tuple[int, int]) -> None:
    small, large = (timm_preprocessing(sides, crop_pct=0.9, crop_mode=mode) for sides in ((64, 64), size))
    assert large == small.at(size)
    assert small == small.at(size).at((64, 64))


def test_the_size_at_384_comes_from_the_share_and_not_from_the_size_at_224() -> None:
    at_384 = timm_preprocessing((224, 224), crop_pct=0.9).at((384, 384))
    assert at_384.size == 426  # 248 · 384 / 224 is 425.1


@pytest.mark.parametrize("name", sorted(PROCESSORS))
def test_what_is_written_reads_back_the_same(name: str) -> None:
    preprocessing = described(PROCESSORS[name])
    assert preprocessing == Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict())))


@pytest.mark.parametrize("name", sorted(PROCESSORS))
def test_output_size_and_draft_side_are_those_of_the_crop_and_of_the_longer_side(name: str) -> None:
    preprocessing = described(PROCESSORS[name])
    _, height, width = PROCESSORS[name]["input_size"]
    assert (height, width) == preprocessing.output_size
    share = PROCESSORS[name].get("crop_pct") or 0.875
    assert 2 * int(max(height, width) / share) == preprocessing.draft_side


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(0.9, id="no object"),
        pytest.param({"crop_pct": 0.9}, id="no mode"),
        pytest.param({"crop_pct": 0.9, "crop_mode": "center", "fill": 3}, id="an unknown option"),
        pytest.param({"crop_pct": 0, "crop_mode": "center"}, id="a share of nothing"),
        pytest.param({"crop_pct": 0.9, "crop_mode": "corner"}, id="an unknown mode"),
    ],
)
def test_a_written_crop_that_makes_no_sense_is_refused(value: object) -> None:
    with pytest.raises(ModelError, match=r"Unsupported setting in preprocessor_config\.json: timm = "):
        Preprocessing.from_dict({"timm": value})
