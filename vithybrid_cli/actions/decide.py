"""What is to be done for one picture, and what is told and counted if nothing is."""

# ruff: noqa: PTH113

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from vithybrid_cli.actions.folders import UNREADABLE, UNSURE
from vithybrid_cli.actions.journal import Way
from vithybrid_cli.actions.plan import FAILED, Sorted, source_of
from vithybrid_cli.actions.progress import Watch
from vithybrid_cli.actions.resolve import Group, Move, Resolver
from vithybrid_cli.actions.settle import path_of
from vithybrid_cli.errors import ImageError


@dataclass(slots=True)
class Tally:
    """How many pictures went where, of which ``unsure`` and ``unreadable`` to these folders.

    ``there`` were there already; ``lying`` are in the folder of a label from an earlier sort, and only moving takes
    them from it; ``skipped`` stay since something else has their place; ``gone`` are files that could not be read then
    and are not there now. ``beside`` are sidecars that went along. ``journal`` says what was done.
    """

    placed: int = 0
    unsure: int = 0
    unreadable: int = 0
    there: int = 0
    lying: int = 0
    skipped: int = 0
    gone: int = 0
    failed: int = 0
    beside: int = 0
    journal: Path | None = None

    def count(self, move: Move, picture: Sorted) -> None:
        """One file has got to its place."""
        if move.source != source_of(picture):
            self.beside += 1
            return
        folder = move.target.partition("/")[0]
        self.placed += 1
        self.unsure += folder == UNSURE
        self.unreadable += folder == UNREADABLE


class Stays(Enum):
    """Why a picture stays where it is, though nothing has failed."""

    LYING, GONE = range(2)


class Cannot(Exception):
    """Why a picture cannot be sorted, as a sentence."""


def decide(picture: Sorted, resolver: Resolver, moved: dict[str, str]) -> Group | Stays | Cannot:
    """What to do for a picture; ``moved`` says where sources are that were moved away earlier."""
    try:
        if picture.path is not None:
            return _of_file(picture, picture.path, resolver, moved)
        if resolver.plan.choice.way is not Way.COPY:
            return Cannot("It is in an archive or at an address, and can only be copied.")
        return resolver.group(picture)
    except ImageError as error:
        return Cannot(str(error))
    except OSError as error:
        return Cannot(f"It cannot be read: {error.strerror or error}.")


def _of_file(picture: Sorted, path: str, resolver: Resolver, moved: dict[str, str]) -> Group | Stays | Cannot:
    plan = resolver.plan
    if not os.path.lexists(path):
        target = moved.get(path)
        if target is not None and os.path.lexists(path_of(resolver.into, target)):
            return resolver.rest(picture, target)
        return Stays.GONE if picture.label == FAILED else Cannot("It is not there any more.")
    if not os.path.isfile(path):
        return Stays.GONE if picture.label == FAILED else Cannot("It is no file any more, or a link to nothing.")
    if plan.choice.way is not Way.MOVE and plan.lies_sorted(picture):
        return Stays.LYING
    return resolver.group(picture)


def tell(decided: Group | Stays | Cannot, picture: Sorted, into: str, tally: Tally, watch: Watch) -> tuple[Move, ...]:
    """Count and tell what was decided; gives what is to be done."""
    name = source_of(picture)
    match decided:
        case Stays():
            tally.lying += decided is Stays.LYING
            tally.gone += decided is Stays.GONE
            return ()
        case Cannot():
            tally.failed += 1
            watch.failed(name, str(decided))
            return ()
    tally.there += decided.there
    tally.skipped += decided.is_skipped
    for move in decided.taken[:1] if decided.is_skipped else decided.taken:
        watch.failed(move.source, f"It stays, as something else is at {path_of(into, move.target)}.")
    return decided.moves
