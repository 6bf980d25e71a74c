"""Pillow by itself, in a worker process of one thread: files become RGB images, and nothing more."""

import time
from typing import Any

from PIL import Image

from benchmarks.serve import Service, arguments, read_paths, serve
from vithybrid_cli.bench.amount import Amount, Clock, cycled
from vithybrid_cli.bench.machine import versions
from vithybrid_cli.bench.measurements import Timing


def pillow(wanted: dict[str, Any]) -> Service:
    """Decodes the list ``pictures``, beginning with the one at ``first``."""
    first, paths = wanted["first"], read_paths(wanted["pictures"])
    paths = paths[first:] + paths[:first]
    return Service(lambda amount: decoding(amount, paths), versions(("pillow",)))


def decoding(amount: Amount, paths: list[str], clock: Clock = time.perf_counter) -> Timing:
    """Decode that many pictures."""
    began = clock()
    images = 0
    for path in cycled(paths, amount, began, clock):
        with Image.open(path) as image:
            image.convert("RGB")
        images += 1
    return Timing(clock() - began, images)


if __name__ == "__main__":
    serve(lambda: pillow(arguments()))
