"""The options of a ``preprocessor_config.json``, as transformers 4.57.6 reads those that are published.

Kinds of image processors differ in their defaults and in how they read older forms.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vithybrid_cli.errors import ModelError
from vithybrid_cli.images.timm_crop import CROP_MODES, TimmCrop


@dataclass(frozen=True, slots=True)
class _Family:
    """What one kind of processor in transformers does by default."""

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
# The last one is transformers 5's name of what was "ImageProcessor".
_SUFFIXES = ("ImageProcessorFast", "ImageProcessor", "FeatureExtractor", "ImageProcessorPil")

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
    "timm",
}


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
    return ModelError(f"Unsupported setting in preprocessor_config.json: {what}.", "Correct or remove it.")


@dataclass(frozen=True, slots=True)
class ProcessorOptions:
    """The options that a file sets, by type; each method raises ModelError for an invalid value."""

    values: Mapping[str, Any]
    family: _Family

    @classmethod
    def of(cls, config: Mapping[str, Any], processor: str) -> "ProcessorOptions":
        """The options of a file; ``processor`` is its type if it has none. Raises ModelError for an unknown one."""
        values = {key: value for key, value in config.items() if value is not None}
        family = _family(values.get("image_processor_type", values.get("feature_extractor_type", processor)))
        _refuse_unknown(values)
        return cls(values, family)

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

    def center_crop(self) -> bool:
        return self.switch("do_center_crop", self.family.center_crop)

    def resample(self) -> int:
        """The number of a Pillow filter: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming."""
        value = self.values.get("resample", self.family.resample.value)
        if isinstance(value, bool) or value not in range(6):
            raise _unsupported(f"resample = {value!r}")
        return int(value)

    def size(self, default: tuple[int, int]) -> int | tuple[int, int]:
        """The size to resize to: the shortest edge, or (height, width)."""
        return self._size("size", default, self.switch("default_to_square", not self.family.int_size_is_edge))

    def crop_size(self, default: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the crop."""
        size = self._size("crop_size", default, square=True)
        if isinstance(size, int):
            raise _unsupported("crop_size with a shortest edge instead of height and width")
        return size

    def timm(self) -> TimmCrop | None:
        """What this package writes for timm's way of cropping; transformers ignores it."""
        value = self.values.get("timm")
        if value is None:
            return None
        if not isinstance(value, Mapping) or value.keys() != {"crop_pct", "crop_mode"}:
            raise _unsupported(f"timm = {value!r}, which needs crop_pct and crop_mode")
        pct, mode = value["crop_pct"], value["crop_mode"]
        if not _is_number(pct) or pct <= 0 or mode not in CROP_MODES:
            raise _unsupported(f"timm = {value!r}")
        return TimmCrop(float(pct), mode)

    def _size(self, key: str, default: tuple[int, int], square: bool) -> int | tuple[int, int]:
        """A shortest edge, or (height, width); written as a number, a pair, or a dict of either."""
        value = self.values.get(key)
        if value is None:
            return default if square else edge_or_pair(default)
        if isinstance(value, Mapping):
            value = _from_mapping(value)
        elif square and not isinstance(value, list | tuple):
            value = (value, value)
        pair = value if isinstance(value, list | tuple) else (value, value)
        if len(pair) != 2 or not all(_is_size(edge) for edge in pair):
            raise _unsupported(f"{key} = {self.values[key]!r}")
        return (int(pair[0]), int(pair[1])) if isinstance(value, list | tuple) else int(pair[0])


def edge_or_pair(size: tuple[int, int]) -> int | tuple[int, int]:
    """A square becomes its shortest edge: resized in proportion, then cropped."""
    return size[0] if size[0] == size[1] else size


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
