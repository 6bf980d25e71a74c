"""A part of a resized picture has the same bits as if it had been cut out of all of it."""

import random
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

from vithybrid_cli.images.resize import Box, resized_part

FILTERS = tuple(Image.Resampling)[:6]  # Pillow 13 has more, which no model asks for
COMMON = ((50, 37), (64, 48), (48, 64), (60, 40), (40, 60), (96, 54), (128, 96), (32, 32), (500, 1), (1, 500))
Case = tuple[tuple[int, int], tuple[int, int], Box, Image.Resampling]


def hard_picture(size: tuple[int, int], seed: int) -> Image.Image:
    """Noise that is black or white as often as not, so that sums run over and have to be cut off."""
    values = np.random.default_rng(seed).integers(-128, 384, (size[1], size[0], 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def cases(count: int, longest: int, seed: int) -> list[Case]:
    """Sizes, resized sizes and parts: half of them as a shortest edge and the middle, as pictures are preprocessed."""
    dice = random.Random(seed)
    found: list[Case] = []
    while len(found) < count:
        width, height = dice.choice([dice.choice(COMMON), (dice.randint(1, longest), dice.randint(1, longest))])
        edge = dice.choice([dice.randint(1, longest), 8, 24, 32, 48])
        size = (edge * width // min(width, height), edge * height // min(width, height))
        if dice.random() < 0.3:
            size = (dice.randint(1, longest), dice.randint(1, longest))
        if size[0] * size[1] > longest**2 * 4:
            continue
        crop = min(size)
        left, top = (size[0] - crop) // 2, (size[1] - crop) // 2
        part = (left, top, left + crop, top + crop)
        if dice.random() < 0.5:
            left, top = dice.randrange(size[0]), dice.randrange(size[1])
            part = (left, top, dice.randint(left + 1, size[0]), dice.randint(top + 1, size[1]))
        found.append(((width, height), size, part, dice.choice(FILTERS)))
    return found


def differing(some: list[Case]) -> list[Case]:
    return [case for number, case in enumerate(some) if not equal(hard_picture(case[0], number), *case[1:])]


def equal(image: Image.Image, size: tuple[int, int], part: Box, resample: Image.Resampling) -> bool:
    whole = np.asarray(image.resize(size, resample).crop(part))
    return np.array_equal(whole, np.asarray(resized_part(image, size, part, resample)))


def test_a_part_is_equal_to_the_bit_for_hundreds_of_small_sizes() -> None:
    assert not differing(cases(600, 80, seed=1))


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(8))
def test_a_part_is_equal_to_the_bit_for_thousands_of_sizes(seed: int) -> None:
    assert not differing(cases(1500, 500, seed=100 + seed))


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((width, height), id=f"{width}×{height}")
        for width, height in ((4032, 3024), (3024, 4032), (1600, 1200), (500, 375), (6000, 4000), (1920, 1080))
    ],
)
@pytest.mark.parametrize("edge", [384, 256, 224])
@pytest.mark.thorough
def test_photographs_as_cameras_make_them_are_equal_to_the_bit(size: tuple[int, int], edge: int) -> None:
    resized = (edge * size[0] // min(size), edge * size[1] // min(size))
    crop = 224 if edge == 256 else edge
    left, top = (resized[0] - crop) // 2, (resized[1] - crop) // 2
    assert equal(hard_picture(size, edge), resized, (left, top, left + crop, top + crop), Image.Resampling.BICUBIC)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The sizes that Pillow is asked for."""
    sizes: list[tuple[int, int]] = []
    original = Image.Image.resize

    def resize(image: Image.Image, size: tuple[int, int], *rest: Any) -> Image.Image:
        sizes.append(size)
        return original(image, size, *rest)

    monkeypatch.setattr(Image.Image, "resize", resize)
    return sizes


@pytest.mark.parametrize(
    ("image", "size", "part", "made"),
    [
        pytest.param((40, 30), (32, 24), (4, 0, 28, 24), (24, 24), id="4:3, both sides"),
        pytest.param((120, 160), (24, 32), (0, 4, 24, 28), (24, 24), id="3:4, above and below"),
        pytest.param((50, 33), (36, 24), (6, 0, 30, 24), (36, 24), id="what cannot be cut"),
        pytest.param((54, 36), (36, 24), (6, 0, 30, 24), (24, 24), id="3:2 where it divides"),
        pytest.param((60, 40), (36, 24), (6, 0, 30, 24), (30, 24), id="3:2 where the right can be cut alone"),
    ],
)
def test_only_the_part_is_computed_with_the_pillow_at_hand(
    image: tuple[int, int],
    size: tuple[int, int],
    part: Box,
    made: tuple[int, int],
    asked: list[tuple[int, int]],
) -> None:
    assert resized_part(hard_picture(image, 0), size, part, Image.Resampling.BICUBIC).size == (24, 24)
    assert asked == [made]


@pytest.mark.parametrize("version", ["12.1.1.post0", "14.0.0", "13.1.0.dev0"])
def test_a_pillow_whose_arithmetic_is_not_known_computes_all_of_it(
    version: str, asked: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PIL, "__version__", version)
    resized_part(hard_picture((40, 30), 0), (32, 24), (4, 0, 28, 24), Image.Resampling.BICUBIC)
    assert asked == [(32, 24)]


def test_where_pillow_13_would_begin_with_the_other_axis_it_computes_all(
    asked: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("13.0.0", "12.3.0"):
        monkeypatch.setattr(PIL, "__version__", version)
        resized_part(hard_picture((30, 40), 0), (24, 32), (0, 4, 24, 28), Image.Resampling.BICUBIC)
        resized_part(hard_picture((120, 160), 0), (24, 32), (0, 4, 24, 28), Image.Resampling.BICUBIC)
    assert asked == [(24, 32), (24, 24), (24, 24), (24, 24)]


@pytest.mark.parametrize("resample", FILTERS)
@pytest.mark.parametrize("height", [199, 200, 201, 202, 400])
def test_a_picture_a_hundred_times_as_high_as_wide_is_equal_to_the_bit(height: int, resample: Image.Resampling) -> None:
    image, size = hard_picture((2, height), 0), (16, 8 * height)
    for part in ((0, 8, 16, 24), (4, 0, 12, height // 2), (0, 0, 16, height + 8), (0, 0, 16, height)):
        assert equal(image, size, part, resample)
