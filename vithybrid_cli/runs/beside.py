"""The files that a run keeps beside its output: how it was made, what of, and what an update has not put in yet."""

import os
from pathlib import Path

from vithybrid_cli.output.destination import unwritable
from vithybrid_cli.runs.journal import journal_file
from vithybrid_cli.runs.record import record_file
from vithybrid_cli.runs.stamps import stamp_file


def files_beside(output: Path) -> tuple[Path, ...]:
    """All of them, whether they are there or not."""
    return record_file(output), stamp_file(output), journal_file(output)


def forget_update(output: Path) -> None:
    """Remove what was known of the pictures of a file that begins anew. Raises UsageError where that fails."""
    _remove(stamp_file(output), journal_file(output))


def forget_run(output: Path) -> None:
    """Remove all of them, since the file is about to hold something else. Raises UsageError where that fails."""
    _remove(*files_beside(output))


def _remove(*files: Path) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            if os.path.lexists(file):  # if not, it is a name that none can have
                raise unwritable(file, error) from error
