"""Decodes pictures in a process of its own, which may crash, hang or be ended without harm to the program.

The program that starts it is ``vithybrid_cli.pipeline.isolation``. What goes over the socket are lines of JSON, and
pixels lie in memory that both share. Nothing that comes back is unpickled: the process reads files that nobody vouches
for.
"""

import json
import math
import mmap
import os
import pickle
import socket
import traceback
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vithybrid_cli.errors import ImageError
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.images.memory import limit_address_space
from vithybrid_cli.images.read import PixelReader
from vithybrid_cli.items import Content, Item

RESERVED = 16 * 2**20  # bytes that the program has reserved for a picture before it asks for it


def main(channel: int, shared: int, reader: str, memory: int) -> None:
    """Answer requests until their socket is closed. ``channel`` and ``shared`` are numbers of open files.

    ``reader`` is a pickled `PixelReader` in base64. A picture may take ``memory`` bytes more than the process has at
    its start; 0 is no limit.
    """
    _end_with_the_parent()
    limit_address_space(memory)
    reading: PixelReader = pickle.loads(b64decode(reader))
    pixels = shared_pixels(shared, reading.size)
    # Nobody is left to be told when the program has ended.
    with suppress(ConnectionError), socket.socket(fileno=channel) as stream, stream.makefile("rb") as requests:
        _serve(reading, pixels, stream, requests)


def shared_pixels(file: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The pixels [H, W, 3] in memory that processes share by an open file of that length."""
    shape = (*size, 3)
    return np.frombuffer(mmap.mmap(file, math.prod(shape)), np.uint8).reshape(shape)


def _serve(reader: PixelReader, pixels: npt.NDArray[np.uint8], channel: socket.socket, requests: BinaryIO) -> None:
    def reserve(size: int) -> None:
        if size <= RESERVED:
            return
        _send(channel, {"reserve": size})
        if not requests.readline():
            raise SystemExit  # the program has ended

    _send(channel, {"ready": True})
    while line := requests.readline():
        asked = json.loads(line)
        name, length = asked["name"], asked["bytes"]
        item = LocalFile(name) if length is None else Content(name, requests.read(length))
        _send(channel, _answer(reader, item, reserve, pixels))


def _answer(
    reader: PixelReader, item: Item, reserve: Callable[[int], None], pixels: npt.NDArray[np.uint8]
) -> dict[str, Any]:
    """What to say of a picture, whose pixels are written to ``pixels``."""
    try:
        np.copyto(pixels, reader.read(item, reserve))
    except ImageError as error:
        return {"error": type(error).__name__, "cause": error.cause, "remedy": error.remedy}
    except Exception:  # a bug, which the program raises again
        return {"bug": traceback.format_exc()}
    return {"done": True}


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def _end_with_the_parent() -> None:
    """Have the system end this process when the other end of its standard input is closed, whatever it is doing.

    SIGIO is not handled, so it needs no thread nor any line of Python to run: a decoder may hang with all locks held.
    """
    if not hasattr(os, "O_ASYNC"):
        return
    import fcntl

    with suppress(OSError):
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
