"""A file becomes an upright RGB image, or one ImageError: never a traceback, never a hang, never a warning."""

import io
import os
import random
import socket
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, UnidentifiedImageError

from vithybrid_cli.errors import ImageError, ImageTooLarge, MissingFile, NotAFile, PermissionDenied, UnreadableImage
from vithybrid_cli.images import heif
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.rgb import to_rgb
from vithybrid_cli.settings import DEFAULT_MAX_PIXELS, Decoding

ORIENTATION = 0x0112


def noise(height: int, width: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (height, width, channels), np.uint8)


def picture(mode: str = "RGB", size: tuple[int, int] = (23, 17)) -> Image.Image:
    """Soft colours, so that a lossy format changes little."""
    y, x = np.mgrid[: size[1], : size[0]]
    rgb = np.stack([x * 255 // size[0], y * 255 // size[1], (x + y) * 4], -1).astype(np.uint8)
    return Image.fromarray(rgb).convert(mode)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(image: Image.Image, name: str, **options: Any) -> Path:
        path = tmp_path / name
        image.save(path, **options)
        return path

    return save


Save = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        pytest.param("a.png", "RGB", {}, id="PNG"),
        pytest.param("a.png", "L", {}, id="PNG grey"),
        pytest.param("a.png", "LA", {}, id="PNG grey with alpha"),
        pytest.param("a.png", "RGBA", {}, id="PNG with alpha"),
        pytest.param("a.png", "P", {}, id="PNG palette"),
        pytest.param("a.png", "1", {}, id="PNG of one bit"),
        pytest.param("a.bmp", "RGB", {}, id="BMP"),
        pytest.param("a.bmp", "1", {}, id="BMP of one bit"),
        pytest.param("a.gif", "P", {}, id="GIF"),
        pytest.param("a.tif", "RGB", {}, id="TIFF"),
        pytest.param("a.tif", "CMYK", {}, id="TIFF CMYK"),
        pytest.param("a.tif", "LAB", {}, id="TIFF Lab"),
        pytest.param("a.tif", "RGB", {"compression": "tiff_lzw"}, id="TIFF LZW"),
        pytest.param("a.tif", "1", {"compression": "group4"}, id="TIFF fax"),
        pytest.param("a.webp", "RGB", {"lossless": True}, id="WebP"),
        pytest.param("a.webp", "RGBA", {"lossless": True}, id="WebP with alpha"),
        pytest.param("a.jp2", "RGB", {}, id="JPEG 2000"),
        pytest.param("a.ppm", "RGB", {}, id="PPM"),
        pytest.param("a.pgm", "L", {}, id="PGM"),
        pytest.param("a.tga", "RGBA", {}, id="TGA"),
        pytest.param("a.ico", "RGBA", {"sizes": [(23, 17)]}, id="ICO"),
        pytest.param("a.pcx", "RGB", {}, id="PCX"),
        pytest.param("a.sgi", "RGB", {}, id="SGI"),
        pytest.param("a.dds", "RGB", {}, id="DDS"),
        pytest.param("a.qoi", "RGB", {}, id="QOI"),
        pytest.param("picture", "RGB", {"format": "PNG"}, id="no suffix"),
        pytest.param("a.jpg", "RGB", {"format": "PNG"}, id="a wrong suffix"),
    ],
)
def test_lossless_formats_and_modes_are_what_pillow_converts_to_rgb(
    saved: Save, name: str, mode: str, options: dict[str, Any]
) -> None:
    path = saved(picture(mode), name, **options)
    actual = decode(path)
    with Image.open(path) as image:
        expected = image.convert("RGB")
    assert (expected.mode, expected.size) == (actual.mode, actual.size)
    np.testing.assert_array_equal(np.asarray(expected), np.asarray(actual))


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.avif", "a.mpo"])
def test_lossy_formats_are_close_to_the_picture(saved: Save, name: str) -> None:
    actual = np.asarray(decode(saved(picture(), name, quality=95))).astype(int)
    assert np.abs(actual - np.asarray(picture())).mean() < 4


