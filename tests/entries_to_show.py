"""Entries for pages of results, and what a page shows of them."""

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from PIL import Image

from vithybrid_cli.report.entries import Entry, Thumbnail
from vithybrid_cli.results import Answer, Prediction

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Write = Callable[..., str]
"""Writes a page of entries, and what it is about, and gives its address as a file: the fixture ``write``."""

LABELS = ("tabby", "tench", "goldfish")


def thumbnail(colour: str = "teal", size: tuple[int, int] = (96, 72)) -> Thumbnail:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "WEBP", lossless=True)
    return Thumbnail(content.getvalue(), "image/webp", *size)


def labelled(path: str, *scored: tuple[str, float], notes: tuple[str, ...] = (), original: str | None = None) -> Entry:
    """An entry with these labels and scores; an index is that of the label in LABELS, or one that it makes up."""
    index = [LABELS.index(label) if label in LABELS else 100 + len(label) for label, _ in scored]
    predictions = tuple(Prediction(i, label, score) for i, (label, score) in zip(index, scored, strict=True))
    answer = Answer(predictions[0].label, predictions[0].score, predictions[0].index) if predictions else None
    return Entry(path, answer, predictions, None, notes, thumbnail(), original)


def failed(path: str, message: str = "The file is cut off.") -> Entry:
    return Entry(path, error=("UnreadableImage", message))


MIXED = (
    labelled("b/cat 10.jpg", ("tabby", 0.9), ("tench", 0.05), original="b/cat%2010.jpg"),
    labelled("b/cat 2.jpg", ("tabby", 0.4), ("goldfish", 0.3)),
    labelled("a/fish.jpg", ("tench", 0.7), ("goldfish", 0.2), notes=("changed since it was labelled",)),
    failed("a/broken.jpg"),
    labelled("c/none.jpg"),
    labelled("c/gold.jpg", ("goldfish", 0.97)),
)


def cells(page: "Page") -> "Locator":
    return page.get_by_role("gridcell")


def names(page: "Page") -> list[str]:
    """The file names that are shown, in order."""
    found: list[str] = cells(page).locator(".name").all_inner_texts()
    return found


def focused(page: "Page") -> str:
    name = page.evaluate("document.activeElement.querySelector('.name')?.textContent ?? document.activeElement.id")
    return str(name)


def fragment(page: "Page") -> str:
    return str(page.evaluate("location.hash"))


def selected(page: "Page") -> list[str]:
    found: list[str] = page.locator("[aria-selected=true] .name").all_inner_texts()
    return found


def many(count: int) -> Iterable[Entry]:
    """So many pictures of the three labels, in turn, with scores that grow."""
    return (labelled(f"p/{number:05}.jpg", (LABELS[number % 3], number / count)) for number in range(count))


def no_wider_than_its_window(page: "Page") -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
