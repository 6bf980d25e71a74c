"""What a picture looks like in an epoch: random crops, flips and, from random weights, much more.

Everything follows from the generator that is given, which knows the seed, the epoch and the picture.
"""

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

MAX_ASPECT = 4 / 3  # the largest ratio of a random crop's sides (Inception's crop, arXiv:1409.4842)


class Augmentation(Protocol):
    """Makes what is trained on out of a picture."""

    def __call__(self, image: Image.Image, size: tuple[int, int], rng: np.random.Generator, flipped: bool) -> Pixels:
        """RGB image → uint8 [H, W, 3] of ``size`` (height, width)."""
        ...


@dataclass(frozen=True, slots=True)
class RandomCrop:
    """A random crop of ``min_area`` to all of a picture, as it is usual for photographs and fine-tuning."""

    kind: ClassVar = "random crops"
    min_area: float

    def __call__(self, image: Image.Image, size: tuple[int, int], rng: np.random.Generator, flipped: bool) -> Pixels:
        """RGB image → uint8 [H, W, 3] of ``size`` (height, width)."""
        height, width = size
        box = _random_box(image.size, self.min_area, rng)
        crop = image.resize((width, height), Image.Resampling.BICUBIC, box)
        return np.array(_flipped(crop) if flipped else crop)


def _random_box(size: tuple[int, int], min_area: float, rng: np.random.Generator) -> Box:
    """A box of random area (a share of the picture's, at least ``min_area``) and aspect ratio, at a random place.

    A side that would be longer than the picture's is cut to that, so the area may become smaller.
    """
    width, height = size
    area = rng.uniform(min_area, 1.0) * width * height
    aspect = math.exp(rng.uniform(-math.log(MAX_ASPECT), math.log(MAX_ASPECT)))
    box_width, box_height = min(width, math.sqrt(area * aspect)), min(height, math.sqrt(area / aspect))
    left, top = rng.uniform(0, width - box_width), rng.uniform(0, height - box_height)
    return left, top, left + box_width, top + box_height


# Filters of a resize, and how often each is taken: what is enlarged softly, and what has hard edges.
_FILTERS = (
    Image.Resampling.BICUBIC,
    Image.Resampling.BILINEAR,
    Image.Resampling.LANCZOS,
    Image.Resampling.NEAREST,
)
_FILTER_SHARES = (0.4, 0.25, 0.2, 0.15)
_FILTER_BOUNDS = tuple(accumulate(_FILTER_SHARES[:-1]))
_REDUCING_GAP = 3.0  # what Pillow's documentation of ``reducing_gap`` calls almost indistinguishable


