"""What planning, looking at and merging a large job takes, as Markdown: ``python -m benchmarks.scale 100000 1000000``.

No picture is read: the inputs are names in a list, and the results are written here by the writer that workers use. The
commands are run as a user runs them. Requests to a bucket are counted where `RemoteFolder` makes them, on a small job
that a worker really computes. What is said of more inputs than were tried follows from a line through the two largest.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from PIL import Image

from vithybrid_cli.jobs.folder import LocalFolder
from vithybrid_cli.jobs.job import Job, results_file
from vithybrid_cli.jobs.plan import plan
from vithybrid_cli.jobs.worker import Worker
from vithybrid_cli.jobs.workers import WorkerLog
from vithybrid_cli.output import Format, open_text_writer
from vithybrid_cli.results import ImageResult, Prediction
from vithybrid_cli.runs.watch import Silent
from vithybrid_cli.settings import Reading, Running, Writing

PROGRAM = [sys.executable, "-m", "vithybrid_cli", "job"]
LARGE = 10**9
NAME = "/data/photos/{:04}/{:09}.jpg"  # 31 characters, a thousand to a folder
WORDS = ("tabby, tabby cat", "Egyptian cat", "tiger cat", "lynx, catamount", "remote control, remote")


@dataclass(frozen=True, slots=True)
class Taken:
    """What one command took: seconds, seconds of processors, and MB of memory at its peak."""

    seconds: float
    processor: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Scale:
    """A job of so many inputs: what its commands took, by name, and the bytes of its parts."""

    inputs: int
    shards: int
    taken: dict[str, Taken]
    size: dict[str, int]


def main() -> None:
    """Measure, and write the tables to stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs", type=int, nargs="+", help="numbers of inputs to try")
    parser.add_argument("--shard-size", type=int, default=10_000)
    asked = parser.parse_args()
    tried = [measured(inputs, asked.shard_size) for inputs in sorted(asked.inputs)]
    sys.stdout.write("\n".join([*commands_table(tried), "", *sizes_table(tried), "", *requests_table()]) + "\n")


