"""What a benchmark is asked to do, and the files that its processes share."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vithybrid_cli.bench.measurements import Part
from vithybrid_cli.bench.peers import Peer
from vithybrid_cli.bench.pictures import made

_PIXELS = 16  # pictures in memory for the network alone; larger batches repeat them


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, with what.

    ``model`` is a checkpoint folder, ``batches`` are empty for what suits each engine, ``python`` is that of the peers,
    and ``seconds`` is the least that a turn of one part takes. In ``cache`` our engines keep what they make of the
    model, unless that is the user's own cache.
    """

    model: Path
    pictures: tuple[str, ...]
    parts: tuple[Part, ...]
    engines: tuple[str, ...]
    dtypes: tuple[str, ...]
    batches: tuple[int, ...]
    device: str
    workers: int
    against: tuple[Peer, ...]
    python: str
    repeats: int
    seconds: float
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """The lists of all pictures and of the first one, each name ended by NUL, and pixels [N, H, W, 3] as npy."""

    pictures: Path
    first: Path
    pixels: Path

    @classmethod
    def write(cls, folder: Path, pictures: Sequence[str], image_size: tuple[int, int]) -> "Files":
        """Write them to ``folder``; ``image_size`` is (height, width)."""
        files = cls(folder / "every.list", folder / "first.list", folder / "pixels.npy")
        files.pictures.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in pictures))
        files.first.write_bytes(os.fsencode(pictures[0]) + b"\0")
        height, width = image_size
        np.save(files.pixels, np.stack([made(number, (width, height)) for number in range(_PIXELS)]))
        return files
