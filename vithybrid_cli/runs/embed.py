"""Pictures become features in a file or on stdout: one run from end to end."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

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
from vithybrid_cli.runs.beside import forget_run
from vithybrid_cli.runs.interrupts import Interrupts
from vithybrid_cli.runs.model import read_checkpoint, require_apart_from_model
from vithybrid_cli.runs.watch import Begin, Tally, Watch, tell_survey
from vithybrid_cli.runs.write import write_results
from vithybrid_cli.settings import Reading, Running, Writing
from vithybrid_cli.sources.inputs import Sources
from vithybrid_cli.sources.survey import Survey


def embed(what: Reading, how: Running, where: Writing, feature: Feature, watch: Watch) -> Tally:
    """Write a ``feature`` of each picture of ``what``; otherwise as `vithybrid_cli.runs.label.label`, but for resuming.

    Raises UsageError, ModelError and Interrupted as that does.
    """
    from vithybrid_cli.pipeline.embedder import Embedder  # imports NumPy and Pillow

    sources = Sources.of(what, where.output, offline=how.offline)
    sources.check()
    chosen = EmbeddingFormat(where.format) if where.format else _format_of(where.output)
    require_writable(where.output)
    for file in _files(where.output, chosen):
        require_writable(file)
        sources.require_apart(file)
    checkpoint = read_checkpoint(how, watch)
    require_apart_from_model(where.output, checkpoint)
    embedder = Embedder.open(checkpoint, how, feature)
    survey = Survey()
    outputs = embedder.outputs(sources.items(survey), what, live=sources.live)
    results = (embedder.result(path, output) for path, output in outputs)
    tally = Tally()
    destination = _destination(where.output, chosen, embedder.width, watch)
    with closing(outputs), Interrupts() as interrupts, destination as (writer, apart):
        begin = Begin(sources.counter(), alone=sources.single, apart=apart)
        until = interrupts.between(results, Batches(1 if sources.live else embedder.engine.batch_size))
        with writer, watch.counting(begin) as progress:
            write_results(until, writer, progress, tally, watch, strict=what.strict)
    tell_survey(survey, watch)
    return tally


def _format_of(output: Path | None) -> EmbeddingFormat:
    """The format where none was asked for. Raises UsageError for the suffix of one in which there are no features."""
    return EmbeddingFormat(suffix_format(output, tuple(EmbeddingFormat), "Features") or EmbeddingFormat.JSONL)


def _files(output: Path | None, chosen: EmbeddingFormat) -> tuple[Path | None, ...]:
    """All files that will be written. Raises UsageError for a matrix where there can be none."""
    if chosen is EmbeddingFormat.JSONL:
        return (output,)
    if output is None or not is_plain_file(output):
        where = "stdout" if output is None else output
        raise UsageError(
            f"An npy file begins with the number of its rows, which {where} cannot take back once it is written.",
            "Give {output=NAME.npy}, or {format=jsonl}.",
        )
    return output, _lines_file(output)


def _lines_file(output: Path) -> Path:
    """Where the records lie that say what the rows are of."""
    return output.with_name(output.name + ".jsonl")


@contextmanager
def _destination(
    output: Path | None, chosen: EmbeddingFormat, width: int, watch: Watch
) -> Iterator[tuple[Writer[EmbeddingResult], bool]]:
    """A writer, and whether it writes apart from stderr, where a line may change. Says at the end what is where."""
    if chosen is EmbeddingFormat.NPY and output is not None:
        yield from _npy(output, width, watch)
    else:
        yield from _lines(output, width, watch)


def _lines(output: Path | None, width: int, watch: Watch) -> Iterator[tuple[Writer[EmbeddingResult], bool]]:
    with _opened(output) as stream:
        yield JsonLinesWriter(stream), is_file(stream)
        if stream.isatty():
            watch.say(f"these are {width} numbers for each picture; -o features.npy puts them into a file")


def _npy(output: Path, width: int, watch: Watch) -> Iterator[tuple[Writer[EmbeddingResult], bool]]:
    from vithybrid_cli.output.npy import NpyWriter  # imports NumPy

    lines = _lines_file(output)
    with _opened(lines) as stream, _opened_matrix(output) as matrix:
        writer = NpyWriter(matrix, stream, width)
        yield writer, True
    rows = "1 row" if writer.rows == 1 else f"{writer.rows} rows"
    watch.say(f"{output} has {rows} of {width} numbers; {lines} says which row is whose")


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """The stream to write JSON lines to. What is known of an earlier run into a file of this name goes."""
    with opened(output) as stream:
        if output is not None and is_plain_file(output):
            forget_run(output)
        prepare_stream(Format.JSONL, stream)
        yield stream


@contextmanager
def _opened_matrix(output: Path) -> Iterator[BinaryIO]:
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
        raise unwritable(output, error, "What was written stays; give another {output}.") from error
