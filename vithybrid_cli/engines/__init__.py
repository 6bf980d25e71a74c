"""Pixels become logits or features: one file per runtime, all behind one small protocol."""

from collections.abc import Mapping
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
        """How many pictures belong into a batch: as chosen at opening, else what suits the device."""

    @property
    def batch_limit(self) -> int | None:
        """How many pictures at once fit into memory; None until a batch did not fit.

        Larger batches are computed in parts of this size. An engine that is opened with it begins with it.
        """

    @property
    def parallel(self) -> int:
        """How many calls of ``run`` it computes at once, each in a thread of its own."""

    @property
    def environment(self) -> Mapping[str, str | int]:
        """What of this machine and its libraries decides the last digits of results, under names fit to be shown.

        Versions, the processor's or GPU's model and instructions, threads; the same each time on the same machine.
        """

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 pixels [N, H, W, 3] → logits [N, C] or, if opened for a feature, that feature [N, D].

        The engine rescales and normalises. A call waits while ``parallel`` others run.
        """
