"""Pictures are decoded in processes of their own, so that one that hangs or crashes its decoder costs its record alone.

A process is ended when a picture takes longer than its time limit, and another one takes its place. Processes are
started as new programs, never forked: torch's threads would not survive that. They import Pillow and NumPy alone.
"""

import json
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from vithybrid_cli import errors
from vithybrid_cli.errors import DecoderCrashed, DecodeTimeout, ImageError, UsageError
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.images.memory import MemoryBudget
from vithybrid_cli.images.worker import RESERVED, shared_pixels
from vithybrid_cli.items import Item

Pixels = npt.NDArray[np.uint8]

# What a process runs; its arguments are those of the function, and then the places that Python looks for modules in.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[5:]; from vithybrid_cli.images.worker import main; "
    "main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))"
)
# What a process does not need, or what makes it slower, unless the user says otherwise: a thread for each core, and
# memory that goes back to the system after each picture and is mapped and cleared again for the next (glibc's malloc;
# BENCHMARKS.md, "Decoding in processes"). So a process may keep 64 MiB. One arena, since each thread's own would count
# for the limit of its address space.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
}
_LONGEST_ANSWER = 2**20  # bytes
_LEAST = 1e-3  # seconds that a picture has left at least once it is opened; 0 would mean not to wait at all
_GRACE = 5.0  # seconds for a killed process to end; one that waits for a dead disk does not


class Reader(Protocol):
    """What reads an item in the process; see `vithybrid_cli.images.read.PixelReader`. It is pickled."""

    @property
    def size(self) -> tuple[int, int]: ...

    def read(self, item: Item, reserve: Callable[[int], None]) -> Pixels: ...


class DecodingProcesses:
    """Reads items as ``reader`` does, each in one of as many processes as there are threads that call `read`.

    A context manager: the processes end with it, whatever they are doing.
    """

    def __init__(self, reader: Reader, budget: MemoryBudget, *, timeout: float, memory: int) -> None:
        """A picture may take ``timeout`` seconds and ``memory`` bytes; all together share ``budget``."""
        self._reader, self._budget, self._memory = reader, budget, memory
        self._timeout = min(timeout, threading.TIMEOUT_MAX)
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._closed = False

    def __enter__(self) -> Callable[[Item], Pixels]:
        return self.read

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._closed = True
            processes = list(self._all)
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()

    def read(self, item: Item) -> Pixels:
        """The pixels of an item. Raises ImageError, also DecodeTimeout and DecoderCrashed; others can be read then.

        Raises UsageError when no process can be started.
        """
        content = None if isinstance(item, LocalFile) else _content(item)
        process = self._take()
        try:
            with self._budget.part() as reserve:
                reserve(RESERVED)
                pixels = process.read(item.name, content, reserve, self._timeout)
        except ImageError:
            self._give_back(process)
            raise
        except TimeoutError:
            self._drop(process)
            raise _timed_out(self._timeout) from None
        except (EOFError, OSError):
            raise _crashed(self._drop(process)) from None
        except BaseException:
            self._drop(process)
            raise
        self._give_back(process)
        return pixels

    def _take(self) -> "_Process":
        """One that is idle and alive, or a new one."""
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.alive:
                    return process
                self._all.discard(process)
                process.wait()
        process = _Process(self._reader, self._memory)
        with self._lock:
            self._all.add(process)
            closed = self._closed
        if closed:
            process.kill()
        return process

    def _give_back(self, process: "_Process") -> None:
        with self._lock:
            self._idle.append(process)

    def _drop(self, process: "_Process") -> int | None:
        """End a process and forget it. Its exit status, None if it does not end."""
        process.kill()
        with self._lock:
            self._all.discard(process)
        return process.wait()


