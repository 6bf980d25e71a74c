"""Pictures that are all there, in batches side by side."""

import threading
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from vithybrid_cli.engines.in_batches import in_batches

WAIT = 20.0  # seconds until a test that waits for another thread gives up


class Sums:
    """An engine that adds up the pixels of each picture, once as many batches are there as it takes."""

    name, device_type, image_size, batch_limit = "sums", "cpu", (1, 1), None
    environment: Mapping[str, str | int] = {}

    def __init__(self, parallel: int, batch_size: int) -> None:
        self.parallel, self.batch_size = parallel, batch_size
        self.sizes: list[int] = []
        self._meeting = threading.Barrier(parallel)

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.sizes.append(len(pixels))
        self._meeting.wait(WAIT)
        return np.asarray(pixels.sum((1, 2, 3)), np.float32)[:, None]


@pytest.mark.parametrize(("count", "parallel", "batch_size", "sizes"), [(8, 2, 2, [2, 2, 2, 2]), (5, 3, 2, [2, 2, 1])])
def test_rows_keep_their_order_and_as_many_batches_run_at_once_as_the_engine_takes(
    count: int, parallel: int, batch_size: int, sizes: list[int]
) -> None:
    engine = Sums(parallel, batch_size)
    pixels = np.arange(3 * count, dtype=np.uint8).reshape(count, 1, 1, 3)
    rows = in_batches(engine, count, pixels.__getitem__)
    np.testing.assert_array_equal(rows[:, 0], pixels.sum((1, 2, 3)))
    assert sorted(engine.sizes, reverse=True) == sizes
