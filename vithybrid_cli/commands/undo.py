"""``vithybrid undo``: what a sort has done is put back."""

from pathlib import Path
from typing import Annotated

import typer

from vithybrid_cli.actions.journal import Past
from vithybrid_cli.actions.left import later_journals, strangers
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
    with (
        Stderr(quiet=quiet, no_progress=no_progress) as watch,
        Acting(watch, steps, quiet=dry_run, unit="files") as acting,
    ):
        if dry_run:
            kept: list[tuple[str, str]] = []
            found = acts(past, folder_of(past), kept)
            write_rows(map(_row, found))
            for path, reason in kept:
                acting.failed(path, reason)
            if kept:
                raise typer.Exit(EXIT_SOME_FAILED)
            return
        if later := later_journals(past):
            watch.say(f"A later sort into the same folder is not undone, which is better undone first: {later[-1]}.")
        tally = undo_sort(past, acting)
    parts = counted((tally.back, "moved back"), (tally.removed, "copies and links removed"), (tally.kept, "left"))
    watch.say(", ".join(parts) or "Nothing was left to undo.")
    _say_what_stays(past, watch)
    if tally.kept:
        raise typer.Exit(EXIT_SOME_FAILED)


def _say_what_stays(past: Past, watch: Stderr) -> None:
    found = strangers(past)
    if len(found) == 1:
        watch.say(f"1 file that no sort has brought stays in {folder_of(past)}: {found[0]}.")
    elif found:
        watch.say(f"{len(found):,} files that no sort has brought stay in {folder_of(past)}: {found[0]}, …")


def _row(act: Act) -> dict[str, str]:
    return {"from": act.target, "to": act.goes_to, "action": "remove" if act.undone is Undone.REMOVE else "move"}
