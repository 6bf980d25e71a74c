"""Whether a disk has room for what a training run writes: better told before the first epoch than after it."""

import math
import shutil
from pathlib import Path

from vithybrid_cli.errors import UsageError

_MIB = 2**20


def require_room(out: Path, files: dict[str, int], writes: int) -> None:
    """Raise UsageError if the folder ``out`` clearly lacks room for ``files``, by name and bytes.

    They are written so many times, each time beside what was there before, whose place it takes then.
    """
    try:
        usage = shutil.disk_usage(out)
        there = {name: (out / name).stat().st_size for name in files if (out / name).exists()}
    except OSError:
        return  # who cannot tell this may still be able to write
    again = max(files.values()) if writes > 1 or there else 0
    needed = sum(max(size - there.get(name, 0), 0) for name, size in files.items()) + again
    if usage.total and usage.free < needed:  # some file systems do not say
        checkpoint = ", ".join(f"{name} of {_mebibytes(size)}" for name, size in files.items())
        raise UsageError(
            f"{out} has room for {usage.free // _MIB:,} MiB, and this run needs {_mebibytes(needed)} there: it writes "
            f"{checkpoint}, and each anew before the old one goes.",
            "Make room, or give an {output} elsewhere.",
        )


def _mebibytes(size: int) -> str:
    return f"{math.ceil(size / _MIB):,} MiB"
