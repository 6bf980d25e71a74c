"""What a run is asked to do: how the network is run, what is read, and what is written.

The commands, the Python interface, the record of a run and job files share these three. A field is `deciding` if
results depend on it: a run can go on with an earlier one's results only if all deciding fields are the same.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

DEFAULT_MAX_PIXELS: Final = 178_956_970  # where Pillow itself refuses: twice its MAX_IMAGE_PIXELS

DEFAULT_DECODE_TIMEOUT: Final = 60.0  # seconds; far above what the largest pictures take on a slow disk

DECIDING = "deciding"
LEFT_OPEN = (None, "auto")  # values that leave a choice to the machine; what it chose is known once the engine is open


def deciding(default: Any) -> Any:
    """A field with this default that decides results."""
    return field(default=default, metadata={DECIDING: True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How a network is run. ``model`` decides results by the content of its files, whatever it was called."""

    model: str
    revision: str | None = None
    offline: bool = False
    image_size: int | None = deciding(None)
    device: str = deciding("auto")
    dtype: str = deciding("float32")
    attention: str = deciding("sdpa")
    engine: str = deciding("auto")
    compile: bool = deciding(False)
    batch_size: int | None = deciding(None)  # the last digits of a score may depend on what shares its batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is read, and how. ``inputs`` and lists decide results too, but a run checks those one by one."""

    inputs: tuple[str, ...] = ()
    files_from: Path | None = None
    null: bool = False
    strict: bool = False
    workers: int | None = None
    max_pixels: int = deciding(DEFAULT_MAX_PIXELS)
    fast_jpeg: bool = deciding(False)
    isolate: bool = False
    decode_timeout: float = DEFAULT_DECODE_TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What is written, and where; without ``output`` that is stdout."""

    output: Path | None = None
    format: str | None = None
    resume: bool = False
    top_k: int = deciding(5)
    threshold: float = deciding(0.0)


def decisions(*settings: Running | Reading | Writing) -> dict[str, Any]:
    """The deciding fields of these settings by name, but for those that are left to the machine."""
    found = ((item.name, getattr(group, item.name)) for group in settings for item in fields(group) if item.metadata)
    return {name: value for name, value in found if value not in LEFT_OPEN}
