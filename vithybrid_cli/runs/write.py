"""Results are written as they come: counted, and told where they are errors."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vithybrid_cli.errors import option
from vithybrid_cli.output import Writer
from vithybrid_cli.results import Outcome
from vithybrid_cli.runs.record import RunRecord
from vithybrid_cli.runs.watch import Counter, Tally, Watch

if TYPE_CHECKING:
    from vithybrid_cli.engines import Engine

Result = TypeVar("Result", bound=Outcome)


def write_results(
    results: Iterable[Result],
    writer: Writer[Result],
    progress: Counter,
    tally: Tally,
    watch: Watch,
    *,
    strict: bool,
    visible: bool = False,
) -> None:
    """Write each result as it comes, and count it; with ``strict`` the first failure is the last, and that is said.

    ``watch`` is told of failures, unless the results are ``visible`` on a screen themselves.
    """
    for result in results:
        writer.write(result)
        failed = result.error is not None
        tally.add(failed=failed)
        progress.advance(failed=failed)
        if failed and not visible:
            watch.failure(result)
        if failed and strict:
            first = "the first picture that could not be read"
            watch.warn(f"stopped at {result.path}, {first}, as {option('strict')} asks")
            return


def all_there_in(output: Path | None, count: int) -> str:
    """That a file has the results of ``count`` inputs, which are all, in words."""
    return f"{output} has the results of {'its 1 input' if count == 1 else f'all {count:,} inputs'}"


def noted(results: Iterable[Result], engine: "Engine", record: RunRecord) -> Iterator[Result]:
    """The ``results``; what the engine finds out about its memory on the way is kept for a run that goes on."""
    known = engine.batch_limit
    for result in results:
        if engine.batch_limit != known:
            known = engine.batch_limit
            record.note(batch_limit=known)
        yield result
