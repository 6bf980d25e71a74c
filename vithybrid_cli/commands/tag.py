"""``vithybrid tag``: labels go into XMP sidecars, where photo managers find them."""

import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vithybrid_cli.actions.tagging import Outcome, Tagged, Tagging
from vithybrid_cli.actions.xmp_names import SidecarName
from vithybrid_cli.commands import options
from vithybrid_cli.commands.acting import NOWHERE, counted, require_root, typed
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.output import visible
from vithybrid_cli.output.destination import opened

if TYPE_CHECKING:
    from vithybrid_cli.actions.tag import Plan

_VERBS = {
    Outcome.MADE: "make",
    Outcome.CHANGED: "change",
    Outcome.TAKEN_OUT: "take out of",
    Outcome.REMOVED: "remove",
}
_LEFT_ALONE = {  # of one, and of several
    Outcome.NOT_READ: ("could not be read when labelled", "could not be read when labelled"),
    Outcome.GONE: ("is not there any more", "are not there any more"),
    Outcome.REPLACED: ("changed since it was labelled", "changed since they were labelled"),
    Outcome.NO_FILE: (
        "lies in an archive or at an address, where no sidecar can be",
        "lie in archives or at addresses, where no sidecar can be",
    ),
    Outcome.SHARED: (
        "has the name of its sidecar in common with another picture",
        "have the names of their sidecars in common with other pictures",
    ),
}
_REMEDIES = {
    Outcome.REPLACED: " Label again with `vithybrid classify --update`.",
    Outcome.SHARED: " Leave out --sidecar-name adobe.",
}


