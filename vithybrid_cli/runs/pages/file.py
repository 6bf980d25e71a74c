"""Where a page is written: what it may not overwrite, and how it appears whole with the files of its thumbnails."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from vithybrid_cli.choices import Thumbnails
from vithybrid_cli.errors import UsageError
from vithybrid_cli.output.destination import is_plain_file, require_writable, unwritable
from vithybrid_cli.output.escape import visible
from vithybrid_cli.runs.beside import files_beside

if TYPE_CHECKING:
    from vithybrid_cli.report.entries import PageKind, Thumbnail

_SUFFIXES = (".html", ".htm")
_HEAD = 1024  # bytes, in which a page says who wrote it

Place = Callable[["Thumbnail"], "Thumbnail | str"]  # puts a thumbnail where the page finds it


def is_page_name(output: Path | None) -> bool:
    """Whether the suffix of a file is that of a page."""
    return output is not None and output.suffix.lower() in _SUFFIXES


def require_page(page: Path | None, results: Sequence[Path] = (), *, figures: bool = False) -> Path:
    """The place of a page. Raises UsageError if none can be written there, or what is there is no page of ours.

    That is so for the files ``results``, and for what runs keep beside them. ``figures`` says that the page is one of
    an evaluation, whose figures are nowhere else: pages of those and of results do not take each other's place.
    """
    if page is None:
        raise UsageError("A page is a file, and none is named.", "Give its name with {output}, as page.html.")
    if not is_page_name(page):
        cause = f"The name of a page ends in .html, and {visible(page.name)} does not."
        raise UsageError(cause, "Give {output} another suffix.")
    if not is_plain_file(page) and not page.is_dir():
        raise UsageError(f"A page is written to a regular file, and {page} is none.", "Give another {output}.")
    require_writable(page)
    if any(_same(page, file) for given in results for file in (given, *files_beside(given))):
        raise UsageError(f"{page} is what the page is made of, and would be overwritten.", "Give another {output}.")
    if not _is_replaceable(page):
        cause = f"{page} is there already, and is no page that this program has written."
        raise UsageError(cause, "Give another {output}, or remove that file first.")
    kind = kind_of_page(page)
    if kind is not None and (kind == "evaluate") != figures:
        cause = f"{page} is there already, and is a page that `vithybrid {kind}` has written."
        raise UsageError(cause, "Give another {output}, or remove that file first.")
    return page


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one is not there
        return os.path.abspath(one) == os.path.abspath(other)  # noqa: PTH100 (Path raises on odd names)


def _is_replaceable(page: Path) -> bool:
    """Whether nothing is there, or nothing in it, or a page of ours."""
    from vithybrid_cli.report.document import GENERATOR

    begin = _begin(page)
    return not begin or GENERATOR.encode() in begin


def kind_of_page(page: Path) -> "PageKind | None":
    """Which command made a page; None where none is, or it does not say so. Raises UsageError."""
    from vithybrid_cli.report.document import kind_mark
    from vithybrid_cli.report.entries import PageKind

    begin = _begin(page)
    return next((kind for kind in PageKind if kind_mark(kind).encode() in begin), None)


def _begin(page: Path) -> bytes:
    try:
        with page.open("rb") as stream:
            return stream.read(_HEAD)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise unwritable(page, error) from error


@contextmanager
def page_stream(page: Path) -> Iterator[TextIO]:
    """What is written to takes the place of ``page`` at the end; if the block raises, what was there stays.

    Raises UsageError where the system refuses.
    """
    from vithybrid_cli.output.write_results import written_whole

    with written_whole(page) as part, part.open("w", encoding="utf-8", newline="") as stream:
        yield stream


@contextmanager
def place_of_thumbnails(page: Path, kind: Thumbnails) -> Iterator[Place]:
    """Where the thumbnails of a page go that is written within this context; those of an earlier page go in its end.

    Raises UsageError where the system refuses.
    """
    from vithybrid_cli.report.beside import folder_beside, forget_thumbnails, thumbnail_folder

    if kind is not Thumbnails.LINK:
        yield lambda thumbnail: thumbnail
        forget_thumbnails(page)
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(thumbnail_folder(page))
        except OSError as error:
            raise unwritable(folder_beside(page), error) from error

        def put(thumbnail: "Thumbnail") -> str:
            try:
                return folder.put(thumbnail)
            except OSError as error:
                raise unwritable(folder.folder, error) from error

        yield put
