"""Results as a page to look through: thumbnails with their labels, to filter, sort and select."""

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from vithybrid_cli.report.document import asset, data_block, data_url, document, heading
from vithybrid_cli.report.entries import About, Entry, Thumbnail
from vithybrid_cli.results import Answer, Prediction

_STYLES = ("page.css", "filters.css", "pictures.css", "large.css")
_SCRIPTS = ("entries.js", "view.js", "labels.js", "scores.js", "selection.js", "grid.js", "large.js", "page.js")
_CHUNK = 500  # entries in one element: few enough to hold, and enough that a large page has few elements
_SCHEMES = ("file", "http", "https")  # what a link may lead to, beside relative addresses


def write_page(stream: TextIO, entries: Iterable[Entry], about: About) -> None:
    """Write the page of ``entries``, in their order; memory does not grow with the thumbnails.

    Either all thumbnails lie beside the page or none: the first that there is decides whether the page may load files.
    """
    first, rest = _up_to_a_thumbnail(iter(entries))
    linked = bool(first) and isinstance(first[-1].thumbnail, str)
    body = itertools.chain((heading(about), asset("page.html")), _blocks(itertools.chain(first, rest)))
    document(stream, about.title, body, styles=_STYLES, scripts=_SCRIPTS, linked=linked, kind=about.kind)


def _up_to_a_thumbnail(entries: Iterator[Entry]) -> tuple[list[Entry], Iterator[Entry]]:
    first = []
    for entry in entries:
        first.append(entry)
        if entry.thumbnail is not None:
            break
    return first, entries


def _blocks(entries: Iterable[Entry]) -> Iterator[str]:
    """Each thumbnail in an element of its own, which is read when it comes into view, and the rest in chunks."""
    chunks = _Chunks()
    for number, entry in enumerate(entries):
        if isinstance(entry.thumbnail, Thumbnail):
            yield f'<script type="text/plain" id="thumbnail-{number}">{data_url(entry.thumbnail)}</script>\n'
        yield from chunks.add(entry)
    yield from chunks.rest()


class _Chunks:
    """Entries as they are read by ``page.js``, a label's text once in the page."""

    def __init__(self) -> None:
        self._labels: dict[tuple[int | None, str], int] = {}
        self._written = 0  # labels
        self._blocks = 0
        self._records: list[dict[str, Any]] = []

    def add(self, entry: Entry) -> Iterator[str]:
        self._records.append(self._record(entry))
        if len(self._records) == _CHUNK:
            yield from self.rest()

    def rest(self) -> Iterator[str]:
        """A block of what was added since the last one, if anything was."""
        if not self._records:
            return
        new_labels = list(itertools.islice(self._labels, self._written, None))
        yield data_block(f"entries-{self._blocks}", {"labels": new_labels, "entries": self._records})
        self._written = len(self._labels)
        self._blocks += 1
        self._records = []

    def _record(self, entry: Entry) -> dict[str, Any]:
        """What there is of an entry; ``predictions`` are a label's number, its score, the next label's number, …"""
        record: dict[str, Any] = {
            "path": entry.path,
            "answer": self._scored(entry.answer) if entry.answer else None,
            "predictions": [value for prediction in entry.predictions for value in self._scored(prediction)],
            "error": entry.error,
            "notes": entry.notes,
            "thumbnail": _place(entry.thumbnail),
            "original": _opened(entry.original),
        }
        return {name: value for name, value in record.items() if value}

    def _scored(self, labelled: Answer | Prediction) -> tuple[int, float]:
        number = self._labels.setdefault((labelled.index, labelled.label), len(self._labels))
        return number, round(labelled.score, 6) + 0.0  # as `Prediction.rounded`


def _place(thumbnail: Thumbnail | str | None) -> str | tuple[int, int] | None:
    """The address of a thumbnail beside the page, or the size of one in it."""
    if isinstance(thumbnail, Thumbnail):
        return thumbnail.width, thumbnail.height
    return thumbnail


def _opened(address: str | None) -> str | None:
    """An address that a link may lead to: not one with code in it, which a name can look like."""
    if not address:
        return None
    scheme = re.match(r"[^:/?#]*(?=:)", address)
    return address if scheme is None or scheme[0].lower() in _SCHEMES else None
