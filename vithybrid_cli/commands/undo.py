"""``vithybrid undo``: what a sort has done is put back."""

from pathlib import Path
from typing import Annotated

import typer

from vithybrid_cli.actions.undo import Act, Undone, acts, folder_of, journal_of, undo_sort
from vithybrid_cli.commands import options
from vithybrid_cli.commands.acting import Acting, counted, write_rows
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.watch import Stderr


def undo(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="The journal that `vithybrid sort` named.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")] = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Put back what `vithybrid sort` has done, as far as nobody has changed it since.

    Moved files go back to where they were, copies and links are removed, and so are the folders that were made and are
    empty. What was changed meanwhile stays, and so does a copy whose original is gone. Nothing is overwritten.

    Example: vithybrid undo sorted/.vithybrid-sort-1.jsonl
    """
    past = journal_of(journal)
    steps = len(past.steps) - len(past.void)
    with Stderr(quiet=quiet, no_progress=no_progress) as watch, Acting(watch, steps, quiet=dry_run) as acting:
        if dry_run:
            kept: list[tuple[str, str]] = []
            found = acts(past, folder_of(past), kept)
            write_rows(map(_row, found))
            for path, reason in kept:
                acting.failed(path, reason)
            if kept:
                raise typer.Exit(EXIT_SOME_FAILED)
            return
        tally = undo_sort(past, acting)
    parts = counted((tally.back, "moved back"), (tally.removed, "copies and links removed"), (tally.kept, "left"))
    watch.say(", ".join(parts) or "Nothing was left to undo.")
    if tally.kept:
        raise typer.Exit(EXIT_SOME_FAILED)


def _row(act: Act) -> dict[str, str]:
    return {"from": act.target, "to": act.goes_to, "action": "remove" if act.undone is Undone.REMOVE else "move"}
