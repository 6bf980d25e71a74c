"""A job as its folder describes it: what is to be done, which shards there are, and which of them are done."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from vithybrid_cli import __version__
from vithybrid_cli.errors import UsageError
from vithybrid_cli.jobs.folder import Folder, folder_of
from vithybrid_cli.settings import Decoding, Reading, Running, Writing

LAYOUT: Final = 1  # of the folder; another number is of a program that this one does not know
FILE: Final = "job.json"  # the last to be written: where it is, there is a whole plan
NAMES, RESULTS, WORKING, WORKERS, AGAIN = "names", "results", "working", "workers", "again"
_OF_INPUTS = ("inputs", "shards", "archives", "files_from", "null", "exclude", "strict")  # what the names stand for
_OF_RESULTS = ("top_k", "threshold", "activation", "unsure", "rollup")

_PLAN = "Make one with `vithybrid job plan`."
_SHARD = re.compile(r"(\d{6,})(?:\.jsonl)?")

Settings = TypeVar("Settings", Running, Decoding, Reading, Writing)


@dataclass(frozen=True)
class Job:
    """What ``job.json`` says. ``settings`` decide results; ``model`` is a name or path, with the digests of its files.

    ``working_folder`` is the one that names were found from; ``relative`` says whether any of them need it.
    """

    folder: Folder
    running: Running
    reading: Reading
    writing: Writing
    settings: dict[str, Any]
    model: dict[str, Any]
    working_folder: str
    relative: bool
    inputs: int
    shard_size: int
    versions: dict[str, str]

    @classmethod
    def open(cls, name: str) -> "Job":
        """The job in a folder or bucket. Raises UsageError where there is none, or one that is not known here."""
        folder = folder_of(name)
        try:
            content = folder.read(FILE)
        except FileNotFoundError as error:
            raise UsageError(f"There is no job in {name}.", _PLAN) from error
        except NotADirectoryError as error:
            raise UsageError(f"{name} is a file, and not the folder of a job.", _PLAN) from error
        except OSError as error:
            cause = f"The job in {name} cannot be read: {error.strerror or error}."
            raise UsageError(cause, "Make it readable.") from error
        return cls._parsed(folder, content, name)

    @classmethod
    def _parsed(cls, folder: Folder, content: bytes, name: str) -> "Job":
        try:
            facts = json.loads(content)
            layout, version = facts["layout"], facts["version"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise _damaged(name) from error
        if layout != LAYOUT or version != __version__:
            cause = f"The job in {name} was planned by version {version} of vithybrid, and this is {__version__}."
            raise UsageError(cause, f"Install `vithybrid-cli=={version}`, or plan the job anew.")
        try:
            return cls(
                folder=folder,
                running=_settings(Running, facts["running"]),
                reading=replace(
                    _settings(Reading, facts["reading"]), decoding=_settings(Decoding, facts["reading"]["decoding"])
                ),
                writing=_settings(Writing, facts["writing"]),
                settings=dict(facts["settings"]),
                model={"name": str(facts["model"]["name"]), "sha256": dict(facts["model"]["sha256"])},
                working_folder=str(facts["working_folder"]),
                relative=bool(facts["relative"]),
                inputs=_number(facts["inputs"], 0),
                shard_size=_number(facts["shard_size"], 1),
                versions=dict(facts["versions"]),
            )
        except (ValueError, TypeError, KeyError, UsageError) as error:
            raise _damaged(name) from error

    def content(self) -> bytes:
        """What ``job.json`` holds."""
        reading = {name: value for name, value in asdict(self.reading).items() if name not in _OF_INPUTS}
        writing = {name: getattr(self.writing, name) for name in _OF_RESULTS}
        facts = {
            "layout": LAYOUT,
            "version": __version__,
            "inputs": self.inputs,
            "shards": self.shards,
            "shard_size": self.shard_size,
            "settings": self.settings,
            "model": self.model,
            "running": asdict(self.running),
            "reading": reading,
            "writing": writing,
            "working_folder": self.working_folder,
            "relative": self.relative,
            "versions": self.versions,
        }
        return (json.dumps(facts, indent=2) + "\n").encode()

    @property
    def name(self) -> str:
        """Where it lies, as a user may give it."""
        return self.folder.name

    @cached_property
    def shards(self) -> int:
        """How many there are; their numbers begin at 0."""
        return -(-self.inputs // self.shard_size)

    def first(self, shard: int) -> int:
        """The number of a shard's first input, from 0."""
        return shard * self.shard_size

    def size(self, shard: int) -> int:
        """How many inputs a shard has."""
        return min(self.shard_size, self.inputs - self.first(shard))

    def names(self, shard: int) -> list[str]:
        """The names of a shard's inputs, in order. Raises UsageError if they cannot be read or are not all there."""
        file = names_file(shard)
        try:
            found = [json.loads(line) for line in self.folder.read(file).splitlines()]
        except FileNotFoundError as error:
            raise self._damaged_names(file) from error
        except OSError as error:
            cause = f"{file} of the job in {self.name} cannot be read: {error.strerror or error}."
            raise UsageError(cause, "Make it readable, and run the job again.") from error
        except (ValueError, RecursionError) as error:
            raise self._damaged_names(file) from error
        if len(found) != self.size(shard) or not all(isinstance(name, str) for name in found):
            raise self._damaged_names(file)
        return found

    def names_between(self, first: int, end: int) -> list[str]:
        """The names of the inputs from number ``first`` to before ``end``. Raises UsageError as `names` does."""
        found: list[str] = []
        for shard in range(first // self.shard_size, -(-end // self.shard_size)):
            begin = self.first(shard)
            found += self.names(shard)[max(first - begin, 0) : end - begin]
        return found

    def done(self) -> set[int]:
        """The shards that have results and are not to be computed again. Raises UsageError if that cannot be told."""
        return self.with_results() - self.again()

    def with_results(self) -> set[int]:
        """The shards that have results. Raises UsageError if that cannot be told."""
        return self._listed(RESULTS)

    def again(self) -> set[int]:
        """The shards that somebody wants computed again. Raises UsageError if that cannot be told."""
        return self._listed(AGAIN)

    def is_done(self, shard: int) -> bool:
        """Whether one of them is done; asks for that one alone."""
        return self.folder.exists(results_file(shard)) and not self.folder.exists(again_file(shard))

    def _listed(self, where: str) -> set[int]:
        try:
            found = [_SHARD.fullmatch(name) for name in self.folder.list(where)]
        except OSError as error:
            cause = f"The job in {self.name} cannot be read: {error.strerror or error}."
            raise UsageError(cause, "Make it readable.") from error
        return {shard for match in found if match and (shard := int(match[1])) < self.shards}

    def _damaged_names(self, file: str) -> UsageError:
        return UsageError(
            f"{file} of the job in {self.name} does not hold the names that were planned.",
            "Bring the file back, or plan the job anew.",
        )

    def enter(self) -> None:
        """Make its working folder that of this process, as relative names need it. Raises UsageError."""
        if not self.relative:
            return
        try:
            os.chdir(self.working_folder)
        except OSError as error:
            cause = f"The names of the job are relative to {self.working_folder}, which cannot be entered here."
            raise UsageError(cause, "Mount it, or plan the job anew with whole paths.") from error


def names_file(shard: int) -> str:
    """Where the names of a shard lie."""
    return f"{NAMES}/{shard:06}.jsonl"


def results_file(shard: int) -> str:
    """Where the results of a shard lie once they are all there."""
    return f"{RESULTS}/{shard:06}.jsonl"


def again_file(shard: int) -> str:
    """What asks that a shard be computed again."""
    return f"{AGAIN}/{shard:06}"


def require_shards(job: Job, asked: Iterable[int]) -> None:
    """Raise UsageError for a shard that the job does not have."""
    for shard in asked:
        if not 0 <= shard < job.shards:
            there = f"shards 0 to {job.shards - 1}" if job.shards else "no shards"
            raise UsageError(f"There is no shard {shard}: the job in {job.name} has {there}.", "Give one of them.")


def ranges(numbers: Iterable[int], most: int = 20) -> str:
    """Numbers in words: ``0-3, 17``."""
    parts = [f"{first}-{last}" if last > first else str(first) for first, last in _ranges(sorted(numbers))]
    more = len(parts) - most
    return ", ".join(parts[:most]) + (f" and {more} more ranges" if more > 0 else "")


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for number in numbers:
        if first is not None and last is not None and number != last + 1:
            yield first, last
            first = None
        first, last = number if first is None else first, number
    if first is not None and last is not None:
        yield first, last


def is_relative(name: str) -> bool:
    """Whether a name leads to something else from another working folder."""
    place = name.rsplit("::", 1)[-1] if "://" in name else name
    return "://" not in place and not Path(place).is_absolute()


def _settings(kind: type[Settings], facts: dict[str, Any]) -> Settings:
    """Those of this kind, from plain values."""
    known = {item.name for item in fields(kind)} - {"decoding", *_OF_INPUTS}
    return kind(**{name: value for name, value in facts.items() if name in known})


def _number(value: object, least: int) -> int:
    if not isinstance(value, int) or value < least:
        raise ValueError("a number is missing")
    return value


def _damaged(name: str) -> UsageError:
    return UsageError(f"{FILE} in {name} is not that of a job.", "Bring it back, or plan the job anew.")
