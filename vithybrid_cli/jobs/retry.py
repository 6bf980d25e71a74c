"""Shards with records that failed for a passing reason are marked, so that the next run computes them anew."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from vithybrid_cli import errors
from vithybrid_cli.errors import ImageError, UsageError, option
from vithybrid_cli.jobs.folder import unwritable_job
from vithybrid_cli.jobs.job import Job, again_file, results_file
from vithybrid_cli.jobs.part import WrongResults, checked
from vithybrid_cli.jobs.worker import forget

PASSING: Final = ("FetchFailed", "WorkerCrashed", "DecodeTimeout")  # what may go well another time


@dataclass(frozen=True, slots=True)
class Marked:
    """The ``shards`` that are to be computed again, errors in them by type, and how many of them are ``damaged``.

    ``others`` are the errors of types that were not asked for, in all shards.
    """

    shards: tuple[int, ...]
    failed: dict[str, int]
    damaged: int
    others: dict[str, int]

    def in_words(self) -> str:
        """What is to be computed again."""
        if not self.shards and self.others:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.others.items()))
            return f"no record failed for a reason that may pass by itself; {kinds}, which {option('type')} may name"
        if not self.shards:
            return "no record failed"
        parts = [f"{count:,} {kind}" for kind, count in sorted(self.failed.items())]
        if self.damaged:
            parts.append(f"{self.damaged:,} damaged results")
        some = "1 shard is" if len(self.shards) == 1 else f"{len(self.shards):,} shards are"
        return f"{some} to be computed again, for {', '.join(parts)}"


def retry(job: Job, types: Collection[str] = PASSING) -> Marked:
    """Mark all shards with errors of these types, and those whose results are damaged, to be computed again as a whole.

    Their results stay until there are new ones. What is known of crashes in them is forgotten. Raises UsageError for a
    type that is none, and if the job cannot be read or written.
    """
    for kind in types:
        require_type(kind)
    shards, failed, others, damaged = [], Counter[str](), Counter[str](), 0
    try:
        for shard in sorted(job.with_results()):
            found, is_damaged = _failed(job, shard)
            wanted = Counter({kind: count for kind, count in found.items() if kind in types})
            others += found - wanted
            if wanted or is_damaged:
                forget(job, shard)
                job.folder.write(again_file(shard), b"")
                shards.append(shard)
                failed += wanted
                damaged += is_damaged
    except OSError as error:
        raise unwritable_job(job.name, error, "Make it readable and writable.") from error
    return Marked(tuple(shards), dict(failed), damaged, dict(others))


def require_type(name: str) -> None:
    """Raise UsageError unless it is the type of an error record."""
    found = getattr(errors, name, None)
    if not (isinstance(found, type) and issubclass(found, ImageError) and found is not ImageError):
        known = ", ".join(sorted(kind.__name__ for kind in ImageError.__subclasses__()))
        raise UsageError(f"There is no type of error {name!r}.", f"Give one of {known}.")


def _failed(job: Job, shard: int) -> tuple[Counter[str], bool]:
    """How many records of a shard are errors, by type, and whether it is damaged."""
    try:
        with job.folder.open(results_file(shard)) as stream:
            return checked(stream, job.names(shard)).failed, False
    except WrongResults:
        return Counter(), True
