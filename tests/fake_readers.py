"""What decodes pictures in the tests of isolation, in a process of its own, and does to it what the path says."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.items import Item


@dataclass(frozen=True)
class FakeReader:
    """A number is a picture of that value. ``notes`` is a folder in which a picture that was begun leaves its name."""

    size: tuple[int, int] = (2, 3)
    notes: str | None = None

    def read(self, item: Item, reserve: Callable[[int], None]) -> npt.NDArray[np.uint8]:
        """Pixels, or whatever the item's name says."""
        path = item.name
        if self.notes is not None:
            (Path(self.notes) / path).touch()
        if path == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif path == "hang":
            time.sleep(10_000)
        elif path == "hang with the lock":
            re.match(r"(a+)+$", "a" * 100 + "b")
        elif path == "exit":
            os._exit(7)
        elif path == "bug":
            raise ZeroDivisionError("a bug")
        elif path == "much":
            reserve(10**9)
            return np.full((*self.size, 3), 1, np.uint8)
        elif path == "modules":
            raise UnreadableImage(f"torch is {'there' if 'torch' in sys.modules else 'not there'}.", "Look {there}.")
        return np.full((*self.size, 3), int(path), np.uint8)
