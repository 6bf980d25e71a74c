"""A picture becomes the pixels that a network takes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.failures import naming_the_size
from vithybrid_cli.images.memory import decoding_bytes
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.items import Item
from vithybrid_cli.settings import AS_IT_IS, Decoding

_RESIZED_BYTES = 8  # per pixel: Pillow resizes one axis after the other, into 4 bytes each


@dataclass(frozen=True, slots=True)
class PixelReader:
    """Reads pictures as a network wants them; ``size`` is the (height, width) that it takes."""

    preprocessing: Preprocessing
    size: tuple[int, int]
    decoding: Decoding = AS_IT_IS

    def read(self, item: Item, reserve: Callable[[int], None]) -> npt.NDArray[np.uint8]:
        """The pixels [H, W, 3] of a picture. ``reserve`` is told how many bytes that needs, before they are allocated.

        Raises ImageError.
        """
        draft_side = self.preprocessing.draft_side if self.decoding.fast_jpeg else None
        image = decode(item, self.decoding, draft_side, lambda image: reserve(self._needed(image)))
        with naming_the_size(f"{image.width} × {image.height} pixels"):
            return fitting(self.preprocessing.pixels(image), self.size)

    def _needed(self, image: Image.Image) -> int:
        height, width = self.preprocessing.resized_size(image)
        return decoding_bytes(image, blended=self.decoding.background is not None) + _RESIZED_BYTES * height * width


def fitting(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The ``pixels`` [H, W, 3] if the network takes pictures of this ``size``. Raises UnreadableImage if not."""
    if pixels.shape[:2] == size:
        return pixels
    (height, width), (takes_height, takes_width) = pixels.shape[:2], size
    raise UnreadableImage(
        f"The model takes {takes_width}×{takes_height} pixels, but its preprocessor_config.json leaves this "
        f"picture at {width}×{height}.",
        "Switch its do_resize and do_center_crop on.",
    )
