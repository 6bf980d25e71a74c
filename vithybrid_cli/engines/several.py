"""The same network on several devices of one machine, each batch on one that is free."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from vithybrid_cli.engines import Engine
from vithybrid_cli.engines.pool import Pool


class SeveralEngines:
    """Runs engines on devices that are alike; see `vithybrid_cli.engines.Engine`."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = tuple(engines)
        most = max(engine.parallel for engine in engines)
        self._pool = Pool(engine for turn in range(most) for engine in engines if turn < engine.parallel)

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
        """The smallest of theirs."""
        return min(engine.batch_size for engine in self.engines)

    @property
    def batch_limit(self) -> int | None:
        """The smallest of theirs."""
        return min((engine.batch_limit for engine in self.engines if engine.batch_limit is not None), default=None)

    @property
    def parallel(self) -> int:
        """As many calls as they take together."""
        return sum(engine.parallel for engine in self.engines)

    @property
    def environment(self) -> Mapping[str, str | int]:
        """That of each of them."""
        return self.engines[0].environment

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 pixels [N, H, W, 3] → rows [N, C], on whichever engine is free; waits while none is."""
        with self._pool.one() as engine:
            return engine.run(pixels)
