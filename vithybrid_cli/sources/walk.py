"""Folders are walked lazily, depth first, in natural order; what is wanted in them is another's choice."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a ``folder``, which is a path as the user wrote it."""

    folder: str
    name: str
    is_folder: bool
    inode: int
    is_link: bool = False

    @property
    def path(self) -> str:
        """The folder's path and the name."""
        return os.path.join(self.folder, self.name)  # noqa: PTH118 (keeps `./` as the user wrote it)

    @property
    def leads_nowhere(self) -> bool:
        """Whether it is a link to what is not there, or cannot be reached now."""
        return self.is_link and not os.path.exists(self.path)  # noqa: PTH110 (Path raises on odd names)


class Selector(Protocol):
    """Which entries of one folder are wanted."""

    def takes(self, entry: Entry) -> bool:
        """Whether this file is wanted."""

    def below(self, entry: Entry) -> "Selector | None":
        """What is wanted of this subfolder; None for nothing."""


def natural_key(name: str) -> tuple[str, str]:
    """A sort key: numbers by value, letters ignoring case, and names that are equal by that as they are."""
    folded = re.sub("[0-9]+", lambda digits: f"{len(digits[0].lstrip('0')):03}{digits[0].lstrip('0')}", name.casefold())
    return folded, name


def walk(root: str, selector: Selector) -> Iterator[str]:
    """The wanted files below ``root``, depth first; a folder that cannot be listed is given as a path.

    Links to folders are followed where ``selector`` wants it, and no folder is entered twice, so a loop of links ends.
    Memory: the listings of one folder per level, and two numbers per folder.
    """
    entered: set[tuple[int, int]] = set()
    levels = [_wanted(root, selector, entered)]
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
        elif isinstance(found, str):
            yield found
        else:
            folder, below = found
            levels.append(_wanted(folder, below, entered))


def _wanted(folder: str, selector: Selector, entered: set[tuple[int, int]]) -> Iterator[str | tuple[str, Selector]]:
    """The wanted entries of one folder in natural order: a file's path, or a subfolder and what is wanted of it.

    The folder's own path comes last if not all of it could be listed.
    """
    if not _is_new(folder, entered):
        return
    entries, complete = listing(folder)
    for entry in entries:
        if not entry.is_folder:
            if selector.takes(entry):
                yield entry.path
        elif (below := selector.below(entry)) is not None:
            yield entry.path, below
    if not complete:
        yield folder


def _is_new(folder: str, entered: set[tuple[int, int]]) -> bool:
    try:
        status = Path(folder).stat()
    except OSError:
        return True  # listing it fails too, and reports that
    identity = status.st_dev, status.st_ino
    if identity in entered:
        return False
    entered.add(identity)
    return True


def listing(folder: str) -> tuple[list[Entry], bool]:
    """What is in a folder, in natural order; and whether that is all that is in it. Nothing is raised."""
    entries: list[Entry] = []
    complete = True
    try:
        with os.scandir(folder or ".") as scan:
            for found in scan:
                inode = 0 if os.name == "nt" else found.inode()  # Windows would have to open each file
                entry = Entry(folder, found.name, _is_folder(found), inode, found.is_symlink())
                entries.append(entry)
    except OSError:
        complete = False
    return sorted(entries, key=lambda entry: natural_key(entry.name)), complete


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads nowhere; decoding reports it if it is named like a picture