def test_a_cmyk_jpeg_is_not_inverted(saved: Save) -> None:
    white = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    assert decode(saved(white, "a.jpg")).getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("transparency", [3, bytes([0, 128, 255, 7])], ids=["one index", "alpha per index"])
def test_a_palette_with_transparency_keeps_its_colours(saved: Save, transparency: int | bytes) -> None:
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4) % 4).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    actual = decode(saved(image, "a.png", transparency=transparency))
    assert [actual.getpixel((x, 0)) for x in range(4)] == [(10, 20, 30), (40, 50, 60), (70, 80, 90), (100, 110, 120)]


def test_alpha_is_dropped_as_by_the_reference() -> None:
    image = Image.new("RGBA", (2, 2), (200, 100, 50, 0))
    assert to_rgb(image).getpixel((0, 0)) == (200, 100, 50)


def test_an_rgb_image_is_not_copied() -> None:
    image = picture()
    assert to_rgb(image) is image


RAMP = np.array([[0, 255, 256, 32768, 65280, 65535]], np.uint16)
HIGH_BYTES = [0, 0, 1, 128, 255, 255]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bits_are_scaled_and_not_clipped(saved: Save, name: str) -> None:
    actual = decode(saved(Image.fromarray(RAMP), name))
    assert (actual.mode, np.asarray(actual)[0, :, 0].tolist()) == ("RGB", HIGH_BYTES)


