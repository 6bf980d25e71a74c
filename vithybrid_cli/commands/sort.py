"""``vithybrid sort``: pictures go into folders by their labels."""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from vithybrid_cli.actions.decide import Tally
from vithybrid_cli.actions.into import folders_before
from vithybrid_cli.actions.journal import Way
from vithybrid_cli.actions.plan import Choice, Plan, make_plan
from vithybrid_cli.actions.resolve import OnConflict
from vithybrid_cli.actions.sort import planned, sort_pictures
from vithybrid_cli.commands import options
from vithybrid_cli.commands.acting import NOWHERE, Acting, counted, require_root, typed, write_rows
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.errors import UsageError
from vithybrid_cli.runs.pages.least_score import require_score
from vithybrid_cli.runs.pictured import pictured
from vithybrid_cli.settings import DEFAULT_MAX_BYTES
from vithybrid_cli.sources.containers import Wanted

_DONE = {Way.COPY: "copied", Way.MOVE: "moved", Way.HARDLINK: "hard-linked", Way.SYMLINK: "linked"}


def _folder(text: str) -> Path:
    if not text:
        raise typer.BadParameter("An empty text is no folder. Give '.' for the current one.")
    return Path(text)


def sort(
    results: options.Results,
    into: Annotated[
        Path, typer.Option("--into", metavar="DIR", parser=_folder, help="Where the folders of the labels are.")
    ],
    move: Annotated[bool, typer.Option("--move", help="Move the pictures; by default they are copied.")] = False,
    hardlink: Annotated[
        bool, typer.Option("--hardlink", help="Give each file a second name in place of a copy, which takes no room.")
    ] = False,
    symlink: Annotated[
        bool, typer.Option("--symlink", help="Make links that lead to the pictures where they are.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")] = False,
    min_score: Annotated[
        float | None,
        typer.Option(metavar="S", help="Pictures whose label has a lower score go to unsure/.", show_default=False),
    ] = None,
    on_conflict: Annotated[
        OnConflict,
        typer.Option(
            help="What to do where another file has a picture's place: give the picture another name, leave it where "
            "it is, or do nothing at all. A file of the same content counts as the picture itself."
        ),
    ] = OnConflict.RENAME,
    below: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep the paths of the pictures below this folder.",
            show_default="the folder that all of them have in common",
        ),
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Sort also pictures that have changed since they were labelled.")
    ] = False,
    root: options.Root = None,
    max_bytes: options.MaxBytes = DEFAULT_MAX_BYTES,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Sort pictures into folders by the labels that `vithybrid classify` gave them.

    Each goes to DIR/LABEL/PATH, where PATH is its path below the folder that all pictures have in common, with the
    files beside it that belong to it (.xmp, .json, .mov of a live photo, raw files). What has no label, or one that is
    not sure enough, goes to unsure/; what could not be read to unreadable/. Nothing is ever overwritten. A journal is
    kept, by which `vithybrid undo` puts everything back.

    Examples:

      vithybrid sort labels.jsonl --into sorted --dry-run

      vithybrid sort labels.jsonl --into sorted --min-score 0.5

      vithybrid sort labels.jsonl --into photos --move --dry-run
    """
    require_root(root)
    require_score(min_score, results)
    choice, tally = Choice(into, _way(move, hardlink, symlink), min_score, below, changed), Tally()
    with Stderr(quiet=quiet, no_progress=no_progress) as watch:
        found = pictured(results, Wanted(offline=offline, max_bytes=max_bytes, raw=True), root)
        plan = make_plan(found, choice, folders_before(into))
        try:
            with Acting(watch, len(plan.pictures), quiet=dry_run) as acting:
                if dry_run:
                    write_rows(_rows(plan, on_conflict, results, tally, acting))
                else:
                    sort_pictures(plan, on_conflict, results, tally, acting)
        finally:
            if tally.journal or not sys.exc_info()[0]:
                _say(watch, plan, tally, dry_run)
    if tally.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _say(watch: Stderr, plan: Plan, tally: Tally, dry_run: bool) -> None:
    for line in _summary(plan, tally, dry_run):
        watch.say(line)


def _way(move: bool, hardlink: bool, symlink: bool) -> Way:
    chosen = [way for way, on in ((Way.MOVE, move), (Way.HARDLINK, hardlink), (Way.SYMLINK, symlink)) if on]
    if len(chosen) > 1:
        raise UsageError("A picture can be sorted in one way only.", "Give one of {move}, {hardlink} and {symlink}.")
    return chosen[0] if chosen else Way.COPY


def _are_there(plan: Plan) -> bool:
    return any(picture.path is None or os.path.lexists(picture.path) for picture in plan.pictures)


def _rows(plan: Plan, on_conflict: OnConflict, results: Path, tally: Tally, acting: Acting) -> Iterator[dict[str, str]]:
    into = plan.choice.into
    for move in planned(plan, on_conflict, results, tally, acting):
        yield {"from": move.source, "to": str(into / move.target), "action": move.way.value}


def _summary(plan: Plan, tally: Tally, dry_run: bool) -> Iterator[str]:
    done = f"would be {_DONE[plan.choice.way]}" if dry_run else _DONE[plan.choice.way]
    apart = [
        f"{number:,} to {folder}/"
        for folder, number in (("unsure", tally.unsure), ("unreadable", tally.unreadable))
        if number
    ]
    parts = [f"{tally.placed:,} {done}" + (f" ({', '.join(apart)})" if apart else "")]
    parts += counted(
        (tally.beside, "beside them"),
        (tally.there, "already there"),
        (tally.lying, "sorted before and left there"),
        (tally.skipped, "left, as something else has their place"),
        (plan.changed, "changed since they were labelled and left (--changed sorts them, too)"),
        (plan.unreadable + tally.gone, "unreadable left"),
        (plan.repeated, "more than once among the results"),
        (tally.failed, "failed"),
    )
    undo = f"; undo with `vithybrid undo {shlex.quote(typed(tally.journal))}`" if tally.journal else ""
    yield ", ".join(parts) + undo
    if tally.failed and not (tally.placed or tally.there) and not _are_there(plan):
        yield NOWHERE
    elif plan.unknown and tally.placed:
        yield "Nothing tells whether these pictures have changed since they were labelled; they were taken as they are."
