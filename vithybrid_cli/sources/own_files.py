"""The files that a run itself writes or reads its list from: in a folder of pictures they are nothing left out."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from vithybrid_cli.sources.walk import Entry

_Identity = tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """Those of one run. ``output`` may not exist yet.

    What is named after it belongs to it: ``out.csv.run.json``, and the page ``out.html``.
    """

    output: Path | None = None
    others: frozenset[_Identity] = frozenset()

    @classmethod
    def of(cls, output: Path | None, list_file: Path | None) -> Self:
        """Where results go, the list that is read, and the files that stdin, stdout and stderr are."""
        streams = (_of_stream(stream) for stream in (sys.stdin, sys.stdout, sys.stderr))
        found = {*streams, None if list_file is None else _of_file(str(list_file))}
        return cls(output, frozenset(identity for identity in found if identity is not None))

    def is_output(self, folder: Entry) -> bool:
        """Whether this ``folder`` is where results go: what lies there was made by this run, or by one before it."""
        if self.output is None or folder.name != self.output.name:
            return False
        return _of_file(folder.path) == _of_file(str(self.output))

    def has(self, entry: Entry) -> bool:
        """Whether it is one of them; only what has a fitting name or inode is looked at.

        Windows tells no inodes for nothing, so there it is only the output that is known.
        """
        if self.output is not None and _is_named_after(entry.name, self.output):
            return _of_file(entry.folder or ".") == _of_file(str(self.output.parent))
        return any(entry.inode == inode for _, inode in self.others) and _of_file(entry.path) in self.others


def _is_named_after(name: str, output: Path) -> bool:
    return f"{name}.".startswith(f"{output.name}.") or name in (f"{output.stem}.html", f"{output.stem}.htm")


def _of_file(path: str) -> _Identity | None:
    try:
        status = os.stat(path)  # noqa: PTH116 (Path raises on odd names)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _of_stream(stream: TextIO | None) -> _Identity | None:
    if stream is None:
        return None
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # it is no file of the system, or closed
        return None
    return status.st_dev, status.st_ino
