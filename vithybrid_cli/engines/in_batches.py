"""Many pictures that are all there, through an engine that computes several batches at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from vithybrid_cli.engines import Engine


def in_batches(engine: Engine, count: int, pixels: Callable[[slice], npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
    """The rows of ``count`` pictures, at least 1, of which ``pixels`` makes a part: uint8 [N, H, W, 3].

    Parts are made and computed in threads, a batch for each.
    """
    with ThreadPoolExecutor(engine.parallel) as pool:
        starts = range(0, count, engine.batch_size)
        rows = pool.map(lambda start: engine.run(pixels(slice(start, start + engine.batch_size))), starts)
        return np.concatenate(list(rows))
