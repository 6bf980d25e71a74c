"""The same network on several devices of one machine, each batch on the one that is free."""

from collections.abc import Sequence
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from vithybrid_cli.engines import Engine


class SeveralEngines:
    """Runs engines that differ in nothing but their device; see `vithybrid_cli.engines.Engine`."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = tuple(engines)
        self._free: SimpleQueue[Engine] = SimpleQueue()
        for turn in range(max(engine.parallel for engine in engines)):
            for engine in engines:
                if turn < engine.parallel:
                    self._free.put(engine)

    @property
    def name(self) -> str:
        """What runs the network on each of them."""
        return self.engines[0].name

    @property
    def device_type(self) -> str:
        """What kind of devices they run on."""
        return self.engines[0].device_type

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the pictures they take."""
        return self.engines[0].image_size

    @property
    def batch_size(self) -> int:
        """How many pictures at once suit each of them."""
        return min(engine.batch_size for engine in self.engines)

    @property
    def parallel(self) -> int:
        """As many calls as they take together."""
        return sum(engine.parallel for engine in self.engines)

    def logits(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 pixels [N, H, W, 3] → logits [N, C], on whichever engine is free; waits for one where none is."""
        engine = self._free.get()
        try:
            return engine.logits(pixels)
        finally:
            self._free.put(engine)
