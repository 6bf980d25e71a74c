"""How far a job is, from one listing of its results and what its workers tell."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vithybrid_cli.errors import UsageError
from vithybrid_cli.jobs.crashes import hands_in
from vithybrid_cli.jobs.job import WORKING, Job, ranges, results_file
from vithybrid_cli.jobs.part import WrongResults, checked
from vithybrid_cli.jobs.workers import ShardDone, told

_PATIENCE = 3.0  # how many times its last shard a worker may take for the next one before it counts as gone
_LEAST = 60.0  # seconds that it may take in any case


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What one worker has done: pictures per second over all its shards; ``at_work``, whether it told so lately."""

    name: str
    shards: int
    pictures: int
    rate: float
    at_work: bool


@dataclass(frozen=True, slots=True)
class Status:
    """How far a job is. ``under_way`` are pictures of shards that are not done; ``seconds_left`` is None if unknown."""

    name: str
    shards: int
    shards_done: int
    inputs: int
    done: int
    under_way: int
    failed: dict[str, int]
    again: int
    left: str
    workers: tuple[WorkerStatus, ...]
    seconds_left: float | None

    def facts(self) -> dict[str, Any]:
        """This as plain values by section."""
        return {
            "job": {"folder": self.name, "inputs": self.inputs, "shards": self.shards},
            "done": {
                "shards": self.shards_done,
                "pictures": self.done,
                "under_way": self.under_way,
                "failed": sum(self.failed.values()),
                "shards_to_run_again": self.again,
                "shards_left": self.left or "none",
                "seconds_left": self.seconds_left,
            },
            "failed": self.failed,
            "workers": {
                worker.name: {
                    "shards": worker.shards,
                    "pictures": worker.pictures,
                    "per_second": round(worker.rate, 2),
                    "at_work": worker.at_work,
                }
                for worker in self.workers
            },
        }


def status(job: Job) -> Status:
    """Look at a job; nothing is changed. Raises UsageError if it cannot be read."""
    try:
        by_worker = dict(told(job.folder))
        again, with_results = job.again(), job.with_results()
        done = with_results - again
        workers = tuple(_worker(name, shards, time.time()) for name, shards in by_worker.items() if shards)
        under_way = _under_way(job, done)
        failed = _failed(job, with_results, by_worker)
    except OSError as error:
        cause = f"The job in {job.name} cannot be read: {error.strerror or error}."
        raise UsageError(cause, "Make it readable.") from error
    pictures = sum(map(job.size, done))
    rate = sum(worker.rate for worker in workers if worker.at_work)
    left = job.inputs - pictures - under_way
    return Status(
        name=job.name,
        shards=job.shards,
        shards_done=len(done),
        inputs=job.inputs,
        done=pictures,
        under_way=under_way,
        failed=dict(sorted(failed.items())),
        again=len(again & with_results),
        left=ranges(set(range(job.shards)) - done),
        workers=workers,
        seconds_left=0.0 if left <= 0 else round(left / rate, 1) if rate else None,
    )


def _worker(name: str, shards: list[ShardDone], now: float) -> WorkerStatus:
    seconds, last = sum(shard.seconds for shard in shards), shards[-1]
    computed = sum(shard.computed for shard in shards)
    at_work = now - last.at <= max(_LEAST, _PATIENCE * last.seconds)
    return WorkerStatus(name, len(shards), computed, computed / seconds if seconds else 0.0, at_work)


def _failed(job: Job, with_results: set[int], by_worker: dict[str, list[ShardDone]]) -> Counter[str]:
    """Errors by type. Results are read only of shards that no worker tells of."""
    latest: dict[int, ShardDone] = {}
    for shards in by_worker.values():
        for shard in shards:
            if shard.shard in with_results and (shard.shard not in latest or latest[shard.shard].at < shard.at):
                latest[shard.shard] = shard
    failed: Counter[str] = Counter()
    for told_of in latest.values():
        failed.update(told_of.failed)
    for number in with_results - latest.keys():
        with suppress(WrongResults, FileNotFoundError), job.folder.open(results_file(number)) as stream:
            failed += checked(stream, job.names(number)).failed
    return failed


def _under_way(job: Job, done: set[int]) -> int:
    """How many pictures of shards that are not done have results, as far as their workers note it."""
    return sum(max(0, first - job.first(shard)) for shard, first in _noted(job) if shard not in done)


def _noted(job: Job) -> Iterator[tuple[int, int]]:
    for name in job.folder.list(WORKING):
        shard = name.split(".")[0]
        if name.endswith(".hands") and shard.isdecimal():
            with suppress(FileNotFoundError):
                note = hands_in(job.folder.read(f"{WORKING}/{name}"))
                if note is not None and int(shard) < job.shards:
                    yield int(shard), note[0].first