def test_grey_of_16_bits_gives_what_the_same_values_give_in_rgb(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + RAMP.repeat(3).astype(">u2").tobytes() for _ in range(1))
    header = np.array([6, 1], ">u4").tobytes() + bytes([16, 2, 0, 0, 0])

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert np.asarray(decode(tmp_path / "a.png"))[0, :, 0].tolist() == HIGH_BYTES


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_each_byte_order_of_16_bits_is_scaled(mode: str) -> None:
    image = Image.frombytes(mode, (6, 1), RAMP.astype(">u2" if mode.endswith("B") else "<u2").tobytes())
    assert np.asarray(to_rgb(image))[0, :, 0].tolist() == HIGH_BYTES


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.array([[0, 7, 255]], np.int32), [0, 7, 255], id="8 bits in 32"),
        pytest.param(np.array([[0, 256, 65535]], np.int32), [0, 1, 255], id="16 bits in 32"),
        pytest.param(np.array([[-100, 0, 100]], np.int32), [0, 128, 255], id="signed"),
        pytest.param(np.array([[0, 10**9, 2 * 10**9]], np.int32), [0, 128, 255], id="32 bits"),
        pytest.param(np.array([[5, 5, 5]], np.int32), [5, 5, 5], id="one value"),
        pytest.param(np.array([[-5, -5, -5]], np.int32), [0, 0, 0], id="one negative value"),
        pytest.param(np.array([[0, 0.5, 1]], np.float32), [0, 128, 255], id="float from 0 to 1"),
        pytest.param(np.array([[0, 7.2, 255]], np.float32), [0, 7, 255], id="float from 0 to 255"),
        pytest.param(np.array([[np.nan, 0.5, 1]], np.float32), [0, 128, 255], id="not a number"),
        pytest.param(np.array([[np.inf, 0.5, 1]], np.float32), [0, 128, 255], id="infinite"),
        pytest.param(np.array([[-1, 0, 1]], np.float32), [0, 128, 255], id="float around zero"),
    ],
)
def test_32_bits_are_scaled_by_the_range_they_use(saved: Save, values: Any, expected: list[int]) -> None:
    assert np.asarray(decode(saved(Image.fromarray(values), "a.tif")))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_an_animation_gives_its_first_frame(saved: Save, name: str) -> None:
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    path = saved(red, name, save_all=True, append_images=[blue, red])
    red_part, _, blue_part = np.asarray(decode(path)).reshape(-1, 3).mean(0)
    assert (red_part > 240, blue_part < 15) == (True, True)


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("orientation", [pytest.param(value, id=f"orientation {value}") for value in TURNED])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("a.png", {}, id="PNG"),
        pytest.param("a.webp", {"lossless": True}, id="WebP"),
        pytest.param("a.tif", {}, id="TIFF"),
        pytest.param("a.tif", {"compression": "tiff_lzw"}, id="TIFF LZW"),
    ],
)
def test_each_orientation_is_brought_upright(saved: Save, name: str, options: dict[str, Any], orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = noise(5, 7)
    actual = decode(saved(Image.fromarray(stored), name, exif=exif, **options))
    np.testing.assert_array_equal(TURNED[orientation](stored), np.asarray(actual))


@pytest.mark.parametrize("orientation", [pytest.param(value, id=f"orientation {value}") for value in TURNED])
def test_a_jpeg_of_each_orientation_is_brought_upright(saved: Save, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(picture(), "a.jpg", exif=exif)
    with Image.open(path) as image:
        stored = np.asarray(image)
    np.testing.assert_array_equal(TURNED[orientation](stored), np.asarray(decode(path)))


def test_a_file_is_turned_and_an_image_at_hand_is_not(saved: Save) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = saved(picture("L"), "a.png", exif=exif)
    with Image.open(path) as image:
        assert (decode(path).size, to_rgb(image).size) == ((17, 23), (23, 17))


def test_16_bits_are_turned(saved: Save) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    assert np.asarray(decode(saved(Image.fromarray(RAMP), "a.png", exif=exif)))[:, 0, 0].tolist() == HIGH_BYTES


@pytest.mark.parametrize(
    "exif",
    [
        pytest.param(b"Exif\0\0", id="empty"),
        pytest.param(b"Exif\0\0garbage that is no TIFF header", id="no header"),
        pytest.param(b"Exif\0\0II*\0\xff\xff\xff\xff", id="offset beyond the end"),
        pytest.param(b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 20, id="more entries than bytes"),
        pytest.param(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04abc\0\0\0\0\0", id="text for orientation"),
        pytest.param(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0", id="orientation 99"),
        pytest.param(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x05\0\0\0\x01\0\0\0\x08", id="a ratio for orientation"),
        pytest.param(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x0c\0\0\0\x01\x7f\xc0\0\0", id="a double that is cut"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_a_picture_with_a_broken_exif_block_is_kept_as_it_is_stored(saved: Save, name: str, exif: bytes) -> None:
    assert decode(saved(picture(), name, exif=exif)).size == (23, 17)


def test_a_missing_file_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    for name in ("gone.jpg", "gone/a.jpg", "a.png/b.jpg", "x" * 300):
        with pytest.raises(MissingFile):
            decode(tmp_path / name)


@pytest.mark.parametrize("name", ["", "a\0b.jpg", "\ud800.jpg"], ids=["empty", "NUL", "surrogate"])
def test_a_text_that_no_file_can_have_as_its_name_is_a_missing_file(name: str) -> None:
    with pytest.raises(MissingFile):
        decode(name)


@pytest.mark.timeout(20)
def test_what_is_no_regular_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.jpg"))
        for path in (
            "/dev/zero",
            "/dev/stdin",
            tmp_path,
            tmp_path / "pipe.jpg",
            tmp_path / "link.jpg",
            tmp_path / "s.jpg",
        ):
            if path == "/dev/stdin" and not Path(path).is_char_device():
                continue
            with pytest.raises(NotAFile):
                decode(path)


def test_a_folder_that_may_not_be_listed_is_a_matter_of_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionDenied, match="folder"):
        decode(tmp_path)


def test_a_file_that_may_not_be_read_is_a_matter_of_permission(saved: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(picture(), "a.png")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything

        def refuse(self: Path, mode: str) -> None:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionDenied):
        decode(path)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"hello\n" * 50, "but a text file", id="text"),
        pytest.param(b"\0" * 10000, "a file of zeros", id="zeros"),
        pytest.param(b"\x89PNG\r\n\x1a\n", "no picture|damaged", id="only a signature"),
        pytest.param(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100, "damaged", id="HEIC"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n", "PostScript", id="EPS"),
        pytest.param(b"%PDF-1.4\n%", "a PDF document", id="PDF"),
        pytest.param(b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "an HDF5 file", id="HDF5"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing", id="SVG"),
    ],
)
def test_what_is_no_picture_is_unreadable_with_its_cause(tmp_path: Path, data: bytes, cause: str) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UnreadableImage, match=cause):
        decode(tmp_path / "a.jpg")


def test_a_phones_picture_is_read_and_not_turned_by_its_exif(saved: Save) -> None:
    pytest.importorskip("pillow_heif")
    assert heif.register()
    wide = picture(size=(64, 48))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # HEIF has a rotation of its own, already applied when it is decoded, and EXIF's is void
    decoded = decode(saved(wide, "a.heic", quality=-1, chroma=444, exif=exif))
    assert decoded.mode == "RGB"
    assert decoded.size == wide.size
    assert np.abs(np.asarray(decoded, np.int16) - np.asarray(wide)).max() <= 4  # its colours are not stored as RGB


def test_a_phones_picture_without_its_library_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heif, "register", lambda: False)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100)
    with pytest.raises(UnreadableImage, match=r"Install it with `pip install 'vithybrid-cli\[heif\]'`"):
        decode(tmp_path / "a.heic")


@pytest.mark.parametrize(("side", "size"), [(40, (41, 51)), (41, (41, 51)), (42, (82, 101)), (400, (328, 404))])
def test_a_draft_is_decoded_small_but_never_below_its_side(saved: Save, side: int, size: tuple[int, int]) -> None:
    large = picture(size=(328, 404))
    path = saved(large, "a.jpg", quality=95)
    draft = decode(path, draft_side=side)
    assert draft.size == size
    red_and_green = np.s_[:, :, :2]  # blue has hard edges
    whole = np.asarray(decode(path).resize(size, Image.Resampling.BOX), np.int16)
    assert np.abs(np.asarray(draft, np.int16) - whole)[red_and_green].mean() < 2


def test_a_draft_of_another_format_is_the_whole_picture(saved: Save) -> None:
    path = saved(picture(size=(320, 400)), "a.png")
    assert decode(path, draft_side=40) == decode(path)


@pytest.mark.timeout(20)
def test_a_huge_file_of_nothing_is_refused_quickly(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as stream:
        stream.truncate(2**36)
    with pytest.raises(UnreadableImage):
        decode(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.tif", "a.webp", "a.jpg", "a.bmp"])
def test_more_pixels_than_the_limit_are_refused_and_the_option_is_named(saved: Save, name: str) -> None:
    path = saved(picture(), name)
    assert decode(path, Decoding(max_pixels=23 * 17)).size == (23, 17)
    for max_pixels in (23 * 17 - 1, 23 * 17 // 2, 1):
        with pytest.raises(ImageTooLarge, match=f"set max_pixels above {max_pixels}\\."):
            decode(path, Decoding(max_pixels=max_pixels))


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "bomb.pgm").write_bytes(b"P5 60000 60000 255\n")
    with pytest.raises(ImageTooLarge, match=f"3600000000 pixels, more than {DEFAULT_MAX_PIXELS}\\."):
        decode(tmp_path / "bomb.pgm")


@pytest.mark.parametrize(
    "step",
    [
        pytest.param("PIL.PngImagePlugin.PngImageFile.load", id="decoding"),
        pytest.param("vithybrid_cli.images.rgb._to_8_bits", id="scaling"),
    ],
)
def test_too_little_memory_is_no_damage(saved: Save, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = saved(Image.fromarray(RAMP), "a.png")

    def fail(pixels: object) -> None:
        raise MemoryError

    monkeypatch.setattr(step, fail)
    with pytest.raises(ImageTooLarge, match=r"not enough memory to decode it \(6 × 1 pixels\)"):
        decode(path)


def test_too_little_memory_for_a_file_names_its_bytes(saved: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(picture(), "a.png")

    def fail(stream: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(ImageTooLarge, match=rf"\(a file of {path.stat().st_size} bytes\)"):
        decode(path)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (OSError("cannot identify image file <_io.BytesIO object at 0x7f00>"), "damaged or cut off."),
        (TypeError("'NoneType' object is not subscriptable"), "damaged or cut off."),
        (KeyError(b"abc"), "damaged or cut off."),
        (OSError(-2), "damaged or cut off."),
        (SyntaxError("broken PNG file (chunk b'\\x00')"), "damaged or cut off."),
        (ValueError("Decompressed data too large for PngImageFile.MAX_TEXT_CHUNK"), "damaged or cut off."),
        (OSError("broken data stream when reading image file"), "damaged or cut off."),
        (IndexError("index out of range"), "damaged or cut off."),
        (struct.error("unpack requires a buffer of 4 bytes"), "damaged or cut off (its file ends too early)."),
        (EOFError(), "damaged or cut off (its file ends too early)."),
        (ValueError("invalid palette size"), "damaged or cut off (invalid palette size)."),
        (OSError("Unsupported BMP compression (3)"), "is not read (Unsupported BMP compression (3))."),
        (NotImplementedError(), "This variant of its format is not read."),
    ],
)
def test_messages_are_words_and_show_no_python(
    saved: Save, monkeypatch: pytest.MonkeyPatch, raised: Exception, said: str
) -> None:
    path = saved(picture(), "a.png")

    def fail(self: object) -> None:
        raise raised

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(UnreadableImage) as caught:
        decode(path)
    assert caught.value.cause.endswith(said)


def test_a_bug_in_our_own_arithmetic_is_not_laid_to_the_file(saved: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(Image.fromarray(RAMP), "a.png")

    def fail(samples: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("vithybrid_cli.images.rgb._to_8_bits", fail)
    with pytest.raises(ValueError, match="a bug"):
        decode(path)


def test_a_palette_that_pillow_cannot_convert_is_damage(saved: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(picture("P"), "a.png")

    def fail(image: Image.Image, mode: str) -> None:
        raise ValueError("invalid palette size")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(UnreadableImage, match=r"damaged or cut off \(invalid palette size\)"):
        decode(path)


def test_a_bomb_inside_of_a_small_icon_is_refused(tmp_path: Path) -> None:
    inner = io.BytesIO()
    Image.new("1", (3000, 3000)).save(inner, "PNG")
    entry = bytes([16, 16, 0, 0, 1, 0, 1, 0]) + len(inner.getvalue()).to_bytes(4, "little") + (22).to_bytes(4, "little")
    (tmp_path / "a.ico").write_bytes(b"\0\0\1\0\1\0" + entry + inner.getvalue())
    with pytest.raises(ImageTooLarge, match="9000000 pixels, more than 1000000"):
        decode(tmp_path / "a.ico", Decoding(max_pixels=1000 * 1000))


@pytest.mark.parametrize("max_pixels", [DEFAULT_MAX_PIXELS, 2**33], ids=["default", "raised"])
def test_a_picture_where_pillow_would_warn_is_decoded_without_a_warning(
    tmp_path: Path, max_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / "a.png"
    picture().save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(path, Decoding(max_pixels=max_pixels)).size == (23, 17)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_pillows_own_limit_is_put_back_also_with_several_limits_at_a_time(saved: Save) -> None:
    path = saved(picture(), "a.png")
    before = Image.MAX_IMAGE_PIXELS
    refused: list[int] = []

    def work(max_pixels: int) -> None:
        for _ in range(30):
            try:
                decode(path, Decoding(max_pixels=max_pixels))
            except ImageTooLarge:
                refused.append(max_pixels)

    threads = [threading.Thread(target=work, args=(limit,)) for limit in (100, 2**33, 100, 2**33)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (refused, Image.MAX_IMAGE_PIXELS) == ([100] * 60, before)


DAMAGED: dict[str, dict[str, Any]] = {
    "a.jpg": {"quality": 90},
    "progressive.jpg": {"progressive": True},
    "a.png": {},
    "a.gif": {},
    "a.tif": {},
    "lzw.tif": {"compression": "tiff_lzw"},
    "jpeg.tif": {"compression": "jpeg"},
    "a.webp": {},
    "a.bmp": {},
    "a.jp2": {},
    "a.avif": {},
    "a.ico": {"sizes": [(16, 16)]},
    "a.tga": {"compression": "tga_rle"},
    "a.ppm": {},
    "a.pcx": {},
    "a.sgi": {},
    "a.qoi": {},
}


def outcome(path: Path) -> str:
    """What became of a file; anything but an image or an ImageError escapes and fails the test."""
    try:
        return decode(path, Decoding(max_pixels=10_000)).mode
    except ImageError as error:
        return "two lines" if "\n" in str(error) else type(error).__name__


def said(name: str, capfd: pytest.CaptureFixture[str]) -> str:
    """What was printed; libtiff speaks on stderr by itself, which Pillow has no switch for."""
    out, err = capfd.readouterr()
    return out if name.endswith(".tif") else out + err


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", DAMAGED)
def test_a_cut_off_file_is_an_image_or_one_error(saved: Save, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    extra = {"exif": exif} if name.endswith((".jpg", ".png", ".webp", ".tif", ".avif")) else {}
    path = saved(picture(), name, **DAMAGED[name], **extra)
    data = path.read_bytes()
    for length in sorted({*range(1, min(len(data), 32)), *range(1, len(data), max(1, len(data) // 40))}):
        path.write_bytes(data[:length])
        assert outcome(path) in {"RGB", "UnreadableImage", "ImageTooLarge"}
    assert said(name, capfd) == ""


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_with_wrong_bytes_is_an_image_or_one_error(
    saved: Save, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = saved(picture(), name, **DAMAGED[name])
    data = path.read_bytes()
    chance = random.Random(name)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 1, 3, 20])):
            damaged[chance.randrange(chance.choice([min(64, len(data)), len(data)]))] = chance.randrange(256)
        path.write_bytes(damaged)
        assert outcome(path) in {"RGB", "UnreadableImage", "ImageTooLarge"}
    assert said(name, capfd) == ""


def test_a_png_whose_checksum_is_wrong_is_damaged(saved: Save) -> None:
    path = saved(picture(size=(600, 400)), "a.png")
    data = path.read_bytes()
    length = int.from_bytes(data[data.index(b"IDAT") - 4 :][:4], "big")
    end = data.index(b"IDAT") + 4 + length
    unnoticed = 0
    for place in range(end - 200, end):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with Image.open(path) as image, suppress(OSError):
            image.load()
            unnoticed += 1
        with pytest.raises(UnreadableImage, match="damaged"):
            decode(path)
    assert unnoticed > 0  # by Pillow alone
    path.write_bytes(data)
    np.testing.assert_array_equal(np.asarray(decode(path)), np.asarray(picture(size=(600, 400))))


@pytest.mark.parametrize("kept", [0, 2], ids=["without its checksum", "with half of it"])
def test_a_png_that_ends_with_its_pixels_is_whole(saved: Save, kept: int) -> None:
    path = saved(picture(), "a.png")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"IEND") - 8 + kept])
    np.testing.assert_array_equal(np.asarray(decode(path)), np.asarray(picture()))


def test_a_jpeg_that_is_cut_in_its_pixels_is_not_filled_with_grey(saved: Save) -> None:
    path = saved(Image.fromarray(noise(64, 64)), "a.jpg")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UnreadableImage, match="damaged or cut off"):
        decode(path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.tif", "a.webp", "a.ico"])
def test_no_file_stays_open(saved: Save, name: str, tmp_path: Path) -> None:
    good = saved(picture(), name)
    bad = tmp_path / f"bad-{name}"
    bad.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (counts the same way twice)
    kept = [decode(good) for _ in range(5)]
    for _ in range(5):
        outcome(bad)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert {image.size for image in kept} == {kept[0].size}


def test_a_decoded_image_can_be_used_after_its_file_is_gone(saved: Save) -> None:
    for name in ("a.jpg", "a.png", "a.gif", "a.tif", "a.webp", "a.ppm", "a.bmp"):
        path = saved(picture(), name)
        image = decode(path)
        path.unlink()
        assert np.asarray(image.resize((4, 4))).shape == (4, 4, 3)


def test_threads_that_meet_a_rare_format_first_all_read_it(saved: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(picture(), "a.qoi")
    failing = iter([True])
    opened = Image.open

    def too_early(stream: Any) -> Any:
        if next(failing, False):
            raise UnidentifiedImageError("the plugins are being loaded by another thread")
        return opened(stream)

    monkeypatch.setattr(Image, "open", too_early)
    assert decode(path).size == (23, 17)
