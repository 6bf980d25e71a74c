"""Results are written as they come: counted, and told where they are errors."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vithybrid_cli.output import Writer
from vithybrid_cli.results import Outcome
from vithybrid_cli.runs.record import RunRecord
from vithybrid_cli.runs.watch import Counter, Tally

if TYPE_CHECKING:
    from vithybrid_cli.engines import Engine

Result = TypeVar("Result", bound=Outcome)


def write_results(
    results: Iterable[Result],
    writer: Writer[Result],
    progress: Counter,
    tally: Tally,
    told: Callable[[Outcome], None] | None,
    *,
    strict: bool,
) -> None:
    """Write each result as it comes, and count it; failures are ``told``, and with ``strict`` the first is the last."""
    for result in results:
        writer.write(result)
        failed = result.error is not None
        tally.add(failed=failed)
        progress.advance(failed=failed)
        if failed and told is not None:
            told(result)
        if failed and strict:
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
