"""An evaluation becomes a page, with thumbnails of those pictures that are worth looking at."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vithybrid_cli.errors import ImageError, MissingFile
from vithybrid_cli.evaluation.examples import Examples
from vithybrid_cli.evaluation.figures import Metrics
from vithybrid_cli.evaluation.matrix import confusion_matrix
from vithybrid_cli.items import Item
from vithybrid_cli.report.entries import About
from vithybrid_cli.report.evaluation import MOST_THUMBNAILS, Evaluated, Look, worth_a_thumbnail, write_evaluation
from vithybrid_cli.report.thumbnails import Made, ThumbnailMaker
from vithybrid_cli.runs.pages.entries import original
from vithybrid_cli.runs.pages.file import page_stream
from vithybrid_cli.runs.pages.thumbnails import thumbnails
from vithybrid_cli.runs.watch import Begin, Watch
from vithybrid_cli.settings import Reading
from vithybrid_cli.sources.containers import Wanted
from vithybrid_cli.sources.named import Named


def write_evaluation_page(
    page: Path,
    metrics: Metrics,
    examples: Examples,
    about: About,
    what: Reading,
    watch: Watch,
    *,
    offline: bool = False,
) -> None:
    """Write the page, which appears whole or not at all. Of ``what`` counts how pictures are read.

    ``metrics`` have all confusions. A picture that cannot be read any more is there by its name. Raises UsageError
    where the system refuses to write; ask `page_file.require_page` before the first picture.
    """
    matrix = confusion_matrix(metrics)
    every = worth_a_thumbnail(matrix, examples)
    paths = every[:MOST_THUMBNAILS]
    named = Named(Wanted(raw=what.decoding.raw_preview, column=what.column, max_bytes=what.max_bytes, offline=offline))
    looks = dict(_looks(paths, [named.item(path) for path in paths], page, what, watch))
    if len(every) > len(paths):
        rest = f"Of {len(every):,} pictures here, {len(paths):,} have a thumbnail, and the others only their name."
        about = replace(about, left_out=rest)
    with page_stream(page) as stream:
        write_evaluation(stream, Evaluated(metrics, matrix, examples, looks), about)
    shown = sum(look.thumbnail is not None for look in looks.values())
    pictures = "1 picture" if shown == 1 else f"{shown:,} pictures"
    failed = f"; {len(paths) - shown:,} cannot be read any more" if shown < len(paths) else ""
    watch.say(f"{page} shows {pictures} in {page.stat().st_size / 10**6:,.1f} MB{failed}")


def _looks(
    paths: Sequence[str], items: Iterable[Item], page: Path, what: Reading, watch: Watch
) -> Iterator[tuple[str, Look]]:
    items = list(items)
    maker = ThumbnailMaker(decoding=what.decoding)
    with watch.counting(Begin(lambda: len(paths))) as counter:
        for path, item, made in zip(paths, items, thumbnails(items, maker, what.workers), strict=True):
            counter.advance(failed=isinstance(made, ImageError))
            yield path, _look(item, made, page)


def _look(item: Item, made: Made | ImageError, page: Path) -> Look:
    if isinstance(made, ImageError):
        return Look(None, None if isinstance(made, MissingFile) else original(item, page))
    return Look(made.thumbnail, original(item, page))
