"""A JPEG decoded at a part of its size is resized as far as the picture goes, and to the size of the whole."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.preprocess import Preprocessing


def photograph(size: tuple[int, int]) -> Image.Image:
    """Smooth colours with edges, as a photograph has them: no grain, which a draft cannot keep."""
    noise = np.random.default_rng(7).integers(0, 256, (size[1] // 9, size[0] // 9, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def saved(path: Path, size: tuple[int, int], orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    photograph(size).save(path, quality=95, subsampling=0, exif=exif)
    return path


def deviation(path: Path, preprocessing: Preprocessing) -> float:
    whole = preprocessing.pixels(decode(path)).astype(int)
    return float(np.abs(preprocessing.pixels(decode(path, draft_side=preprocessing.draft_side)) - whole).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(257, 257), (321, 265), (265, 321)], ids="{0[0]}×{0[1]}".format)
def test_a_draft_of_a_size_that_does_not_divide_is_as_near_as_one_that_does(
    tmp_path: Path, size: tuple[int, int], orientation: int
) -> None:
    preprocessing = Preprocessing(size=16, crop_size=(16, 16))
    assert decode(saved(tmp_path / "odd.jpg", size, orientation), draft_side=32).size != size
    even = deviation(saved(tmp_path / "even.jpg", (320, 256), orientation), preprocessing)
    assert deviation(tmp_path / "odd.jpg", preprocessing) < 1.5 * even


def test_a_draft_becomes_as_large_as_the_whole_picture(tmp_path: Path) -> None:
    preprocessing = Preprocessing(size=20, crop_size=(20, 20), do_center_crop=False)
    path = saved(tmp_path / "a.jpg", (325, 164))
    small = decode(path, draft_side=40)
    assert small.size == (82, 41)
    assert preprocessing.resized_size(small) == preprocessing.resized_size(decode(path)) == (20, 39)


def test_a_text_in_a_file_makes_no_draft_of_it(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("vithybrid_draft", "1")
    photograph((90, 60)).save(named := io.BytesIO(), "PNG", pnginfo=text)
    (tmp_path / "a.png").write_bytes(named.getvalue())
    assert Preprocessing.default((32, 32)).pixels(decode(tmp_path / "a.png")).shape == (32, 32, 3)
