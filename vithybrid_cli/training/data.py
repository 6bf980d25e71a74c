"""Folders of labelled pictures, and the random crops and flips that a training run sees of them.

What a picture looks like in an epoch depends on the seed, the epoch and the picture's index alone, never on the timing of
threads: a run that is resumed sees what an unbroken run sees.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from vithybrid_cli.errors import ImageError, UsageError
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.labelled import label_folders, labelled_pictures

MAX_ASPECT = 4 / 3  # a random crop's sides differ by at most this ratio (Inception's crop, arXiv:1409.4842)

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """The pictures of a folder of folders: ``DIR/<label>/…``; labels in natural order, as the class indices will be."""

    labels: tuple[str, ...]
    paths: tuple[str, ...]
    targets: npt.NDArray[np.int64]  # class index of each path


def read_folder(folder: Path, labels: tuple[str, ...] | None = None) -> LabelledFolder:
    """List the pictures of ``folder``. Raises UsageError for no such folder, no labels, or no pictures.

    ``labels`` fixes the class indices (those of the training folder); a label folder of another name is refused.
    """
    names = label_folders(folder)
    known = labels or names
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"{folder}: no label is called {', '.join(unknown)}; the labels are {', '.join(known)}.")
    pairs = list(labelled_pictures(folder, {name: known.index(name) for name in names}))
    if not pairs:
        raise UsageError(f"{folder} holds no pictures.")
    targets = np.array([target for _, target in pairs], dtype=np.int64)
    return LabelledFolder(known, tuple(path for path, _ in pairs), targets)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """A random crop of at least ``min_area`` of the picture, resized to ``size`` (height, width), flipped half the time."""

    size: tuple[int, int]
    min_area: float
    flip: bool = True

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Pixels:
        """RGB image → uint8 [H, W, 3]."""
        box = _random_box(image.size, self.min_area, rng)
        height, width = self.size
        crop = image.resize((width, height), Image.Resampling.BICUBIC, box)
        if self.flip and rng.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.array(crop)


def _random_box(size: tuple[int, int], min_area: float, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A box of a random area (a part of the picture's, at least ``min_area``) and aspect, at a random place."""
    width, height = size
    area = rng.uniform(min_area, 1.0) * width * height
    aspect = math.exp(rng.uniform(-math.log(MAX_ASPECT), math.log(MAX_ASPECT)))
    box_width, box_height = min(width, math.sqrt(area * aspect)), min(height, math.sqrt(area / aspect))
    left, top = rng.uniform(0, width - box_width), rng.uniform(0, height - box_height)
    return left, top, left + box_width, top + box_height


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures uint8 [N, H, W, 3], their class indices [N], and the files that could not be read."""

    pixels: Pixels
    targets: npt.NDArray[np.int64]
    unreadable: tuple[str, ...]


def training_batches(
    data: LabelledFolder, augmentation: Augmentation, batch_size: int, seed: int, epoch: int, workers: int
) -> Iterator[Batch]:
    """One epoch in a random order, batches made ahead in threads; a short last batch is left out."""
    order = np.random.default_rng((seed, epoch)).permutation(len(data.paths))
    full = max(len(order) // batch_size, 1)
    parts = [order[start * batch_size : (start + 1) * batch_size] for start in range(full)]
    with ThreadPoolExecutor(workers) as pool:
        ahead = [pool.submit(_make_batch, data, augmentation, part, seed, epoch) for part in parts[: 2 * workers]]
        for index in range(len(parts)):
            batch = ahead.pop(0).result()
            if index + 2 * workers < len(parts):
                part = parts[index + 2 * workers]
                ahead.append(pool.submit(_make_batch, data, augmentation, part, seed, epoch))
            yield batch


def _make_batch(
    data: LabelledFolder, augmentation: Augmentation, indices: npt.NDArray[np.int64], seed: int, epoch: int
) -> Batch:
    pixels, targets, unreadable = [], [], []
    for index in indices:
        try:
            image = decode(data.paths[index])
        except ImageError:
            unreadable.append(data.paths[index])
            continue
        pixels.append(augmentation(image, np.random.default_rng((seed, epoch, int(index)))))
        targets.append(data.targets[index])
    height, width = augmentation.size
    stacked = np.stack(pixels) if pixels else np.empty((0, height, width, 3), np.uint8)
    return Batch(stacked, np.array(targets, dtype=np.int64), tuple(unreadable))
