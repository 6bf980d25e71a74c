"""Results that were written earlier become a page to look through."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from vithybrid_cli.choices import Thumbnails
from vithybrid_cli.errors import UsageError, listed, option
from vithybrid_cli.output.formats import Format
from vithybrid_cli.output.parquet import how_made
from vithybrid_cli.output.read_results import format_of_results, read_results
from vithybrid_cli.report.entries import About, Entry, PageKind
from vithybrid_cli.report.page import write_page
from vithybrid_cli.report.thumbnails import ThumbnailMaker
from vithybrid_cli.runs.interrupts import sigterm_raised
from vithybrid_cli.runs.pages.entries import EntryMaker, Tally
from vithybrid_cli.runs.pages.file import page_stream, place_of_thumbnails, require_page
from vithybrid_cli.runs.pictured import pictured
from vithybrid_cli.runs.record import record_file
from vithybrid_cli.runs.stamps import read_stamps, stamp_file
from vithybrid_cli.runs.watch import Begin, Counter, Watch
from vithybrid_cli.settings import DEFAULT_THUMBNAIL_SIZE, Reading
from vithybrid_cli.sources.containers import Wanted

COMFORTABLE = 50 * 10**6  # bytes of a page that browsers open at once
_ESTIMATED_AFTER = 500  # pictures, which `write_page` writes at a time; again whenever there are twice as many
_MOST_NAMED = 3  # files of results in the heading


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What a page shows, and how; ``root`` is the folder at which relative paths in the results begin."""

    thumbnails: Thumbnails = Thumbnails.INLINE
    size: int = DEFAULT_THUMBNAIL_SIZE
    max_pictures: int | None = None
    title: str | None = None
    root: Path | None = None
    kind: PageKind = PageKind.REPORT


def report(
    results: Sequence[Path], page: Path | None, show: Showing, what: Reading, watch: Watch, *, offline: bool = False
) -> Tally:
    """Write the results in the files ``results``, one after the other, to ``page``, with thumbnails of their pictures.

    Of ``what`` the limits, the threads and the column of tables count. If this fails or is interrupted, what is at
    ``page`` stays. Raises UsageError for what cannot be read or written, most of it before the first picture.
    """
    page = require_page(page, results)
    total = sum(_count(file) for file in results)
    shown = total if show.max_pictures is None else min(total, show.max_pictures)
    wanted = Wanted(column=what.column, max_bytes=what.max_bytes, offline=offline)
    found = islice(chain.from_iterable(pictured(file, wanted, show.root) for file in results), shown)
    maker = None if show.thumbnails is Thumbnails.NONE else ThumbnailMaker(show.size, what.decoding)
    tally = Tally()
    with (
        sigterm_raised(),
        _interrupt_told(page, watch),
        place_of_thumbnails(page, show.thumbnails) as place,
        page_stream(page) as stream,
        watch.counting(Begin(lambda: shown)) as counter,
    ):
        size = _Size(stream, shown, watch, _smaller(show.thumbnails))
        entries = EntryMaker(page, tally, place).entries(found, maker, what.workers)
        write_page(stream, _counted(entries, tally, counter, size), _about(results, total, shown, show))
        written = size.end()
    _tell(page, tally, written, show, watch)
    return tally


def _count(results: Path) -> int:
    """How many results there are, all of which are read: so damage shows before the work. Raises UsageError."""
    if results.is_dir():
        raise UsageError(f"{results} is a folder.", "Give a file that `vithybrid classify` wrote.")
    if results.exists() and not results.is_file():
        raise UsageError(f"{results} is no regular file, and results are read twice.", "Write them to a file first.")
    return sum(1 for _ in read_results(results))


def _counted(entries: Iterable[Entry], tally: Tally, counter: Counter, size: "_Size") -> Iterator[Entry]:
    missing = 0
    for entry in entries:
        yield entry
        counter.advance(failed=tally.missing > missing)
        missing = tally.missing
        size.add()


