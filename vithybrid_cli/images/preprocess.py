"""An image becomes the uint8 crop and the normalised floats that transformers' image processors compute.

The arithmetic is that of transformers 4.57.6, ``image_transforms.py`` (``resize``, ``center_crop``, ``rescale``,
``normalize``) and ``ViTHybridImageProcessor``: resize with Pillow on 8 bits → centre crop → × 1/255 → (x − mean)/std.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vithybrid_cli.errors import ImageTooLarge, ModelError

# An image may not be enlarged to more pixels than this: they take 128 MiB in Pillow. With a shortest edge of 384 that
# is a picture 227 times as long as it is wide.
_MAX_RESIZED_PIXELS = 2**25


@dataclass(frozen=True, slots=True)
class Normalization:
    """``(x · scale − mean) / std`` per channel, from uint8 to float32."""

    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def apply(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Pixels [..., H, W, 3] as the network's input [..., 3, H, W], C-contiguous."""
        table = self.table()
        out = np.empty((*pixels.shape[:-3], 3, *pixels.shape[-3:-1]), np.float32)
        for channel in range(3):
            out[..., channel, :, :] = table[channel][pixels[..., channel]]
        return out

    def table(self) -> npt.NDArray[np.float32]:
        """What each of the 256 values becomes in each channel, [3, 256].

        As transformers' ``rescale`` and ``normalize``: the product in float64, rounded to float32, the rest in float32.
        """
        scaled = (np.arange(256, dtype=np.float64) * self.scale).astype(np.float32)
        mean, std = (np.array(values, np.float32)[:, None] for values in (self.mean, self.std))
        return np.asarray((scaled - mean) / std, dtype=np.float32)


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

    @classmethod
    def default(cls, image_size: tuple[int, int]) -> "Preprocessing":
        """What the published hybrid checkpoint does, at the (height, width) of the checkpoint at hand.

        For a checkpoint without ``preprocessor_config.json``. The class defaults of transformers (224, CLIP's mean
        and std) fit no published checkpoint.
        """
        return cls(size=_edge_or_pair(image_size), crop_size=image_size)

    @classmethod
    def from_dict(
        cls, config: Mapping[str, Any], image_size: tuple[int, int], processor: str = "ViTHybridImageProcessor"
    ) -> "Preprocessing":
        """The options of a ``preprocessor_config.json``; ``processor`` is the type where it names none.

        Absent: size and crop are ``image_size`` (height, width) of the network, mean and std 0.5, factor 1/255, all
        steps on (centre crop: not for ViT), bicubic (ViT: bilinear). Raises ModelError for what is not supported.
        """
        return _read(config, image_size, processor)

    def at(self, image_size: tuple[int, int]) -> "Preprocessing":
        """The same for a network that takes pictures of another (height, width): as much of each picture is seen."""
        old_height, old_width = self.crop_size if self.do_center_crop else _pair_of(self.size)
        height, width = image_size
        if isinstance(self.size, int):
            size: int | tuple[int, int] = round(self.size * min(image_size) / min(old_height, old_width))
        else:
            size = round(self.size[0] * height / old_height), round(self.size[1] * width / old_width)
        return replace(self, size=size, crop_size=image_size)

    @property
    def normalization(self) -> Normalization:
        """The part of the work that is left after ``pixels``."""
        scale = self.rescale_factor if self.do_rescale else 1.0
        if not self.do_normalize:
            return Normalization(scale)
        return Normalization(scale, self.image_mean, self.image_std)

    @property
    def output_size(self) -> tuple[int, int] | None:
        """(height, width) of every result; None if it depends on the image."""
        if self.do_center_crop:
            return self.crop_size
        return self.size if self.do_resize and isinstance(self.size, tuple) else None

    @property
    def draft_side(self) -> int | None:
        """The length in pixels that both sides of a picture should keep before they are resized: twice what is needed.

        With less the resizing has little left to smooth. None where pictures are not resized.
        """
        if not self.do_resize:
            return None
        return 2 * (self.size if isinstance(self.size, int) else max(self.size))

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """An RGB image resized and cropped, [H, W, 3], C-contiguous and writable.

        An image smaller than the crop gets a border of zeros. Raises ImageTooLarge for an image so elongated that
        resized it would take gigabytes.
        """
        height, width = self._resized_size(image)
        _require_moderate(image, height, width)
        if (width, height) != image.size:
            image = image.resize((width, height), Image.Resampling(self.resample))
        return _centre_crop(image, self.crop_size) if self.do_center_crop else np.array(image)

    def _resized_size(self, image: Image.Image) -> tuple[int, int]:
        """(height, width) after resizing; ``get_resize_output_image_size`` in transformers."""
        if not self.do_resize:
            return image.height, image.width
        if isinstance(self.size, tuple):
            return self.size
        if image.width <= image.height:
            return int(self.size * image.height / image.width), self.size
        return self.size, int(self.size * image.width / image.height)

    def to_dict(self) -> dict[str, Any]:
        """The options in the layout of ``preprocessor_config.json``, which ``from_dict`` reads back."""
        size = {"shortest_edge": self.size} if isinstance(self.size, int) else _height_width(self.size)
        return {
            "image_processor_type": "ViTHybridImageProcessor",
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
    crop_mode: str = "center",
    interpolation: str = "bicubic",
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
    std: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Preprocessing:
    """What timm does with a picture: ``transforms_imagenet_eval`` in ``timm.data.transforms_factory``."""
    height, width = (math.floor(length / crop_pct) for length in image_size)
    size: int | tuple[int, int] = height if crop_mode == "center" and height == width else (height, width)
    return Preprocessing(
        size=size,
        crop_size=image_size,
        resample=INTERPOLATIONS[interpolation].value,
        image_mean=mean,
        image_std=std,
    )


def _centre_crop(image: Image.Image, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The middle (height, width) of an RGB image, with the rounding of transformers' ``center_crop``.

    Cut at the floor of the half, padded with zeros at its ceiling.
    """
    top, left = (image.height - size[0]) // 2, (image.width - size[1]) // 2  # negative: pad by its absolute value
    kept = image.crop((max(left, 0), max(top, 0), min(left + size[1], image.width), min(top + size[0], image.height)))
    pixels = np.array(kept)
    if pixels.shape[:2] == size:
        return pixels
    out = np.zeros((*size, 3), np.uint8)
    row, column = max(-top, 0), max(-left, 0)
    out[row : row + kept.height, column : column + kept.width] = pixels
    return out


def _require_moderate(image: Image.Image, height: int, width: int) -> None:
    """Raises ImageTooLarge where resizing would make gigabytes of an image that is extremely elongated."""
    if height * width > max(_MAX_RESIZED_PIXELS, image.height * image.width):
        cause = f"its {image.width} × {image.height} pixels would become {width} × {height} on the way to the model"
        raise ImageTooLarge(f"{cause}; crop it to a less elongated shape")


def _height_width(size: tuple[int, int]) -> dict[str, int]:
    return {"height": size[0], "width": size[1]}


def _pair_of(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _edge_or_pair(size: tuple[int, int]) -> int | tuple[int, int]:
    """A square becomes its shortest edge: resized in proportion, then cropped."""
    return size[0] if size[0] == size[1] else size


@dataclass(frozen=True, slots=True)
class _Family:
    """How one kind of processor in transformers reads what a config leaves open."""

    int_size_is_edge: bool
    center_crop: bool
    resample: Image.Resampling


_FAMILIES = {
    "ViTHybrid": _Family(True, True, Image.Resampling.BICUBIC),
    "Bit": _Family(True, True, Image.Resampling.BICUBIC),
    "ViT": _Family(False, False, Image.Resampling.BILINEAR),
    "DeiT": _Family(False, True, Image.Resampling.BICUBIC),
    "Beit": _Family(False, True, Image.Resampling.BICUBIC),
}
_SUFFIXES = ("ImageProcessorFast", "ImageProcessor", "FeatureExtractor")

# Keys of saved processors that leave the pixels of an RGB image as they are; the label map options concern
# segmentation, and pictures are always converted to RGB.
_INERT = {
    "_name_or_path",
    "_processor_class",
    "auto_map",
    "data_format",
    "device",
    "disable_grouping",
    "do_convert_rgb",
    "do_reduce_labels",
    "feature_extractor_type",
    "image_processor_type",
    "input_data_format",
    "processor_class",
    "reduce_labels",
    "return_tensors",
    "transformers_version",
}
_READ = {
    "crop_size",
    "default_to_square",
    "do_center_crop",
    "do_normalize",
    "do_rescale",
    "do_resize",
    "image_mean",
    "image_std",
    "resample",
    "rescale_factor",
    "size",
}


def _read(config: Mapping[str, Any], image_size: tuple[int, int], processor: str) -> Preprocessing:
    set_options = {key: value for key, value in config.items() if value is not None}
    family = _family(set_options.get("image_processor_type", set_options.get("feature_extractor_type", processor)))
    _refuse_unknown(set_options)
    options = _Options(set_options)
    square = not family.int_size_is_edge
    return Preprocessing(
        size=options.size("size", image_size, options.switch("default_to_square", square)),
        crop_size=_pair(options.size("crop_size", image_size, square=True), "crop_size"),
        do_resize=options.switch("do_resize", True),
        resample=options.resample(family.resample),
        do_center_crop=options.switch("do_center_crop", family.center_crop),
        do_rescale=options.switch("do_rescale", True),
        rescale_factor=options.number("rescale_factor", 1 / 255),
        do_normalize=options.switch("do_normalize", True),
        image_mean=options.channels("image_mean"),
        image_std=options.channels("image_std"),
    )


def _family(name: object) -> _Family:
    for suffix in _SUFFIXES:
        family = _FAMILIES.get(str(name).removesuffix(suffix)) if str(name).endswith(suffix) else None
        if family is not None:
            return family
    known = ", ".join(f"{family}ImageProcessor" for family in _FAMILIES)
    raise _unsupported(f"the image processor {name!r} (known: {known})")


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    unknown = sorted(key for key, value in options.items() if key not in _READ | _INERT and value is not False)
    if unknown:
        raise _unsupported(", ".join(f"{key} = {options[key]!r}" for key in unknown))


def _unsupported(what: str) -> ModelError:
    return ModelError(f"preprocessor_config.json asks for what is not supported: {what}; correct or remove it")


def _pair(size: int | tuple[int, int], key: str) -> tuple[int, int]:
    if isinstance(size, int):
        raise _unsupported(f"{key} with a shortest edge; height and width are needed")
    return size


@dataclass(frozen=True, slots=True)
class _Options:
    """The options that are set, read by kind; each method raises ModelError for a value that makes no sense."""

    values: Mapping[str, Any]

    def switch(self, key: str, default: bool) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise _unsupported(f"{key} = {value!r}")
        return value

    def number(self, key: str, default: float) -> float:
        value = self.values.get(key, default)
        if not _is_number(value):
            raise _unsupported(f"{key} = {value!r}")
        return float(value)

    def channels(self, key: str) -> tuple[float, float, float]:
        """One number for all channels, or a list of three; a standard deviation is above zero."""
        value = self.values.get(key, 0.5)
        numbers = value if isinstance(value, list | tuple) else [value] * 3
        if len(numbers) != 3 or not all(_is_number(x) and (x > 0 or key != "image_std") for x in numbers):
            raise _unsupported(f"{key} = {value!r}")
        red, green, blue = (float(x) for x in numbers)
        return red, green, blue

    def resample(self, default: Image.Resampling) -> int:
        """The number of a Pillow filter: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming."""
        value = self.values.get("resample", default.value)
        if isinstance(value, bool) or value not in range(6):
            raise _unsupported(f"resample = {value!r}")
        return int(value)

    def size(self, key: str, default: tuple[int, int], square: bool) -> int | tuple[int, int]:
        """A shortest edge, or (height, width); written as a number, a pair, or a dict of either."""
        value = self.values.get(key)
        if value is None:
            return default if square else _edge_or_pair(default)
        if isinstance(value, Mapping):
            value = _from_mapping(value)
        elif square and not isinstance(value, list | tuple):
            value = (value, value)
        pair = value if isinstance(value, list | tuple) else (value, value)
        if len(pair) != 2 or not all(_is_size(edge) for edge in pair):
            raise _unsupported(f"{key} = {self.values[key]!r}")
        return (int(pair[0]), int(pair[1])) if isinstance(value, list | tuple) else int(pair[0])


def _from_mapping(size: Mapping[str, Any]) -> Any:
    """The number or pair in ``size``; None for other keys, such as a longest edge."""
    given = {key: value for key, value in size.items() if value is not None}
    if given.keys() == {"shortest_edge"}:
        return given["shortest_edge"]
    return (given["height"], given["width"]) if given.keys() == {"height", "width"} else None


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
