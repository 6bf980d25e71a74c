"""CutMix: a part of a picture shows another one of its batch, and counts for that one's label.

S. Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features" (2019),
https://arxiv.org/abs/1905.04899, with a place of its own for each picture.
"""

import math
from dataclasses import replace

import numpy as np

from vithybrid_cli.training.batches import Batch


def cut_mixed(batch: Batch, share: float, rng: np.random.Generator) -> Batch:
    """The batch, in which about a ``share`` of the pictures show in a part, of any size, what the one before shows."""
    before = np.roll(np.arange(len(batch.targets)), 1)
    pixels, part = batch.pixels.copy(), np.zeros(len(before), np.float32)
    for number, other in enumerate(before):
        if rng.random() >= share:
            continue
        rows, columns = _place(pixels.shape[1:3], rng)
        pixels[number, rows, columns] = batch.pixels[other, rows, columns]
        part[number] = (rows.stop - rows.start) * (columns.stop - columns.start) / math.prod(pixels.shape[1:3])
    return replace(batch, pixels=pixels, others=batch.targets[before], part=part)


def _place(size: tuple[int, int], rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a place around a random point; its area, unless it is cut off, is any part of all."""
    side = math.sqrt(rng.random())
    spans = []
    for length in size:
        middle = rng.uniform(0, length)
        start, stop = round(middle - side * length / 2), round(middle + side * length / 2)
        spans.append(slice(max(start, 0), min(stop, length)))
    return spans[0], spans[1]
