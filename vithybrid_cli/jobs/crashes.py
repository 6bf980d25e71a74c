"""What is known of the deaths of workers: which pictures were in their hands, and which of them kill.

Before pictures are taken, a worker notes which ones. A note that is there when a shard is begun was left by a worker
that died, or by one that is still at work where locks do not hold. Pictures that were in the hands of two dead workers
are suspects: they are tried one by one, alone, in a process of their own.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from vithybrid_cli.errors import WorkerCrashed
from vithybrid_cli.jobs.folder import Folder
from vithybrid_cli.jobs.job import WORKING

_ENOUGH = 2  # deaths of processes that tried one picture alone; one may have had another reason, as a killed machine
_MOST_DEATHS = 16  # that are kept


@dataclass(frozen=True, slots=True)
class Span:
    """The inputs of a job from number ``first`` to before ``end``."""

    first: int
    end: int

    def common(self, other: "Span") -> "Span":
        """What both have, which may be nothing."""
        return Span(max(self.first, other.first), min(self.end, other.end))

    def __bool__(self) -> bool:
        return self.first < self.end


@dataclass(slots=True)
class Crashes:
    """What earlier attempts at a shard tell. Numbers are those of inputs in the job.

    ``deaths`` are what dead workers had in their hands; ``guilty`` says how a picture has ended the processes that
    tried it; ``tried`` counts how often it did.
    """

    folder: Folder
    shard: int
    deaths: list[Span] = field(default_factory=list)
    guilty: dict[int, str] = field(default_factory=dict)
    tried: dict[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Folder, shard: int) -> Self:
        """What is known of a shard; nothing, where the file is damaged."""
        found = cls(folder, shard)
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            facts = json.loads(folder.read(crashes_file(shard)))
            found.deaths = [Span(int(first), int(end)) for first, end in facts["deaths"]]
            found.guilty = {int(number): str(how) for number, how in facts["guilty"].items()}
            found.tried = {int(number): int(times) for number, times in facts["tried"].items()}
        return found

    def write(self) -> None:
        """Keep it. Raises OSError."""
        facts = {
            "deaths": [[span.first, span.end] for span in self.deaths[-_MOST_DEATHS:]],
            "guilty": self.guilty,
            "tried": self.tried,
        }
        self.folder.write(crashes_file(self.shard), json.dumps(facts).encode() + b"\n")

    def add_death(self, hands: Span) -> None:
        """A worker died with these in its hands."""
        if hands:
            self.deaths.append(hands)

    def add_trial(self, number: int, how: str) -> None:
        """A process that tried a picture alone has ended: ``how``, in words. The second time that is a verdict."""
        self.tried[number] = self.tried.get(number, 0) + 1
        if self.tried[number] >= _ENOUGH:
            self.guilty[number] = how

    @property
    def suspects(self) -> list[int]:
        """The pictures that were in the hands of two dead workers, and are not known to be guilty, in order."""
        found: set[int] = set()
        for index, one in enumerate(self.deaths):
            for other in self.deaths[:index]:
                common = one.common(other)
                found |= set(range(common.first, common.end))
        return sorted(found - self.guilty.keys())

    def acquit(self) -> None:
        """All suspects were tried: those that are not guilty have killed nobody."""
        self.deaths.clear()
        self.tried.clear()

    def error(self, number: int) -> WorkerCrashed:
        """The error of a picture that is guilty."""
        return WorkerCrashed(
            f"The process that labelled this picture, and no other, ended ({self.guilty[number]}).",
            "Leave it out, save it again with another program, or raise the memory of the worker.",
        )


def crashes_file(shard: int) -> str:
    """Where that lies."""
    return f"{WORKING}/{shard:06}.crashes"


def hands_in(content: bytes) -> tuple[Span, int | None] | None:
    """What a note tells: what a worker had in its hands, and the picture that it was trying, if it was.

    None for a note that was cut.
    """
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        facts: Any = json.loads(content)
        return Span(int(facts["first"]), int(facts["end"])), facts.get("trying")
    return None
