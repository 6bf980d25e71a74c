"""Pictures become features in a file or on stdout: one run from end to end."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from vithybrid_cli.choices import Feature
from vithybrid_cli.errors import UsageError
from vithybrid_cli.output import Format, Writer
from vithybrid_cli.output.destination import (
    DISK_ERRORS,
    is_file,
    is_plain_file,
    opened,
    require_writable,
    suffix_format,
    unwritable,
)
from vithybrid_cli.output.formats import EmbeddingFormat, prepare_stream
from vithybrid_cli.output.json_records import JsonLinesWriter
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.results import EmbeddingResult
from vithybrid_cli.runs.beside import forget_update
from vithybrid_cli.runs.interrupts import Interrupts
from vithybrid_cli.runs.label import computed_by, decided
from vithybrid_cli.runs.model import recorded_checkpoint, require_apart_from_model
from vithybrid_cli.runs.parquet import parquet_writer, require_parquet_place
from vithybrid_cli.runs.place import interrupt_told
from vithybrid_cli.runs.record import RunRecord, lines_file, open_record
from vithybrid_cli.runs.resume import ResumePoint, resume_point
from vithybrid_cli.runs.watch import Begin, Tally, Watch, tell_survey
from vithybrid_cli.runs.write import all_there_in, noted, write_results
from vithybrid_cli.settings import Reading, Running, Writing
from vithybrid_cli.sources.inputs import Sources
from vithybrid_cli.sources.survey import Survey

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.pipeline.embedder import Embedder

_OF_LABELS = {"top_k", "threshold", "activation", "unsure", "rollup"}


def embed(what: Reading, how: Running, where: Writing, feature: Feature, watch: Watch) -> Tally:
    """Write a ``feature`` of each picture of ``what``; otherwise as `vithybrid_cli.runs.label.label`, but no updates.

    Raises UsageError, ModelError and Interrupted as that does.
    """
    sources = Sources.of(what, where.output, offline=how.offline)
    sources.check()
    chosen = EmbeddingFormat(where.format) if where.format else _format_of(where.output)
    _require_places(sources, where, chosen)
    record = _open_record(where, chosen)
    record.settle(format=str(chosen), feature=str(feature))
    record.settle(**{name: value for name, value in decided(what, how, where).items() if name not in _OF_LABELS})
    checkpoint = recorded_checkpoint(how, record, watch)
    require_apart_from_model(where.output, checkpoint)
    survey = Survey()
    start = resume_point(record, sources.items(survey), strict=what.strict)
    if start.complete and record.output is not None and _has_width(record.output, chosen):
        tally = _finish(record.output, chosen, start, record, watch)
    else:
        embedder = _settled_embedder(checkpoint, record, how, feature)
        if record.earlier is None or sources.live:
            record.note(live=sources.live)
        tally = _embed(embedder, sources, start, record, chosen, what, where, watch)
    tell_survey(survey, watch)
    return tally


def _require_places(sources: Sources, where: Writing, chosen: EmbeddingFormat) -> None:
    """Raise UsageError if what is to be written cannot be, or is an input."""
    if chosen is EmbeddingFormat.PARQUET:
        require_parquet_place(where.output)
    require_writable(where.output)
    for file in _files(where.output, chosen):
        require_writable(file)
        if not where.resume:  # which keeps what is there
            sources.require_apart(file)


def _open_record(where: Writing, chosen: EmbeddingFormat) -> RunRecord:
    """A record whose format is that of the lines. Raises UsageError."""
    output_format = Format.PARQUET if chosen is EmbeddingFormat.PARQUET else Format.JSONL
    return open_record(where.output, output_format, "resume" if where.resume else None, features=True)


def _settled_embedder(checkpoint: "Checkpoint", record: RunRecord, how: Running, feature: Feature) -> "Embedder":
    """The embedder of a run, whose settings are those of an earlier one if there is any. Raises UsageError."""
    limit = None
    if record.earlier is not None:
        how, limit = replace(how, batch_size=record.earlier.batch_size), record.earlier.batch_limit
    embedder = open_embedder(checkpoint, how, feature, limit)
    record.settle(**computed_by(embedder.engine))
    return embedder


def open_embedder(
    checkpoint: "Checkpoint", how: Running, feature: Feature, batch_limit: int | None = None
) -> "Embedder":
    """What `Embedder.open` gives; imported late, since ``vithybrid --help`` must not pay for NumPy and Pillow."""
    from vithybrid_cli.pipeline.embedder import Embedder

    return Embedder.open(checkpoint, how, feature, batch_limit)


def _embed(
    embedder: "Embedder",
    sources: Sources,
    start: ResumePoint,
    record: RunRecord,
    chosen: EmbeddingFormat,
    what: Reading,
    where: Writing,
    watch: Watch,
) -> Tally:
    """What is left to turn into features, into what is there already."""
    engine = embedder.engine
    outputs = embedder.outputs(start.items, what, live=sources.live)
    results = (embedder.result(path, output) for path, output in outputs)
    tally = Tally(start.done, start.failed)
    destination = _destination(where.output, chosen, embedder.width, start, record, watch)
    with closing(outputs), Interrupts() as interrupts, destination as (writer, apart):
        begin = Begin(sources.counter(), start.done, start.failed, alone=sources.single, apart=apart)
        until = interrupts.between(noted(results, engine, record), Batches(1 if sources.live else engine.batch_size))
        with watch.counting(begin) as progress:
            write_results(until, writer, progress, tally, watch, strict=what.strict)
    return tally


def _has_width(output: Path, chosen: EmbeddingFormat) -> bool:
    """Whether the length of a row can be told without the model: not if the header of the matrix is cut."""
    if chosen is not EmbeddingFormat.NPY:
        return True
    from vithybrid_cli.output.npy import width_in  # imports NumPy

    return width_in(output) > 0


def _finish(output: Path, chosen: EmbeddingFormat, start: ResumePoint, record: RunRecord, watch: Watch) -> Tally:
    """Cut off what lies behind the last result, and let the matrix count all its rows."""
    if chosen is EmbeddingFormat.NPY:
        from vithybrid_cli.output.npy import NpyWriter, width_in  # imports NumPy

        with opened(lines_file(output), keep=start.end) as stream, _opened_matrix(output, record) as matrix:
            NpyWriter(matrix, stream, width_in(output), start.done - start.failed).close()
    elif not start.closed:
        with opened(output, keep=start.end):
            pass
    watch.say(all_there_in(output, start.done))
    return Tally(start.done, start.failed)


def _format_of(output: Path | None) -> EmbeddingFormat:
    """The format where none was asked for. Raises UsageError for the suffix of one in which there are no features."""
    return EmbeddingFormat(suffix_format(output, tuple(EmbeddingFormat), "Features") or EmbeddingFormat.JSONL)


def _files(output: Path | None, chosen: EmbeddingFormat) -> tuple[Path | None, ...]:
    """All files that will be written. Raises UsageError for a matrix where there can be none."""
    if chosen is not EmbeddingFormat.NPY:
        return (output,)
    if output is None or not is_plain_file(output):
        where = "stdout" if output is None else output
        raise UsageError(
            f"An npy file begins with the number of its rows, which {where} cannot take back once it is written.",
            "Give {output=NAME.npy}, or {format=jsonl}.",
        )
    return output, lines_file(output)


@contextmanager
def _destination(
    output: Path | None, chosen: EmbeddingFormat, width: int, start: ResumePoint, record: RunRecord, watch: Watch
) -> Iterator[tuple[Writer[EmbeddingResult], bool]]:
    """A writer, and whether it writes apart from stderr, where a line may change. Says at the end what is where."""
    if chosen is EmbeddingFormat.PARQUET:
        yield from _parquet(output, width, record, watch)
    elif chosen is EmbeddingFormat.NPY and output is not None:
        yield from _npy(output, width, start, record, watch)
    else:
        yield from _lines(output, width, start, record, watch)


def _parquet(
    output: Path | None, width: int, record: RunRecord, watch: Watch
) -> Iterator[tuple[Writer[EmbeddingResult], bool]]:
    from vithybrid_cli.output.parquet import ParquetFeatureWriter

    def made(stream: BinaryIO) -> ParquetFeatureWriter:
        return ParquetFeatureWriter(stream, width, record.settings)

    with parquet_writer(output, made, watch) as writer:
        yield writer, record.output is not None


def _lines(
    output: Path | None, width: int, start: ResumePoint, record: RunRecord, watch: Watch
) -> Iterator[tuple[Writer[EmbeddingResult], bool]]:
    with _opened(output, start, record, watch) as stream, interrupt_told(record, watch):
        yield JsonLinesWriter(stream), is_file(stream)
        if stream.isatty():
            watch.say(f"these are {width} numbers for each picture; -o features.npy puts them into a file")


def _npy(
    output: Path, width: int, start: ResumePoint, record: RunRecord, watch: Watch
) -> Iterator[tuple[Writer[EmbeddingResult], bool]]:
    from vithybrid_cli.output.npy import NpyWriter  # imports NumPy

    lines = lines_file(output)
    with _opened(lines, start, record, watch) as stream, _opened_matrix(output, record) as matrix:
        writer = NpyWriter(matrix, stream, width, start.done - start.failed)
        with interrupt_told(record, watch):
            yield writer, True
    rows = "1 row" if writer.rows == 1 else f"{writer.rows} rows"
    watch.say(f"{output} has {rows} of {width} numbers; {lines} says which row is whose")


@contextmanager
def _opened(file: Path | None, start: ResumePoint, record: RunRecord, watch: Watch) -> Iterator[TextIO]:
    """The stream to write JSON lines to, at the place where the run begins; the record lies beside the output then."""
    with opened(file, keep=start.end, remedy=record.room) as stream:
        if record.output is not None and record.earlier is None:
            forget_update(record.output)
        if warning := record.write():
            watch.warn(warning)
        prepare_stream(Format.JSONL, stream)
        yield stream


@contextmanager
def _opened_matrix(output: Path, record: RunRecord) -> Iterator[BinaryIO]:
    """The file, to be written anywhere in it. Raises UsageError when it cannot be opened, or when the disk fills up."""
    try:
        output.touch()
        stream = output.open("r+b")
    except OSError as error:
        raise unwritable(output, error) from error
    try:
        with stream:
            yield stream
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise unwritable(output, error, f"What was written stays; {record.room}.") from error
