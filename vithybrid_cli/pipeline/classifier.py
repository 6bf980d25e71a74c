"""The Python interface: a checkpoint by name, and pictures into labels."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.errors import ImageError, ModelError, UsageError
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.hub.locate import locate
from vithybrid_cli.images.limits import DEFAULT_MAX_PIXELS
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.pipeline.pipeline import Pipeline
from vithybrid_cli.results import ImageResult, top_k

if TYPE_CHECKING:
    import torch

    from vithybrid_cli.engines import Engine


class Classifier(Pipeline):
    """Labels pictures with one network."""

    def __init__(self, engine: Engine, preprocessing: Preprocessing, labels: tuple[str, ...]) -> None:
        super().__init__(engine, preprocessing)
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
        image_size: int | None = None,
    ) -> Classifier:
        """Load a checkpoint by catalog alias, hub id or folder. To ``compile`` is torch's to do, at the first batch.

        With an ``image_size`` it takes pictures of so many pixels a side, and not of those that it was trained for.
        Raises ModelError when it cannot be found, fetched or loaded, or has no head; UsageError for a device, type or
        engine that is not there.
        """
        from vithybrid_cli.engines.open import open_engine

        checkpoint = Checkpoint.read(locate(model, revision=revision, offline=offline), image_size)
        require_head(checkpoint, os.fspath(model))
        running = open_engine(
            checkpoint, engine=engine, device=device, dtype=dtype, attention=attention, compiled=compile
        )
        return cls(running, checkpoint.preprocessing, checkpoint.config.labels)

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
        if top_k < 1:
            raise UsageError("top_k is at least 1.")
        outputs = self.outputs(
            paths, batch_size=batch_size, workers=workers, max_pixels=max_pixels, pauses=pauses, fast_jpeg=fast_jpeg
        )
        with closing(outputs):
            for path, output in outputs:
                yield self._result(path, output, top_k, threshold)

    def logits(self, pixel_values: torch.Tensor | npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Normalised pixels float32 [N, 3, H, W] → logits float32 [N, C] (torch engine)."""
        import torch

        from vithybrid_cli.engines.several import SeveralEngines
        from vithybrid_cli.engines.torch_engine import TorchEngine

        engine = self.engine.engines[0] if isinstance(self.engine, SeveralEngines) else self.engine
        if not isinstance(engine, TorchEngine):
            raise TypeError("Only the torch engine takes normalised pixels; load with engine='torch'.")
        return engine.run_normalized(torch.as_tensor(pixel_values))

    def _result(self, path: str, output: npt.NDArray[np.float32] | ImageError, k: int, threshold: float) -> ImageResult:
        if isinstance(output, ImageError):
            return ImageResult(path, error=output)
        return ImageResult(path, top_k(output, self.labels, k, threshold))


def require_head(checkpoint: Checkpoint, model: str) -> None:
    """Raise ModelError for a network that does not choose a label; ``model`` is what the user calls it."""
    if not checkpoint.config.labels:
        raise ModelError(
            f"{model} has no head, so there are no labels to give; `vithybrid embed -m {model}` gives its features."
        )
    if checkpoint.problem_type not in (None, "single_label_classification"):
        raise ModelError(
            f"{model} does not choose one label of several (its problem_type is {checkpoint.problem_type}), so there "
            f"are no scores to give; `vithybrid embed -m {model}` gives its features."
        )
