"""The place where a run of `classify` writes its labels: stdout, or a file with what is kept beside it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import BinaryIO, TextIO

from vithybrid_cli.errors import option
from vithybrid_cli.output import Format, Writer, open_text_writer, open_writer
from vithybrid_cli.output.destination import format_of, is_file, opened
from vithybrid_cli.results import ImageResult
from vithybrid_cli.runs.beside import forget_update
from vithybrid_cli.runs.parquet import parquet_writer
from vithybrid_cli.runs.record import RunRecord
from vithybrid_cli.runs.resume import ResumePoint
from vithybrid_cli.runs.stamps import Stamped, StampedWriter, StampLog
from vithybrid_cli.runs.watch import Watch
from vithybrid_cli.settings import Writing


@dataclass(frozen=True, slots=True)
class Place:
    """An open ``writer``; ``on_screen``: people see its results at once; ``apart``: they go to a file."""

    writer: Writer[ImageResult]
    on_screen: bool = False
    apart: bool = True


@contextmanager
def open_place(
    start: ResumePoint,
    record: RunRecord,
    stamped: Stamped,
    where: Writing,
    watch: Watch,
    *,
    single: bool,
    probabilities: bool,
) -> Iterator[Place]:
    """Where a run that begins at ``start`` writes to, once it has its record.

    ``single`` and ``probabilities`` are those of `open_writer`. Raises UsageError where writing fails.
    """
    if record.output_format is Format.PARQUET:
        with _parquet(record, stamped, where, watch) as place:
            yield place
        return
    with _opened(start, record, where, watch) as (stream, chosen, log), interrupt_told(record, watch):
        continued = start.end > 0
        writer: Writer[ImageResult]
        if log is None:
            stamped.stop()
            writer = open_writer(chosen, stream, single=single, continued=continued, probabilities=probabilities)
        else:
            writer = StampedWriter(open_text_writer(chosen, stream, continued=continued), stamped, log)
        with writer:
            yield Place(writer, chosen is Format.TABLE and stream.isatty(), is_file(stream))


@contextmanager
def _parquet(record: RunRecord, stamped: Stamped, where: Writing, watch: Watch) -> Iterator[Place]:
    from vithybrid_cli.output.parquet import ParquetWriter

    def made(stream: BinaryIO) -> ParquetWriter:
        return ParquetWriter(stream, record.settings)

    stamped.stop()
    with parquet_writer(where.output, made, watch) as writer:
        yield Place(writer, apart=record.output is not None)


@contextmanager
def _opened(
    start: ResumePoint, record: RunRecord, where: Writing, watch: Watch
) -> Iterator[tuple[TextIO, Format, StampLog | None]]:
    """The stream to write to, at the place where the run begins, and its format; the record lies beside it then.

    If another run can go on with it, the stamps of the pictures do so too.
    """
    with opened(where.output, keep=start.end, remedy=record.room) as stream:
        if record.output is not None and record.earlier is None:
            forget_update(record.output)
        if warning := record.write():
            watch.warn(warning)
        chosen = Format(where.format) if where.format else format_of(where.output, stream)
        log = None if warning else _stamp_log(record)
        with nullcontext() if log is None else log:
            yield stream, chosen, log


def _stamp_log(record: RunRecord) -> StampLog | None:
    """Where stamps are kept; nowhere if the system refuses, since a run is whole without them."""
    if record.output is None or not record.resumable:
        return None
    try:
        return StampLog(record.output, keep=record.earlier is not None)
    except OSError:
        return None


@contextmanager
def interrupt_told(record: RunRecord, watch: Watch) -> Iterator[None]:
    """Say after an interrupt what is there, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if record.resumable:
            goes_on = f"{option(record.asked)} goes on from there"
            watch.say(f"interrupted after {watch.so_far()}, which are in {record.output}; {goes_on}")
        raise
