"""An image in whatever mode becomes one in mode RGB: as transformers makes it, or laid on a colour if transparent."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from vithybrid_cli.settings import rgb

_GREY_STEPS = {"L;2": 85, "L;4": 17}  # what Pillow makes of one step of a grey that has 2 or 4 bits


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in mode RGB, not turned; an image that is RGB already is returned as it is.

    As ``convert("RGB")`` of transformers' processors: alpha is dropped, CMYK is converted without a profile.
    Samples of more than 8 bits are scaled, where ``convert`` would clip them.
    """
    return finished(converted(image))


def converted(image: Image.Image, *, keep_alpha: bool = False) -> Image.Image:
    """The image in mode RGB by Pillow's own means, which can find a palette damaged; more than 8 bits are kept.

    With ``keep_alpha`` one with transparency is in mode RGBA instead; where one colour of it is transparent it is kept.
    """
    if keep_alpha and image.has_transparency_data:
        return image if _has_key(image) else _with_alpha(image)
    if image.mode == "RGB" or _is_deep(image):
        return image
    if image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # the same colours; straight to RGB would warn about the transparency
    elif image.mode == "La":
        image = image.convert("LA")
    return image.convert("RGB")


def finished(image: Image.Image, background: str | None = None) -> Image.Image:
    """What `converted` gives, in mode RGB: scaled to 8 bits, and laid on the colour ``background`` if there is one."""
    if background is None or not image.has_transparency_data:
        return _scaled(image)
    clear = image if image.mode == "RGBA" else _keyed(image, image.info["transparency"])
    behind = Image.new("RGBA", image.size, (*rgb(background), 255))
    behind.alpha_composite(clear)
    return behind.convert("RGB")


def shows_nothing(image: Image.Image, first: tuple[int, int] = (0, 0)) -> bool:
    """Whether all pixels are the same, as those of a picture of which nothing was decoded.

    The ``first`` ones from the left and from the top do not count.
    """
    (left, top), (width, height) = first, image.size
    boxes = [(0, top, width, height), (left, 0, width, min(top, height))]
    parts = [image.crop(box) for box in boxes if box[0] < box[2] and box[1] < box[3]]
    colours = [part.getpixel((0, 0)) for part in parts]
    return len(set(colours)) <= 1 and all(_is_of_one_colour(part) for part in parts)


def _is_of_one_colour(image: Image.Image) -> bool:
    extrema = image.getextrema()
    ranges = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in ranges)


def adopt_key(image: Image.Image) -> None:
    """Bring the transparent grey or colour of a PNG that is not decoded yet to the 8 bits that Pillow decodes to."""
    coding = image.tile[0][3] if isinstance(image, ImageFile.ImageFile) and len(image.tile) == 1 else None
    key = image.info.get("transparency")
    if isinstance(key, int) and coding in _GREY_STEPS:
        image.info["transparency"] = key * _GREY_STEPS[coding]
    elif isinstance(key, tuple) and coding == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)  # colours that are as near are transparent too


def _has_key(image: Image.Image) -> bool:
    """Whether one grey or colour is transparent."""
    return "transparency" in image.info and image.mode != "P" and not image.mode.endswith(("A", "a"))


def _with_alpha(image: Image.Image) -> Image.Image:
    """An image with alpha, or with a palette that has it, in mode RGBA."""
    if image.mode == "La":  # grey that is multiplied by alpha
        image = image.convert("LA")
    return image if image.mode == "RGBA" else image.convert("RGBA")


def _keyed(image: Image.Image, key: Any) -> Image.Image:
    """An image in which the grey or colour ``key`` is transparent and all others are opaque, in mode RGBA."""
    samples = np.asarray(image)
    if image.mode == "RGB":
        opaque = (samples != np.array(key, samples.dtype)).any(-1)
    else:
        opaque = samples != (bool(key) if image.mode == "1" else key)
    rgba = to_rgb(image).convert("RGBA")
    rgba.putalpha(Image.fromarray(opaque.astype(np.uint8) * np.uint8(255)))
    return rgba


def _scaled(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as RGB; any other image as it is."""
    return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB") if _is_deep(image) else image


def _is_deep(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def _to_8_bits(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Grey samples [H, W] of 16 or 32 bits, integer or float, as 8 bits.

    16 bits keep their high byte, as Pillow does with a 16-bit RGB file. For 32 bits there is no convention, so the
    range is guessed from the values: 0–1 (float), 0–255, 0–65535, or else from the smallest to the largest.
    """
    if samples.dtype.itemsize == 2:
        return (samples >> 8).astype(np.uint8)
    values = np.nan_to_num(samples.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if samples.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.rint(values * 255).astype(np.uint8)
    if low >= 0 and high <= 65535:
        return np.floor(values if high <= 255 else values / 256).astype(np.uint8)
    return np.rint((values - low) * 255 / (high - low or 1)).astype(np.uint8)
