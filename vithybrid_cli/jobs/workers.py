"""What workers tell of the shards they have done, for `status` alone: nothing else depends on it."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from vithybrid_cli.jobs.folder import Folder
from vithybrid_cli.jobs.job import WORKERS


@dataclass(frozen=True, slots=True)
class ShardDone:
    """One shard: how many results, how many of them were computed here, in how many seconds, and errors by type.

    ``at`` is when, in seconds since 1970.
    """

    shard: int
    pictures: int
    computed: int
    failed: dict[str, int]
    seconds: float
    at: float


class WorkerLog:
    """What one worker tells. Nothing is raised: results are whole without it."""

    def __init__(self, folder: Folder, tag: str) -> None:
        self._folder, self._name = folder, f"{WORKERS}/{tag}-{int(time.time())}.jsonl"
        self._lines: list[bytes] = []

    def add(self, shard: int, pictures: int, computed: int, failed: dict[str, int], seconds: float) -> None:
        """A shard is done."""
        told = ShardDone(shard, pictures, computed, failed, round(seconds, 3), round(time.time(), 3))
        with suppress(OSError):
            self._add((json.dumps(asdict(told)) + "\n").encode())

    def _add(self, line: bytes) -> None:
        if self._folder.local is None:  # in a bucket nothing can be appended
            self._lines.append(line)
            self._folder.write(self._name, b"".join(self._lines))
            return
        file = self._folder.local / self._name
        file.parent.mkdir(exist_ok=True)
        with file.open("ab") as stream:
            stream.write(line)


def told(folder: Folder) -> Iterator[tuple[str, list[ShardDone]]]:
    """What each worker has told, by its name. Raises OSError."""
    for name in sorted(folder.list(WORKERS)):
        if name.endswith(".jsonl"):
            with suppress(FileNotFoundError):
                yield name.removesuffix(".jsonl"), list(_parsed(folder.read(f"{WORKERS}/{name}")))


def _parsed(content: bytes) -> Iterator[ShardDone]:
    for line in content.splitlines():
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            facts: Any = json.loads(line)
            failed = {str(kind): int(count) for kind, count in facts["failed"].items()}
            shard, pictures, computed = (int(facts[name]) for name in ("shard", "pictures", "computed"))
            yield ShardDone(shard, pictures, computed, failed, float(facts["seconds"]), float(facts["at"]))
