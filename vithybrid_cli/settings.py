"""What a run is asked to do: how the network is run, what is read, and what is written.

The commands, the Python interface, the record of a run and job files share these. A field is `deciding` if
results depend on it: a run can go on with an earlier one's results only if all deciding fields are the same.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from vithybrid_cli.errors import UsageError

DEFAULT_MAX_PIXELS: Final = 178_956_970  # where Pillow itself refuses: twice its MAX_IMAGE_PIXELS

DEFAULT_MAX_BYTES: Final = 256 * 2**20  # of one picture in a container or at an address: what no camera writes

DEFAULT_THUMBNAIL_SIZE: Final = 176  # pixels of the longer side: why so many is said in `report.thumbnails`

DEFAULT_DECODE_TIMEOUT: Final = 60.0  # seconds; far above what the largest pictures take on a slow disk

RULES: Final = ("unsure", "rollup")  # what may take the place of a label; a record names only those that were asked for

Choice = tuple[int, float | None, str, float | None, float | None]

_DECIDING, _OPEN = "deciding", "open"
_LEFT_OPEN = (None, "auto")


def deciding(default: Any, *, left_open: bool = False) -> Any:
    """A field with this default that decides results.

    One that may be ``left_open`` is None or ``auto`` where the machine or the model chooses; what they chose is known
    once the model is loaded.
    """
    return field(default=default, metadata={_DECIDING: True, _OPEN: left_open})


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How a network is run. ``model`` decides results by the content of its files, whatever it was called."""

    model: str
    revision: str | None = None
    offline: bool = False
    image_size: int | None = deciding(None, left_open=True)
    device: str = deciding("auto", left_open=True)
    dtype: str = deciding("float32")
    attention: str = deciding("sdpa")
    engine: str = deciding("auto", left_open=True)
    compile: bool = deciding(False)
    # The last digits of a score may depend on what shares its batch.
    batch_size: int | None = deciding(None, left_open=True)
    # So may the number of threads that compute it.
    threads: int | None = deciding(None, left_open=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How a file becomes a picture.

    ``background`` is the colour that lies behind what is transparent, as `PIL.ImageColor` names them. Raises UsageError
    for what is no colour.
    """

    max_pixels: int = deciding(DEFAULT_MAX_PIXELS)
    fast_jpeg: bool = deciding(False)
    raw_preview: bool = deciding(False)
    allow_truncated: bool = deciding(False)
    background: str | None = deciding(None)

    def __post_init__(self) -> None:
        if self.background is not None:
            rgb(self.background)


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue (0–255) of a ``colour``. Raises UsageError for what is none, or one that is transparent."""
    from PIL import ImageColor  # `vithybrid --help` must not pay for Pillow

    try:
        red, green, blue, *alpha = ImageColor.getrgb(colour)
    except ValueError:
        alpha = [0]
    if alpha:
        raise UsageError(f"{colour!r} is no opaque colour.", "Give {background} a name as in CSS, #rgb or #rrggbb.")
    return red, green, blue


AS_IT_IS: Final = Decoding()  # each file in full, within the usual limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is read, and how. ``inputs`` and lists decide results too, but a run checks those one by one.

    ``shards`` are archives to read after the inputs. ``archives``: those that lie in folders are read, too. ``column``
    is the one of tables that has the pictures. ``max_bytes`` is for each picture in an archive, a table or at an
    address.
    """

    inputs: tuple[str, ...] = ()
    shards: tuple[str, ...] = ()
    archives: bool = False
    column: str | None = None
    max_bytes: int = deciding(DEFAULT_MAX_BYTES)
    files_from: Path | None = None
    null: bool = False
    strict: bool = False
    exclude: tuple[str, ...] = ()
    workers: int | None = None
    decoding: Decoding = AS_IT_IS
    isolate: bool = False
    decode_timeout: float = DEFAULT_DECODE_TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What is written, and where; without ``output`` that is stdout.

    ``unsure`` is the score below which there is no answer, ``rollup`` the one that an answer or its ancestor reaches.
    """

    output: Path | None = None
    format: str | None = None
    resume: bool = False
    update: bool = False
    top_k: int = deciding(5)
    threshold: float | None = deciding(None)
    activation: str = deciding("auto", left_open=True)
    unsure: float | None = deciding(None)
    rollup: float | None = deciding(None)

    @property
    def choice(self) -> "Choice":
        """What chooses labels and scores, in the order in which `Classifier.result` takes it."""
        return self.top_k, self.threshold, self.activation, self.unsure, self.rollup


def decisions(*settings: Running | Decoding | Reading | Writing) -> dict[str, Any]:
    """The deciding fields of these settings by name, but for those that are left open, and rules that are not there."""
    found = [(item, getattr(group, item.name)) for group in settings for item in fields(group) if item.metadata]
    unsaid = {item.name for item, value in found if item.name in RULES and value is None}
    unsaid |= {item.name for item, value in found if item.metadata[_OPEN] and value in _LEFT_OPEN}
    return {item.name: value for item, value in found if item.name not in unsaid}
