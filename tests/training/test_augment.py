"""What a picture looks like in an epoch."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from vithybrid_cli.training import augment
from vithybrid_cli.training.augment import Augmentation, Pixels, RandomCrop, Varied


def gradient() -> Image.Image:
    """A picture whose red is the column and whose green is the row."""
    columns, rows = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    return Image.fromarray(np.stack([columns, rows, np.zeros_like(rows)], axis=-1))


def noise_picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8))


def made(augmentation: Augmentation, image: Image.Image, size: tuple[int, int], seed: int, flipped: bool) -> Pixels:
    return augmentation(image, size, np.random.default_rng(seed), flipped)


def crops(count: int, min_area: float, size: tuple[int, int] = (64, 64)) -> list[Pixels]:
    image = gradient()
    return [made(RandomCrop(min_area), image, size, seed, flipped=False) for seed in range(count)]


# A picture as it is: each test switches on what it is about.
STILL = Varied(near=1.0, shift=0.0, sharpened=0.0, noisy=0.0, coloured=0.0)


def test_crops_have_at_least_the_smallest_area_and_stay_within_the_bounds_of_aspect() -> None:
    for crop in crops(200, min_area=0.5):
        width, height = (float(np.ptp(crop[..., channel].astype(int))) / 255 for channel in (0, 1))
        assert 0.47 <= width * height <= 1.0
        assert 0.73 <= width / height <= 1.37


def test_crops_are_of_all_sizes_and_in_all_places() -> None:
    boxes = np.array([[c[..., 0].min(), c[..., 0].max(), c[..., 1].min(), c[..., 1].max()] for c in crops(200, 0.25)])
    assert boxes[:, [0, 2]].min() <= 3
    assert boxes[:, [1, 3]].max() >= 252
    assert boxes[:, [0, 2]].max() >= 80
    assert boxes[:, [1, 3]].min() <= 175


SIZES = [(1, 1), (1, 3000), (3000, 1), (2, 3), (3, 500), (500, 3), (1200, 900)]
EVERYTHING = Varied(near=0.0, sharpened=1.0, noisy=1.0, coloured=1.0)


@pytest.mark.parametrize("augmentation", [RandomCrop(0.01), Varied(), EVERYTHING, Varied(shift=3.5, near=1.0)])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_made_is_of_the_size_that_was_asked_for_whatever_the_picture(
    size: tuple[int, int], augmentation: Augmentation
) -> None:
    image = Image.new("RGB", size, "blue")
    for seed in range(12):
        pixels = made(augmentation, image, (6, 10), seed, flipped=bool(seed % 2))
        assert pixels.shape == (6, 10, 3)
        assert pixels.dtype == np.uint8
        assert pixels.flags.writeable


@pytest.mark.parametrize("augmentation", [RandomCrop(0.01), replace(Varied(), noisy=0.0, coloured=0.0)])
@pytest.mark.parametrize("size", SIZES)
def test_a_plain_picture_stays_plain_however_it_is_cut_reflected_and_sharpened(
    size: tuple[int, int], augmentation: Augmentation
) -> None:
    image = Image.new("RGB", size, "blue")
    for seed in range(12):
        assert (made(augmentation, image, (6, 10), seed, flipped=False) == (0, 0, 255)).all()


@pytest.mark.parametrize("augmentation", [RandomCrop(0.3), EVERYTHING])
def test_the_same_generator_makes_the_same_picture_and_leaves_the_original_alone(augmentation: Augmentation) -> None:
    image = noise_picture((40, 30))
    before = image.tobytes()
    first, second = (made(augmentation, image, (16, 16), 7, flipped=True) for _ in range(2))
    assert (first == second).all()
    assert (first != made(augmentation, image, (16, 16), 8, flipped=True)).any()
    assert image.tobytes() == before


@pytest.mark.parametrize("augmentation", [RandomCrop(0.3), replace(Varied(), sharpened=0.0, noisy=0.0)])
def test_what_is_flipped_is_the_mirror_image(augmentation: Augmentation) -> None:
    for seed in range(10):
        straight, flipped = (made(augmentation, gradient(), (16, 16), seed, flip) for flip in (False, True))
        assert (flipped == straight[:, ::-1]).all()


def test_with_every_part_switched_off_a_picture_stays_as_it_is() -> None:
    image = noise_picture((16, 16))
    for seed in range(10):
        assert (made(STILL, image, (16, 16), seed, flipped=False) == np.asarray(image)).all()


def test_a_shift_moves_the_picture_and_fills_what_is_left_with_its_reflection() -> None:
    image = noise_picture((8, 8))
    around = np.pad(np.asarray(image), ((8, 8), (8, 8), (0, 0)), mode="symmetric").astype(int)
    within = {around[y : y + 8, x : x + 8].tobytes() for y in range(17) for x in range(17)}

    class Whole(np.random.Generator):
        """Shifts by whole pixels, so that no filter mixes them."""

        def uniform(self, low: float, high: float, size: int | None = None) -> object:  # type: ignore[override]
            return np.round(np.asarray(super().uniform(low, high, size)) * 8) / 8

    found = {
        replace(STILL, shift=1.0)(image, (8, 8), Whole(np.random.PCG64(seed)), False).astype(int).tobytes()
        for seed in range(40)
    }
    assert found <= within
    assert len(found) > 20


def test_a_box_beyond_the_picture_by_more_than_its_size_sees_reflections_of_reflections() -> None:
    image = Image.fromarray(np.array([[[10] * 3, [200] * 3]], np.uint8))
    wide = replace(STILL, near=0.0, zoom=(0.1, 0.1), aspect=1.0, wander=0.0)
    stripes = {tuple(made(wide, image, (1, 20), seed, flipped=False)[0, :, 0].tolist()) for seed in range(60)}
    nearest = next(line for line in stripes if set(line) == {10, 200})
    pattern = "".join("a" if value == 10 else "b" for value in nearest)
    assert pattern in "abbaabbaabbaabbaabbaabbaabba"


def test_a_zoom_shows_a_larger_or_a_smaller_part() -> None:
    def extent(zoom: float) -> float:
        part = replace(STILL, near=0.0, zoom=(zoom, zoom), aspect=1.0, wander=0.0)
        return float(np.ptp(made(part, gradient(), (64, 64), 3, flipped=False)[32, :, 0].astype(int))) / 255

    assert extent(2.0) == pytest.approx(0.5, abs=0.03)
    assert extent(1.25) == pytest.approx(0.8, abs=0.03)
    middle = made(replace(STILL, near=0.0, zoom=(0.5, 0.5), aspect=1.0, wander=0.0), gradient(), (64, 64), 3, False)
    assert middle[32, 16, 0] <= 8  # the picture begins after a quarter,
    assert middle[32, 0, 0] == pytest.approx(middle[32, 31, 0], abs=8)  # and what is before it is its reflection


def test_sharpening_steepens_edges_and_changes_no_plain_place() -> None:
    pixels = np.full((32, 32, 3), 100, np.uint8)
    pixels[:, 16:] = 150
    sharp = made(replace(STILL, sharpened=1.0), Image.fromarray(pixels), (32, 32), 1, flipped=False)
    assert sharp[:, 15].max() < 100
    assert sharp[:, 16].min() > 150
    assert (sharp[:, 0] == 100).all()
    assert (sharp[:, -1] == 150).all()


def test_noise_has_the_mean_of_the_picture_and_a_deviation_from_two_to_fourteen() -> None:
    image = Image.new("RGB", (64, 64), (120, 120, 120))
    deviations = [
        made(replace(STILL, noisy=1.0), image, (64, 64), seed, flipped=False).astype(float) - 120 for seed in range(30)
    ]
    assert all(abs(one.mean() + 0.5) < 1 for one in deviations)  # whole numbers are cut off
    assert min(one.std() for one in deviations) > 1.8
    assert max(one.std() for one in deviations) < 14.5


def test_colours_change_alike_everywhere_and_in_order_of_brightness() -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for seed in range(20):
        line = made(replace(STILL, coloured=1.0), Image.fromarray(levels), (1, 256), seed, flipped=False)[0].astype(int)
        assert (np.diff(line, axis=0) >= 0).all()
        assert (line != levels[0]).any()


def test_shares_of_the_parts_are_kept() -> None:
    image = Image.new("RGB", (16, 16), (100, 110, 120))
    plain = np.asarray(image)
    for augmentation in (replace(STILL, noisy=0.3), replace(STILL, coloured=0.3)):
        changed = [(made(augmentation, image, (16, 16), seed, flipped=False) != plain).any() for seed in range(300)]
        assert 65 <= sum(changed) <= 115


def test_a_large_photograph_looks_as_it_does_without_being_averaged_down_first(monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise_picture((12, 9)).resize((1200, 900), Image.Resampling.BICUBIC)
    smooth = replace(Varied(), sharpened=0.0, noisy=0.0, coloured=0.0)
    quick = [made(smooth, image, (48, 64), seed, flipped=False).astype(int) for seed in range(20)]
    monkeypatch.setattr(augment, "_REDUCING_GAP", 1000.0)
    slow = [made(smooth, image, (48, 64), seed, flipped=False).astype(int) for seed in range(20)]
    differences = sorted(float(np.abs(one - other).mean()) for one, other in zip(quick, slow, strict=True))
    assert differences[-1] > 0  # it is another way,
    assert differences[14] < 1.5  # which is seen where the nearest pixel was taken, in one of seven
