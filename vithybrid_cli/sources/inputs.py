"""What a command reads: its arguments, a list of names on stdin (``-``), and a file that lists names."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Self, TextIO

from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.names import explained
from vithybrid_cli.images.suffixes import suffix_of
from vithybrid_cli.items import Item
from vithybrid_cli.settings import DEFAULT_MAX_BYTES, Reading
from vithybrid_cli.sources.braces import expanded, has_braces
from vithybrid_cli.sources.containers import Wanted, is_member_name, kind_of_container
from vithybrid_cli.sources.exclude import Exclude
from vithybrid_cli.sources.find import find
from vithybrid_cli.sources.lists import read_list, require_list
from vithybrid_cli.sources.named import Named
from vithybrid_cli.sources.own_files import OwnFiles
from vithybrid_cli.sources.pattern import is_pattern
from vithybrid_cli.sources.remote.addresses import is_address, is_web, require
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.tables.kinds import check_table, pictures_in_table
from vithybrid_cli.sources.tables.suffixes import scheme_of_table

STDIN = "-"
_MOST_CHECKED = 10_000  # names of a pattern with braces that are looked at before the run
_LIST_ON_STDIN = "the list on stdin"


@dataclass(frozen=True, slots=True)
class Sources:
    """The inputs of one run, which writes to ``output``: its own file in a folder of pictures is nothing left out.

    ``raw``: cameras' raw files are pictures. ``archives``: what lies in archives and tables below folders is read.
    ``shards`` are more inputs, after the others. ``column`` and ``max_bytes`` are those of
    `vithybrid_cli.sources.containers.Wanted`, and so is ``offline``.
    """

    inputs: tuple[str, ...]
    files_from: Path | None = None
    null: bool = False
    exclude: tuple[str, ...] = ()
    output: Path | None = None
    raw: bool = False
    archives: bool = False
    shards: tuple[str, ...] = ()
    column: str | None = None
    max_bytes: int = DEFAULT_MAX_BYTES
    offline: bool = False

    @classmethod
    def of(cls, reading: Reading, output: Path | None = None, *, offline: bool = False) -> Self:
        """Those that a run was asked to read."""
        return cls(
            reading.inputs,
            reading.files_from,
            reading.null,
            reading.exclude,
            output,
            raw=reading.decoding.raw_preview,
            archives=reading.archives,
            shards=reading.shards,
            column=reading.column,
            max_bytes=reading.max_bytes,
            offline=offline,
        )

    def check(self) -> None:
        """Raise UsageError for what is wrong before anything is loaded."""
        if not self.inputs and not self.shards and self.files_from is None:
            raise UsageError("There are no inputs.", "Give pictures, folders or patterns, or - for paths on stdin.")
        if self._stdin_uses and sys.stdin is None:
            raise UsageError("Stdin is closed, so there is no list to read.", "Give the list with {files_from}.")
        if self._stdin_uses > 1:
            raise UsageError("Stdin can be read only once.", "Give - in one place.")
        if self.null and not self._stdin_uses and self.files_from is None:
            raise UsageError("There is no list of paths to split at NUL bytes.", "Leave out {null}, or give a list.")
        for shard in self.shards:
            _require_archives(shard)
        for address in filter(is_address, self._all):
            require(address, offline=self.offline)
        if self.files_from is not None and str(self.files_from) != STDIN:
            _require_readable(self.files_from, self.null)
        self._check_tables()

    def _check_tables(self) -> None:
        """Raise UsageError where the first that an input has is a table of which no picture can be read."""
        wanted = self.named().wanted
        for given in self._all:
            text = next(_meant(given), STDIN)
            if text != STDIN and (first := next(self._found(text, Survey()), None)) is not None:
                check_table(first, wanted)

    def require_apart(self, output: Path | None) -> None:
        """Raise UsageError if ``output`` is a picture or list that was named as an input: it would be overwritten."""
        try:
            written = None if output is None else output.stat()
        except OSError:  # not there, or a name that none can have
            return
        if written is None or not stat.S_ISREG(written.st_mode):
            return
        inputs = (text for given in self._all for text in islice(_meant(given), _MOST_CHECKED))
        named = [text for text in (*inputs, str(self.files_from or STDIN)) if text != STDIN]
        if any(_is(text, written) for text in named):
            raise UsageError(f"{output} is an input, which would be overwritten.", "Give another {output}.")

    @property
    def single(self) -> bool:
        """Whether one file is all that was asked for."""
        if self.files_from is not None or self.shards or len(self.inputs) != 1:
            return False
        (name,) = self.inputs
        if name == STDIN or kind_of_container(name) is not None:
            return False
        return is_member_name(name) or os.path.isfile(name)  # noqa: PTH113 (Path raises on odd names)

    def items(self, survey: Survey | None = None) -> Iterator[Item]:
        """All pictures, lazily: those of the arguments in their order, then of the file; ``survey`` counts them."""
        survey = Survey() if survey is None else survey
        survey.inputs, survey.only_lists = self._named(), set(self._all) <= {STDIN}
        survey.excluding = self.exclude
        for item in self._items(survey):
            survey.found += 1
            yield item

    def named(self, survey: Survey | None = None) -> Named:
        """What makes items of the names that `items` gave, as it does."""
        return Named(
            Wanted(
                survey=Survey() if survey is None else survey,
                exclude=Exclude.of(self.exclude),
                raw=self.raw,
                column=self.column,
                max_bytes=self.max_bytes,
                offline=self.offline,
            )
        )

    @property
    def _all(self) -> tuple[str, ...]:
        return self.inputs + self.shards

    def _named(self) -> list[str]:
        """Where pictures are looked for, in words."""
        lists = [] if self.files_from is None else [str(self.files_from)]
        named = [_LIST_ON_STDIN if text == STDIN else text for text in self._all]
        return named + [_LIST_ON_STDIN if text == STDIN else f"the list in {text}" for text in lists]

    def _items(self, survey: Survey) -> Iterator[Item]:
        named = self.named(survey)
        for text in self._meant():
            if text == STDIN:
                yield from self._listed(STDIN, named)
            else:
                before = survey.found, survey.excluded
                for path in self._found(text, survey):
                    yield from named.items(path)
                if before == (survey.found, survey.excluded):
                    survey.emptied.append(text)
        for shard in self.shards:
            for path in self._archives(shard, survey):
                yield from named.items(path)
        if self.files_from is not None:
            yield from self._listed(str(self.files_from), named)

    def _meant(self) -> Iterator[str]:
        """The inputs, each of those that one with braces stands for."""
        return chain.from_iterable(map(_meant, self.inputs))

    def _found(self, text: str, survey: Survey) -> Iterator[str]:
        own = OwnFiles.of(self.output, self.files_from)
        archives, column = self.archives, self.column
        return find([text], self.exclude, survey, raw=self.raw, archives=archives, column=column, own=own)

    def _archives(self, shard: str, survey: Survey) -> Iterator[str]:
        """The archives that a pattern of shards is for; what else it matches is counted."""
        own = OwnFiles.of(self.output, self.files_from)
        for text in _meant(shard):
            for path in find([text], self.exclude, survey, raw=self.raw, archives=True, own=own):
                if path == text or kind_of_container(path) is not None:
                    yield path
                else:
                    survey.leave_out(suffix_of(path))

    @property
    def live(self) -> bool:
        """Whether a list may still be being written: it is on a pipe, a terminal or the like, not in a regular file."""
        if self._stdin_uses and not _is_file(sys.stdin):
            return True
        return self.files_from is not None and str(self.files_from) != STDIN and not self.files_from.is_file()

    def counter(self) -> Callable[[], int | None] | None:
        """Something that counts the pictures; None if they can be read only once.

        It gives None where that would take as long as to read them, or requests: there is a compressed archive among
        the inputs, or what has to be listed or opened at an address.
        """
        return None if self.live or self._stdin_uses else self._count

    def _count(self) -> int | None:
        if any(is_address(text) and not is_web(text) for text in self._all):
            return None
        survey, count = Survey(), 0
        named = self.named(survey)
        found = chain.from_iterable(self._found(text, survey) for text in self._meant())
        shards = chain.from_iterable(self._archives(shard, survey) for shard in self.shards)
        listed = iter(()) if self.files_from is None else self._entries(str(self.files_from))
        for path in chain(found, shards, listed):
            kind = kind_of_container(path)
            if kind is None:
                count += 1
            elif path.lower().endswith(kind.streamed) or is_address(path):
                return None
            elif scheme_of_table(path) is not None:
                rows = pictures_in_table(path, named.wanted)
                if rows is None:
                    return None
                count += rows
            else:
                count += sum(1 for _ in named.items(path))
        return count

    @property
    def _stdin_uses(self) -> int:
        return self.inputs.count(STDIN) + (str(self.files_from) == STDIN)

    def _listed(self, name: str, named: Named) -> Iterator[Item]:
        for entry in self._entries(name):
            yield from named.items(entry)

    def _entries(self, name: str) -> Iterator[str]:
        try:
            if name == STDIN:
                yield from read_list(sys.stdin.buffer, self.null)
            else:
                with Path(name).open("rb") as stream:
                    yield from read_list(stream, self.null)
        except OSError as error:
            raise _unreadable(name, error.strerror) from error


def find_pictures(
    *inputs: str | os.PathLike[str],
    exclude: Sequence[str] = (),
    archives: bool = False,
    column: str | None = None,
    raw_preview: bool = False,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Iterator[Item]:
    """The pictures in files, folders, patterns, archives and tables, for `Classifier.classify` and `Embedder.embed`.

    They come lazily and in the order in which the commands read the same ``inputs``; the settings are those of the
    options of the same names. What cannot be read is an item that becomes a result with an error. Raises UsageError
    where there are no inputs.
    """
    sources = Sources(
        tuple(map(os.fsdecode, inputs)),
        exclude=tuple(exclude),
        raw=raw_preview,
        archives=archives,
        column=column,
        max_bytes=max_bytes,
    )
    sources.check()
    return sources.items()


def _meant(text: str) -> Iterator[str]:
    """What an input with braces stands for, unless there is something of that very name."""
    if not has_braces(text) or is_member_name(text) or os.path.lexists(text):
        return iter((text,))
    return expanded(text)


def _require_archives(shard: str) -> None:
    """Raise UsageError for what is no archive by its name; of very many shards the first ones are looked at."""
    for name in islice(_meant(shard), _MOST_CHECKED):
        if os.path.isdir(name):  # noqa: PTH112 (Path raises on odd names)
            raise UsageError(f"{name} is a folder, not an archive.", "Give it as an input, with {archives=True}.")
        if kind_of_container(name) is None and not is_pattern(name):
            raise UsageError(f"{name} is no archive by its name.", "Give {shards} archives alone, and it as an input.")


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
