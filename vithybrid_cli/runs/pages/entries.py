"""Results and their pictures become the entries of a page: what each shows, and what has become of its picture."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from vithybrid_cli.errors import DecoderCrashed, DecodeTimeout, ImageError, MissingFile, WorkerCrashed
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.items import NO_FILE, Failure, Item
from vithybrid_cli.report.entries import Entry, Thumbnail
from vithybrid_cli.report.thumbnails import Made, ThumbnailMaker
from vithybrid_cli.results import Pictured
from vithybrid_cli.runs.pages.thumbnails import thumbnails
from vithybrid_cli.sources.remote.addresses import is_address

_GONE = "The picture is gone."
_CHANGED = "The picture has changed since it was labelled."
_DANGEROUS = (DecoderCrashed, DecodeTimeout, WorkerCrashed)
_RESERVED = "!#$%&'()*+,/:;=?@[]~"  # what an address may hold as it is


@dataclass(slots=True)
class Tally:
    """How many pictures a page has, how many of them were found, and of how many something is to be said."""

    pictures: int = 0
    found: int = 0
    gone: int = 0
    changed: int = 0
    unreadable: int = 0
    in_part: int = 0

    @property
    def missing(self) -> int:
        """How many pictures that were labelled cannot be shown."""
        return self.gone + self.unreadable

    def line(self) -> str:
        """What is to be said, in words; nothing if there is nothing."""
        counts = (
            (self.gone, "is gone", "are gone"),
            (self.changed, "has changed since it was labelled", "have changed since they were labelled"),
            (self.unreadable, "cannot be read now", "cannot be read now"),
            (self.in_part, "is shown in part", "are shown in part"),
        )
        return ", ".join(f"{count:,} {one if count == 1 else more}" for count, one, more in counts if count)


@dataclass(frozen=True, slots=True)
class EntryMaker:
    """Makes the entries of the ``page`` and counts them in ``tally``.

    ``place`` puts a thumbnail where the page finds it.
    """

    page: Path
    tally: Tally
    place: Callable[[Thumbnail], Thumbnail | str]

    def entries(
        self, found: Iterable[Pictured], maker: ThumbnailMaker | None, workers: int | None = None
    ) -> Iterator[Entry]:
        """The entry of each result, in order; without a ``maker`` of thumbnails no picture is opened."""
        if maker is None:
            for one in found:
                yield self._entry(one, _looked_up(one.item))
            return
        waiting: deque[Pictured] = deque()

        def items() -> Iterator[Item]:
            for one in found:
                waiting.append(one)
                yield _unless_dangerous(one)

        with closing(thumbnails(items(), maker, workers)) as made:
            for thumbnail in made:
                yield self._entry(waiting.popleft(), thumbnail)

    def _entry(self, one: Pictured, made: Made | ImageError | None) -> Entry:
        result = one.result
        problem = made if isinstance(made, ImageError) else None
        return Entry(
            path=result.path,
            answer=result.answer,
            predictions=result.predictions,
            error=None if result.error is None else (type(result.error).__name__, str(result.error)),
            notes=tuple(self._notes(one, made)),
            thumbnail=self.place(made.thumbnail) if isinstance(made, Made) else None,
            original=None if isinstance(problem, MissingFile) else original(one.item, self.page),
        )

    def _notes(self, one: Pictured, made: Made | ImageError | None) -> Iterator[str]:
        self.tally.pictures += 1
        self.tally.found += not isinstance(made, MissingFile)
        was = one.result.error
        if isinstance(made, MissingFile):
            if not isinstance(was, MissingFile):
                self.tally.gone += 1
                yield _GONE
            return
        if one.changed:
            self.tally.changed += 1
            yield _CHANGED
        if isinstance(made, ImageError):
            if type(was) is not type(made):
                self.tally.unreadable += was is None
                yield f"It cannot be shown. {made.cause}"
        elif made is not None and made.damage is not None:
            self.tally.in_part += was is None
            yield f"It is shown in part. {made.damage.cause}"


def _unless_dangerous(one: Pictured) -> Item:
    """The picture, if decoding it has not crashed or hung: this time it would do so to this program."""
    error = one.result.error
    return Failure(one.item.name, error, NO_FILE) if isinstance(error, _DANGEROUS) else one.item


def _looked_up(item: Item) -> ImageError | None:
    """What is wrong with a picture that nobody reads, as far as its size and time tell: that it is not there."""
    if item.stamp() != NO_FILE:
        return None
    try:
        item.open().close()
    except ImageError as error:
        return error
    return None


def original(item: Item, page: Path) -> str | None:
    """The address at which a picture opens from the ``page``, percent-encoded; None for a member of an archive.

    A file below the page's folder has a relative one, so that the folder can be moved; any other that of the file.
    """
    if is_address(item.name):
        return quote(item.name, safe=_RESERVED) if item.name.startswith(("http://", "https://")) else None
    if not isinstance(item, LocalFile):
        return item.name if item.name.startswith("file:") else None
    file, folder = os.path.abspath(item.name), os.path.abspath(page.parent)  # noqa: PTH100 (Path raises on odd names)
    below = os.path.join(folder, "")  # noqa: PTH118
    try:
        if file.startswith(below):
            return quote(os.fsencode(file[len(below) :].replace(os.sep, "/")))
        return Path(file).as_uri()
    except (UnicodeEncodeError, ValueError):  # a name that no file of this machine can have
        return None
