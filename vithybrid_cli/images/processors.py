"""What the image processors of transformers 4.57.6 do by themselves: the classes whose steps are ours.

Each row of ``PROCESSORS`` is a *slow* class, which works with Pillow; its defaults are those of its ``__init__`` in
``transformers/models/*/image_processing_*.py``. All resize, crop the middle, rescale and normalise; they differ in
what a ``size`` means and in which steps they have.

A file may name the class ``…ImageProcessorFast``, which works with torchvision. ``AutoImageProcessor``, and with it
``pipeline``, takes that one where torchvision is installed and the slow one where it is not. Here it is the slow one's
arithmetic in either case. Measured with torchvision 0.28 and Pillow 12.3, the fast one's pixels differ from that by one
grey level where it is bilinear and by two where it is bicubic, in less than 1 % of the values; its centre crop begins
one pixel further where an odd number of pixels is cut off. What a fast class does beyond the slow one is done: a fast
ViT crops, and takes a shortest edge. So do transformers 5's classes for Pillow, named ``…ImageProcessorPil``.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from PIL import Image

Channels = tuple[float, float, float]
Size = int | tuple[int, int]
"""The shortest edge, or (height, width)."""

# From transformers' ``utils/constants.py``: IMAGENET_STANDARD_*, IMAGENET_DEFAULT_* and OPENAI_CLIP_*.
HALF: Final[tuple[Channels, Channels]] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGENET: Final[tuple[Channels, Channels]] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP: Final[tuple[Channels, Channels]] = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)
_NEAREST, _BILINEAR, _BICUBIC = Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC


class Scaling(Enum):
    """How a class gets from its ``size`` to the one that pictures are resized to."""

    PLAIN = "as it is"
    CONVNEXT = "below 384 the shortest edge divided by crop_pct, and a crop to the edge; else squashed to a square"
    LEVIT = "a shortest edge times 256 / 224"
    POOLFORMER = "divided by crop_pct"


@dataclass(frozen=True, slots=True)
class Processor:
    """One class of image processors. ``name`` is that of the class."""

    name: str
    size: Size
    resample: Image.Resampling
    statistics: tuple[Channels, Channels] = HALF
    """Mean and standard deviation."""
    center_crop: bool | None = None
    """Whether it crops by default; None where the class has no such step and passes over the option."""
    crop_size: tuple[int, int] | None = (224, 224)
    """(height, width); None where the class has no default."""
    takes_pair: bool = True
    takes_edge: bool = True
    int_is_edge: bool = False
    scaling: Scaling = Scaling.PLAIN
    crop_pct: float | None = None
    """The share of a resized picture that is kept, for the classes that have that option."""
    square_switch: bool = False
    """Whether ``use_square_size`` makes a square of a shortest edge."""
    top: bool = False
    """Whether it knows ``include_top`` and ``rescale_offset``, EfficientNet's further steps."""
    fast: bool = False
    """Whether a file names one of the classes with a common base: transformers 4's fast ones, transformers 5's."""

    def as_fast(self, name: str) -> "Processor":
        """What is done where a file names a class with this ``name``, which has the common base of the fast ones."""
        fast = replace(self, name=name, fast=True, crop_size=None if self.center_crop is None else self.crop_size)
        if self.scaling is not Scaling.PLAIN:
            return fast
        int_is_edge = self.int_is_edge and self.takes_edge
        return replace(
            fast, takes_edge=True, takes_pair=True, int_is_edge=int_is_edge, center_crop=bool(self.center_crop)
        )


_SQUARE, _LARGER = (224, 224), (256, 256)

_ROWS = (
    Processor("ViT", _SQUARE, _BILINEAR, takes_edge=False),
    Processor("DeiT", _LARGER, _BICUBIC, takes_edge=False, center_crop=True),
    Processor("Beit", _LARGER, _BICUBIC, takes_edge=False, center_crop=True),
    Processor("Bit", 224, _BICUBIC, CLIP, int_is_edge=True, center_crop=True),
    Processor("ViTHybrid", 224, _BICUBIC, CLIP, int_is_edge=True, center_crop=True),
    Processor("CLIP", 224, _BICUBIC, CLIP, int_is_edge=True, center_crop=True, square_switch=True),
    Processor("Siglip", _SQUARE, _BICUBIC, takes_edge=False, int_is_edge=True),  # so it takes no number
    Processor("ConvNext", 384, _BILINEAR, takes_pair=False, int_is_edge=True, scaling=Scaling.CONVNEXT, crop_pct=0.875),
    Processor("MobileNetV1", 256, _BILINEAR, int_is_edge=True, center_crop=True),
    Processor("MobileNetV2", 256, _BILINEAR, int_is_edge=True, center_crop=True),
    Processor(
        "EfficientNet", (346, 346), _NEAREST, takes_edge=False, center_crop=False, crop_size=(289, 289), top=True
    ),
    Processor("Levit", 224, _BICUBIC, IMAGENET, int_is_edge=True, center_crop=True, scaling=Scaling.LEVIT),
    Processor(
        "PoolFormer",
        224,
        _BICUBIC,
        IMAGENET,
        int_is_edge=True,
        center_crop=True,
        scaling=Scaling.POOLFORMER,
        crop_pct=0.9,
    ),
    Processor("Pvt", _SQUARE, _BILINEAR, IMAGENET, takes_edge=False),
    Processor("EfficientFormer", _SQUARE, _BICUBIC, IMAGENET, center_crop=True),
    Processor("Blip", (384, 384), _BICUBIC, CLIP, takes_edge=False),
    Processor("Segformer", (512, 512), _BILINEAR, IMAGENET, takes_edge=False),
)
PROCESSORS: Final = {row.name: replace(row, name=f"{row.name}ImageProcessor") for row in _ROWS}
_SUFFIXES = ("ImageProcessor", "FeatureExtractor")
# Of transformers 4's classes for torchvision, and of transformers 5's for Pillow. These have one base, which has all
# steps and forms of a size; the slow classes of transformers 4 have each their own code.
_COMMON_SUFFIXES = ("ImageProcessorFast", "ImageProcessorPil")


def processor_named(name: str) -> Processor | None:
    """The row of a class, by any of the names that its kinds have had; None for a class with steps of its own."""
    for suffix in (*_SUFFIXES, *_COMMON_SUFFIXES):
        row = PROCESSORS.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if row is not None:
            return row.as_fast(name) if suffix in _COMMON_SUFFIXES else row
    return None
