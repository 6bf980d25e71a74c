"""The results of all shards become one file, in any format, with exactly one record for each input, in order."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vithybrid_cli import __version__
from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import UsageError, are, counted
from vithybrid_cli.jobs.job import Job, ranges, results_file
from vithybrid_cli.jobs.part import WrongResults, error_in
from vithybrid_cli.jobs.settle import settled
from vithybrid_cli.output import Format, Writer, open_writer
from vithybrid_cli.output.destination import format_of, format_of_file, is_plain_file, opened, require_writable
from vithybrid_cli.output.parquet import require_parquet
from vithybrid_cli.output.read_results import result_of
from vithybrid_cli.output.write_results import result_writer
from vithybrid_cli.output.written import DamagedOutput, NotResults
from vithybrid_cli.results import ImageResult
from vithybrid_cli.runs.interrupts import sigterm_raised
from vithybrid_cli.runs.parquet import require_parquet_place
from vithybrid_cli.runs.watch import Begin, Counter, Tally, Watch


def merge(job: Job, output: Path | None, output_format: str | None, watch: Watch) -> Tally:
    """Write the results of a job to ``output``, or to stdout without one. Memory does not grow with the job.

    Raises UsageError if shards are missing, which it lists, or are damaged, and for what cannot be written.
    """
    require_writable(output)
    missing = set(range(job.shards)) - job.with_results()
    if missing:
        raise UsageError(
            f"{len(missing):,} of {counted(job.shards, 'shard')} {are(len(missing))} missing: {ranges(missing)}.",
            "Run `vithybrid job run` on this folder, and merge again.",
        )
    tally = Tally()
    begin = Begin(lambda: job.inputs, apart=output is not None)
    with sigterm_raised(), _writer(job, output, output_format) as writer, watch.counting(begin) as counter:
        _write(job, writer, counter, tally)
    return tally


@contextmanager
def _writer(job: Job, output: Path | None, output_format: str | None) -> Iterator[Writer[ImageResult]]:
    """What writes to ``output``: a regular file appears as a whole, or what was there stays."""
    whole = output is not None and is_plain_file(output)
    if output is not None and whole:
        chosen = Format(output_format) if output_format else format_of_file(output)
        if chosen is not Format.TABLE:
            if chosen is Format.PARQUET:
                require_parquet()
            with result_writer(output, chosen, about=_about(job, chosen)) as writer:
                yield writer
            return
    with opened(output) as stream:
        chosen = Format(output_format) if output_format else format_of(output, stream)
        with _stream_writer(job, chosen, stream) as writer:
            yield writer


def _stream_writer(job: Job, chosen: Format, stream: TextIO) -> Writer[ImageResult]:
    if chosen is Format.PARQUET:
        require_parquet_place(None)
        from vithybrid_cli.output.parquet import ParquetWriter

        return ParquetWriter(stream.buffer, _about(job, chosen))
    probable = settled(job).get("activation", job.writing.activation) != Activation.NONE
    return open_writer(chosen, stream, probabilities=probable)


def _about(job: Job, chosen: Format) -> dict[str, object]:
    """How the results were made, as `vithybrid classify` says it in the same order."""
    about: dict[str, object] = {"version": __version__, "format": chosen}
    decided = {name: value for name, value in job.settings.items() if name != "image_size"}
    return about | decided | {"model": job.model, "image_size": job.settings.get("image_size")} | settled(job)


def _write(job: Job, writer: Writer[ImageResult], counter: Counter, tally: Tally) -> None:
    for shard in range(job.shards):
        for result in results(job, shard):
            writer.write(result)
            failed = result.error is not None
            tally.add(failed=failed)
            counter.advance(failed=failed)


def results(job: Job, shard: int) -> Iterator[ImageResult]:
    """The results of a shard, each checked against its name. Raises UsageError for what is damaged."""
    try:
        with job.folder.open(results_file(shard)) as stream:
            count = 0
            names = job.names(shard)
            for line in stream:
                if count == len(names):
                    raise WrongResults("it holds more results than its shard has inputs")
                error_in(line, names[count])
                count += 1
                yield result_of(json.loads(line), count)
            if count < len(names):
                raise WrongResults(f"it holds {count} of {len(names)} results")
    except (WrongResults, DamagedOutput, NotResults, ValueError) as error:
        raise UsageError(
            f"{results_file(shard)} of the job in {job.name} is damaged: {error}.",
            "Run `vithybrid job retry` on this folder, which has it computed again.",
        ) from error
    except OSError as error:
        cause = f"{results_file(shard)} of the job in {job.name} cannot be read: {error.strerror or error}."
        raise UsageError(cause, "Make it readable, and merge again.") from error
