"""How much memory decoding takes, and a budget that all pictures being decoded at a time share."""

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

from vithybrid_cli.cores import own_cgroups

_SHARE = 4  # one part in so many of the memory that is available
_UNKNOWN = 8 * 2**30  # bytes taken for available where the system does not say

# Peak bytes per pixel while `decode` reads a picture of 12 megapixels, measured with Pillow 12.3 and rounded up: the
# picture as Pillow holds it (4 for RGB), its copy as RGB or upright, and what the decoder itself holds.
_PLAIN = 5
_COPIED = 9  # alpha or CMYK, or turned by its EXIF orientation
_BLENDED = 17  # laid on a colour: the picture, it and the colour with alpha, and the result
_DEEP = 30  # 32 bits per sample, which are scaled in float64
_PROGRESSIVE = 6  # more, for the coefficients of a progressive JPEG
_BY_FORMAT = {"BMP": 5, "GIF": 6, "JPEG": 5, "MPO": 5, "PNG": 5, "PPM": 5, "TGA": 5, "QOI": 8, "TIFF": 8, "AVIF": 13}
_OTHER_FORMAT = 20  # WebP 18.2, JPEG 2000 19.5
_SPARE = 2**30  # bytes for what does not depend on the size: libraries loaded on first use, stacks of AVIF's threads


def decoding_bytes(image: Image.Image, *, blended: bool = False) -> int:
    """An estimate of what it takes to decode an ``image`` that was opened and not loaded yet, at its present size.

    ``blended`` is for a picture that is laid on a colour, if it has transparency.
    """
    needed = _bytes_per_pixel(image)
    if blended and image.has_transparency_data:
        needed = max(needed, _BLENDED)
    return image.width * image.height * needed


def _bytes_per_pixel(image: Image.Image) -> int:
    if image.mode in ("I", "F"):
        return _DEEP
    copied = image.mode not in ("1", "L", "P", "RGB") or "exif" in image.info
    needed = max(_BY_FORMAT.get(image.format or "", _OTHER_FORMAT), _COPIED if copied else _PLAIN)
    return needed + (_PROGRESSIVE if image.info.get("progressive") else 0)


def default_budget() -> int:
    """A quarter of the memory that is available to this process, in bytes."""
    return available_memory() // _SHARE


def limit_address_space(more: int) -> None:
    """Let this process take at most so many bytes ``more`` than it has now; 0 is no limit. POSIX only.

    What goes beyond is a MemoryError.
    """
    if not more:
        return
    import resource

    with suppress(OSError, ValueError):  # a system without this limit, or a lower one that holds already
        now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))


def decoding_limit(max_pixels: int) -> int:
    """What no picture of at most ``max_pixels`` needs to be decoded, in bytes."""
    return _DEEP * max_pixels + _SPARE


def release_free_memory() -> None:
    """Give memory that is free, but that malloc keeps for its threads, back to the system. glibc only.

    Each thread has memory of its own there, which could be as much as the largest picture that it has decoded.
    """
    with suppress(OSError, AttributeError, TypeError):  # another system or another C library
        ctypes.CDLL(None).malloc_trim(0)


def available_memory() -> int:
    """The free memory of the machine, but no more than a container may use; 8 GiB where the system does not say."""
    return min([_UNKNOWN if (free := _free()) is None else free, *_granted()])


def _free() -> int | None:
    """``MemAvailable`` of Linux, in bytes."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _granted() -> Iterator[int]:
    """What each control group around the process may use, in bytes (Linux, cgroup v2: ``memory.max``)."""
    for group in own_cgroups():
        with suppress(OSError, ValueError):  # no limit there, which is "max", or no Linux
            yield int((group / "memory.max").read_text(encoding="ascii"))


class MemoryBudget:
    """Memory that several threads share; each waits for its part, in the order in which they asked.

    Who asks for more than all of it gets all of it, alone. No thread waits while it holds a part, so there is always
    one that goes on.
    """

    def __init__(self, total: int, release: Callable[[], None] = lambda: None) -> None:
        """``total`` in bytes. ``release`` gives free memory back to the system, as `release_free_memory` does.

        It is called before what was given back, which malloc may have kept for its thread, and what is in use would
        come to more than ``total``.
        """
        self._total = self._free = max(total, 1)
        self._release = release
        self._kept = 0  # bytes at most that malloc keeps of what was given back
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def part(self) -> Iterator[Callable[[int], None]]:
        """A function that takes so many bytes, in place of what it took before, and waits until they are free.

        Leaving the context gives them back.
        """
        held = 0

        def take(size: int) -> None:
            nonlocal held
            before, held = held, 0
            self._give_back(before)
            held = self._take(min(size, self._total))

        try:
            yield take
        finally:
            self._give_back(held)

    @property
    def waiting(self) -> int:
        """How many threads wait for their part."""
        with self._changed:
            return len(self._waiting)

    def _take(self, size: int) -> int:
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is turn and self._free >= size)
                self._free -= size
                if self._kept > self._free:
                    self._release()
                    self._kept = 0
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        return size

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._kept += size
            self._changed.notify_all()
