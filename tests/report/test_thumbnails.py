"""Pictures of every kind become small upright sRGB files without anything but their pixels; or an ImageError."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, features

from vithybrid_cli.errors import ImageTooLarge, MissingFile, UnreadableImage
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.items import Content
from vithybrid_cli.report.entries import Thumbnail
from vithybrid_cli.report.thumbnails import ThumbnailMaker, in_srgb
from vithybrid_cli.settings import Decoding

TOP, BOTTOM = (200, 40, 40), (40, 40, 200)


def two_colours(mode: str = "RGB", size: tuple[int, int] = (64, 96)) -> Image.Image:
    """Red above blue."""
    image = Image.new("RGB", size, TOP)
    ImageDraw.Draw(image).rectangle((0, size[1] // 2, *size), BOTTOM)
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: Any) -> Content:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return Content(f"a.{kind}", stream.getvalue())


def pixels(thumbnail: Thumbnail) -> Image.Image:
    image = Image.open(io.BytesIO(thumbnail.content))
    assert image.size == (thumbnail.width, thumbnail.height)
    assert image.mode == "RGB"
    return image


def is_near(found: Any, wanted: tuple[int, int, int], most: int = 14) -> bool:
    return max(abs(int(one) - other) for one, other in zip(found, wanted, strict=True)) <= most


KINDS = [
    pytest.param(saved(two_colours(), "PNG"), id="PNG"),
    pytest.param(saved(two_colours(), "JPEG", quality=95), id="JPEG"),
    pytest.param(saved(two_colours("RGBA"), "PNG"), id="PNG with alpha"),
    pytest.param(saved(two_colours("P"), "PNG"), id="palette"),
    pytest.param(saved(two_colours("P"), "GIF"), id="GIF"),
    pytest.param(saved(two_colours(), "WEBP", lossless=True), id="WebP"),
    pytest.param(saved(two_colours(), "TIFF"), id="TIFF"),
    pytest.param(saved(two_colours(), "BMP"), id="BMP"),
    pytest.param(saved(two_colours("CMYK"), "TIFF"), id="CMYK"),
    pytest.param(saved(two_colours("CMYK"), "JPEG", quality=95), id="CMYK in JPEG"),
]


@pytest.mark.parametrize("item", KINDS)
def test_a_picture_of_any_kind_is_shown_with_its_colours(item: Content) -> None:
    made = ThumbnailMaker(48).made(item)
    assert made.damage is None
    image = pixels(made.thumbnail)
    assert image.size == (32, 48)
    assert is_near(image.getpixel((16, 8)), TOP)
    assert is_near(image.getpixel((16, 40)), BOTTOM)


def test_heic_is_shown_where_its_library_is_there() -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    image = pixels(ThumbnailMaker(48).made(saved(two_colours(), "HEIF", quality=95)).thumbnail)
    assert image.size == (32, 48)
    assert is_near(image.getpixel((16, 8)), TOP, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_however_the_camera_was_held(orientation: int) -> None:
    """Orientation 6 says that the first row is the right side, and so on: EXIF 2.32, table 6."""
    turned = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }[orientation]
    image = two_colours()
    for turn in turned:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = pixels(ThumbnailMaker(48).made(saved(image, "JPEG", exif=exif, quality=95)).thumbnail)
    assert shown.size == (32, 48)
    assert is_near(shown.getpixel((16, 8)), TOP)
    assert is_near(shown.getpixel((16, 40)), BOTTOM)


def test_what_is_transparent_lies_on_a_grey_on_which_black_and_white_show() -> None:
    image = Image.new("RGBA", (30, 10), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 10, 10))
    image.paste((255, 255, 255, 255), (20, 0, 30, 10))
    shown = pixels(ThumbnailMaker().made(saved(image, "PNG")).thumbnail)
    black, ground, white = (int(np.asarray(shown)[5, x].mean()) for x in (3, 15, 26))
    assert black < 60 < 100 < ground < 200 < 230 < white


def test_a_palette_may_have_transparent_colours() -> None:
    image = two_colours().quantize(2)
    shown = pixels(ThumbnailMaker().made(saved(image, "PNG", transparency=image.getpixel((0, 0)))).thumbnail)
    assert is_near(shown.getpixel((32, 20)), (160, 160, 160))
    assert is_near(shown.getpixel((32, 80)), BOTTOM)


def test_grey_of_16_bits_is_neither_white_nor_black() -> None:
    samples = np.full((20, 20), 0x8000, np.uint16)
    shown = pixels(ThumbnailMaker().made(saved(Image.fromarray(samples), "PNG")).thumbnail)
    assert is_near(shown.getpixel((10, 10)), (128, 128, 128))


@pytest.mark.parametrize(
    ("size", "becomes"),
    [
        pytest.param((20, 10), (20, 10), id="small"),
        pytest.param((1, 1), (1, 1), id="one pixel"),
        pytest.param((1000, 500), (176, 88), id="wide"),
        pytest.param((3000, 2), (176, 1), id="a line"),
    ],
)
def test_no_picture_is_enlarged_and_none_has_no_side(size: tuple[int, int], becomes: tuple[int, int]) -> None:
    made = ThumbnailMaker().made(saved(Image.new("RGB", size, "teal"), "PNG"))
    assert (made.thumbnail.width, made.thumbnail.height) == becomes


def wide_gamut() -> bytes:
    """A profile in which red, green and blue are those of sRGB, in another order."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(content[at : at + 4]): at for at in range(132, 132 + 12 * int.from_bytes(content[128:132]), 12)}
    red, blue = tags[b"rXYZ"] + 4, tags[b"bXYZ"] + 4
    content[red : red + 8], content[blue : blue + 8] = content[blue : blue + 8], content[red : red + 8]
    return bytes(content)


