"""The Python interface: a checkpoint by name, and pictures into results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vithybrid_cli.batches import Batches
from vithybrid_cli.checkpoints.catalog import DEFAULT_MODEL
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.hub import locate
from vithybrid_cli.cores import available_cores
from vithybrid_cli.errors import ImageError, NonFiniteLogits, UnreadableImage, UsageError
from vithybrid_cli.images.decode import decode, to_rgb
from vithybrid_cli.images.limits import DEFAULT_MAX_PIXELS
from vithybrid_cli.images.loader import Loaded, load
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.results import ImageResult, top_k

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from vithybrid_cli.engines import Engine

Logits = npt.NDArray[np.float32]

_NON_FINITE = "the network's outputs are no numbers; use --dtype float32, or check the weights"
_LOOK_AHEAD_BATCHES = 2  # decoded ahead of the batch that is being computed


class Classifier:
    """Labels pictures with one network."""

    def __init__(self, engine: Engine, preprocessing: Preprocessing, labels: tuple[str, ...]) -> None:
        self.engine = engine
        self.preprocessing = preprocessing
        self.labels = labels

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        revision: str | None = None,
        offline: bool = False,
        device: str = "auto",
        dtype: str = "float32",
        attention: str = "sdpa",
        engine: str = "auto",
        compile: bool = False,  # noqa: A002 (what it is called everywhere in torch)
    ) -> Classifier:
        """Load a checkpoint by catalog alias, hub id or folder. To ``compile`` is torch's to do, at the first batch.

        Raises ModelError when it cannot be found, fetched or loaded, UsageError for a device, type or engine that is
        not there.
        """
        from vithybrid_cli.engines.open import open_engine

        folder = Checkpoint.read(locate(model, revision=revision, offline=offline))
        running = open_engine(folder, engine=engine, device=device, dtype=dtype, attention=attention, compiled=compile)
        return cls(running, folder.preprocessing, folder.config.labels)

    def classify(
        self,
        paths: Iterable[str | os.PathLike[str]],
        top_k: int = 5,
        threshold: float = 0.0,
        *,
        batch_size: int | None = None,
        workers: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        pauses: bool = True,
        fast_jpeg: bool = False,
    ) -> Generator[ImageResult, None, None]:
        """Results in the order of ``paths``, each as soon as its batch is known; a bad file is a result with an error.

        ``top_k`` labels at most, those of a probability of at least ``threshold``. Memory does not grow with ``paths``.
        Where ``paths`` ``pauses``, as a list does that is still being written, what it has given so far is not held
        back; where it does not, all batches but the last are full, on a slow disk too. ``fast_jpeg`` lets large JPEG
        files be decoded at a part of their size, with slightly other pixels.
        Raises UsageError for a ``top_k``, ``batch_size`` or ``workers`` below 1.
        """
        batch_size = self.engine.batch_size if batch_size is None else batch_size
        workers = available_cores() if workers is None else workers
        if min(top_k, batch_size, workers) < 1:
            raise UsageError("top_k, batch_size and workers are at least 1.")

        def read(path: str) -> npt.NDArray[np.uint8]:
            return self._pixels(decode(path, max_pixels, draft_side))

        draft_side = self.preprocessing.draft_side if fast_jpeg else None
        look_ahead = _LOOK_AHEAD_BATCHES * batch_size + workers
        with closing(load((os.fspath(path) for path in paths), read, workers, look_ahead, pauses)) as loaded:
            for batch, logits in self._computed(_batches(loaded, batch_size)):
                yield from self._results(batch, logits, top_k, threshold)

    def preprocess(self, image: Image.Image) -> npt.NDArray[np.float32]:
        """A Pillow image → float32 [3, H, W], equal to the reference processor, which leaves EXIF orientation alone."""
        pixels = self.preprocessing.pixels(to_rgb(image))
        return self.preprocessing.normalization.apply(pixels)

    def logits(self, pixel_values: torch.Tensor | npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Normalised pixels float32 [N, 3, H, W] → logits float32 [N, C] (torch engine)."""
        import torch

        from vithybrid_cli.engines.several import SeveralEngines
        from vithybrid_cli.engines.torch_engine import TorchEngine

        engine = self.engine.engines[0] if isinstance(self.engine, SeveralEngines) else self.engine
        if not isinstance(engine, TorchEngine):
            raise TypeError("Only the torch engine takes normalised pixels; load with engine='torch'.")
        return engine.logits_of(torch.as_tensor(pixel_values)).numpy()

    def _pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        pixels = self.preprocessing.pixels(image)
        height, width = self.engine.image_size
        if pixels.shape[:2] != (height, width):
            raise UnreadableImage(
                f"the model takes {width}×{height} pixels, and its preprocessor_config.json leaves this picture at "
                f"{pixels.shape[1]}×{pixels.shape[0]}; switch its do_resize and do_center_crop on"
            )
        return pixels

    def _computed(self, batches: Iterable[list[Loaded] | None]) -> Iterator[tuple[list[Loaded], Logits]]:
        """Each batch with its logits, in order; as many at once as the engine takes, and one that waits for its turn.

        So the engine is not idle while the results of a batch are made use of.
        """
        running: deque[tuple[list[Loaded], Future[Logits]]] = deque()
        most = self.engine.parallel + 1
        pool = ThreadPoolExecutor(self.engine.parallel, thread_name_prefix="network")
        try:
            for batch in batches:
                if batch is not None:
                    running.append((batch, pool.submit(self._logits, batch)))
                while running and (batch is None or len(running) == most):
                    first, logits = running.popleft()
                    yield first, logits.result()
            for first, logits in running:
                yield first, logits.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _logits(self, batch: list[Loaded]) -> Logits:
        """The logits [N, C] of the N pictures that could be read."""
        pixels = [loaded for _, loaded in batch if not isinstance(loaded, ImageError)]
        return self.engine.logits(np.stack(pixels)) if pixels else np.empty((0, len(self.labels)), np.float32)

    def _results(self, batch: list[Loaded], logits: Logits, k: int, threshold: float) -> Iterator[ImageResult]:
        rows = iter(logits)
        for path, loaded in batch:
            if isinstance(loaded, ImageError):
                yield ImageResult(path, error=loaded)
            else:
                yield self._result(path, next(rows), k, threshold)

    def _result(self, path: str, logits: Logits, k: int, threshold: float) -> ImageResult:
        if not np.isfinite(logits).all():
            return ImageResult(path, error=NonFiniteLogits(_NON_FINITE))
        return ImageResult(path, top_k(logits, self.labels, k, threshold))


def _batches(loaded: Iterable[Loaded | None], size: int) -> Iterator[list[Loaded] | None]:
    """Cut a stream into lists with ``size`` pictures each, bad files aside.

    A pause (None) ends a list early and goes on as one: nothing more comes for a while. An exception of the stream
    comes after such a pause, so that the pictures before it are labelled.
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
