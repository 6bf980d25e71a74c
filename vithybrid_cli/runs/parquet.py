"""Where a run writes Parquet: into a file that appears when the run ends or is interrupted, or into a pipe."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from vithybrid_cli.errors import UsageError
from vithybrid_cli.output.destination import DISK_ERRORS, is_plain_file, opened, unwritable
from vithybrid_cli.output.formats import Writer
from vithybrid_cli.output.parquet import how_made, require_parquet
from vithybrid_cli.output.read_back import DamagedOutput
from vithybrid_cli.output.write_results import replacing
from vithybrid_cli.results import Outcome
from vithybrid_cli.runs.beside import forget_run
from vithybrid_cli.runs.watch import Watch

Result = TypeVar("Result", bound=Outcome, contravariant=True)


class FooterWriter(Writer[Result], Protocol[Result]):
    """A writer of a file that is none before the writer is closed."""

    rows: int

    @property
    def whole(self) -> bool:
        """Whether it was closed, and all was written."""


def require_parquet_place(output: Path | None) -> None:
    """Raise UsageError where Parquet cannot be written: its library is missing, stdout is a terminal, or a table there.

    A table that no run has written is somebody's data, perhaps even an input.
    """
    require_parquet()
    if output is not None and is_plain_file(output) and output.exists() and output.stat().st_size:
        _require_results(output)
    if output is None and sys.stdout is not None and sys.stdout.isatty():
        raise _for_people("Stdout")


def _require_results(output: Path) -> None:
    try:
        made = how_made(output)
    except (UsageError, DamagedOutput, OSError):  # no table at all: as any other file it is written over
        return
    if not made:
        cause = f"{output} is a table that vithybrid has not written, and it would be overwritten."
        raise UsageError(cause, "Give another {output}.")


def _for_people(where: object) -> UsageError:
    return UsageError(
        f"{where} is a terminal, and Parquet is for programs.", "Give {output=NAME.parquet}, or another {format}."
    )


@contextmanager
def parquet_writer(
    output: Path | None, opened_writer: Callable[[BinaryIO], FooterWriter[Result]], watch: Watch
) -> Iterator[Writer[Result]]:
    """What ``opened_writer`` makes of the stream to write to: stdout, a pipe, or a file that takes the place of others.

    The file appears when the block ends, or when an interrupt ends it, with what was written till then, which is said.
    Otherwise what was there stays. Raises UsageError if the system refuses.
    """
    if output is None or not is_plain_file(output):
        with opened(output) as stream:
            if stream.isatty():
                raise _for_people("Stdout" if output is None else output)
            with opened_writer(stream.buffer) as piped:
                yield piped
    else:
        begun = False
        try:
            with _into_file(output, opened_writer, watch) as writer:
                begun = True
                yield writer
        except OSError as error:
            if begun and error.errno not in DISK_ERRORS:
                raise
            raise unwritable(output, error) from error


@contextmanager
def _into_file(
    output: Path, opened_writer: Callable[[BinaryIO], FooterWriter[Result]], watch: Watch
) -> Iterator[Writer[Result]]:
    interrupt: KeyboardInterrupt | None = None
    with replacing(output) as part, part.open("wb") as stream:
        writer = opened_writer(stream)
        with writer:
            try:
                yield writer
            except KeyboardInterrupt as error:
                if not writer.rows:  # what was there is worth more
                    raise
                interrupt = error
        if interrupt is not None and not writer.whole:  # by a second one that came while the footer was written
            raise interrupt
        stream.flush()
        forget_run(output)
    if interrupt is not None:
        watch.say(
            f"interrupted after {watch.so_far()}, which are in {output}; no run goes on with a Parquet file, "
            "but with jsonl, or with the parts of `vithybrid job plan`"
        )
        raise interrupt
