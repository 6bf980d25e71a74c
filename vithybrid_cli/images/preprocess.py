"""An image becomes the uint8 crop and the normalised floats that transformers' image processors and timm compute.

The arithmetic is that of transformers 4.57.6, ``image_transforms.py`` (``resize``, ``center_crop``, ``rescale``,
``normalize``) and ``ViTHybridImageProcessor``: resize with Pillow on 8 bits → centre crop → × 1/255 → (x − mean)/std.
timm 1.0.31 takes the same steps; where it rounds differently is in ``timm_crop``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vithybrid_cli.errors import ImageTooLarge
from vithybrid_cli.images.draft import draft_of
from vithybrid_cli.images.limits import MAX_RESIZED_PIXELS
from vithybrid_cli.images.processor_config import ProcessorOptions, edge_or_pair
from vithybrid_cli.images.resize import resized_part
from vithybrid_cli.images.timm_crop import CropMode, TimmCrop

_BIT = "BitImageProcessor"
_EFFICIENTNETS_OWN = ("rescale_offset", "include_top")


@dataclass(frozen=True, slots=True)
class Normalization:
    """``(x · scale − offset − mean) / std`` per channel, from uint8 to float32."""

    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: float = 0.0
    twice: bool = False
    """Whether it is divided by ``std`` once more."""

    def apply(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Pixels [..., H, W, 3] as the network's input [..., 3, H, W], C-contiguous."""
        table = self.table()
        out = np.empty((*pixels.shape[:-3], 3, *pixels.shape[-3:-1]), np.float32)
        for channel in range(3):
            out[..., channel, :, :] = table[channel][pixels[..., channel]]
        return out

    def table(self) -> npt.NDArray[np.float32]:
        """The normalised value of each of the 256 values in each channel, [3, 256].

        As transformers' ``rescale`` and ``normalize``: multiplied in float64, rounded to float32, the rest in float32.
        With 1/255 this equals torchvision's x / 255 in float32 for all 256 values.
        """
        scaled = (np.arange(256, dtype=np.float64) * self.scale).astype(np.float32)
        mean, std = (np.array(values, np.float32)[:, None] for values in (self.mean, self.std))
        normalised = (scaled - np.float32(self.offset) - mean) / std
        return np.asarray(normalised / std if self.twice else normalised, dtype=np.float32)

    def in_one_step(self) -> "Normalization":
        """The same up to rounding with ``scale``, ``mean`` and ``std`` alone."""
        red, green, blue = (value + self.offset for value in self.mean)
        std = self.std
        return Normalization(
            self.scale,
            (red, green, blue),
            (std[0] ** 2, std[1] ** 2, std[2] ** 2) if self.twice else std,
        )


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a ``preprocessor_config.json`` asks for; sizes in pixels, a pair is (height, width)."""

    size: int | tuple[int, int]
    """The shortest edge if it is one number; otherwise height and width."""
    crop_size: tuple[int, int]
    do_resize: bool = True
    resample: int = Image.Resampling.BICUBIC.value
    do_center_crop: bool = True
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    do_normalize: bool = True
    image_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    image_std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    rescale_offset: bool = False
    """Whether 1 is taken off each rescaled value; only of EfficientNet's processor."""
    include_top: bool = False
    """Whether the values are divided by the standard deviation once more; only of EfficientNet's processor."""
    timm: TimmCrop | None = None
    """Set where pictures are resized and cropped as timm does it; None stands for transformers."""

    @classmethod
    def default(cls, image_size: tuple[int, int]) -> "Preprocessing":
        """What the published hybrid checkpoint does, for a network that takes pictures of this (height, width).

        It is for hybrids without ``preprocessor_config.json``; see `default_of`.
        """
        return cls(size=edge_or_pair(image_size), crop_size=image_size)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any], processor: str = "ViTHybridImageProcessor") -> "Preprocessing":
        """The options of a ``preprocessor_config.json``; ``processor`` is the class that reads it if it names none.

        What a file leaves open is the class's own default, as `vithybrid_cli.images.processors` has it. Raises
        ModelError for a class with other steps, and for an option that cannot be done; warns once of options that the
        class does not read.
        """
        options = ProcessorOptions.of(config, processor)
        size, crop_size, do_center_crop = options.sizes()
        return cls(
            size=size,
            crop_size=crop_size,
            do_resize=options.switch("do_resize", True),
            resample=options.resample(),
            do_center_crop=do_center_crop,
            do_rescale=options.switch("do_rescale", True),
            rescale_factor=options.rescale_factor(),
            do_normalize=options.switch("do_normalize", True),
            image_mean=options.mean(),
            image_std=options.std(),
            rescale_offset=options.rescale_offset(),
            include_top=options.include_top(),
            timm=options.timm(),
        )

    @classmethod
    def default_of(cls, processor: str, image_size: tuple[int, int] | None) -> "Preprocessing":
        """What a class does by default, for a checkpoint without ``preprocessor_config.json``.

        Where that makes another size than the ``image_size`` (height, width) that the network takes, the same share of
        each picture is brought to that size; None for a network that takes any. The hybrid's class is no guide: its
        defaults (224 pixels, CLIP's mean and standard deviation) fit no published checkpoint, so hybrids get `default`.
        """
        if image_size is None:
            return cls.from_dict({}, processor)
        if processor == "ViTHybridImageProcessor":
            return cls.default(image_size)
        preprocessing = cls.from_dict({}, processor)
        return preprocessing if preprocessing.output_size == image_size else preprocessing.at(image_size)

    def at(self, image_size: tuple[int, int]) -> "Preprocessing":
        """The same for a network that takes pictures of another (height, width), keeping the same part of a picture.

        Without resizing, a larger crop keeps more of it. Raises ModelError if nothing of a picture would be left.
        """
        return replace(self, size=self._size_at(image_size), crop_size=image_size)

    def _size_at(self, image_size: tuple[int, int]) -> int | tuple[int, int]:
        if self.timm is not None:
            return self.timm.size(image_size)
        seen = self.crop_size if self.do_center_crop else _pair_of(self.size)
        if isinstance(self.size, int):
            return round(self.size * min(image_size) / min(seen))
        return round(self.size[0] * image_size[0] / seen[0]), round(self.size[1] * image_size[1] / seen[1])

    @property
    def normalization(self) -> Normalization:
        """What remains to be done after `pixels`."""
        scale = self.rescale_factor if self.do_rescale else 1.0
        offset = 1.0 if self.rescale_offset else 0.0
        if not (self.do_normalize or self.include_top):
            return Normalization(scale, offset=offset)
        mean = self.image_mean if self.do_normalize else (0.0, 0.0, 0.0)
        return Normalization(scale, mean, self.image_std, offset, twice=self.do_normalize and self.include_top)

    @property
    def processor(self) -> str:
        """The class of transformers, 4 and 5, that takes all of these steps; BiT's takes any size, crop and filter."""
        return "EfficientNetImageProcessor" if self.rescale_offset or self.include_top else _BIT

    @property
    def output_size(self) -> tuple[int, int] | None:
        """(height, width) of every result; None if it depends on the image."""
        if self.do_center_crop:
            return self.crop_size
        return self.size if self.do_resize and isinstance(self.size, tuple) else None

    @property
    def resized_pixels(self) -> int:
        """The least number of pixels of a resized picture, before it is cropped; 0 without resizing."""
        height, width = _pair_of(self.size) if self.do_resize else (0, 0)
        return height * width

    @property
    def draft_side(self) -> int | None:
        """The least length in pixels of both sides of a JPEG that is decoded at a part of its size: twice the target.

        From less, resizing would differ visibly from that of the whole picture. None without resizing.
        """
        if not self.do_resize:
            return None
        return 2 * (self.size if isinstance(self.size, int) else max(self.size))

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """An RGB image resized and cropped, [H, W, 3], C-contiguous and writable.

        An image smaller than the crop gets a border of zeros, or of timm's fill colour. Raises ImageTooLarge for an
        image so elongated that it would take gigabytes once resized, or that nothing of it would be left.
        """
        height, width = self.resized_size(image)
        _require_moderate(image, height, width)
        crop = self.crop_size if self.do_center_crop else (height, width)
        top, left = self._crop_start(height, width) if self.do_center_crop else (0, 0)  # negative: a border's width
        part = (max(left, 0), max(top, 0), min(left + crop[1], width), min(top + crop[0], height))
        if (draft := draft_of(image)) is not None:
            kept = image.resize((width, height), Image.Resampling(self.resample), draft.box).crop(part)
        elif (width, height) == image.size:
            kept = image.crop(part)
        else:
            kept = resized_part(image, (width, height), part, Image.Resampling(self.resample))
        return self._bordered(np.array(kept), crop, (max(-top, 0), max(-left, 0)))

    def resized_size(self, image: Image.Image) -> tuple[int, int]:
        """(height, width) after resizing, of a picture that is decoded at a part of its size as of the whole.

        A shortest edge: ``get_resize_output_image_size`` in transformers, ``_compute_resized_output_size`` in
        torchvision.
        """
        draft = draft_of(image)
        width, height = image.size if draft is None else draft.size
        if not self.do_resize:
            return height, width
        if isinstance(self.size, tuple):
            return self.size if self.timm is None else self.timm.resized((height, width), self.size)
        if width <= height:
            return int(self.size * height / width), self.size
        return self.size, int(self.size * width / height)

    def seen(self, image: Image.Image) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of what `pixels` keeps of an image, in the image's own pixels.

        It reaches beyond the image where there is a border.
        """
        height, width = self.resized_size(image)
        across, down = image.width / width, image.height / height  # pixels of the image for one of the resized one
        top, left = self._crop_start(height, width) if self.do_center_crop else (0, 0)
        rows, columns = self.crop_size if self.do_center_crop else (height, width)
        return left * across, top * down, (left + columns) * across, (top + rows) * down

    def _crop_start(self, height: int, width: int) -> tuple[int, int]:
        """Row and column of a resized picture at which the crop begins; negative where there is a border."""
        start = _start if self.timm is None else self.timm.start
        return start(height, self.crop_size[0]), start(width, self.crop_size[1])

    def _bordered(
        self, pixels: npt.NDArray[np.uint8], size: tuple[int, int], start: tuple[int, int]
    ) -> npt.NDArray[np.uint8]:
        """The ``pixels`` at ``start`` (row and column) of a picture of that (height, width), with a border around."""
        if pixels.shape[:2] == size:
            return pixels
        out = np.full((*size, 3), (0, 0, 0) if self.timm is None else self.timm.fill(self.image_mean), np.uint8)
        (row, column), (height, width) = start, pixels.shape[:2]
        out[row : row + height, column : column + width] = pixels
        return out

    def to_dict(self) -> dict[str, Any]:
        """The options in the layout of ``preprocessor_config.json``, which ``from_dict`` reads back.

        transformers ignores ``timm``: its crop may be off by one pixel, and it has no border and no resizing in
        proportion to a size of unequal sides.
        """
        size = {"shortest_edge": self.size} if isinstance(self.size, int) else _height_width(self.size)
        return {
            "image_processor_type": self.processor,
            "do_convert_rgb": True,
            "do_resize": self.do_resize,
            "size": size,
            "resample": self.resample,
            "do_center_crop": self.do_center_crop,
            "crop_size": _height_width(self.crop_size),
            "do_rescale": self.do_rescale,
            "rescale_factor": self.rescale_factor,
            "do_normalize": self.do_normalize,
            "image_mean": list(self.image_mean),
            "image_std": list(self.image_std),
            **({} if self.processor == _BIT else {name: getattr(self, name) for name in _EFFICIENTNETS_OWN}),
            **({} if self.timm is None else {"timm": {"crop_pct": self.timm.pct, "crop_mode": self.timm.mode}}),
        }


INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}
"""timm's names of Pillow's filters."""


def timm_preprocessing(
    image_size: tuple[int, int],
    *,
    crop_pct: float,
    crop_mode: CropMode = "center",
    interpolation: str = "bicubic",
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
    std: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Preprocessing:
    """What timm's ``create_transform`` does with a picture for a network that takes (height, width) pixels.

    ``crop_pct`` is above 0; ``interpolation`` is one of ``INTERPOLATIONS``. Raises ModelError for a ``crop_pct`` so
    large that nothing of a picture would be left.
    """
    crop = TimmCrop(crop_pct, crop_mode)
    return Preprocessing(
        size=crop.size(image_size),
        crop_size=image_size,
        resample=INTERPOLATIONS[interpolation].value,
        image_mean=mean,
        image_std=std,
        timm=crop,
    )


def _start(length: int, crop: int) -> int:
    """Where the crop begins on a side of ``length`` pixels, with the rounding of transformers' ``center_crop``.

    Cut at the floor of the half, padded with its ceiling; negative where it is padded.
    """
    return (length - crop) // 2


def _require_moderate(image: Image.Image, height: int, width: int) -> None:
    """Raise ImageTooLarge for an image so elongated that resizing would make gigabytes, or nothing, of it."""
    if min(height, width) < 1 or height * width > max(MAX_RESIZED_PIXELS, image.height * image.width):
        raise ImageTooLarge(
            f"The picture is too elongated: its {image.width} × {image.height} pixels would be resized to "
            f"{width} × {height}.",
            "Crop it to a less elongated shape.",
        )


def _height_width(size: tuple[int, int]) -> dict[str, int]:
    return {"height": size[0], "width": size[1]}


def _pair_of(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
