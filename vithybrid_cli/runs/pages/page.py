"""Pictures become a page of their labels in one run, which may go on with an earlier one by the results beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vithybrid_cli.errors import UsageError, option
from vithybrid_cli.output.formats import Format, LabelFormat
from vithybrid_cli.runs.label import label
from vithybrid_cli.runs.pages.file import is_page_name, kind_of_page, require_page
from vithybrid_cli.runs.record import is_begun
from vithybrid_cli.runs.watch import Watch
from vithybrid_cli.settings import Reading, Running, Writing
from vithybrid_cli.sources.inputs import Sources


def is_page(where: Writing) -> bool:
    """Whether a page is asked for, by its format or by the suffix of its file."""
    return is_page_name(where.output) if where.format is None else where.format == LabelFormat.HTML


def label_on_page(what: Reading, how: Running, where: Writing, watch: Watch) -> int:
    """Label all pictures as `runs.label.label` does, to ``page.jsonl``, and make ``page.html`` of that.

    How many pictures could not be labelled or shown. Raises as `label` and `runs.report.report` do.
    """
    page = require_page(where.output)
    results = page.with_suffix(f".{Format.JSONL}")
    _require_ours(results, page, where)
    Sources.of(what, page, offline=how.offline).require_apart(page)
    failed = label(what, how, replace(where, output=results, format=Format.JSONL), watch).failed
    with _interrupt_told(results, watch):
        from vithybrid_cli.report.entries import PageKind
        from vithybrid_cli.runs.pages.report import Showing, report  # imports Pillow

        show = Showing(kind=PageKind.CLASSIFY)
        return failed + report([results], page, show, what, watch, offline=how.offline).missing


def _require_ours(results: Path, page: Path, where: Writing) -> None:
    """Raise UsageError if results that nobody named would be overwritten, and are not those of an earlier page."""
    if where.resume or where.update or not is_begun(results) or _is_page_of(results, page):
        return
    cause = f"{results} is there already, and the results of this page would be written to it."
    raise UsageError(cause, "Give {resume} or {update} to go on with it, or another {output}.")


def _is_page_of(results: Path, page: Path) -> bool:
    """Whether `classify` made the page, after these results: else they are another's, or those of a run broken off."""
    if kind_of_page(page) != "classify":
        return False
    return page.stat().st_mtime_ns >= results.stat().st_mtime_ns


@contextmanager
def _interrupt_told(results: Path, watch: Watch) -> Iterator[None]:
    """Say after an interrupt that only the page is missing."""
    try:
        yield
    except KeyboardInterrupt:
        watch.say(f"all labels are in {results}; {option('resume')} makes the page of them")
        raise
