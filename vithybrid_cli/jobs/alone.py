"""The process in which suspects are tried: it labels one picture after the other as it is told, and tells that it has.

It reads names as lines of JSON, and writes a line once the network is opened and after each picture. The results are
used for nothing.
"""

import json
import os
import sys
from collections.abc import Iterable
from contextlib import closing, suppress
from typing import BinaryIO

from vithybrid_cli.jobs.choice import Choice
from vithybrid_cli.jobs.job import Job
from vithybrid_cli.jobs.worker import opened
from vithybrid_cli.runs.watch import Silent
from vithybrid_cli.sources.inputs import Sources


def main() -> None:
    """Try what stdin names, of the job that the argument names."""
    told = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever else writes to stdout
    job = Job.open(sys.argv[1])
    with suppress(BrokenPipeError, KeyboardInterrupt):
        _try(job, sys.stdin.buffer, told)


def _try(job: Job, names: Iterable[bytes], told: BinaryIO) -> None:
    classifier = opened(job, Choice(), Silent())
    named = Sources.of(job.reading, offline=job.running.offline).named()
    told.write(b"ready\n")
    for line in names:
        # What raises kills nothing: it is raised again by the worker, which tells of it.
        with suppress(Exception), closing(classifier.outputs([named.item(json.loads(line))], job.reading)) as outputs:
            list(outputs)
        told.write(b"done\n")


if __name__ == "__main__":
    main()
