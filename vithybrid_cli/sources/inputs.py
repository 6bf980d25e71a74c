"""What a command reads: its arguments, a list of paths on stdin (``-``), and a file that lists paths."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.names import explained
from vithybrid_cli.settings import Reading
from vithybrid_cli.sources.find import find
from vithybrid_cli.sources.lists import read_list, require_list
from vithybrid_cli.sources.own_files import OwnFiles
from vithybrid_cli.sources.survey import Survey

STDIN = "-"
_LIST_ON_STDIN = "the list on stdin"


@dataclass(frozen=True, slots=True)
class Sources:
    """The inputs of one run, which writes to ``output``: its own file in a folder of pictures is nothing left out.

    ``raw``: cameras' raw files are pictures.
    """

    inputs: tuple[str, ...]
    files_from: Path | None = None
    null: bool = False
    exclude: tuple[str, ...] = ()
    output: Path | None = None
    raw: bool = False

    @classmethod
    def of(cls, reading: Reading, output: Path | None = None) -> Self:
        """Those that a run was asked to read."""
        raw = reading.decoding.raw_preview
        return cls(reading.inputs, reading.files_from, reading.null, reading.exclude, output, raw)

    def check(self) -> None:
        """Raise UsageError for what is wrong before anything is loaded."""
        if not self.inputs and self.files_from is None:
            raise UsageError("There are no inputs.", "Give pictures, folders or patterns, or - for paths on stdin.")
        if self._stdin_uses and sys.stdin is None:
            raise UsageError("Stdin is closed, so there is no list to read.", "Give the list with {files_from}.")
        if self._stdin_uses > 1:
            raise UsageError("Stdin can be read only once.", "Give - in one place.")
        if self.null and not self._stdin_uses and self.files_from is None:
            raise UsageError("There is no list of paths to split at NUL bytes.", "Leave out {null}, or give a list.")
        if self.files_from is not None and str(self.files_from) != STDIN:
            _require_readable(self.files_from, self.null)

    def require_apart(self, output: Path | None) -> None:
        """Raise UsageError if ``output`` is a picture or list that was named as an input: it would be overwritten."""
        try:
            written = None if output is None else output.stat()
        except OSError:  # not there, or a name that none can have
            return
        if written is None or not stat.S_ISREG(written.st_mode):
            return
        named = [text for text in (*self.inputs, str(self.files_from or STDIN)) if text != STDIN]
        if any(_is(text, written) for text in named):
            raise UsageError(f"{output} is an input, which would be overwritten.", "Give another {output}.")

    @property
    def single(self) -> bool:
        """Whether one file is all that was asked for."""
        if self.files_from is not None or len(self.inputs) != 1:
            return False
        return self.inputs[0] != STDIN and os.path.isfile(self.inputs[0])  # noqa: PTH113 (Path raises on odd names)

    def paths(self, survey: Survey | None = None) -> Iterator[str]:
        """All paths, lazily: those of the arguments in their order, then those of the file; ``survey`` counts them."""
        survey = Survey() if survey is None else survey
        survey.inputs, survey.only_lists = self._named(), set(self.inputs) <= {STDIN}
        for path in self._paths(survey):
            survey.found += 1
            yield path

    def _named(self) -> list[str]:
        """Where pictures are looked for, in words."""
        lists = [] if self.files_from is None else [str(self.files_from)]
        named = [_LIST_ON_STDIN if text == STDIN else text for text in self.inputs]
        return named + [_LIST_ON_STDIN if text == STDIN else f"the list in {text}" for text in lists]

    def _paths(self, survey: Survey) -> Iterator[str]:
        own = OwnFiles.of(self.output, self.files_from)
        for text in self.inputs:
            if text == STDIN:
                yield from self._listed(STDIN)
            else:
                before = survey.found, survey.excluded
                yield from find([text], self.exclude, survey, raw=self.raw, own=own)
                if before == (survey.found, survey.excluded):
                    survey.emptied.append(text)
        if self.files_from is not None:
            yield from self._listed(str(self.files_from))

    @property
    def live(self) -> bool:
        """Whether a list may still be being written: it is on a pipe, a terminal or the like, not in a regular file."""
        if self._stdin_uses and not _is_file(sys.stdin):
            return True
        return self.files_from is not None and str(self.files_from) != STDIN and not self.files_from.is_file()

    def counter(self) -> Callable[[], int] | None:
        """Something that counts the paths; None if they can be read only once."""
        return None if self.live or self._stdin_uses else lambda: sum(1 for _ in self.paths())

    @property
    def _stdin_uses(self) -> int:
        return self.inputs.count(STDIN) + (str(self.files_from) == STDIN)

    def _listed(self, name: str) -> Iterator[str]:
        try:
            if name == STDIN:
                yield from read_list(sys.stdin.buffer, self.null)
            else:
                with Path(name).open("rb") as stream:
                    yield from read_list(stream, self.null)
        except OSError as error:
            raise _unreadable(name, error.strerror) from error


def _is_file(stream: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # it is no file of the system, or closed
        return False


def _is(name: str, file: os.stat_result) -> bool:
    """Whether ``name`` is that file, by whatever path."""
    try:
        return os.path.samestat(os.stat(name), file)  # noqa: PTH116 (Path raises on odd names)
    except (OSError, ValueError):  # nothing of this name, or what can be none
        return False


def _require_readable(file: Path, null: bool) -> None:
    """Raise UsageError for a list that cannot be read or is none. A pipe is not opened: that can be done only once."""
    try:
        mode = file.stat().st_mode
    except OSError as error:
        told = explained(file)
        raise _unreadable(str(file), error.strerror, None if told is None else told.remedy) from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"{file} is a folder, not a list of paths.", "Give a folder as an argument of its own.")
    if not os.access(file, os.R_OK):
        raise _unreadable(str(file), os.strerror(errno.EACCES))
    if stat.S_ISREG(mode):
        require_list(file, null)


def _unreadable(name: str, reason: str | None, remedy: str | None = None) -> UsageError:
    where = "stdin" if name == STDIN else name
    return UsageError(f"The list in {where} cannot be read: {reason}.", remedy or "Give a file that lists paths.")
