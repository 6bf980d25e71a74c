"""How good a network is, between two epochs, on pictures that it is not trained on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vithybrid_cli.evaluation.figures import Unreadable
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.training.augment import Pixels
from vithybrid_cli.training.batches import all_batches
from vithybrid_cli.training.data import LabelledPictures

BATCH = 64
LEAST_FOR_TEMPERATURE = 200  # pictures; of fewer it says little
_SHARPEST, _SOFTEST = 1 / 4, 4.0  # temperatures that are looked at
_HALVINGS = 40

Logits = npt.NDArray[np.float32]
Outputs = Callable[[Pixels], Logits]  # uint8 [N, H, W, 3] → [N, C]


@dataclass(frozen=True, slots=True)
class Measured:
    """The ``logits`` [N, C] of the held-out pictures that could be read, their class indices [N], and the others."""

    logits: Logits
    targets: npt.NDArray[np.int64]
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def correct(self) -> int:
        """How many have their own label first."""
        return int((self.logits.argmax(1) == self.targets).sum())

    @property
    def temperature(self) -> float:
        """What the logits have to be divided by for the scores to fit how often they are right; 1 for few pictures.

        The one that makes the cross-entropy least: C. Guo et al., "On Calibration of Modern Neural Networks" (2017),
        section 4.2, https://arxiv.org/abs/1706.04599.
        """
        if len(self.targets) < LEAST_FOR_TEMPERATURE:
            return 1.0
        low, high = np.log(_SHARPEST), np.log(_SOFTEST)
        for _ in range(_HALVINGS):  # of a curve with one valley
            third = (high - low) / 3
            if self._loss(np.exp(low + third)) < self._loss(np.exp(high - third)):
                high -= third
            else:
                low += third
        return float(np.exp((low + high) / 2))

    def _loss(self, temperature: float) -> float:
        """The mean cross-entropy with the logits divided by ``temperature``."""
        scaled = self.logits.astype(np.float64) / temperature
        scaled -= scaled.max(1, keepdims=True)
        right = scaled[np.arange(len(self.targets)), self.targets]
        return float((np.log(np.exp(scaled).sum(1)) - right).mean())


def measured(data: LabelledPictures, preprocessing: Preprocessing, outputs: Outputs, workers: int) -> Measured:
    """What ``outputs`` gives for the pictures of ``data``."""
    logits = [np.empty((0, len(data.labels)), np.float32)]
    targets = [np.empty(0, np.int64)]
    unreadable: list[Unreadable] = []
    for batch in all_batches(data, lambda image, _: preprocessing.pixels(image), BATCH, workers):
        unreadable.extend(batch.unreadable)
        if len(batch.targets):
            logits.append(outputs(batch.pixels))
            targets.append(batch.targets)
    return Measured(np.concatenate(logits), np.concatenate(targets), tuple(unreadable))
