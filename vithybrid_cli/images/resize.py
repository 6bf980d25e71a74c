"""The part of a resized picture that is kept, computed without the rest, to the bit.

Pillow resizes each axis by a table of weights (``precompute_coeffs`` in its ``Resample.c``). In float64, target pixel
``i`` has its centre at ``start + (i + 0.5) * scale``, and ``scale`` is ``(stop - start) / pixels``; start and stop are
the float32 of ``box``. A part has the weights of the whole where these come out as the same numbers. With
``length / target`` in lowest terms they do

- if the denominator is a power of two, wherever the part begins and ends: all of these are short binary fractions, and
  nothing is rounded;
- if not, for a part from the first pixel on whose end is a multiple of the denominator's odd factor: the start is 0,
  the stop is a short binary fraction, and the scale is the same fraction, rounded once.

Photographs of 4:3 become 512×384, of which 384×384 are kept: there both edges are cut.
"""

import math
import re
from dataclasses import dataclass

import PIL
from PIL import Image

# Those whose ``Resample.c`` was read. Pillow-SIMD has other weights, which depend on the whole table; its versions end
# in ``.post0``.
_KNOWN = re.compile(r"(1[123])\.\d+\.\d+")
_SHORT = 2**24  # a float32 has each integer below, and each of these divided by a power of two

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels; the last two are outside."""


def resized_part(image: Image.Image, size: tuple[int, int], part: Box, resample: Image.Resampling) -> Image.Image:
    """The ``part`` of what ``image.resize(size, resample)`` gives, the same to the bit; ``size`` is (width, height)."""
    left, top, right, bottom = part
    across, down = _Span.of(image.width, size[0], left, right), _Span.of(image.height, size[1], top, bottom)
    made = (across.stop - across.start, down.stop - down.start)
    if not _takes_part(image.size, size, made, resample):
        return image.resize(size, resample).crop(part)
    box = (*across.source(image.width, size[0]), *down.source(image.height, size[1]))
    resized = image.resize(made, resample, (box[0], box[2], box[1], box[3]))
    kept = (left - across.start, top - down.start, right - across.start, bottom - down.start)
    return resized if kept == (0, 0, *made) else resized.crop(kept)


@dataclass(frozen=True, slots=True)
class _Span:
    """The pixels of a resized axis that are computed, from ``start`` to before ``stop``."""

    start: int
    stop: int

    @classmethod
    def of(cls, length: int, target: int, start: int, stop: int) -> "_Span":
        """The fewest around ``start`` to ``stop`` that have the weights of all, if ``length`` becomes ``target``."""
        twos = target & -target
        if length * twos >= _SHORT:
            return cls(0, target)
        odd = target // twos
        step = odd // math.gcd(odd, length)
        return cls(start if step == 1 else 0, min(-(-stop // step) * step, target))

    def source(self, length: int, target: int) -> tuple[float, float]:
        """Where it begins and ends in the picture before it is resized."""
        return self.start * length / target, self.stop * length / target


def _takes_part(size: tuple[int, int], whole: tuple[int, int], part: tuple[int, int], how: Image.Resampling) -> bool:
    """Whether Pillow makes ``part`` of ``size`` by the arithmetic by which it makes the ``whole``, as far as is known.

    ``NEAREST`` has no weights. Where rows shrink by much more than columns they are resized first, which gives other
    pixels: before Pillow 13 that is so, if at all, for pictures more than a hundred times as high as wide.
    """
    version = _KNOWN.fullmatch(PIL.__version__)
    if version is None or how is Image.Resampling.NEAREST:
        return False
    rows_first = _rows_first if version[1] == "13" else _rows_first_before_13
    return rows_first(size, whole) == rows_first(size, part)


def _rows_first(size: tuple[int, int], target: tuple[int, int]) -> bool:
    return size[1] - target[1] > max(0, 2 * (size[0] - target[0]))


def _rows_first_before_13(size: tuple[int, int], target: tuple[int, int]) -> bool:
    return size[1] > 100 * size[0] and target[1] < size[1]
