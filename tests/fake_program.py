"""The program with an engine that computes nothing, so that it starts at once and a batch takes as long as one likes.

``SECONDS_PER_BATCH=1 python fake_program.py classify …`` is ``vithybrid classify …``. Each score depends on how many
pictures share its batch and on the place in it, more than any real network's does: a batch that is cut elsewhere shows.
"""

import os
import time
from types import MappingProxyType
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from vithybrid_cli.commands.app import main
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.pipeline.classifier import Classifier

SIDE = 4
LABELS = ("tench", "crane", 'a "quoted", label', "two\nlines", "émeu, 鴯鶓\u202e")


class FakeEngine:
    """Scores by brightness, size of the batch and place in it; a white picture has no numbers."""

    image_size = (SIDE, SIDE)
    name, device_type, parallel = "fake", "cuda", 1
    batch_size, batch_limit = 3, None
    environment = MappingProxyType[str, str | int]({"fake": "1"})

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds  # that a batch takes

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        time.sleep(self.seconds)
        brightness = pixels.mean(axis=(1, 2, 3), dtype=np.float32)
        place = np.arange(len(pixels), dtype=np.float32)
        logits = np.outer(brightness / 255 + place / 16 + len(pixels) / 4, np.arange(len(LABELS)) - 2)
        logits[brightness == 255] = np.nan
        return logits.astype(np.float32)


def fake_classifier(seconds: float = 0) -> Classifier:
    """A classifier without a network."""
    return Classifier(FakeEngine(seconds), Preprocessing.default((SIDE, SIDE)), LABELS)


if __name__ == "__main__":
    loads = patch(
        "vithybrid_cli.runs.label.open_classifier",
        return_value=fake_classifier(float(os.environ["SECONDS_PER_BATCH"])),
    )
    with loads, patch("vithybrid_cli.pipeline.loader.PAUSE", 60):  # a machine that is busy must end no batch early
        main()
