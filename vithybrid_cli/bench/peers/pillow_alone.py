"""Pillow by itself, in a worker process of one thread: files to RGB images, one after the other, and nothing more."""

import time
from typing import Any

from PIL import Image

from vithybrid_cli.bench.measurements import Part, Timing
from vithybrid_cli.bench.ours import cycled
from vithybrid_cli.bench.serve import Clock, Request, Service, read_paths, serve, versions


def main(arguments: dict[str, Any]) -> None:
    """Serve decoding of the list ``pictures``, from the one at ``first`` on."""
    first, paths = arguments["first"], read_paths(arguments["pictures"])
    paths = paths[first:] + paths[:first]
    facts = {"versions": versions(("pillow",))}
    serve(lambda: Service({Part.DECODE: lambda request: decoding(request, paths)}, facts))


def decoding(request: Request, paths: list[str], clock: Clock = time.perf_counter) -> Timing:
    """Decode for as long as was asked for."""
    began = clock()
    images = 0
    for path in cycled(paths, 1, lambda count: count >= request.images and clock() - began >= request.seconds):
        with Image.open(path) as image:
            image.convert("RGB")
        images += 1
    return Timing(clock() - began, images)
