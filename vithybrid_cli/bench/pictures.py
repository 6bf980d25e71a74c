"""Pictures to measure with, made from noise; they are the same on every machine."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = (500, 375)  # width and height of a typical picture in ImageNet
_QUALITY = 95
_OCTAVES = 8
# Each octave is _FALL times as strong as the next finer one; the finest has a strength of _GRAIN grey levels. The
# spectrum of photographs falls as steeply, and the files are as large as those of ImageNet, about 110 kB.
_FALL, _GRAIN, _COLOUR = 1.2, 9.0, 25.0

Noise = npt.NDArray[np.float32]


def make_pictures(folder: Path, count: int) -> list[str]:
    """Write ``count`` different JPEG files to a new ``folder``, every fourth in portrait format."""
    folder.mkdir()
    width, height = SIZE
    paths = [folder / f"{number:04}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        size = (height, width) if number % 4 == 3 else (width, height)
        Image.fromarray(made(number, size)).save(path, quality=_QUALITY)
    return [str(path) for path in paths]


def made(seed: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Noise of several octaves, coarse ones stronger, as in a photograph; (width, height) → uint8 [H, W, 3]."""
    random = np.random.default_rng(seed)
    grey = np.zeros((1, 1), np.float32)
    for octave in reversed(range(_OCTAVES)):
        width, height = (-(-length // 2**octave) for length in size)
        grey = _enlarged(grey, (width, height)) + _GRAIN * _FALL**octave * _noise(random, height, width)
    channels = [128 + grey + _COLOUR * _enlarged(_noise(random, 4, 4), size) for _ in range(3)]
    return np.asarray(np.clip(np.stack(channels, axis=-1), 0, 255), np.uint8)


def _noise(random: np.random.Generator, height: int, width: int) -> Noise:
    return random.standard_normal((height, width), np.float32)


def _enlarged(noise: Noise, size: tuple[int, int]) -> Noise:
    return np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
