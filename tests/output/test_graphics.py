"""What terminals get to show a picture, read back as they read it: the same pixels come out."""

import base64
import io
import re

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vithybrid_cli.output.blocks import half_blocks, shades
from vithybrid_cli.output.graphics import iterm, kitty, sixel


def noise(size: tuple[int, int]) -> Image.Image:
    values = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(values)


def unkitty(codes: str) -> tuple[Image.Image, dict[str, str]]:
    """The picture, and the keys of the first code."""
    found = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", codes)
    assert "".join(f"\x1b_G{keys};{text}\x1b\\" for keys, text in found) == codes  # and nothing else
    keys = [dict(pair.split("=") for pair in part.split(",")) for part, _ in found]
    assert [part["m"] for part in keys] == ["1"] * (len(found) - 1) + ["0"]
    assert all(part.keys() == {"m"} for part in keys[1:])
    assert all(len(text) <= 4096 and len(text) % 4 == 0 for _, text in found)
    content = base64.standard_b64decode("".join(text for _, text in found))
    return Image.open(io.BytesIO(content)), keys[0]


def unsixel(codes: str) -> npt.NDArray[np.int64]:
    """Colours in per cent [H, W, 3], as a terminal with sixel graphics draws them; -1 where nothing was drawn."""
    begin, raster, body = re.fullmatch(r'\x1bP([0-9;]*)q"([0-9;]*)(.*)\x1b\\', codes, re.DOTALL).groups()  # type: ignore[union-attr]
    assert begin.split(";")[1] == "1"
    _, _, width, height = map(int, raster.split(";"))
    screen = np.full((height + 5, width, 3), -1)
    registers: dict[int, tuple[int, ...]] = {}
    colour, x, y = 0, 0, 0
    for define, choose, count, repeated, single, move in re.findall(
        r"#(\d+;2;\d+;\d+;\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|([$-])", body
    ):
        if define:
            number, _, *parts = map(int, define.split(";"))
            assert all(0 <= part <= 100 for part in parts)
            registers[number] = tuple(parts)
        elif choose:
            colour = int(choose)
        elif move:
            x, y = 0, y + 6 * (move == "-")
        else:
            bits, length = ord(repeated or single) - 63, int(count or 1)
            for row in range(6):
                if bits >> row & 1:
                    screen[y + row, x : x + length] = registers[colour]
            x += length
            assert x <= width
    assert (screen[height:] == -1).all()
    assert len(registers) <= 256
    return screen[:height]


@pytest.mark.parametrize("size", [(1, 1), (40, 30), (200, 100)], ids=str)
def test_kitty_reads_the_picture_in_pieces_and_is_asked_for_no_answer(size: tuple[int, int]) -> None:
    picture = noise(size)
    found, keys = unkitty(kitty(picture, 30))
    assert np.array_equal(np.asarray(found), np.asarray(picture))
    assert keys.items() >= {"a": "T", "f": "100", "q": "2", "c": "30"}.items()


def test_iterm_reads_the_picture_as_a_file() -> None:
    picture = noise((50, 20))
    keys, text = re.fullmatch(r"\x1b\]1337;File=([^:]*):([^\x07]*)\x07", iterm(picture, 30)).groups()  # type: ignore[union-attr]
    content = base64.standard_b64decode(text)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(picture))
    assert f"size={len(content)}" in keys
    assert "inline=1" in keys
    assert "width=30;" in keys


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (3, 6), (64, 47), (300, 13)], ids=str)
def test_sixels_draw_every_pixel_once_in_its_colour(size: tuple[int, int]) -> None:
    levels = np.random.default_rng(2).integers(0, 5, (size[1], size[0], 3))  # 125 colours, of whole per cents
    picture = Image.fromarray((levels * 51).astype(np.uint8))
    drawn = unsixel(sixel(picture))
    assert drawn.shape == (size[1], size[0], 3)
    assert np.abs(drawn - levels * 20).max() <= 1


def test_sixels_of_a_photograph_are_near_it() -> None:
    ramp = np.linspace(0, 255, 90)
    values = np.stack([*np.meshgrid(ramp, ramp), np.full((90, 90), 90.0)], axis=-1)
    drawn = unsixel(sixel(Image.fromarray(values.astype(np.uint8))))
    assert np.abs(drawn * 2.55 - values).mean() < 8


def test_a_flat_picture_is_a_few_sixels() -> None:
    assert len(sixel(Image.new("RGB", (600, 400), "red"))) < 4000


def test_half_blocks_have_two_pixels_in_each_character() -> None:
    picture = noise((12, 10))
    lines = half_blocks(picture, 12, 5)
    found = np.zeros((10, 12, 3), int)
    for row, line in enumerate(lines):
        assert line.plain == "▀" * 12
        for span in line.spans:
            style = span.style
            assert not isinstance(style, str)
            assert style.color is not None
            assert style.bgcolor is not None
            found[2 * row, span.start] = style.color.triplet
            found[2 * row + 1, span.start] = style.bgcolor.triplet
    assert np.array_equal(found, np.asarray(picture))


@pytest.mark.parametrize(("ascii_only", "row"), [(False, "·░▒▓█ "), (True, ".-+*# ")])
def test_shades_say_how_strong_a_map_is(ascii_only: bool, row: str) -> None:
    values = np.array([[0, 0.25, 0.5, 0.75, 1, np.nan]], np.float32)
    assert [line.plain for line in shades(values, ascii_only=ascii_only)] == [row]
