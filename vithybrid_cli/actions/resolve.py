"""Which files go along with a picture, under which names they find room, and which are there already."""

# ruff: noqa: PTH113, PTH114, PTH122

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from vithybrid_cli.actions.content import digest, digest_of, same_content
from vithybrid_cli.actions.journal import Way
from vithybrid_cli.actions.place import Mark, mark_of
from vithybrid_cli.actions.plan import Plan, Sorted, source_of
from vithybrid_cli.actions.settle import is_link_to, path_of
from vithybrid_cli.actions.sidecars import Sidecar, Sidecars


class OnConflict(StrEnum):
    """What is done with a picture where another one has its place."""

    RENAME = "rename"
    SKIP = "skip"
    FAIL = "fail"


class At(Enum):
    """What is at a place: nothing, the same content, or something else."""

    FREE, SAME, OTHER = range(3)


@dataclass(frozen=True, slots=True)
class Move:
    """One file on its way: from a path, or the name of what is no file, to a path below the folder."""

    source: str
    target: str
    way: Way
    local: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """What is to be done for one picture: its own move first if it is not there already, and those of its sidecars.

    ``taken`` is what stays because something else has its place.
    """

    moves: tuple[Move, ...] = ()
    there: bool = False
    taken: tuple[Move, ...] = ()

    @property
    def is_skipped(self) -> bool:
        """Whether the picture itself stays."""
        return not self.there and not self.moves


@dataclass(slots=True)
class Resolver:
    """Finds places below ``into``. With ``claimed`` what it has found counts as there, though nothing is done."""

    plan: Plan
    into: str
    on_conflict: OnConflict
    sidecars: Sidecars
    claimed: dict[str, Move] | None = None
    known: Mapping[tuple[str, str], tuple[Mark, Mark]] = field(default_factory=dict)

    def group(self, picture: Sorted) -> Group:
        """What to do for a picture that is there. Raises OSError and ImageError."""
        own = Move(source_of(picture), self.plan.target(picture), self._way(picture), picture.path is not None)
        beside = self.sidecars.of(picture.path) if picture.path is not None else []
        for target in _names(own.target):
            first = Move(own.source, target, own.way, own.local)
            others = [self._beside(sidecar, target) for sidecar in beside]
            state = self._at(first, picture)
            if state is At.OTHER or (state is At.FREE and any(self._at(other) is At.OTHER for other in others)):
                if self.on_conflict is OnConflict.RENAME:
                    continue
                if state is At.OTHER:
                    return Group(taken=(first, *others))
            return self._chosen(first, state, others)
        raise AssertionError("names do not end")

    def rest(self, picture: Sorted, target: str) -> Group:
        """The sidecars of a picture that is at ``target`` already."""
        beside = self.sidecars.of(picture.path) if picture.path is not None else []
        first = Move(source_of(picture), target, self.plan.choice.way)
        return self._chosen(first, At.SAME, [self._beside(sidecar, target) for sidecar in beside])

    def _chosen(self, first: Move, state: At, others: list[Move]) -> Group:
        states = [self._at(other) for other in others]
        free = [other for other, at in zip(others, states, strict=True) if at is At.FREE]
        taken = [other for other, at in zip(others, states, strict=True) if at is At.OTHER]
        moves = [first, *free] if state is At.FREE else free
        if self.claimed is not None:
            self.claimed |= {move.target: move for move in moves}
        return Group(tuple(moves), state is At.SAME, tuple(taken))

    def _way(self, picture: Sorted) -> Way:
        return self.plan.choice.way if picture.path is not None else Way.COPY

    def _beside(self, sidecar: Sidecar, target: str) -> Move:
        way = self.plan.choice.way
        return Move(sidecar.path, sidecar.beside(target), Way.COPY if way is Way.MOVE and sidecar.shared else way)

    def _at(self, move: Move, picture: Sorted | None = None) -> At:
        if self.claimed is not None and (there := self.claimed.get(move.target)) is not None:
            return At.SAME if there.local and move.local and same_content(there.source, move.source) else At.OTHER
        target = path_of(self.into, move.target)
        if not os.path.lexists(target):
            return At.FREE
        if move.local:
            return At.SAME if self._is_same(move, target) else At.OTHER
        if picture is None or not os.path.isfile(target):
            return At.OTHER
        with picture.item.open() as stream:
            return At.SAME if digest(stream) == digest_of(target) else At.OTHER

    def _is_same(self, move: Move, target: str) -> bool:
        if is_link_to(target, move.source):
            return True
        known = self.known.get((move.source, move.target))
        if (
            known is not None
            and not os.path.islink(move.source)
            and (mark_of(move.source), mark_of(target)) == tuple(map(_without_digest, known))
        ):
            return True
        return same_content(move.source, target)


def _without_digest(mark: Mark) -> Mark:
    return Mark(mark.size, mark.mtime_ns)


def _names(target: str) -> Iterator[str]:
    """``a.jpg``, ``a (2).jpg``, ``a (3).jpg``, …"""
    yield target
    stem, suffix = os.path.splitext(target)
    number = 1
    while True:
        number += 1
        yield f"{stem} ({number}){suffix}"
