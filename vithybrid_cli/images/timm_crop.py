"""Where timm puts a picture: how large it becomes, what is cut off and what is put around it.

The arithmetic is that of timm 1.0.31, ``transforms_imagenet_eval``, ``ResizeKeepRatio`` and ``center_crop_or_pad``, and
of torchvision's ``center_crop``.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from vithybrid_cli.errors import ModelError

CropMode = Literal["center", "squash", "border"]
CROP_MODES: tuple[CropMode, ...] = get_args(CropMode)
_MAX_SIDE = 2**16  # no network takes as much, and a JPEG has less


@dataclass(frozen=True, slots=True)
class TimmCrop:
    """timm's ``crop_pct``, the share of the resized picture that is kept, and ``crop_mode``, how it is resized.

    ``center`` keeps the proportions and covers the whole size, ``border`` keeps them and stays inside of it, ``squash``
    gives up the proportions.
    """

    pct: float
    mode: CropMode = "center"

    def size(self, image_size: tuple[int, int]) -> int | tuple[int, int]:
        """What pictures are resized to, so that a crop of ``image_size`` (height, width) is the share to be kept.

        The shortest edge, or (height, width). Raises ModelError where nothing would be left of a picture, or more than
        fits into memory.
        """
        lengths = [length / self.pct for length in image_size]
        if not all(1 <= length <= _MAX_SIDE for length in lengths):
            height, width = image_size
            raise ModelError(f"crop_pct {self.pct} makes no sense for {height}×{width} pixels; give one up to 1")
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
        """Where the crop begins on a side of ``length`` pixels: before 0 by the width of the border that it needs.

        Half a pixel goes to the even side where something is cut off, and to the far border where something is added.
        """
        return round((length - crop) / 2) if length > crop else -((crop - length) // 2)

    def fill(self, mean: tuple[float, float, float]) -> tuple[int, int, int]:
        """The colour of the border: the mean of the pictures, or black where none is asked for."""
        if self.mode != "border":
            return 0, 0, 0
        red, green, blue = (min(max(round(255 * value), 0), 255) for value in mean)  # Pillow's limits for a colour
        return red, green, blue
