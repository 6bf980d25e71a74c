"""Whether results were cut, as by a disk that lost their end: told from the last lines alone."""

import json
import os
from contextlib import suppress
from pathlib import Path

from vithybrid_cli.jobs.job import Job, again_file, names_file, results_file

_TAIL = 2**16  # bytes, which hold the last line, with all labels that it may have


def is_cut(job: Job, shard: int) -> bool:
    """Whether the results of a shard do not end with that of its last input; then the shard is marked.

    Only on a disk: in a bucket a file is put whole. What cannot be read is left to whoever needs it.
    """
    local = job.folder.local
    if local is None:
        return False
    with suppress(OSError, ValueError, IndexError):
        name = json.loads(_last_line(local / names_file(shard)))
        if not _ends_with(local / results_file(shard), name):
            job.folder.write(again_file(shard), b"")
            return True
    return False


def _ends_with(file: Path, name: str) -> bool:
    line = _last_line(file)
    try:
        return line.endswith(b"}\n") and bool(json.loads(line)["path"] == name)
    except (ValueError, TypeError, KeyError):
        return len(line) == _TAIL  # so many labels that the beginning is not there


def _last_line(file: Path) -> bytes:
    with file.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
        lines = stream.read().splitlines(keepends=True)
    return lines[-1] if lines else b""
