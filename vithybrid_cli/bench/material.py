"""What a benchmark is asked to measure, and what it measures with: a checkpoint, pictures, and lists of them."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vithybrid_cli.bench.measurements import Part
from vithybrid_cli.bench.pictures import made, make_pictures
from vithybrid_cli.bench.random_weights import described, require_head, write_random
from vithybrid_cli.bench.turns import Log
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.errors import ImageError, UsageError
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.sources.find import find
from vithybrid_cli.sources.survey import Survey

OWN_PICTURES = 64
_PIXELS = 16  # different pictures in memory for the network alone; larger batches repeat them
_CACHE = "VITHYBRID_CACHE"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how long. Empty ``batches`` mean what suits each engine."""

    parts: tuple[Part, ...]
    engines: tuple[str, ...]
    dtypes: tuple[str, ...]
    batches: tuple[int, ...]
    device: str
    workers: int
    repeats: int
    seconds: float
    threads: int | None = None
    limits: bool = False  # what the device of each network reaches, too


@dataclass(frozen=True)
class Material:
    """What is measured with: the folder of the ``model``, what it is called, and ``pictures``.

    ``scratch`` is a folder for files that processes read. ``unreadable`` says that some inputs were left out.
    """

    model: Path
    name: str
    pictures: tuple[str, ...]
    own_pictures: bool
    scratch: Path
    unreadable: bool = False

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """What the model's files say. Raises ModelError."""
        return Checkpoint.read(self.model)

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes pixels for this network."""
        return self.checkpoint.preprocessing

    @cached_property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """Pictures of the network's size [N, H, W, 3]."""
        height, width = self.checkpoint.config.image_size
        return np.stack([made(number, (width, height)) for number in range(_PIXELS)])

    @cached_property
    def every(self) -> Path:
        """A file that lists all pictures, each path ended by NUL."""
        return self._listed("every.list", self.pictures)

    @cached_property
    def first(self) -> Path:
        """A file that lists the first picture alone."""
        return self._listed("first.list", self.pictures[:1])

    def _listed(self, name: str, paths: Sequence[str]) -> Path:
        file = self.scratch / name
        file.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in paths))
        return file


@contextmanager
def prepared(model: str, folder: Path | None, inputs: Sequence[str], count: int | None, log: Log) -> Iterator[Material]:
    """Pictures, and the checkpoint in ``folder`` or one of random weights for ``model``; made files go at the end.

    Raises UsageError and ModelError.
    """
    with tempfile.TemporaryDirectory(prefix="vithybrid-bench-") as name, _own_cache(name if folder is None else None):
        scratch = Path(name)
        if folder is None:
            log.progress(f"making random weights for {model}")
            config, preprocessing = described(model)
            require_head(model, config)
            write_random(config, preprocessing, scratch / "model")
        called = model if folder is not None else f"{model} with random weights"
        log.progress("reading the pictures" if inputs else f"making {count or OWN_PICTURES} pictures")
        if inputs:
            pictures, unreadable = _readable(inputs, count, log)
        else:
            pictures, unreadable = make_pictures(scratch / "pictures", count or OWN_PICTURES), False
        yield Material(folder or scratch / "model", called, tuple(pictures), not inputs, scratch, unreadable)


def _readable(inputs: Sequence[str], count: int | None, log: Log) -> tuple[list[str], bool]:
    """The first ``count`` pictures of ``inputs`` that can be read, and whether any before them could not."""
    paths: list[str] = []
    unreadable = False
    survey = Survey(inputs=inputs)
    for path in islice(find(inputs, survey=survey), count):
        survey.found += 1
        try:
            decode(path)
            paths.append(path)
        except ImageError as error:
            unreadable = True
            log.complaint(f"{path} is left out: {error}")
    if not survey.found:
        raise UsageError(f"{survey.nothing()}.", "Give others, or none.")
    if count is None and (line := survey.line()):
        log.progress(line)
    if not paths:
        raise UsageError("None of the inputs is a picture that can be read.", "Give others, or none.")
    return paths, unreadable


@contextmanager
def _own_cache(folder: str | None) -> Iterator[None]:
    """Keep what engines make of random weights in ``folder``, and so out of the user's cache."""
    before = os.environ.get(_CACHE)
    if folder is not None:
        os.environ[_CACHE] = str(Path(folder, "cache"))
    try:
        yield
    finally:
        if before is not None:
            os.environ[_CACHE] = before
        elif folder is not None:
            del os.environ[_CACHE]
