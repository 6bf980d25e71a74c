"""Several overlays on one sheet, each with its label and score below it."""

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont

MOST_ON_A_SHEET: Final = 400  # overlays, so that the sheet can be opened
_SIDES = ((12, 320), (60, 240), (MOST_ON_A_SHEET, 160))  # up to so many, each gets a square of so many pixels
_GAP = 16
_BACKGROUND, _INK, _FAINT = (24, 24, 27), (244, 244, 245), (161, 161, 170)
_SHAPE = 1.5  # width to height that the sheet should have, about


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the sheet: a small ``overlay``, and what is written below it."""

    overlay: Image.Image
    label: str
    score: str
    name: str


def tile_side(count: int) -> int:
    """How many pixels wide and high each overlay is, at most, on a sheet of so many."""
    return next((side for most, side in _SIDES if count <= most), _SIDES[-1][1])


def small(overlay: Image.Image, side: int) -> Image.Image:
    """The overlay so that it fits into a square of ``side`` pixels; it is never made larger."""
    copy = overlay.copy()
    copy.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=None)
    return copy


def sheet(tiles: Sequence[Tile], title: str) -> Image.Image:
    """All ``tiles``, at least one, in rows from left to right, with a ``title`` above them."""
    side = tile_side(len(tiles))
    large, little, head = _font(side / 17), _font(side / 21), _font(19)
    below = round(1.9 * large.size + 1.5 * little.size) + _GAP  # a picture
    pictures = [small(tile.overlay, side) for tile in tiles]
    columns = _columns([picture.height + below for picture in pictures], side + _GAP)
    heights = [max(one.height for one in pictures[first : first + columns]) for first in range(0, len(tiles), columns)]
    top = round(head.size * 1.6) + 2 * _GAP
    width, height = columns * (side + _GAP) + _GAP, top + sum(heights) + len(heights) * below
    image = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.text((_GAP, _GAP), _fitted(title, head, width - 2 * _GAP), _FAINT, head)
    for number, (tile, picture) in enumerate(zip(tiles, pictures, strict=True)):
        row, column = divmod(number, columns)
        left, bottom = _GAP + column * (side + _GAP), top + sum(heights[: row + 1]) + row * below
        image.paste(picture, (left + (side - picture.width) // 2, bottom - picture.height))
        _write(draw, tile, (left, bottom), side, (large, little))
    return image


def _columns(heights: Sequence[int], width: int) -> int:
    """How many columns give the sheet its shape, for cells of one width."""
    wanted = math.sqrt(sum(heights) * _SHAPE / width)
    return min(max(round(wanted), 1), len(heights))


def _write(
    draw: ImageDraw.ImageDraw,
    tile: Tile,
    corner: tuple[int, int],
    side: int,
    fonts: tuple[ImageFont.FreeTypeFont, ImageFont.FreeTypeFont],
) -> None:
    """What stands below a picture whose lower left ``corner`` this is."""
    left, bottom = corner
    large, little = fonts
    line = bottom + round(large.size * 0.4)
    score = large.getlength(tile.score)
    draw.text((left + side - score, line), tile.score, _INK, large)
    draw.text((left, line), _fitted(tile.label, large, side - score - large.size / 2), _INK, large)
    draw.text((left, line + round(large.size * 1.5)), _fitted(tile.name, little, side, end=True), _FAINT, little)


def _font(size: float) -> ImageFont.FreeTypeFont:
    """The font that comes with Pillow: the same on every machine."""
    font = ImageFont.load_default(size=max(round(size), 8))
    assert isinstance(font, ImageFont.FreeTypeFont)  # of a size, as asked for
    return font


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: float, *, end: bool = False) -> str:
    """The text as the font can write it, cut to ``width`` pixels; its ``end`` is kept, or else its beginning."""
    text = _written(text)
    if font.getlength(text) <= width:
        return text

    def part(kept: int) -> str:
        return text[len(text) - kept :] if end else text[:kept]

    kept = bisect_right(range(1, len(text)), width, key=lambda kept: font.getlength(f"{part(kept)}…"))
    return f"…{part(kept).lstrip()}" if end else f"{part(kept).rstrip()}…"


_INSTEAD = str.maketrans({"–": "-", "—": "-", "×": "x", "’": "'", "‘": "'", "“": '"', "”": '"', "ß": "ss"})
_ALSO = "…·"  # in Pillow's own font, beside ASCII


def _written(text: str) -> str:
    """What Pillow's own font has: letters without accents; of other alphabets a question mark each."""
    apart = unicodedata.normalize("NFD", text.translate(_INSTEAD))
    plain = "".join(character for character in apart if not unicodedata.combining(character))
    return "".join(character if " " <= character <= "~" or character in _ALSO else "?" for character in plain)
