"""The options of a ``preprocessor_config.json``, as transformers 4.57.6 reads them.

Which class reads a file is ``AutoImageProcessor``'s rule: its ``image_processor_type``, or ``feature_extractor_type``,
or else the class of the network's ``model_type``. A class takes its own options, has defaults for absent ones, and
passes over all others; so does this package, and names those that it does not know in one warning.
"""

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vithybrid_cli.errors import ModelError
from vithybrid_cli.images.processors import Channels, Processor, Scaling, Size, processor_named
from vithybrid_cli.images.timm_crop import CROP_MODES, TimmCrop

_log = logging.getLogger(__name__)

_FILE = "preprocessor_config.json"
# Keys of saved processors that leave the pixels of an RGB picture as they are. The label maps concern segmentation,
# pictures are always converted to RGB, and the slow classes pass over the way in which arrays are given and returned.
_INERT = {
    "_name_or_path",
    "_processor_class",
    "_valid_kwargs_names",
    "_valid_processor_keys",
    "auto_map",
    "crop_size",
    "data_format",
    "default_to_square",
    "device",
    "disable_grouping",
    "do_convert_rgb",
    "do_reduce_labels",
    "feature_extractor_type",
    "image_processor_type",
    "input_data_format",
    "pad_size",
    "processor_class",
    "reduce_labels",
    "return_tensors",
    "transformers_version",
}
_READ = {
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
_FILTERS = "0 (nearest), 1 (Lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (Hamming)"
_LISTED = 8  # options in a warning
_CONVNEXT_SQUASHES = 384  # from this shortest edge on
_AS_BIT = "Write what it does as a BitImageProcessor: resize, centre crop, rescale and normalise."


@dataclass(frozen=True, slots=True)
class ProcessorOptions:
    """The options that a file sets, by type; each method raises ModelError for an invalid value."""

    values: Mapping[str, Any]
    processor: Processor

    @classmethod
    def of(cls, config: Mapping[str, Any], processor: str) -> "ProcessorOptions":
        """The options of a file; ``processor`` is the class that reads it if it names none.

        Raises ModelError for a class with other steps than ours. Warns once of options that the class does not read.
        """
        inner = config.get("image_processor")  # as transformers' ``get_image_processor_dict`` looks for it
        values = inner if isinstance(inner, Mapping) else config
        options = cls(values, _processor(values, processor))
        if options.processor.fast and options.switch("do_pad", False):
            raise options._wrong("do_pad", "Switch it off, and pad the pictures themselves.")
        options._warn_of_unread()
        return options

    def switch(self, key: str, default: bool) -> bool:
        """Whether a step is done. A null switches a slow class's step off; a fast class takes its default."""
        value = self.values.get(key, default)
        if value is None:
            return default and self.processor.fast
        if value not in (False, True):  # 0 and 1 among them
            raise self._wrong(key, "Write true or false.")
        return bool(value)

    def rescale_factor(self) -> float:
        if not self.switch("do_rescale", True):
            return 1 / 255
        value = self.values.get("rescale_factor", 1 / 255)
        if not _is_number(value):
            raise self._wrong("rescale_factor", "Write a number, as 0.00392156862745098 for 1/255.")
        return float(value)

    def mean(self) -> Channels:
        return self._channels("image_mean", self.processor.statistics[0])

    def std(self) -> Channels:
        return self._channels("image_std", self.processor.statistics[1])

    def include_top(self) -> bool:
        """Whether values are divided by the standard deviation once more, as EfficientNet was trained."""
        return self.processor.top and self.switch("include_top", True)

    def rescale_offset(self) -> bool:
        """Whether 1 is taken off each value once it is rescaled."""
        return self.processor.top and self.switch("rescale_offset", False) and self.switch("do_rescale", True)

    def resample(self) -> int:
        """The number of a Pillow filter: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming."""
        default = self.processor.resample.value
        if not self.switch("do_resize", True):
            return default
        value = self.values.get("resample", default)
        if isinstance(value, bool) or value not in range(6):
            raise self._wrong("resample", f"Write one of {_FILTERS}.")
        return int(value)

    def sizes(self) -> tuple[Size, tuple[int, int], bool]:
        """The size that pictures are resized to, (height, width) of the crop, and whether they are cropped."""
        resize = self.switch("do_resize", True)
        size = self._size() if resize else self.processor.size
        match self.processor.scaling:
            case Scaling.CONVNEXT:
                assert isinstance(size, int)
                return self._convnext(size, resize)
            case Scaling.LEVIT if isinstance(size, int):
                size = int(256 / 224 * size)
            case Scaling.POOLFORMER if resize:
                size = self._poolformer(size)
        crop = self._crop_size()
        if crop is None:
            return size, size if isinstance(size, tuple) else (size, size), False
        return size, crop, True

    def timm(self) -> TimmCrop | None:
        """What this package writes for timm's way of cropping; transformers ignores it."""
        value = self.values.get("timm")
        if value is None:
            return None
        if not isinstance(value, Mapping) or value.keys() != {"crop_pct", "crop_mode"}:
            raise self._wrong("timm", "Give it a crop_pct and a crop_mode.")
        pct, mode = value["crop_pct"], value["crop_mode"]
        if not _is_number(pct) or pct <= 0 or mode not in CROP_MODES:
            raise self._wrong("timm")
        return TimmCrop(float(pct), mode)

    def _size(self) -> Size:
        """The ``size`` of the file, or the class's own."""
        value = self.values.get("size")
        size = self.processor.size if value is None else _edge_or_pair(value, not self._int_is_edge())
        if size is None or (isinstance(value, Mapping) and self.processor.fast and "longest_edge" in _given(value)):
            raise self._wrong("size", "Write height and width, or a shortest edge, in pixels.")
        if isinstance(size, int) and self.values.get("use_square_size") and self.processor.square_switch:
            size = (size, size)
        if isinstance(size, int) and not self.processor.takes_edge:
            raise self._wrong("size", f"Write height and width, which {self.processor.name} needs.")
        if not isinstance(size, int) and not self.processor.takes_pair:
            raise self._wrong("size", f"Write a shortest edge, which {self.processor.name} needs.")
        return size

    def _int_is_edge(self) -> bool:
        if self.processor.fast:  # the only ones that read the option
            return not self.switch("default_to_square", not self.processor.int_is_edge)
        return self.processor.int_is_edge

    def _crop_size(self) -> tuple[int, int] | None:
        """(height, width) of the crop; None where nothing is cropped."""
        default = self.processor.center_crop
        if default is None or not self.switch("do_center_crop", default):
            return None
        value = self.values.get("crop_size")
        if value is None and self.processor.crop_size is not None:
            return self.processor.crop_size
        size = _edge_or_pair(value, square=True)
        if not isinstance(size, tuple):
            raise self._wrong("crop_size", "Write its height and width in pixels.")
        return size

    def _convnext(self, edge: int, resize: bool) -> tuple[Size, tuple[int, int], bool]:
        square = (edge, edge)
        if not resize or edge >= _CONVNEXT_SQUASHES:
            return square, square, False
        pct = self.values.get("crop_pct")
        return self._divided(edge, self.processor.crop_pct if pct is None else pct), square, True

    def _poolformer(self, size: Size) -> Size:
        pct = self.values.get("crop_pct", self.processor.crop_pct)
        if pct is None:
            return size
        if isinstance(size, tuple) and size[0] != size[1]:
            return self._divided(size[0], pct), self._divided(size[1], pct)
        return self._divided(size if isinstance(size, int) else size[0], pct)

    def _divided(self, length: int, pct: object) -> int:
        """``length`` pixels are the share ``pct`` of the result."""
        if not isinstance(pct, int | float) or not _is_number(pct) or not 0 < pct <= length:
            raise self._wrong("crop_pct", "Write a share of 1, as 0.875.")
        return int(length / pct)

    def _channels(self, key: str, default: Channels) -> Channels:
        """One number for all channels, or a list of three; a standard deviation is above zero."""
        value = self.values.get(key)
        if value is None or not (self.switch("do_normalize", True) or self.include_top()):
            return default
        numbers = value if isinstance(value, list | tuple) else [value] * 3
        if len(numbers) != 3 or not all(_is_number(x) and (x > 0 or key != "image_std") for x in numbers):
            raise self._wrong(key, "Write three numbers, for red, green and blue; a standard deviation is above 0.")
        red, green, blue = (float(x) for x in numbers)
        return red, green, blue

    def _warn_of_unread(self) -> None:
        """One warning that names the options which the class does not read, as far as they say something."""
        if self.values.keys() & {"model_type", "architectures"} and not self.values.keys() & _READ:
            _log.warning(
                f"{_FILE} is a copy of config.json and says nothing of pictures, so the defaults of "
                f"{self.processor.name} hold, as in transformers."
            )
            return
        own = {
            "crop_pct": self.processor.crop_pct is not None,
            "do_pad": self.processor.fast,
            "include_top": self.processor.top,
            "rescale_offset": self.processor.top,
            "use_square_size": self.processor.square_switch,
            "do_center_crop": self.processor.center_crop is not None or not self._would_crop(),
        }
        read = _READ | _INERT | {key for key, reads in own.items() if reads}
        unread = sorted(key for key, value in self.values.items() if key not in read and value)
        if unread:
            named = ", ".join(unread[:_LISTED]) + (f" and {len(unread) - _LISTED} more" if unread[_LISTED:] else "")
            _log.warning(
                f"{_FILE} sets {named}, which {self.processor.name} does not read: passed over, as in transformers."
            )

    def _would_crop(self) -> bool:
        """Whether the crop that the file describes is another size than what it is cut from."""
        crop, size = (self.values.get(key) for key in ("crop_size", "size"))
        return crop is not None and _edge_or_pair(crop, square=True) != _edge_or_pair(size, square=True)

    def _wrong(self, key: str, remedy: str = "Correct or remove it.") -> ModelError:
        given = json.dumps(self.values.get(key))
        return ModelError(f"Unsupported setting in {_FILE}: {key} = {given}.", remedy)


def _processor(values: Mapping[str, Any], default: str) -> Processor:
    """The class that reads a file, by the rule of ``AutoImageProcessor``. Raises ModelError for all others."""
    given = values.get("image_processor_type")
    code = values.get("auto_map")
    if given is None and isinstance(code, Mapping) and code.keys() & {"AutoImageProcessor", "AutoFeatureExtractor"}:
        raise ModelError(f"{_FILE} asks for code of its own, which is never run: {json.dumps(code)}.", _AS_BIT)
    if given is None:
        given = values.get("feature_extractor_type")
    name = default if given is None else given
    processor = processor_named(name) if isinstance(name, str) else None
    if processor is None:
        raise ModelError(f"{_FILE} names {json.dumps(name)}, an image processor with steps of its own.", _AS_BIT)
    return processor


def _edge_or_pair(value: object, square: bool) -> Size | None:
    """A shortest edge, or (height, width), as transformers' ``get_size_dict`` reads it; None for anything else.

    A number is both sides of a square, or the shortest edge. Of a list the first two count.
    """
    if isinstance(value, Mapping):
        given = _given(value)
        if given.keys() == {"height", "width"}:
            value = (given["height"], given["width"])
        elif given.keys() in ({"shortest_edge"}, {"shortest_edge", "longest_edge"}):
            value, square = given["shortest_edge"], False
    if isinstance(value, list | tuple):
        height, width = (*value, None, None)[:2]
        return (height, width) if _is_size(height) and _is_size(width) else None
    if not isinstance(value, int) or not _is_size(value):
        return None
    return (value, value) if square else value


def _given(size: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in size.items() if value is not None}


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def edge_or_pair(size: tuple[int, int]) -> Size:
    """A square becomes its shortest edge: resized in proportion, then cropped."""
    return size[0] if size[0] == size[1] else size
