"""Pixels become logits or features: one file per runtime, all behind one small protocol."""

from typing import Protocol

import numpy as np
import numpy.typing as npt


class Engine(Protocol):
    """A network on a device."""

    @property
    def name(self) -> str:
        """What runs the network, as ``--engine`` has it."""

    @property
    def device_type(self) -> str:
        """What it runs on: cpu, cuda or mps."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the pictures it takes."""

    @property
    def batch_size(self) -> int:
        """How many pictures at once suit the device."""

    @property
    def parallel(self) -> int:
        """How many calls of ``logits`` it computes at once, each in a thread of its own."""

    def logits(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 pixels [N, H, W, 3] → logits [N, C]; rescaling and normalisation are the engine's work.

        Of an engine that was opened for a feature, that is what comes out: [N, D].
        """
