"""What was found on the way through the inputs of a run, and what of it was left out."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vithybrid_cli.errors import are, counted, listed, option
from vithybrid_cli.images.suffixes import RAW_SUFFIXES

_NAMED_SUFFIXES = 8
_NAMED_FOLDERS = 3
_NAMED_INPUTS = 3
_NAMED_PATTERNS = 3
# What people would call one; of "at 10.15 h" the rest is none.
_SUFFIX = re.compile(r"(\.tar)?\.[\w~+-]{1,16}")


@dataclass(slots=True)
class Survey:
    """Counts while paths are taken.

    How many were ``found``, and what was left out below folders: files that are no pictures by suffix, pictures that
    lie in no label's folder, those of labels that a model does not learn (``untrained``), folders of the system by
    name, and what the user wanted excluded; of what is ``labelled`` also hidden folders, which might be labels, and
    links to a folder around them (``loops``). ``links`` counts the other links there. ``inputs`` says in
    words where they were looked for; ``only_lists``, that these were lists of paths. ``emptied`` are the folders and
    patterns among them that had nothing to give, without anything being excluded, in their order. ``containers`` is how
    many archives and tables were left out below folders, which could be read. ``excluding`` are the patterns of what is
    excluded, and ``fitted`` those of them that something fits.
    """

    found: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0
    unlabelled_as: str = "in no label's folder"
    untrained: Counter[str] = field(default_factory=Counter)
    system_folders: Counter[str] = field(default_factory=Counter)
    hidden_folders: Counter[str] = field(default_factory=Counter)
    labelled: bool = False
    loops: int = 0
    links: int = 0
    excluded_files: int = 0
    excluded_folders: int = 0
    excluding: Sequence[str] = ()
    fitted: set[str] = field(default_factory=set)
    inputs: Sequence[str] = ()
    emptied: list[str] = field(default_factory=list)
    only_lists: bool = False
    containers: int = 0

    def leave_out(self, suffix: str) -> None:
        """Count a file that is no picture."""
        self.left_out[suffix if _SUFFIX.fullmatch(suffix) else ""] += 1

    def pass_hidden(self, folder: str) -> None:
        """Count a hidden folder of this name, where it might be a label's."""
        if self.labelled:
            self.hidden_folders[folder] += 1

    def exclude(self, patterns: Iterable[str], *, is_folder: bool) -> None:
        """Count a file or folder that is excluded by these patterns."""
        self.fitted.update(patterns)
        if is_folder:
            self.excluded_folders += 1
        else:
            self.excluded_files += 1

    @property
    def excluded(self) -> int:
        """How many files and folders were excluded."""
        return self.excluded_files + self.excluded_folders

    @property
    def raws(self) -> int:
        """How many cameras' raw files were left out."""
        return sum(count for suffix, count in self.left_out.items() if suffix in RAW_SUFFIXES)

    def line(self) -> str | None:
        """What was left out, in words; None for nothing."""
        left_out = ", ".join(self._left_out())
        parts = [f"left out: {left_out}"] if left_out else []
        both = (self.excluded_files, "file"), (self.excluded_folders, "folder")
        if excluded := [counted(count, what) for count, what in both if count]:
            parts.append(f"excluded: {', '.join(excluded)}")
        return "; ".join(parts) or None

    def nothing(self) -> str:
        """That nothing was found, in words: where, and what was left out there."""
        where, one = listed(self.inputs, _NAMED_INPUTS), len(self.inputs) == 1
        if 1 < len(self.inputs) <= _NAMED_INPUTS:
            where = f"{', '.join(self.inputs[:-1])} and {self.inputs[-1]}"
        if self.only_lists:
            return f"{where} {are(len(self.inputs))} empty"
        said = f"{where} {'holds' if one else 'hold'} no pictures that are read"
        line = self.line()
        return said if line is None else f"{said}; {line}"

    def excluded_nothing(self) -> str | None:
        """By which patterns nothing was excluded, and what to do about it, in words; None where there are none."""
        idle = [option("exclude", one) for one in dict.fromkeys(self.excluding) if one not in self.fitted]
        if not idle:
            return None
        fits = "which fits" if len(idle) == 1 else "which fit"
        said = f"note: nothing was left out by {listed(idle, _NAMED_PATTERNS)}, {fits} nothing that would be read"
        return f"{said} below a folder; check the spelling, and that what has a / is the whole path from there"

    def _left_out(self) -> Iterator[str]:
        by_count = sorted(self.left_out.items(), key=lambda item: (-item[1], item[0]))
        named, more = by_count[:_NAMED_SUFFIXES], by_count[_NAMED_SUFFIXES:]
        yield from (f"{count:,} {suffix or 'without a suffix'}" for suffix, count in named)
        if more:
            yield f"{counted(sum(count for _, count in more), 'file')} of {counted(len(more), 'more kind')}"
        if self.unlabelled:
            yield f"{counted(self.unlabelled, 'picture')} {self.unlabelled_as}"
        if self.untrained:
            names = listed(list(self.untrained), _NAMED_FOLDERS)
            yield f"{counted(self.untrained.total(), 'picture')} of labels that are not trained ({names})"
        if self.system_folders:
            names = listed(sorted(self.system_folders), _NAMED_FOLDERS)
            yield f"{counted(self.system_folders.total(), 'folder')} of the system ({names})"
        if self.hidden_folders:
            names = listed(sorted(self.hidden_folders), _NAMED_FOLDERS)
            yield f"{counted(self.hidden_folders.total(), 'hidden folder')} ({names})"
        if self.loops:
            yield f"{counted(self.loops, 'link')} to a folder around {'it' if self.loops == 1 else 'them'}"