class _Process:
    """One process, which reads one picture at a time."""

    def __init__(self, reader: Reader, memory: int) -> None:
        pickled = b64encode(pickle.dumps(reader)).decode("ascii")
        ours, theirs = socket.socketpair()
        with theirs, _memory_file() as shared:
            shared.truncate(3 * math.prod(reader.size))
            self._pixels = shared_pixels(shared.fileno(), reader.size)
            files = [theirs.fileno(), shared.fileno()]
            command = [sys.executable, "-c", _PROGRAM, *map(str, files), pickled, str(memory), *sys.path]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # nothing is written: the process ends when it is closed, as by our own end
                stdout=subprocess.DEVNULL,
                pass_fds=files,
                env={**_ENVIRONMENT, **os.environ},
                process_group=0,  # Ctrl-C is for the program, which then ends its processes
            )
        self._channel = ours
        self._answers = ours.makefile("rb")
        self._ready = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def read(self, name: str, content: bytes | None, reserve: Callable[[int], None], timeout: float) -> Pixels:
        """The pixels of a file, or of this ``content`` that is none. The time that ``reserve`` waits does not count.

        Raises EOFError or OSError when the process ends, TimeoutError when it is too slow.
        """
        self._require_ready()
        began = time.monotonic()
        self._channel.settimeout(timeout)
        self._send({"name": name, "bytes": None if content is None else len(content)})
        if content is not None:
            self._channel.sendall(content)
        answer = self._receive()
        if "reserve" in answer:
            left = timeout - (time.monotonic() - began)
            reserve(int(answer["reserve"]))
            self._channel.settimeout(max(left, _LEAST))
            self._send({"reserved": True})
            answer = self._receive()
        if "error" in answer:
            raise _image_error(answer)
        if "bug" in answer:
            raise RuntimeError(f"A bug while {name!r} was decoded:\n{answer['bug']}")
        return self._pixels.copy()

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> int | None:
        """Close what belongs to a killed process. Its exit status, None if it does not end."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)  # a thread that waits for its answer goes on
        for stream in (self._process.stdin, self._answers, self._channel):
            if stream is not None:
                stream.close()
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(_GRACE)
        return None

    def _require_ready(self) -> None:
        """Wait for the process to have started. Raises UsageError if it does not."""
        if self._ready:
            return
        try:
            self._receive()
        except (EOFError, OSError) as error:
            raise UsageError("No process to decode pictures in can be started.", "Leave out {isolate}.") from error
        self._ready = True

    def _send(self, message: dict[str, Any]) -> None:
        self._channel.sendall(json.dumps(message).encode("ascii") + b"\n")

    def _receive(self) -> dict[str, Any]:
        line = self._answers.readline(_LONGEST_ANSWER)
        if not line.endswith(b"\n"):
            raise EOFError
        answer: dict[str, Any] = json.loads(line)
        return answer


def _content(item: Item) -> bytes:
    """What a picture is that the process could not open by itself."""
    with item.open() as stream:
        return stream.read()


def _memory_file() -> IO[bytes]:
    """A file that exists as long as it is open, in memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("vithybrid"), "r+b")
    return TemporaryFile(prefix="vithybrid-")


def _image_error(answer: dict[str, Any]) -> ImageError:
    kind = getattr(errors, str(answer["error"]), None)
    if not (isinstance(kind, type) and issubclass(kind, ImageError)):
        raise EOFError
    return kind(str(answer["cause"]), str(answer["remedy"]))


def _timed_out(timeout: float) -> DecodeTimeout:
    return DecodeTimeout(
        f"The picture was not decoded within {timeout:g} seconds.",
        "Raise {decode_timeout} if it is only slow to read, or leave it out.",
    )


def _crashed(status: int | None) -> DecoderCrashed:
    how = "it does not end" if status is None else f"status {status}"
    if status is not None and status < 0:
        with suppress(ValueError):
            how = signal.Signals(-status).name
    return DecoderCrashed(
        f"The decoder crashed on this picture ({how}).", "Leave it out, or save it again with another program."
    )