@dataclass(frozen=True, slots=True)
class Varied:
    """Shifts and zooms into a reflected surrounding, changing filters, sharpness, noise, light and colour.

    For training from random weights, on pictures that need not look like those to come: small ones that were enlarged,
    say, when the network will meet sharp photographs with more around their subject.
    """

    kind: ClassVar = "varied pictures"
    near: float = 0.5  # share of the pictures that are but shifted
    shift: float = 0.125  # of the sides, to each direction
    zoom: tuple[float, float] = (0.55, 1.25)  # of the others: how large the picture is in what is trained on
    aspect: float = 1.25  # the largest ratio by which one side of these is stretched
    wander: float = 0.2  # how far the middle of these may move, in sides
    sharpened: float = 0.3  # share that an unsharp mask goes over
    noisy: float = 0.15
    coloured: float = 0.5  # share with another brightness, contrast, saturation and tint

    def __call__(self, image: Image.Image, size: tuple[int, int], rng: np.random.Generator, flipped: bool) -> Pixels:
        """RGB image → uint8 [H, W, 3] of ``size`` (height, width)."""
        picture = self._seen(image, size, rng)
        if flipped:
            picture = _flipped(picture)
        if rng.random() < self.sharpened:
            picture = picture.filter(_unsharp_mask(max(size), rng))
        pixels = np.array(picture)
        if rng.random() < self.coloured:
            pixels = _recoloured(picture, rng)
        if rng.random() < self.noisy:
            pixels = _with_noise(pixels, rng)
        return pixels

    def _seen(self, image: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
        """What is seen of the image, in ``size`` (height, width)."""
        height, width = size
        resample = _FILTERS[int(np.searchsorted(_FILTER_BOUNDS, rng.random(), "right"))]
        image, box = _reduced(image, self._box(image.size, rng), size)
        within, box = _reflected(image, box)
        return within.resize((width, height), resample, box)

    def _box(self, size: tuple[int, int], rng: np.random.Generator) -> Box:
        """What is seen of a picture, in its pixels; it may reach beyond it."""
        width, height = size
        if rng.random() < self.near:
            left, top = rng.uniform(-self.shift, self.shift, 2)
            return left * width, top * height, (left + 1) * width, (top + 1) * height
        smallest, largest = self.zoom
        zoom = math.exp(rng.uniform(math.log(smallest), math.log(largest)))
        stretch = math.exp(rng.uniform(-0.5, 0.5) * math.log(self.aspect))
        sides = stretch / zoom, 1 / stretch / zoom
        x, y = 0.5 + rng.uniform(-self.wander, self.wander, 2)
        return (
            (x - sides[0] / 2) * width,
            (y - sides[1] / 2) * height,
            (x + sides[0] / 2) * width,
            (y + sides[1] / 2) * height,
        )


def _flipped(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _reduced(image: Image.Image, box: Box, size: tuple[int, int]) -> tuple[Image.Image, Box]:
    """The image and the box in it, averaged down if there is much more in the box than ``size`` (height, width) holds.

    What follows then costs as little for a photograph as for a small picture.
    """
    (left, top, right, bottom), (height, width) = box, size
    factor = int(min((right - left) / width, (bottom - top) / height) / _REDUCING_GAP)
    if factor < 2:
        return image, box
    return image.reduce(factor), (left / factor, top / factor, right / factor, bottom / factor)


def _reflected(image: Image.Image, box: Box) -> tuple[Image.Image, Box]:
    """The image, reflected at its sides as far as ``box`` reaches beyond it, and the box there."""
    width, height = image.size
    left, top = (max(0, math.ceil(-start)) for start in box[:2])
    right, bottom = (max(0, math.ceil(end - side)) for end, side in zip(box[2:], image.size, strict=True))
    if not (left or top or right or bottom):
        return image, box
    rows, columns = _mirrored(-top, height + bottom, height), _mirrored(-left, width + right, width)
    grown = np.asarray(image).take(rows, 0).take(columns, 1)
    return Image.fromarray(grown), (box[0] + left, box[1] + top, box[2] + left, box[3] + top)


def _mirrored(start: int, end: int, length: int) -> npt.NDArray[np.intp]:
    """The indices of a line of this ``length`` that are seen from ``start`` to ``end`` between two mirrors."""
    places = np.arange(start, end) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


def _unsharp_mask(side: int, rng: np.random.Generator) -> ImageFilter.UnsharpMask:
    """A mask of random radius and strength for a picture of this ``side``."""
    radius = math.exp(rng.uniform(math.log(0.008), math.log(0.04))) * side
    return ImageFilter.UnsharpMask(radius, int(rng.uniform(50, 250)), 0)


def _recoloured(image: Image.Image, rng: np.random.Generator) -> Pixels:
    """Another saturation; then another brightness, contrast and tint, by one table for each colour."""
    saturation = rng.uniform(0.6, 1.4)
    grey = image.convert("L").convert("RGB")
    pixels = np.asarray(Image.blend(grey, image, saturation))
    contrast, brightness = rng.uniform(0.7, 1.3), rng.uniform(-35, 35)
    slopes = contrast * rng.uniform(0.92, 1.08, 3)
    tables = ((np.arange(256) - 128) * slopes[:, None] + 128 + brightness).clip(0, 255).astype(np.uint8)
    return np.stack([table.take(pixels[..., colour]) for colour, table in enumerate(tables)], axis=-1)


def _with_noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Gaussian noise of a random strength on every colour of every pixel."""
    noise = rng.normal(0, rng.uniform(2, 14), pixels.shape).astype(np.float32)
    return (pixels + noise).clip(0, 255).astype(np.uint8)