def measured(inputs: int, shard_size: int) -> Scale:
    """Plan, fill, look at and merge a job in a folder of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        names = folder / "names.txt"
        with names.open("w", encoding="utf-8") as lines:
            lines.writelines(NAME.format(number // 1000, number) + "\n" for number in range(inputs))
        job = folder / "job"
        command = ["plan", "--files-from", str(names), "-m", "tiny", "-o", str(job), "--shard-size", str(shard_size)]
        taken = {"plan": ran(command)}
        opened = Job.open(str(job))
        write_results(opened)
        taken["run, with nothing to do"] = ran(["run", str(job)])
        if "status" in subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout:
            taken["status"] = ran(["status", str(job)])
        taken["merge to JSON Lines"] = ran(["merge", str(job), "-o", str(folder / "all.jsonl")])
        taken["merge to CSV"] = ran(["merge", str(job), "-o", str(folder / "all.csv")])
        size = {
            "names": size_of(job / "names"),
            "results": size_of(job / "results"),
            "merged, JSON Lines": size_of(folder / "all.jsonl"),
            "merged, CSV": size_of(folder / "all.csv"),
        }
        return Scale(inputs, opened.shards, taken, size)


def ran(arguments: Sequence[str]) -> Taken:
    """Run a command of `vithybrid job`, which has to end with 0."""
    began = time.monotonic()
    process = subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    assert process.returncode == 0, said.decode()
    memory = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return Taken(time.monotonic() - began, used.ru_utime + used.ru_stime, memory)


def write_results(job: Job) -> None:
    """What workers would have written: five labels for each input, made up."""
    some = random.Random(0)
    labels = [
        tuple(Prediction(some.randrange(1000), some.choice(WORDS), some.random()) for _ in range(5)) for _ in range(997)
    ]
    folder = job.folder
    assert isinstance(folder, LocalFolder)
    log = WorkerLog(folder, "made-up")
    settled = {"activation": "softmax", "engine": "openvino", "device": "cpu", "batch_size": 8, "environment": {}}
    folder.write("settled.json", json.dumps(settled).encode())
    for shard in range(job.shards):
        text = StringIO()
        with open_text_writer(Format.JSONL, text) as writer:
            for number, name in enumerate(job.names(shard)):
                writer.write(ImageResult(name, labels[number % len(labels)]))
        folder.write(results_file(shard), text.getvalue().encode())
        log.add(shard, job.size(shard), job.size(shard), {}, 10.0)


def size_of(path: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.iterdir())


def commands_table(tried: Sequence[Scale]) -> Iterator[str]:
    """Seconds, processor seconds and memory of each command."""
    yield header("", [f"{scale.inputs:,} inputs, {scale.shards:,} shards" for scale in tried] + [f"{LARGE:,} (a line)"])
    for name in tried[-1].taken:
        each = [scale.taken[name] for scale in tried]
        cells = [f"{one.seconds:.1f} s, {one.processor:.1f} s of a core, {one.megabytes:.0f} MB" for one in each]
        hours = carried_on(tried, [one.processor for one in each]) / 3600
        memory = carried_on(tried, [one.megabytes for one in each])
        yield row(name, [*cells, f"{hours:.1f} h of a core, {memory:,.0f} MB"])


def sizes_table(tried: Sequence[Scale]) -> Iterator[str]:
    """Bytes that are written."""
    yield header("", [f"{scale.inputs:,} inputs" for scale in tried] + [f"{LARGE:,} (a line)"])
    for name in tried[-1].size:
        each = [scale.size[name] for scale in tried]
        cells = [f"{size / 1e6:,.1f} MB" for size in each]
        yield row(name, [*cells, f"{carried_on(tried, each) / 1e9:,.0f} GB"])


def carried_on(tried: Sequence[Scale], values: Sequence[float]) -> float:
    """The value at `LARGE` on the line through the last two, or through nothing and the only one."""
    if len(tried) == 1:
        return values[0] / tried[0].inputs * LARGE
    slope = (values[-1] - values[-2]) / (tried[-1].inputs - tried[-2].inputs)
    return max(values[-1] + slope * (LARGE - tried[-1].inputs), 0.0)


def requests_table() -> Iterator[str]:
    """Requests to a bucket: of a plan, of one shard that a worker computes, and of looking for what is done."""
    counted = Requests()
    yield header("", ["GET", "PUT", "LIST", "HEAD", "DELETE"])
    with tempfile.TemporaryDirectory() as place:
        photos = [str(Path(place) / f"{number}.png") for number in range(64)]
        for photo in photos:
            Image.new("RGB", (32, 32)).save(photo)
        what, how = Reading(inputs=tuple(photos)), Running(model="tiny", batch_size=8)
        job = plan(what, how, Writing(), "counted://bucket/job", Silent(), shard_size=16)
        yield counted.row(f"plan of {job.shards} shards")
        job = Job.open("counted://bucket/job")
        yield counted.row("opening a job")
        worker = Worker(job)
        for shard in range(job.shards):
            worker.compute(shard)
            yield counted.row(f"a worker's shard number {shard + 1}, of {job.size(shard)} pictures")
        job.done()
        yield counted.row("what is done")


class Requests:
    """Counts what a bucket is asked, at addresses that begin with ``counted://``, whose files lie in memory."""

    def __init__(self) -> None:
        import fsspec
        from fsspec.implementations.memory import MemoryFileSystem

        self._made = made = Counter[str]()
        kinds = {"cat_file": "GET", "pipe_file": "PUT", "put_file": "PUT", "ls": "LIST", "isfile": "HEAD"}

        class Counted(MemoryFileSystem):  # type: ignore[misc]
            """A bucket."""

            protocol = "counted"
            depth = 0  # what one request is made of is not counted once more

        def counting(name: str, kind: str) -> Any:
            original = getattr(MemoryFileSystem, name)

            def method(self: Counted, *arguments: Any, **named: Any) -> Any:
                made[kind] += Counted.depth == 0
                Counted.depth += 1
                try:
                    return original(self, *arguments, **named)
                finally:
                    Counted.depth -= 1

            return method

        for name, kind in {**kinds, "rm_file": "DELETE", "open": "GET"}.items():
            setattr(Counted, name, counting(name, kind))
        fsspec.register_implementation("counted", Counted, clobber=True)

    def row(self, what: str) -> str:
        """A row of what was asked since the last one."""
        made = self._made.copy()
        self._made.clear()
        return row(what, [str(made[kind]) for kind in ("GET", "PUT", "LIST", "HEAD", "DELETE")])


def header(first: str, cells: Sequence[str]) -> str:
    """The first two lines of a table."""
    return row(first, cells) + "\n" + row("---", ["---:"] * len(cells))


def row(first: str, cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {first} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
