"""Pictures through a network: files are read, cut into batches and computed, and all comes out in the order it had."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vithybrid_cli.cores import available_cores
from vithybrid_cli.errors import ImageError, NonFiniteLogits, UnreadableImage, UsageError
from vithybrid_cli.images.decode import decode, to_rgb
from vithybrid_cli.images.limits import DEFAULT_MAX_PIXELS
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.pipeline.loader import Loaded, load

if TYPE_CHECKING:
    from PIL import Image

    from vithybrid_cli.engines import Engine

Rows = npt.NDArray[np.float32]  # [N, C]: what the network gives for N pictures

_NON_FINITE = "the network's outputs are no numbers; use --dtype float32, or check the weights"
_LOOK_AHEAD_BATCHES = 2  # decoded ahead of the batch that is being computed


class Pipeline:
    """Computes what one network gives for pictures."""

    def __init__(self, engine: Engine, preprocessing: Preprocessing) -> None:
        self.engine = engine
        self.preprocessing = preprocessing

    def outputs(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        batch_size: int | None = None,
        workers: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        pauses: bool = True,
        fast_jpeg: bool = False,
    ) -> Generator[tuple[str, Rows | ImageError], None, None]:
        """Each path with what the network gives for it [C], or why there is nothing, in the order of ``paths``.

        The options are those of `Classifier.classify`. Raises UsageError for a ``batch_size`` or ``workers`` below 1,
        and for one path that is no list of paths.
        """
        if isinstance(paths, str | bytes | os.PathLike):  # the letters of a text would be taken for paths
            raise UsageError(f"{os.fsdecode(paths)} is one path where a list of paths belongs. Give it in brackets.")
        batch_size = self.engine.batch_size if batch_size is None else batch_size
        workers = available_cores() if workers is None else workers
        if min(batch_size, workers) < 1:
            raise UsageError("batch_size and workers are at least 1.")

        def read(path: str) -> npt.NDArray[np.uint8]:
            return self._pixels(decode(path, max_pixels, draft_side))

        draft_side = self.preprocessing.draft_side if fast_jpeg else None
        look_ahead = _LOOK_AHEAD_BATCHES * batch_size + workers
        with closing(load((os.fsdecode(path) for path in paths), read, workers, look_ahead, pauses)) as loaded:
            for batch, rows in self._computed(_batches(loaded, batch_size)):
                yield from _outputs(batch, rows)

    def preprocess(self, image: Image.Image) -> npt.NDArray[np.float32]:
        """A Pillow image → float32 [3, H, W], equal to the reference processor, which leaves EXIF orientation alone."""
        pixels = self.preprocessing.pixels(to_rgb(image))
        return self.preprocessing.normalization.apply(pixels)

    def _pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        pixels = self.preprocessing.pixels(image)
        height, width = self.engine.image_size
        if pixels.shape[:2] != (height, width):
            raise UnreadableImage(
                f"the model takes {width}×{height} pixels, and its preprocessor_config.json leaves this picture at "
                f"{pixels.shape[1]}×{pixels.shape[0]}; switch its do_resize and do_center_crop on"
            )
        return pixels

    def _computed(self, batches: Iterable[list[Loaded] | None]) -> Iterator[tuple[list[Loaded], Rows]]:
        """Each batch with its rows, in order; as many at once as the engine takes, and one that waits for its turn.

        So the engine is not idle while the results of a batch are made use of.
        """
        running: deque[tuple[list[Loaded], Future[Rows]]] = deque()
        most = self.engine.parallel + 1
        pool = ThreadPoolExecutor(self.engine.parallel, thread_name_prefix="network")
        try:
            for batch in batches:
                if batch is not None:
                    running.append((batch, pool.submit(self._rows, batch)))
                while running and (batch is None or len(running) == most):
                    first, rows = running.popleft()
                    yield first, rows.result()
            for first, rows in running:
                yield first, rows.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _rows(self, batch: list[Loaded]) -> Rows:
        """What the network gives for the N pictures that could be read [N, C]."""
        pixels = [loaded for _, loaded in batch if not isinstance(loaded, ImageError)]
        return self.engine.run(np.stack(pixels)) if pixels else np.empty((0, 0), np.float32)


def _outputs(batch: list[Loaded], rows: Rows) -> Iterator[tuple[str, Rows | ImageError]]:
    readable = iter(rows)
    for path, loaded in batch:
        if isinstance(loaded, ImageError):
            yield path, loaded
        else:
            row = next(readable)
            yield path, row if np.isfinite(row).all() else NonFiniteLogits(_NON_FINITE)


def _batches(loaded: Iterable[Loaded | None], size: int) -> Iterator[list[Loaded] | None]:
    """Cut a stream into lists with ``size`` pictures each, bad files aside.

    A pause (None) ends a list early and goes on as one: nothing more comes for a while. An exception of the stream
    comes after such a pause, so that the pictures before it are computed.
    """
    batch: list[Loaded] = []
    cut = Batches(size)
    try:
        for item in loaded:
            if item is None:
                cut.end()
            else:
                batch.append(item)
                cut.add(item[1] if isinstance(item[1], ImageError) else None)
            if batch and not cut.within:
                yield batch
                batch = []
            if item is None:
                yield None
    except Exception:
        if batch:
            yield batch
        yield None
        raise
    if batch:
        yield batch
