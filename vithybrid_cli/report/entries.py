"""What a page of results shows: one entry for each picture, and what the page says about itself."""

from dataclasses import dataclass
from enum import StrEnum

from vithybrid_cli.results import Answer, Prediction


class PageKind(StrEnum):
    """Which command made a page; the page says so, and so what may take its place."""

    CLASSIFY = "classify"
    REPORT = "report"
    EVALUATE = "evaluate"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture for the page: an encoded file, upright, of ``width`` × ``height`` pixels.

    ``media_type`` is that of ``content``, as ``image/webp``.
    """

    content: bytes
    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of the page.

    ``answer`` is the label that stands for it; ``predictions`` are all, best first. ``error`` is the type and message
    of what prevented them. ``notes`` are short remarks ("is gone"). ``thumbnail`` is what is put into the page, or the
    address of a file beside it; ``original`` is where the picture itself opens, relative or with ``file:`` or
    ``https:``. Both addresses are percent-encoded.
    """

    path: str
    answer: Answer | None = None
    predictions: tuple[Prediction, ...] = ()
    error: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()
    thumbnail: Thumbnail | str | None = None
    original: str | None = None


@dataclass(frozen=True, slots=True)
class About:
    """The heading of a page.

    ``facts`` are names and values for a short list (the model, the results); ``left_out`` is one sentence on pictures
    that the page does not have.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    left_out: str | None = None
    kind: PageKind = PageKind.REPORT