class _Size:
    """How large the page becomes; once it can be told that this is more than is comfortable, it is said."""

    def __init__(self, stream: TextIO, pictures: int, watch: Watch, remedy: str) -> None:
        self._stream, self._pictures, self._watch, self._remedy = stream, pictures, watch, remedy
        self._done, self._next, self._is_told = 0, _ESTIMATED_AFTER, False
        self._head = 0

    @property
    def now(self) -> int:
        """How many bytes are written."""
        self._stream.flush()
        return self._stream.buffer.tell()

    def add(self) -> None:
        """One more picture is in the page."""
        self._done += 1
        if self._done == 1:
            self._head = self.now
        if self._done == self._next:
            self._next *= 2
            entries = (self.now - self._head) * self._pictures // self._done
            self._tell(self._head + entries, "will have about")

    def end(self) -> int:
        """The page is whole, and has so many bytes."""
        self._tell(self.now, "has")
        return self.now

    def _tell(self, size: int, has: str) -> None:
        if size <= COMFORTABLE or self._is_told:
            return
        self._is_told = True
        limit = f"more than the {COMFORTABLE // 10**6} MB that browsers open at once"
        self._watch.warn(f"the page {has} {megabytes(size)}, {limit}; {self._remedy}")


def megabytes(size: int) -> str:
    """A number of bytes in words."""
    return f"{size / 10**6:,.1f} MB"


def _smaller(kind: Thumbnails) -> str:
    """What makes a page smaller."""
    fewer = f"{option('max_pictures')} leaves pictures out"
    if kind is not Thumbnails.INLINE:
        return fewer
    link = option("thumbnails", Thumbnails.LINK)
    return f"{link} of `vithybrid report` keeps thumbnails in files beside it, and {fewer}"


def _about(results: Sequence[Path], total: int, shown: int, show: Showing) -> About:
    names = listed([file.name for file in results], _MOST_NAMED)
    facts = [("Results", names)]
    models = list(dict.fromkeys(name for file in results if (name := _model(file)) is not None))
    if models:
        facts.append(("Model", listed(models, _MOST_NAMED)))
    if total and not all(map(_has_stamps, results)):
        facts.append(("Pictures", "those that are there now: their size and time were not kept with the results"))
    left_out = f"Shown are the first {shown:,} of {total:,} pictures." if shown < total else None
    title = show.title or listed([file.stem for file in results], _MOST_NAMED)
    return About(title, tuple(facts), left_out, show.kind)


def _model(results: Path) -> str | None:
    """The model that gave the labels, as its run was told it, if that was kept beside the results or in them."""
    try:
        if format_of_results(results) is Format.PARQUET:
            return str(how_made(results)["model"]["name"])
        return str(json.loads(record_file(results).read_text(encoding="utf-8"))["model"]["name"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _has_stamps(results: Path) -> bool:
    """Whether size and time of the pictures were kept, so that it shows which have changed."""
    return any(True for _ in read_stamps(stamp_file(results))) and format_of_results(results) is not Format.PARQUET


@contextmanager
def _interrupt_told(page: Path, watch: Watch) -> Iterator[None]:
    """Say after an interrupt that there is nothing half."""
    before = page.exists()
    try:
        yield
    except KeyboardInterrupt:
        is_now = "is as it was" if before else "is not written"
        watch.say(f"interrupted after {watch.so_far()}; {page} {is_now}")
        raise


def _tell(page: Path, tally: Tally, size: int, show: Showing, watch: Watch) -> None:
    """Say what the page has; and where nothing was found, where that was looked for."""
    pictures = "1 picture" if tally.pictures == 1 else f"{tally.pictures:,} pictures"
    line = tally.line()
    watch.say(f"{page} shows {pictures} in {megabytes(size)}" + (f"; {line}" if line else ""))
    if tally.gone and not tally.found:
        place = "the current folder" if show.root is None else show.root
        begin = f"their relative paths begin at {place}, and {option('root')} names another folder"
        watch.warn(f"no picture is where the results say: {begin}")
