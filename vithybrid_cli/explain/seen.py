"""A picture is read once for two: for the network as it takes it, and for people to look at; and what joins them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.failures import naming_the_size
from vithybrid_cli.images.memory import decoding_bytes
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.images.read import fitting
from vithybrid_cli.items import Item
from vithybrid_cli.settings import AS_IT_IS, Decoding

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels
Pixels = npt.NDArray[np.uint8]

LONGEST_SIDE = 1600  # pixels of what is drawn: sharp on a screen, a few megabytes as PNG
SHORTEST_LONG_SIDE = 384  # to which a small picture is enlarged, so that a map can be seen on it

_HEADER = 8  # numbers of float64 before the pixels
_RESIZED_BYTES = 8  # per pixel: Pillow resizes one axis after the other, into 4 bytes each


@dataclass(frozen=True, slots=True, eq=False)  # comparing arrays gives arrays
class Seen:
    """One picture: ``pixels`` uint8 [H, W, 3] as the network takes them, and ``shown``, upright and whole, to look at.

    ``size`` is the (width, height) of the upright picture before it was drawn larger or smaller, and ``box`` the part
    of it that the network saw, in its pixels; that reaches beyond it where a border was added.
    """

    pixels: Pixels
    shown: Image.Image
    size: tuple[int, int]
    box: Box

    @property
    def box_shown(self) -> Box:
        """The ``box`` in pixels of ``shown``."""
        across, down = self.shown.width / self.size[0], self.shown.height / self.size[1]
        left, top, right, bottom = self.box
        return left * across, top * down, right * across, bottom * down


@dataclass(frozen=True, slots=True)
class SeenReader:
    """Reads a picture as one array of a fixed size, as processes share it; `unpacked` makes a `Seen` of that.

    ``takes`` is the (height, width) of the network. A reader like `vithybrid_cli.images.read.PixelReader`.
    """

    preprocessing: Preprocessing
    takes: tuple[int, int]
    decoding: Decoding = AS_IT_IS

    @property
    def size(self) -> tuple[int, int]:
        """(rows, 1): as many times three bytes as the largest picture takes."""
        most = LONGEST_SIDE**2 + math.prod(self.takes)
        return most + math.ceil(8 * _HEADER / 3), 1

    def read(self, item: Item, reserve: Callable[[int], None]) -> Pixels:
        """The packed picture uint8 [rows, 1, 3]; ``reserve`` is told how many bytes it needs before they are taken.

        Raises ImageError.
        """
        draft_side = self.preprocessing.draft_side if self.decoding.fast_jpeg else None
        image = decode(item, self.decoding, draft_side, lambda image: reserve(self._needed(image)))
        with naming_the_size(f"{image.width} × {image.height} pixels"):
            pixels = fitting(self.preprocessing.pixels(image), self.takes)
            box = self.preprocessing.seen(image)
            return self._packed(Seen(pixels, drawn_size(image), image.size, box))

    def unpacked(self, packed: Pixels) -> Seen:
        """What `read` packed."""
        flat = packed.reshape(-1)
        numbers = np.frombuffer(flat[: 8 * _HEADER].tobytes(), np.float64).tolist()
        size, shown, box = numbers[:2], numbers[2:4], numbers[4:]
        pixels = flat[8 * _HEADER :][: 3 * math.prod(self.takes)].reshape(*self.takes, 3)
        width, height = map(int, shown)
        rest = flat[8 * _HEADER + pixels.size :][: 3 * width * height].reshape(height, width, 3)
        return Seen(pixels, Image.fromarray(rest), (int(size[0]), int(size[1])), (box[0], box[1], box[2], box[3]))

    def _packed(self, seen: Seen) -> Pixels:
        header = np.array([*seen.size, *seen.shown.size, *seen.box], np.float64)
        parts = np.frombuffer(header.tobytes(), np.uint8), seen.pixels.reshape(-1), np.asarray(seen.shown).reshape(-1)
        packed = np.empty((*self.size, 3), np.uint8)
        flat = packed.reshape(-1)
        begin = 0
        for part in parts:
            flat[begin : begin + part.size] = part
            begin += part.size
        return packed

    def _needed(self, image: Image.Image) -> int:
        height, width = self.preprocessing.resized_size(image)
        drawn = LONGEST_SIDE**2
        blended = self.decoding.background is not None
        return decoding_bytes(image, blended=blended) + _RESIZED_BYTES * (height * width + drawn)


def drawn_size(image: Image.Image) -> Image.Image:
    """The image in its proportions, no longer than `LONGEST_SIDE`, and not so small that nothing can be seen on it."""
    longest = max(image.size)
    wanted = min(max(longest, SHORTEST_LONG_SIDE), LONGEST_SIDE)
    if longest == wanted:
        return image
    width, height = (max(round(side * wanted / longest), 1) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS if wanted < longest else Image.Resampling.BICUBIC)
