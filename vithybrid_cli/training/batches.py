"""The batches of a training run: pictures are read and augmented ahead, by threads.

What a picture looks like in an epoch depends only on the seed, the epoch and the picture's index, never on the timing
of threads: a resumed run sees the same pictures as one that was never stopped.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from PIL import Image

from vithybrid_cli.errors import ImageError
from vithybrid_cli.evaluation.figures import Unreadable
from vithybrid_cli.images.decode import decode
from vithybrid_cli.training.augment import Pixels
from vithybrid_cli.training.data import LabelledPictures

Make = Callable[[Image.Image, int], Pixels]  # an RGB image and its index → uint8 [H, W, 3]


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures uint8 [N, H, W, 3], their class indices [N], and those that could not be read."""

    pixels: Pixels
    targets: npt.NDArray[np.int64]
    unreadable: tuple[Unreadable, ...]


def training_batches(
    data: LabelledPictures,
    augmented: Make,
    batch_size: int,
    order: npt.NDArray[np.int64],
    workers: int,
) -> Generator[Batch, None, None]:
    """The pictures in ``order``, by their indices, prefetched by threads: each once, in batches as equal as can be.

    A batch has at most ``batch_size`` pictures. Batches that are all full but for the last would give its few pictures
    a step that counts as much as one of many; and without them they would not be learnt from.

    Closing the iterator waits only for the pictures that are being read.
    """
    return _batches(data, augmented, np.array_split(order, steps_of(len(order), batch_size)), workers)


def steps_of(pictures: int, batch_size: int) -> int:
    """In how many batches of at most ``batch_size`` so many pictures are trained on."""
    return max(math.ceil(pictures / batch_size), 1)


def all_batches(data: LabelledPictures, made: Make, batch_size: int, workers: int) -> Generator[Batch, None, None]:
    """All pictures in their own order, prefetched by threads; the last batch may be smaller than the others."""
    order = np.arange(len(data.items))
    return _batches(
        data, made, [order[start : start + batch_size] for start in range(0, len(order), batch_size)], workers
    )


def _batches(
    data: LabelledPictures, made: Make, parts: Iterable[npt.NDArray[np.int64]], workers: int
) -> Generator[Batch, None, None]:
    maker = _BatchMaker(data, made)
    parts = iter(parts)

    def begun(count: int) -> list[Future[Batch]]:
        # In the context of this thread, which spells the options that a reason names.
        return [pool.submit(copy_context().run, maker.make, part) for part in islice(parts, count)]

    pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
    try:
        ahead = deque(begun(2 * workers))
        while ahead:
            batch = ahead.popleft().result()
            ahead.extend(begun(1))
            yield batch
    finally:
        maker.stopped.set()
        pool.shutdown(cancel_futures=True)


class _BatchMaker:
    """Reads and augments pictures, in any thread, until it is stopped."""

    def __init__(self, data: LabelledPictures, made: Make) -> None:
        self.data, self.made = data, made
        self.stopped = threading.Event()

    def make(self, indices: npt.NDArray[np.int64]) -> Batch:
        """The pictures of ``indices``, or the first of them if it is stopped in between."""
        pixels, targets, unreadable = [], [], []
        for index in indices:
            if self.stopped.is_set():
                break
            try:
                image = decode(self.data.items[index], self.data.decoding)
            except ImageError as error:
                unreadable.append(Unreadable.of(self.data.items[index].name, error))
                continue
            pixels.append(self.made(image, int(index)))
            targets.append(self.data.targets[index])
        stacked = np.stack(pixels) if pixels else np.empty((0, 0, 0, 3), np.uint8)
        return Batch(stacked, np.array(targets, dtype=np.int64), tuple(unreadable))
