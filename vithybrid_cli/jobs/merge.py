"""The results of all shards become one file, in any format, with exactly one record for each input, in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vithybrid_cli import atomic
from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import UsageError
from vithybrid_cli.jobs.job import Job, ranges, results_file
from vithybrid_cli.jobs.part import WrongResults, error_in
from vithybrid_cli.jobs.settle import settled
from vithybrid_cli.jobs.stored import stored_result
from vithybrid_cli.output import Format, Writer, open_writer
from vithybrid_cli.output.destination import format_of, is_plain_file, opened, require_writable, unwritable
from vithybrid_cli.results import ImageResult
from vithybrid_cli.runs.interrupts import sigterm_raised
from vithybrid_cli.runs.watch import Begin, Counter, Tally, Watch


def merge(job: Job, output: Path | None, output_format: str | None, watch: Watch) -> Tally:
    """Write the results of a job to ``output``, or to stdout without one. Memory does not grow with the job.

    Raises UsageError if shards are missing, which it lists, or are damaged, and for what cannot be written.
    """
    require_writable(output)
    missing = set(range(job.shards)) - job.with_results()
    if missing:
        raise UsageError(
            f"{len(missing):,} of {job.shards:,} shards are missing: {ranges(missing)}.",
            "Run `vithybrid job run` on this folder, and merge again.",
        )
    tally = Tally()
    with sigterm_raised(), _replacing(output) as part, opened(part) as stream:
        chosen = Format(output_format) if output_format else format_of(output, stream)
        begin = Begin(lambda: job.inputs, apart=output is not None)
        with _writer(job, chosen, stream) as writer, watch.counting(begin) as counter:
            _write(job, writer, counter, tally)
    return tally


@contextmanager
def _replacing(output: Path | None) -> Iterator[Path | None]:
    """Where to write what takes the place of ``output`` as a whole; itself, if it is no regular file."""
    if output is None or not is_plain_file(output):
        yield output
        return
    try:
        with atomic.replacing(output) as part:
            yield part
    except OSError as error:
        raise unwritable(output, error) from error


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
                yield stored_result(line)
                count += 1
            if count < len(names):
                raise WrongResults(f"it holds {count} of {len(names)} results")
    except WrongResults as error:
        raise UsageError(
            f"{results_file(shard)} of the job in {job.name} is damaged: {error}.",
            "Run `vithybrid job retry` on this folder, which has it computed again.",
        ) from error
    except OSError as error:
        cause = f"{results_file(shard)} of the job in {job.name} cannot be read: {error.strerror or error}."
        raise UsageError(cause, "Make it readable, and merge again.") from error


def _writer(job: Job, chosen: Format, stream: TextIO) -> Writer[ImageResult]:
    probable = settled(job).get("activation", job.writing.activation) != Activation.NONE
    return open_writer(chosen, stream, probabilities=probable)
