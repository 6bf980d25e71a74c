"""Pillow's switches for the whole process while pictures are decoded: how large they may be, and whether cut off."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from PIL import Image, ImageFile

_cut_off_allowed: ContextVar[bool | None] = ContextVar("cut_off_allowed", default=None)


class _Ceiling(int):
    """A value for ``Image.MAX_IMAGE_PIXELS`` that is an exact limit.

    Pillow warns above the value and refuses above twice the value; here both limits are the same number, so it never
    warns. Pillow's own check is kept since it also covers pictures inside of pictures (ICO, ICNS).
    """

    def __rmul__(self, other: int) -> int:
        return int(self)

    def __lt__(self, other: int) -> bool:
        return False


class _EachThreadsOwn:
    """A value for ``ImageFile.LOAD_TRUNCATED_IMAGES`` that is true for those who allow it, in their thread alone.

    For threads that decode nothing by `decoding` it is what it was.
    """

    def __init__(self, original: object) -> None:
        self.original = original

    def __bool__(self) -> bool:
        allowed = _cut_off_allowed.get()
        return bool(self.original) if allowed is None else allowed


class _PillowSwitches:
    """Sets Pillow's switches while pictures are being decoded, and puts them back after the last.

    With several limits at a time the largest holds; who decodes applies each picture's own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[int] = []
        self._max_pixels: int | None = None
        self._truncated: bool = False

    def enter(self, max_pixels: int) -> None:
        with self._lock:
            if not self._active:
                self._max_pixels, self._truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
                ImageFile.LOAD_TRUNCATED_IMAGES = _EachThreadsOwn(self._truncated)  # type: ignore[assignment]
            self._active.append(max_pixels)
            Image.MAX_IMAGE_PIXELS = _Ceiling(max(self._active))

    def leave(self, max_pixels: int) -> None:
        with self._lock:
            self._active.remove(max_pixels)
            Image.MAX_IMAGE_PIXELS = _Ceiling(max(self._active)) if self._active else self._max_pixels
            if not self._active:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._truncated


_switches = _PillowSwitches()


@contextmanager
def decoding(max_pixels: int, *, cut_off: bool = False) -> Iterator[None]:
    """Within this context Pillow refuses more than ``max_pixels``, and reads what is ``cut_off`` in this thread or not.

    Other threads that decode are not disturbed, whatever they allow.
    """
    _switches.enter(max_pixels)
    token = _cut_off_allowed.set(cut_off)
    try:
        yield
    finally:
        _cut_off_allowed.reset(token)
        _switches.leave(max_pixels)