def tag(
    results: options.Results,
    min_score: Annotated[
        float | None,
        typer.Option(metavar="SCORE", help="Leave out labels below this score.", show_default=False),
    ] = None,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, metavar="K", help="Labels per picture.")] = 1,
    prefix: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="What stands above the labels in hierarchies of keywords: auto|cat; '' for nothing.",
        ),
    ] = "auto",
    sidecar_name: Annotated[
        SidecarName,
        typer.Option(
            help="How a new sidecar is called: photo.jpg.xmp, or photo.xmp as Adobe's programs do. One that is there "
            "is taken, whichever of the two.",
        ),
    ] = SidecarName.FULL,
    remove: Annotated[bool, typer.Option("--remove", help="Take out what earlier runs have written.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be written, and write nothing.")] = False,
    root: options.Root = None,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Write labels into XMP sidecars beside the pictures, where digiKam, darktable, Immich and others read them.

    The pictures are never touched. In a sidecar that is there, all else stays as it is to the byte. A second run
    replaces what the first has written, and --remove takes it out.

    Examples:

      vithybrid tag labels.jsonl --min-score 0.5

      vithybrid tag labels.jsonl --remove
    """
    from vithybrid_cli.actions.tag import Plan
    from vithybrid_cli.runs.pages.least_score import require_score
    from vithybrid_cli.runs.pages.made_with import made_with
    from vithybrid_cli.runs.pictured import pictured
    from vithybrid_cli.sources.containers import Wanted

    require_root(root)
    require_score(min_score, results)
    made = made_with(results)
    how = Tagging(top_k, min_score, prefix, sidecar_name, remove, dry_run, made.model, made.version)
    with Stderr(quiet=quiet, no_progress=no_progress) as watch:
        plan = Plan.of(pictured(results, Wanted(raw=True), root), how)
        _tell_before(plan, watch)
        told = _Told(watch, dry_run)
        progress = Progress(enabled=not (quiet or no_progress or dry_run), total=len(plan))
        try:
            with watch.showing(progress):
                for one in plan.run():
                    told.take(one)
                    progress.advance(failed=one.outcome is Outcome.FAILED)
        finally:
            if not dry_run or not sys.exc_info()[0]:
                told.finish(_again(results, root))
    if told.has_failures:
        raise typer.Exit(EXIT_SOME_FAILED)


def _tell_before(plan: "Plan", watch: Stderr) -> None:
    if plan.how.remove:
        return
    if plan.how.model is None and len(plan):
        watch.say("Nothing beside the results tells which model made them, so the sidecars will not say it.")
    if plan.unknown:
        watch.say(
            f"Whether {_pictures(plan.unknown)} changed since they were labelled is not known: it is assumed not."
        )
    if plan.twice:
        watch.say(f"{_results(plan.twice)} of pictures that come again: the last one of each counts.")


class _Told:
    """Counts what became of the pictures, and says it: failures one by one, the rest in a line for each kind."""

    def __init__(self, watch: Stderr, dry_run: bool) -> None:
        self._watch = watch
        self._dry_run = dry_run
        self._counts: Counter[Outcome] = Counter()
        self._first: dict[Outcome, str] = {}
        self._two: list[str] = []

    def take(self, one: Tagged) -> None:
        """One picture is done."""
        self._counts[one.outcome] += 1
        self._first.setdefault(one.outcome, one.picture)
        if one.has_two and one.sidecar is not None:
            self._two.append(one.sidecar)
        if one.error is not None:
            self._watch.say(f"{one.sidecar}: {one.error}")
        elif self._dry_run and one.outcome in _VERBS:
            with opened(None, remedy="make room there"):
                typer.echo(visible(_line(one)))

    @property
    def has_failures(self) -> bool:
        """Whether anything that was asked for could not be done."""
        return any(self._counts[outcome] for outcome in (Outcome.FAILED, *_LEFT_ALONE))

    def finish(self, again: str) -> None:
        """Say what was done."""
        for outcome, (of_one, of_several) in _LEFT_ALONE.items():
            if count := self._counts[outcome]:
                why, more = (of_one, "") if count == 1 else (of_several, ", …")
                first = self._first[outcome]
                self._watch.say(f"{_pictures(count)} {why} ({first}{more}).{_REMEDIES.get(outcome, '')}")
        if set(self._counts) == {Outcome.GONE}:
            self._watch.say(NOWHERE)
        if self._two:
            self._watch.say(
                f"{_pictures(len(self._two))} had two sidecars, of which one was taken ({self._two[0]}"
                f"{', …' if len(self._two) > 1 else ''})."
            )
        counts = self._counts
        written = counts[Outcome.MADE] + counts[Outcome.CHANGED]
        cleared = counts[Outcome.TAKEN_OUT] + counts[Outcome.REMOVED]
        parts = (
            (written, "tagged" + _within(counts[Outcome.CHANGED], "in sidecars that were there")),
            (cleared, "cleared" + _within(counts[Outcome.REMOVED], "by removing the sidecar")),
            (counts[Outcome.UNCHANGED], "unchanged"),
            (counts[Outcome.NO_LABEL], "without a label to write"),
            (counts[Outcome.NOT_TAGGED], "not tagged before"),
            (sum(counts[one] for one in _LEFT_ALONE), "left alone"),
            (counts[Outcome.FAILED], "failed"),
        )
        told = ", ".join(counted(*parts)) or "no pictures"
        if self._dry_run:
            self._watch.say(f"Nothing was written; it would be: {told}")
        else:
            self._watch.say(told + (f"; take them out with `{again}`" if written else ""))


def _within(count: int, what: str) -> str:
    return f" ({count:,} {what})" if count else ""


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"


def _results(count: int) -> str:
    return "1 result is" if count == 1 else f"{count:,} results are"


def _line(one: Tagged) -> str:
    return f"{_VERBS[one.outcome]} {one.sidecar}" + (f": {', '.join(one.keywords)}" if one.keywords else "")


def _again(results: Path, root: Path | None) -> str:
    """The command that takes out what was written."""
    below = [] if root is None else ["--root", str(root)]
    return shlex.join(["vithybrid", "tag", typed(results), *below, "--remove"])
