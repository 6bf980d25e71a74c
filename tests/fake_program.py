"""The program with an engine that computes nothing, so that it starts at once and a batch takes as long as one likes.

``SECONDS_PER_BATCH=1 python fake_program.py classify …`` is ``vithybrid classify …``. Each score depends on how many
pictures share its batch and on the place in it, more than any real network's does: a batch that is cut elsewhere shows.
"""

import os
import time
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from vithybrid_cli.commands.app import main
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.pipeline.classifier import Classifier
from vithybrid_cli.pipeline.embedder import Embedder
from vithybrid_cli.runs import embed, label
from vithybrid_cli.settings import Running

SIDE = 4
LABELS = ("tench", "crane", 'a "quoted", label', "two\nlines", "émeu, 鴯鶓\u202e")


class FakeEngine:
    """Scores by brightness, size of the batch and place in it; a white picture has no numbers."""

    image_size = (SIDE, SIDE)
    name, device_type, parallel = "fake", "cuda", 1
    environment = MappingProxyType[str, str | int]({"fake": "1"})

    def __init__(self, seconds: float = 0, batch_size: int = 3, batch_limit: int | None = None) -> None:
        self.seconds = seconds  # that a batch takes
        self.batch_size, self.batch_limit = batch_size, batch_limit

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        time.sleep(self.seconds)
        most = self.batch_limit or len(pixels)
        return np.concatenate([self._rows(pixels[first : first + most]) for first in range(0, len(pixels), most)])

    def _rows(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        brightness = pixels.mean(axis=(1, 2, 3), dtype=np.float32)
        place = np.arange(len(pixels), dtype=np.float32)
        logits = np.outer(brightness / 255 + place / 16 + len(pixels) / 4, np.arange(len(LABELS)) - 2)
        logits[brightness == 255] = np.nan
        return logits.astype(np.float32)


def fake_classifier(engine: FakeEngine | None = None) -> Classifier:
    """A classifier without a network."""
    return Classifier(engine or FakeEngine(), Preprocessing.default((SIDE, SIDE)), LABELS)


def open_fake(checkpoint: object, how: Running, batch_limit: int | None = None) -> Classifier:
    """What stands in for `vithybrid_cli.runs.label.open_classifier`."""
    seconds = float(os.environ.get("SECONDS_PER_BATCH", "0"))
    return fake_classifier(FakeEngine(seconds, how.batch_size or 3, batch_limit))


def open_fake_embedder(checkpoint: object, how: Running, feature: object, batch_limit: int | None = None) -> Embedder:
    """What stands in for `vithybrid_cli.runs.embed.open_embedder`; a feature is what would be the scores."""
    seconds = float(os.environ.get("SECONDS_PER_BATCH", "0"))
    engine = FakeEngine(seconds, how.batch_size or 3, batch_limit)
    return Embedder(engine, Preprocessing.default((SIDE, SIDE)), len(LABELS))


if __name__ == "__main__":  # not `unittest.mock`, which imports asyncio: this is started often
    label.open_classifier = open_fake
    embed.open_embedder = open_fake_embedder
    main()
