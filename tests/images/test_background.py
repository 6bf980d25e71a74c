"""With a background, what is transparent lies on its colour; without, it is dropped as by transformers."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from vithybrid_cli.images import heif
from vithybrid_cli.images.decode import decode
from vithybrid_cli.settings import Decoding

# TIFF 6.0, ExtraSamples: what alpha is to the colours.
OF_ITS_OWN, MULTIPLIED_IN = (b"\x52\1\3\0\1\0\0\0" + bytes([value, 0]) for value in (2, 1))
COLOUR = "#2080c0"
ON_COLOUR = Decoding(background=COLOUR)


def soft(mode: str = "RGBA", size: tuple[int, int] = (37, 29)) -> Image.Image:
    """All degrees of alpha, and colours behind it."""
    values = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 4), np.uint8)
    values[0, :, 3], values[1, :, 3] = 0, 255
    image = Image.fromarray(values)
    return image if mode == "RGBA" else image.convert(mode)


def on_colour(image: Image.Image, colour: str = COLOUR) -> Image.Image:
    behind = Image.new("RGBA", image.size, ImageColor.getrgb(colour))
    return Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")


def png(size: tuple[int, int], depth: int, colour_type: int, rows: bytes, transparent: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = np.array(size, ">u4").tobytes() + bytes([depth, colour_type, 0, 0, 0])
    parts = [(b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        pytest.param("a.png", "RGBA", {}, id="PNG"),
        pytest.param("a.png", "LA", {}, id="PNG grey"),
        pytest.param("a.webp", "RGBA", {"lossless": True, "exact": True}, id="WebP"),
        pytest.param("a.webp", "RGBA", {"lossless": True, "save_all": True, "append_images": [soft()]}, id="animation"),
        pytest.param("a.png", "RGBA", {"save_all": True, "append_images": [soft()]}, id="APNG"),
        pytest.param("a.tif", "RGBA", {}, id="TIFF"),
        pytest.param("a.tif", "LA", {}, id="TIFF grey"),
        pytest.param("a.tif", "RGBA", {"compression": "tiff_lzw"}, id="TIFF LZW"),
        pytest.param("a.tga", "RGBA", {}, id="TGA"),
        pytest.param("a.ico", "RGBA", {"sizes": [(37, 29)]}, id="ICO"),
        pytest.param("a.jp2", "RGBA", {}, id="JPEG 2000"),
        pytest.param("a.dds", "RGBA", {}, id="DDS"),
        pytest.param("a.qoi", "RGBA", {}, id="QOI"),
    ],
)
def test_alpha_is_laid_on_the_colour(tmp_path: Path, name: str, mode: str, options: dict[str, Any]) -> None:
    soft(mode).save(tmp_path / name, **options)
    with Image.open(tmp_path / name) as image:
        expected = on_colour(image)
    assert decode(tmp_path / name, ON_COLOUR) == expected
    assert decode(tmp_path / name) != expected


@pytest.mark.parametrize("name", ["a.avif", "a.heic"])
def test_alpha_of_phones_formats_is_laid_on_the_colour(tmp_path: Path, name: str) -> None:
    if name == "a.heic":
        pytest.importorskip("pillow_heif")
        assert heif.register()
    soft(size=(64, 64)).save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert image.mode == "RGBA"
        expected = on_colour(image)
    assert decode(tmp_path / name, ON_COLOUR) == expected


@pytest.mark.parametrize("transparency", [3, bytes([0, 128, 255, 7])], ids=["one index", "alpha per index"])
def test_a_palette_with_transparency_is_laid_on_the_colour(tmp_path: Path, transparency: int | bytes) -> None:
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4) % 4).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    image.save(tmp_path / "a.png", transparency=transparency)
    with Image.open(tmp_path / "a.png") as image:
        assert decode(tmp_path / "a.png", ON_COLOUR) == on_colour(image)
    clear = 3 if transparency == 3 else 0
    assert decode(tmp_path / "a.png", ON_COLOUR).getpixel((clear, 0)) == (0x20, 0x80, 0xC0)


def test_alpha_that_is_multiplied_in_is_taken_out_before(tmp_path: Path) -> None:
    multiplied = soft().convert("RGBa")
    stored = Image.frombytes("RGBA", multiplied.size, multiplied.tobytes())
    stored.save(tmp_path / "a.tif")
    data = (tmp_path / "a.tif").read_bytes()
    assert data.count(OF_ITS_OWN) == 1
    (tmp_path / "a.tif").write_bytes(data.replace(OF_ITS_OWN, MULTIPLIED_IN))
    assert decode(tmp_path / "a.tif", ON_COLOUR) == on_colour(multiplied)
    assert on_colour(multiplied) != on_colour(stored)


@pytest.mark.parametrize("frames", [1, 2])
def test_the_first_frame_of_a_gif_is_laid_on_the_colour(tmp_path: Path, frames: int) -> None:
    image = Image.new("RGBA", (8, 8), "red")
    image.paste((0, 0, 0, 0), (0, 0, 4, 8))
    image.save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGBA", (8, 8), "blue")] * (frames - 1))
    found = decode(tmp_path / "a.gif", ON_COLOUR)
    assert [found.getpixel((x, 4)) for x in (3, 4)] == [(0x20, 0x80, 0xC0), (255, 0, 0)]


@pytest.mark.parametrize(
    ("depth", "colour_type", "row", "transparent", "expected"),
    [
        pytest.param(8, 0, bytes([0, 7, 255]), [7], [0, None, 255], id="8 bits"),
        pytest.param(1, 0, bytes([0b10100000]), [1], [None, 0, None], id="1 bit, white"),
        pytest.param(1, 0, bytes([0b10100000]), [0], [255, None, 255], id="1 bit, black"),
        pytest.param(2, 0, bytes([0b00101100]), [2], [0, None, 255], id="2 bits"),
        pytest.param(4, 0, bytes([0x0A, 0xF0]), [10], [0, None, 255], id="4 bits"),
        pytest.param(16, 0, bytes([0, 9, 1, 0, 1, 1]), [256], [0, None, 1], id="16 bits"),
        pytest.param(8, 2, bytes([1, 1, 1, 7, 8, 9, 7, 7, 7]), [7, 8, 9], [1, None, 7], id="RGB"),
        pytest.param(16, 2, b"\1\0\1\0\1\0\0\0\0\0\0\0\7\0\7\0\7\0", [0, 0, 0], [1, None, 7], id="RGB of 16 bits"),
        pytest.param(16, 2, b"\1\0\1\0\1\0\7\0\7\0\7\0\2\0\2\0\2\0", [1792] * 3, [1, None, 2], id="16 bits, not 0"),
    ],
)
def test_the_one_grey_or_colour_that_is_transparent_is_the_background(
    tmp_path: Path, depth: int, colour_type: int, row: bytes, transparent: list[int], expected: list[int | None]
) -> None:
    key = np.array(transparent, ">u2").tobytes()
    (tmp_path / "a.png").write_bytes(png((3, 1), depth, colour_type, b"\0" + row, key))
    found = [decode(tmp_path / "a.png", ON_COLOUR).getpixel((x, 0)) for x in range(3)]
    assert found == [(0x20, 0x80, 0xC0) if value is None else (value,) * 3 for value in expected]


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK", "I;16", "YCbCr", "LAB"])
def test_opaque_pictures_do_not_change(tmp_path: Path, mode: str) -> None:
    name = "a.jpg" if mode == "YCbCr" else "a.tif"
    image = soft("RGB").convert("L").convert("I;16") if mode == "I;16" else soft("RGB").convert(mode)
    image.save(tmp_path / name)
    assert decode(tmp_path / name, ON_COLOUR) == decode(tmp_path / name)


def test_alpha_that_is_opaque_everywhere_changes_nothing(tmp_path: Path) -> None:
    image = soft()
    image.putalpha(255)
    image.save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", ON_COLOUR) == image.convert("RGB")


def test_what_is_transparent_is_turned_with_its_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    soft().save(tmp_path / "a.png", exif=exif)
    assert decode(tmp_path / "a.png", ON_COLOUR) == on_colour(soft()).transpose(Image.Transpose.ROTATE_270)


@pytest.mark.parametrize("convert", [lambda image: image, lambda image: image.convert("LA")], ids=["RGBA", "LA"])
def test_without_a_background_the_colours_behind_show(tmp_path: Path, convert: Callable[[Any], Any]) -> None:
    convert(soft()).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png") == convert(soft()).convert("RGB")
