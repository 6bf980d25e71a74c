"""Occlusion (section 4.2 of https://arxiv.org/abs/1311.2901): what the label loses when a part is covered.

It needs nothing but a network's outputs, so any engine can run it.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from vithybrid_cli.engines import Engine
from vithybrid_cli.engines.in_batches import in_batches
from vithybrid_cli.explain.target import Target

CELLS = 14  # of the map in each direction, if there are as many pixels
WINDOW = 3  # cells that are covered at once in each direction
GREY = 128

Pixels = npt.NDArray[np.uint8]
Slices = tuple[slice, slice]


def occlusion(
    engine: Engine, pixels: Pixels, target: Target
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Of uint8 pixels [H, W, 3]: the map [rows, columns], and logits [C].

    A grey window slides over the cells, over the edges too. A cell's value is by how much the target fell, on average
    over the windows that covered it.
    """
    logits = engine.run(pixels[None])
    target = target.settled(torch.from_numpy(logits))
    before = target.of(torch.from_numpy(logits)).numpy()
    rows, columns = (min(CELLS, length) for length in pixels.shape[:2])
    windows = list(_windows(rows, columns))

    def covered(part: slice) -> Pixels:
        return np.stack([_covered(pixels, window, (rows, columns)) for window in windows[part]])

    after = target.of(torch.from_numpy(in_batches(engine, len(windows), covered))).numpy()
    return _averages(windows, before - after, (rows, columns)), logits[0]


def _windows(rows: int, columns: int) -> Iterator[Slices]:
    """The cells of each window, one centred on each cell."""
    reach = WINDOW // 2
    for row in range(rows):
        for column in range(columns):
            yield slice(max(0, row - reach), row + reach + 1), slice(max(0, column - reach), column + reach + 1)


def _covered(pixels: Pixels, window: Slices, grid: tuple[int, int]) -> Pixels:
    covered = pixels.copy()
    rows, columns = (_pixels(cells, *sizes) for cells, *sizes in zip(window, grid, pixels.shape[:2], strict=True))
    covered[rows, columns] = GREY
    return covered


def _pixels(cells: slice, count: int, length: int) -> slice:
    """The pixels of some cells, of which ``count`` share ``length`` pixels."""
    return slice(cells.start * length // count, min(cells.stop, count) * length // count)


def _averages(windows: list[Slices], values: npt.NDArray[np.float32], grid: tuple[int, int]) -> npt.NDArray[np.float32]:
    sums, counts = np.zeros(grid), np.zeros(grid)
    for window, value in zip(windows, values, strict=True):
        sums[window] += value
        counts[window] += 1
    return (sums / counts).astype(np.float32)
