"""Folders of labelled pictures, and the random crops and flips of them that a training run sees.

What a picture looks like in an epoch depends only on the seed, the epoch and the picture's index, never on the timing
of threads: a resumed run sees the same pictures as one that was never stopped.
"""

import hashlib
import math
import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from vithybrid_cli.errors import ImageError, UsageError, listed
from vithybrid_cli.images.decode import decode
from vithybrid_cli.sources.labelled import DataSetRoot, holds_only_folders, label_folders, labelled_pictures
from vithybrid_cli.sources.survey import Survey

_NAMED_LABELS = 5  # that an error message spells out
_COUNTED_LABELS = 20  # that a summary spells out
MAX_ASPECT = 4 / 3  # the largest ratio of a random crop's sides (Inception's crop, arXiv:1409.4842)

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """The pictures of a folder of folders, ``DIR/<label>/…``. Labels are in natural order, which is the class index.

    ``left_out`` says in words what else lies there.
    """

    labels: tuple[str, ...]
    paths: tuple[str, ...]
    targets: npt.NDArray[np.int64]  # class index of each path
    left_out: str | None = None

    def summary(self) -> str:
        """How many pictures there are, and of which label how many; of many labels also the fewest and the most."""
        counts = np.bincount(self.targets, minlength=len(self.labels)).tolist()
        named = [f"{label} {count}" for label, count in zip(self.labels, counts, strict=True)]
        pictures = "1 picture" if len(self.paths) == 1 else f"{len(self.paths)} pictures"
        said = f"{pictures} of {len(self.labels)} labels: {', '.join(named[:_COUNTED_LABELS])}"
        if len(named) <= _COUNTED_LABELS:
            return said
        fewest, most = named[counts.index(min(counts))], named[counts.index(max(counts))]
        return f"{said} and {len(named) - _COUNTED_LABELS} more (fewest: {fewest}, most: {most})"

    def with_indices_of(self, labels: tuple[str, ...]) -> "LabelledFolder":
        """The same pictures with the class indices of ``labels``, if these are the same labels in any order."""
        if sorted(labels) != sorted(self.labels):
            return self
        indices = np.array([labels.index(label) for label in self.labels], dtype=np.int64)
        return replace(self, labels=labels, targets=indices[self.targets])

    def fingerprint(self) -> str:
        """A hash of names and labels: it changes with any of them, but not when the whole folder is moved."""
        names = (f"{target}/{Path(path).name}\0" for path, target in zip(self.paths, self.targets, strict=True))
        return hashlib.sha256("".join(names).encode(errors="surrogateescape")).hexdigest()[:16]


def read_folder(folder: Path, labels: tuple[str, ...] | None = None) -> LabelledFolder:
    """List the pictures of ``folder``. Raises UsageError if there is no such folder, or no label or picture in it.

    ``labels`` are those of the training folder, by class index; a folder of another name is refused. Without them the
    folder is the one to train on: it needs at least two labels, each with pictures.
    """
    names = _label_folders(folder) if labels is None else label_folders(folder)
    known = labels or names
    if unknown := [name for name in names if name not in known]:
        others, labelled = listed(unknown, _NAMED_LABELS), listed(known, _NAMED_LABELS)
        cause = f"{folder} holds folders that are not labels: {others} (the labels are {labelled})."
        raise UsageError(cause, "Rename or remove these folders.")
    survey = Survey()
    pairs = list(labelled_pictures(folder, {name: known.index(name) for name in names}, survey=survey))
    if not pairs:
        raise UsageError(f"{survey.nothing()}.", "Put pictures into its label folders.")
    targets = np.array([target for _, target in pairs], dtype=np.int64)
    found = LabelledFolder(known, tuple(path for path, _ in pairs), targets, survey.line())
    if labels is None:
        _check_trainable(folder, found)
    return found


def _label_folders(folder: Path) -> tuple[str, ...]:
    try:
        return label_folders(folder)
    except DataSetRoot as error:
        raise DataSetRoot(error.cause, "Give the part to train on, and one to measure it on as {held_out}.") from error


def _check_trainable(folder: Path, data: LabelledFolder) -> None:
    """Raise UsageError for labels that cannot be learnt or cannot be written."""
    if len(data.labels) == 1 and holds_only_folders(folder / data.labels[0]):
        cause = f"{folder} holds only one folder, and that holds folders in turn: {folder / data.labels[0]}."
        raise UsageError(cause, "Give that folder, if its folders are the labels.")
    if len(data.labels) == 1:
        cause = f"{folder} holds only one label, {data.labels[0]}."
        raise UsageError(cause, "Add a folder of pictures for each other label: training needs at least two.")
    counts = np.bincount(data.targets, minlength=len(data.labels))
    if empty := [label for label, count in zip(data.labels, counts, strict=True) if not count]:
        cause = f"{folder} holds labels without pictures: {listed(empty, _NAMED_LABELS)}."
        raise UsageError(cause, "Add pictures of them, or remove their folders.")
    if odd := [label for label in data.labels if not _is_unicode(label)]:
        raise UsageError(
            f"{folder} holds names that are not valid UTF-8: {listed(odd, _NAMED_LABELS)}.", "Rename these folders."
        )


def _is_unicode(text: str) -> bool:
    return text.encode(errors="replace") == text.encode(errors="surrogateescape")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """A random crop of ``min_area`` to all of a picture, resized to ``size`` (height, width), half the time flipped."""

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
    """A box of random area (a share of the picture's, at least ``min_area``) and aspect ratio, at a random place.

    A side that would be longer than the picture's is cut to that, so the area may become smaller.
    """
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
) -> Generator[Batch, None, None]:
    """One epoch in random order, prefetched by threads; a last batch that is not full is left out.

    Closing the iterator waits only for the pictures that are being read.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(data.paths))
    full = max(len(order) // batch_size, 1)
    parts = (order[start * batch_size : (start + 1) * batch_size] for start in range(full))
    maker = _BatchMaker(data, augmentation, seed, epoch)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
    try:
        ahead = deque(pool.submit(maker.make, part) for part in islice(parts, 2 * workers))
        while ahead:
            batch = ahead.popleft().result()
            ahead.extend(pool.submit(maker.make, part) for part in islice(parts, 1))
            yield batch
    finally:
        maker.stopped.set()
        pool.shutdown(cancel_futures=True)


class _BatchMaker:
    """Reads and augments the pictures of one epoch, in any thread, until it is stopped."""

    def __init__(self, data: LabelledFolder, augmentation: Augmentation, seed: int, epoch: int) -> None:
        self.data, self.augmentation, self.seed, self.epoch = data, augmentation, seed, epoch
        self.stopped = threading.Event()

    def make(self, indices: npt.NDArray[np.int64]) -> Batch:
        """The pictures of ``indices``, or the first of them if it is stopped in between."""
        pixels, targets, unreadable = [], [], []
        for index in indices:
            if self.stopped.is_set():
                break
            try:
                image = decode(self.data.paths[index])
            except ImageError:
                unreadable.append(self.data.paths[index])
                continue
            rng = np.random.default_rng((self.seed, self.epoch, int(index)))
            pixels.append(self.augmentation(image, rng))
            targets.append(self.data.targets[index])
        height, width = self.augmentation.size
        stacked = np.stack(pixels) if pixels else np.empty((0, height, width, 3), np.uint8)
        return Batch(stacked, np.array(targets, dtype=np.int64), tuple(unreadable))
