"""A map of a network's input is drawn over the picture that the input was made of.

Colour says how strong the map is, and so does opacity: where it is weak the picture stays as it is. The part of the
picture that the network did not see is dark, and an outline goes around what it saw.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from vithybrid_cli.explain.heatmap import HeatMap
from vithybrid_cli.explain.seen import Box

Floats = npt.NDArray[np.float32]

# Matplotlib's inferno (Stéfan van der Walt and Nathaniel Smith, CC0) at ten places as far from each other; lightness
# rises evenly, so it is read alike by people who see colours otherwise, and in grey.
_INFERNO = (
    *(0x000004, 0x1B0C42, 0x4B0C6B, 0x781C6D, 0xA52C60),
    *(0xCF4446, 0xED6925, 0xFB9A06, 0xF7D03C, 0xFCFFA4),
)
COLOURS = "inferno"
_FIRST, _LAST = 0.3, 0.94  # of the colours: those before are hard to tell from a dark picture, the last are near white
_OPACITY = 0.82  # of the strongest part
_GREY = 0.45  # how much of the picture's own colour is taken away, so that the map's stands out
_FULL = 98  # per cent of a map's values that are less than all of the colour
_FINER = 4  # places along each side of a coarse cell that it is the mean of
_UNSEEN = 0.38  # brightness of what the network did not see


def strength(heat: HeatMap) -> Floats:
    """A map of any range as 0 to 1 [h, w]: from its smallest value on, or from 0 where that is neutral.

    What speaks against the label counts for nothing. Of a fine map the strongest fiftieth is 1, so that a single peak
    does not hide the rest. A map that is the same everywhere is 0: nothing stands out.
    """
    positive = np.maximum(np.nan_to_num(heat.values, posinf=0, neginf=0), 0)
    low, most = 0.0 if heat.signed else float(positive.min()), float(positive.max())
    high = float(np.percentile(positive, _FULL, method="higher"))
    high = high if high > low else most
    return np.zeros_like(positive) if high <= low else np.clip((positive - low) / (high - low), 0, 1)


def colour(strength: Floats) -> npt.NDArray[np.float32]:
    """The colour of each value from 0 to 1: [...] → RGB from 0 to 255 [..., 3]."""
    table = np.array([[value >> 16, value >> 8 & 255, value & 255] for value in _INFERNO], np.float32)
    places = np.linspace(0, 1, len(table))
    at = _FIRST + (_LAST - _FIRST) * strength
    return np.stack([np.interp(at, places, table[:, channel]) for channel in range(3)], axis=-1).astype(np.float32)


def opacity(strength: Floats) -> Floats:
    """How much of the colour lies over the picture: nothing where the map is weak, never all."""
    smooth = strength * strength * (3 - 2 * strength)
    return np.asarray(_OPACITY * (0.35 * smooth + 0.65 * strength), np.float32)


def overlay(picture: Image.Image, heat: HeatMap, box: Box) -> Image.Image:
    """The map of what lies within ``box`` drawn over a ``picture`` of mode RGB, of whose size the result is.

    ``box`` is in the picture's pixels, and may reach beyond it; that part of the map is cut off.
    """
    left, top, right, bottom = within(box, picture.size)
    drawn = _muted(picture, _UNSEEN)
    if right > left and bottom > top:
        part = picture.crop((left, top, right, bottom))
        drawn.paste(_blended(part, spread(heat, box, (left, top, right, bottom))), (left, top))
        _outline(drawn, (left, top, right, bottom))
    return drawn


def within(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The ``box`` in whole pixels of a picture of this (width, height)."""
    left, top, right, bottom = (round(edge) for edge in box)
    return max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])


def coarse(heat: HeatMap, box: Box, size: tuple[int, int], columns: int, rows: int) -> Floats:
    """The strength of the map in each of [rows, columns] parts of a picture of this (width, height).

    What lies outside of the ``box`` is no number. The rest is as for `overlay`.
    """
    across, down = _FINER * columns / size[0], _FINER * rows / size[1]
    scaled = box[0] * across, box[1] * down, box[2] * across, box[3] * down
    fine = np.full((_FINER * rows, _FINER * columns), np.nan, np.float32)
    part = left, top, right, bottom = within(scaled, (_FINER * columns, _FINER * rows))
    if right > left and bottom > top:
        fine[top:bottom, left:right] = spread(heat, scaled, part)
    cells = fine.reshape(rows, _FINER, columns, _FINER).swapaxes(1, 2).reshape(rows, columns, -1)
    known = np.isfinite(cells)
    sums, counts = np.where(known, cells, 0).sum(axis=-1), known.sum(axis=-1)
    mostly = 2 * counts >= cells.shape[-1]
    return np.where(mostly, sums / np.maximum(counts, 1), np.nan).astype(np.float32)


def spread(heat: HeatMap, box: Box, part: tuple[int, int, int, int]) -> Floats:
    """The strength, from 0 to 1, at each pixel of a ``part`` of the picture, for a map of what lies within ``box``.

    The middle of each of the map's cells has its value, and cubic curves join them.
    """
    rows, columns = heat.values.shape
    across, down = columns / (box[2] - box[0]), rows / (box[3] - box[1])
    left, right = ((edge - box[0]) * across for edge in (part[0], part[2]))
    top, bottom = ((edge - box[1]) * down for edge in (part[1], part[3]))
    source = max(left, 0.0), max(top, 0.0), min(right, columns), min(bottom, rows)
    size = part[2] - part[0], part[3] - part[1]
    drawn = Image.fromarray(strength(heat)).resize(size, Image.Resampling.BICUBIC, box=source)
    return np.clip(np.asarray(drawn, np.float32), 0, 1)


def _blended(part: Image.Image, strong: Floats) -> Image.Image:
    share = opacity(strong)[..., None]
    below = np.asarray(_muted(part, 1.0), np.float32)
    return Image.fromarray(np.rint(below * (1 - share) + colour(strong) * share).astype(np.uint8))


def _muted(picture: Image.Image, brightness: float) -> Image.Image:
    """Less of its colour, and less light."""
    pixels = np.asarray(picture, np.float32)
    grey = np.asarray(picture.convert("L"), np.float32)[..., None]
    return Image.fromarray(np.rint((pixels + (grey - pixels) * _GREY) * brightness).astype(np.uint8))


def _outline(drawn: Image.Image, part: tuple[int, int, int, int]) -> None:
    """A light line just outside of what the network saw, where there is anything outside."""
    left, top, right, bottom = part
    if part == (0, 0, *drawn.size):
        return
    thick = max(round(max(drawn.size) / 400), 1)
    draw = ImageDraw.Draw(drawn)
    edge = left - thick, top - thick, right + thick - 1, bottom + thick - 1
    draw.rectangle(edge, outline=(235, 235, 235), width=thick)
