"""Results of a run into its writer, with a word on stderr for each that is an error."""

from collections.abc import Iterable
from typing import TypeVar

from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.output import Writer
from vithybrid_cli.results import Outcome

Result = TypeVar("Result", bound=Outcome)


def write_results(
    results: Iterable[Result], writer: Writer[Result], progress: Progress, *, named: bool, strict: bool
) -> None:
    """Write each result as it comes; failures are ``named`` on stderr, and with ``strict`` the first is the last."""
    for result in results:
        writer.write(result)
        progress.advance(failed=result.error is not None)
        if result.error is not None and named:
            progress.report(f"{result.path}: {result.error}")
        if result.error is not None and strict:
            return