@pytest.mark.skipif(not features.check("littlecms2"), reason="Pillow has no LittleCMS")
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_of_an_embedded_profile_become_those_of_srgb(mode: str) -> None:
    shown = pixels(ThumbnailMaker().made(saved(two_colours(mode), "PNG", icc_profile=wide_gamut())).thumbnail)
    assert is_near(shown.getpixel((32, 20)), BOTTOM)
    assert is_near(shown.getpixel((32, 80)), TOP)


@pytest.mark.parametrize("profile", [pytest.param(b"no profile", id="damaged"), pytest.param(b"", id="empty")])
def test_a_damaged_profile_changes_nothing(profile: bytes) -> None:
    assert in_srgb(two_colours(), profile).tobytes() == two_colours().tobytes()


def test_nothing_but_pixels_is_in_a_thumbnail() -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    item = saved(two_colours(), "JPEG", exif=exif, icc_profile=srgb, comment=b"a comment")
    shown = pixels(ThumbnailMaker().made(item).thumbnail)
    assert not {"exif", "icc_profile", "comment", "xmp"} & shown.info.keys()


def test_without_webp_in_pillow_a_thumbnail_is_a_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda feature: False)
    made = ThumbnailMaker().made(saved(two_colours(), "PNG"))
    assert made.thumbnail.media_type == "image/jpeg"
    assert Image.open(io.BytesIO(made.thumbnail.content)).format == "JPEG"


def test_the_same_picture_gives_the_same_bytes() -> None:
    item = saved(two_colours(size=(640, 480)), "JPEG")
    assert ThumbnailMaker().made(item) == ThumbnailMaker().made(item)


def test_of_a_picture_that_is_cut_off_what_is_there_is_shown_and_what_is_wrong_is_told() -> None:
    noise = Image.effect_noise((200, 200), 60).convert("RGB")
    whole = saved(noise, "JPEG")
    made = ThumbnailMaker().made(Content("a.jpg", whole.content[: len(whole.content) // 2]))
    assert made.damage is not None
    assert made.damage.cause == "The picture is damaged or cut off (its file ends too early)."
    assert (made.thumbnail.width, made.thumbnail.height) == (176, 176)


def test_what_cannot_be_decoded_is_the_error_that_decoding_gives(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="no picture"):
        ThumbnailMaker().made(Content("a.png", b"no picture at all"))
    with pytest.raises(MissingFile):
        ThumbnailMaker().made(LocalFile(str(tmp_path / "a.png")))
    with pytest.raises(ImageTooLarge, match="6144 pixels, more than 100"):
        ThumbnailMaker(decoding=Decoding(max_pixels=100)).made(saved(two_colours(), "PNG"))


def test_memory_is_asked_for_before_a_picture_is_decoded() -> None:
    asked: list[int] = []
    ThumbnailMaker().made(saved(two_colours(), "PNG"), asked.append)
    assert len(asked) == 1
    assert asked[0] >= 64 * 96 * 4
