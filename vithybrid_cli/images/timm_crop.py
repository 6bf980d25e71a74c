"""How timm resizes and crops: the size of the picture, where it is cut, and its border.

The arithmetic is that of timm 1.0.31, ``transforms_imagenet_eval``, ``ResizeKeepRatio`` and ``center_crop_or_pad``, and
of torchvision's ``center_crop``.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from vithybrid_cli.errors import ModelError

CropMode = Literal["center", "squash", "border"]
CROP_MODES: tuple[CropMode, ...] = get_args(CropMode)
_MAX_SIDE = 2**16  # more than any network takes, and than a JPEG can have


@dataclass(frozen=True, slots=True)
class TimmCrop:
    """timm's ``crop_pct``, the share of the resized picture that is kept, and ``crop_mode``, how it is resized.

    ``center`` keeps the proportions and covers the whole size, ``border`` keeps them and stays within it, ``squash``
    does not keep them.
    """

    pct: float
    mode: CropMode = "center"

    def size(self, image_size: tuple[int, int]) -> int | tuple[int, int]:
        """The size to resize to, so that a crop of ``image_size`` (height, width) keeps the wanted share.

        It is the shortest edge, or (height, width). Raises ModelError if nothing of a picture would be left, or more
        than fits into memory.
        """
        lengths = [length / self.pct for length in image_size]
        if not all(1 <= length <= _MAX_SIDE for length in lengths):
            height, width = image_size
            raise ModelError(f"`crop_pct` {self.pct} makes no sense for {height}×{width} pixels.", "Give one up to 1.")
        height, width = map(math.floor, lengths)
        return height if self.mode == "center" and height == width else (height, width)

    def resized(self, picture: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of a picture of that (height, width) resized to ``size``; a side may round to 0."""
        if self.mode == "squash":
            return size
        ratios = [length / target for length, target in zip(picture, size, strict=True)]
        ratio = max(ratios) if self.mode == "border" else min(ratios)
        return round(picture[0] / ratio), round(picture[1] / ratio)

    def start(self, length: int, crop: int) -> int:
        """Where the crop begins on a side of ``length`` pixels; negative where it needs a border of that width.

        Where something is cut off, half a pixel is rounded to even; where a border is added, its right or lower part
        gets the odd pixel.
        """
        return round((length - crop) / 2) if length > crop else -((crop - length) // 2)

    def fill(self, mean: tuple[float, float, float]) -> tuple[int, int, int]:
        """The colour of the border: the mean of the pictures, or black unless a border is asked for."""
        if self.mode != "border":
            return 0, 0, 0
        red, green, blue = (min(max(round(255 * value), 0), 255) for value in mean)  # Pillow's limits for a colour
        return red, green, blue
