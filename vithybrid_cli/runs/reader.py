"""Pictures are read as for a network, without one: whether they can be labelled at all."""

from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.pipeline.pipeline import Pipeline


class NoNetwork:
    """Stands in for an engine: each picture that can be read gives a row without numbers."""

    name, device_type, parallel, batch_size, batch_limit = "none", "cpu", 1, 1, None
    environment = MappingProxyType[str, str | int]({})

    def __init__(self, image_size: tuple[int, int]) -> None:
        self.image_size = image_size

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """[N, H, W, 3] → [N, 0]."""
        return np.empty((len(pixels), 0), np.float32)


def open_reader(checkpoint: Checkpoint) -> Pipeline:
    """A pipeline that reads what a checkpoint's would, and computes nothing. Raises ModelError as that does."""
    return Pipeline(NoNetwork(checkpoint.config.image_size), checkpoint.preprocessing)
