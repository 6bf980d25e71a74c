"""Our own side of a benchmark, in a worker process: decoding alone, the network alone, and the whole way."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vithybrid_cli.bench.measurements import Part, Timing
from vithybrid_cli.bench.serve import (
    Clock,
    Request,
    Service,
    read_paths,
    repeated,
    serve,
    torch_facts,
    versions,
)
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.errors import ImageError
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.pipeline.classifier import Classifier
from vithybrid_cli.pipeline.loader import load

if TYPE_CHECKING:
    from vithybrid_cli.engines import Engine

PACKAGES = ("torch", "openvino", "pillow", "numpy")
_LOOK_AHEAD = 64  # pictures; more than any number of cores takes from it at a time


def main(arguments: dict[str, Any]) -> None:
    """Serve decoding if no engine is named, else the network and the whole way."""
    serve(lambda: _network(arguments) if "engine" in arguments else _decoding(arguments))


def _decoding(arguments: dict[str, Any]) -> Service:
    preprocessing = Checkpoint.read(Path(arguments["model"])).preprocessing
    paths = read_paths(arguments["pictures"])
    workers: int = arguments["workers"]
    return Service({Part.DECODE: lambda request: decoding(request, preprocessing, paths, workers)})


def _network(arguments: dict[str, Any]) -> Service:
    classifier = Classifier.from_pretrained(
        Path(arguments["model"]),
        device=arguments["device"],
        dtype=arguments["dtype"],
        engine=arguments["engine"],
    )
    paths = read_paths(arguments["pictures"])
    pixels = np.load(arguments["pixels"])
    workers: int = arguments["workers"]
    # Kept, since on a GPU each thread has a stream of its own.
    pool = ThreadPoolExecutor(classifier.engine.parallel)

    def network(request: Request) -> Timing:
        batch = np.resize(pixels, (request.batch, *pixels.shape[1:]))  # repeated if they are fewer
        engine = classifier.engine
        return repeated(lambda: engine.logits(batch), request, parallel=engine.parallel, pool=pool)

    measures = {Part.NETWORK: network, Part.WHOLE: lambda request: whole_way(request, classifier, paths, workers)}
    return Service(measures, _facts(classifier.engine))


def decoding(
    request: Request, preprocessing: Preprocessing, paths: list[str], workers: int, clock: Clock = time.perf_counter
) -> Timing:
    """Files to pixels as `Classifier.classify` reads them, without a network."""

    def read(path: str) -> npt.NDArray[np.uint8]:
        return preprocessing.pixels(decode(path))

    began = clock()
    enough = _enough(request, began, clock)
    with closing(load(cycled(paths, 1, enough), read, workers, _LOOK_AHEAD + workers)) as loaded:
        images = _counted(error for item in loaded if item is not None for error in [_error(item[1])])
    return Timing(clock() - began, images)


def whole_way(
    request: Request, classifier: Classifier, paths: list[str], workers: int, clock: Clock = time.perf_counter
) -> Timing:
    """Files to labels, in whole batches."""
    began = clock()
    enough = _enough(request, began, clock)
    stream = cycled(paths, request.batch, enough)
    with closing(classifier.classify(stream, batch_size=request.batch, workers=workers)) as results:
        images = _counted(result.error for result in results)
    return Timing(clock() - began, images)


def cycled(paths: Iterable[str], batch: int, enough: Callable[[int], bool]) -> Iterator[str]:
    """``paths`` over and over, until after a whole batch ``enough`` of the number so far."""
    for number, path in enumerate(itertools.cycle(paths)):
        if number % batch == 0 and enough(number):
            return
        yield path


def _enough(request: Request, began: float, clock: Clock) -> Callable[[int], bool]:
    return lambda images: images >= request.images and clock() - began >= request.seconds


def _error(loaded: npt.NDArray[np.uint8] | ImageError) -> ImageError | None:
    return loaded if isinstance(loaded, ImageError) else None


def _counted(errors: Iterable[ImageError | None]) -> int:
    """How many there are. Raises the first error: what fails early would count as fast."""
    count = 0
    for error in errors:
        if error is not None:
            raise error
        count += 1
    return count


def _facts(engine: "Engine") -> dict[str, Any]:
    """What runs, what it makes of a batch that nobody chose, and on what."""
    facts = {"engine": engine.name, "batch_size": engine.batch_size, "versions": versions(PACKAGES)}
    return {**facts, **torch_facts()}
