"""Thumbnails as files in a folder beside their page, of which each is named by its content.

So a page is made anew while the old one stays whole; what only the old one needs goes once the new one is there.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from vithybrid_cli.atomic import UNFINISHED
from vithybrid_cli.errors import UsageError
from vithybrid_cli.locks import AlreadyLocked, lock_file
from vithybrid_cli.report.entries import Thumbnail

_SUFFIXES = {"image/webp": ".webp", "image/jpeg": ".jpg"}
_NAME = re.compile(r"([0-9a-f]{32})\.(?:webp|jpg)")


def folder_beside(page: Path) -> Path:
    """The folder of the thumbnails of a ``page``: ``page.html.files``, which `sources.system_folders` knows."""
    return page.with_name(page.name + ".files")


class ThumbnailFolder:
    """The folder of one page; writes thumbnails into it."""

    def __init__(self, page: Path) -> None:
        self.folder = folder_beside(page)
        self._used: set[str] = set()
        self._new: list[str] = []

    def put(self, thumbnail: Thumbnail) -> str:
        """Write a thumbnail, if it is not there yet; its address from the page, percent-encoded. Raises OSError."""
        name = _digest(thumbnail.content) + _SUFFIXES[thumbnail.media_type]
        if name not in self._used:
            self._used.add(name)
            self._write(name, thumbnail.content)
        return f"{quote(os.fsencode(self.folder.name))}/{name}"

    def _write(self, name: str, content: bytes) -> None:
        """Not flushed to the disk each by itself, of which there are too many: a file that is torn is written anew."""
        file = self.folder / name
        with suppress(OSError):
            if file.read_bytes() == content:
                return
        part = self.folder / f".{name}.{secrets.token_hex(4)}{UNFINISHED}"
        try:
            part.write_bytes(content)
            part.replace(file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self._new.append(name)

    def take_back(self) -> None:
        """Remove what was written, since there is no page that shows it."""
        for name in self._new:
            with suppress(OSError):
                (self.folder / name).unlink()

    def remove_unused(self) -> None:
        """Remove the thumbnails of an earlier page: files whose names are those of their content, so we wrote them."""
        with suppress(OSError):
            for file in sorted(self.folder.iterdir()):
                if file.name not in self._used and _is_ours(file):
                    file.unlink()


@contextmanager
def thumbnail_folder(page: Path) -> Iterator[ThumbnailFolder]:
    """The folder of a page that is written within this context, made if it is not there.

    What was written goes again if the context is left by an exception, and what is not used any more if not.
    Raises OSError, and UsageError while another run writes the thumbnails of this page.
    """
    beside = ThumbnailFolder(page)
    beside.folder.mkdir(exist_ok=True)
    try:
        with lock_file(beside.folder / ".lock"):
            try:
                yield beside
            except BaseException:
                beside.take_back()
                raise
            beside.remove_unused()
    except AlreadyLocked as error:
        raise UsageError(
            f"Another run is writing {page}.", "Wait until it has ended, or give another {output}."
        ) from error
    finally:
        _remove_empty(beside.folder)


def forget_thumbnails(page: Path) -> None:
    """Remove what earlier pages have left in their folder, of a page that needs none."""
    beside = ThumbnailFolder(page)
    beside.remove_unused()
    _remove_empty(beside.folder)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # there is something in it
        if not folder.is_symlink():
            folder.rmdir()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _is_ours(file: Path) -> bool:
    named = _NAME.fullmatch(file.name)
    return named is not None and not file.is_symlink() and file.is_file() and _digest(file.read_bytes()) == named[1]
