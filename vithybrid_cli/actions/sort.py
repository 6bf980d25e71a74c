"""Pictures are sorted into folders by their labels, so that nothing is lost whenever this ends."""

# ruff: noqa: PTH100, PTH112

import io
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from vithybrid_cli.actions.batch import Batch, Work
from vithybrid_cli.actions.decide import Tally, decide, tell
from vithybrid_cli.actions.folders import UNREADABLE, UNSURE
from vithybrid_cli.actions.into import known_pairs, moved_before, opened_folder, pasts_in, unwritable
from vithybrid_cli.actions.journal import Head, Journal, Past, Step, next_journal, read_journal
from vithybrid_cli.actions.names import same_on_some_disk
from vithybrid_cli.actions.place import Mark, flush_folder, mark_of
from vithybrid_cli.actions.plan import Plan, Sorted, source_of
from vithybrid_cli.actions.progress import Watch
from vithybrid_cli.actions.resolve import Group, Move, OnConflict, Resolver
from vithybrid_cli.actions.settle import path_of, settle
from vithybrid_cli.actions.sidecars import Sidecars
from vithybrid_cli.actions.undo import remove_folders
from vithybrid_cli.errors import ImageError, UsageError, listed
from vithybrid_cli.items import Item

_BATCH = 64  # steps that are written down together


def planned(plan: Plan, on_conflict: OnConflict, results: Path, tally: Tally, watch: Watch) -> Iterator[Move]:
    """What sorting would do, in order; nothing is written. ``tally`` counts as it goes."""
    into, pasts = str(plan.choice.into), pasts_in(plan.choice.into)
    resolver = Resolver(plan, into, on_conflict, _sidecars(plan, results), {}, known_pairs(pasts))
    moved = moved_before(pasts)
    for picture in plan.pictures:
        for move in tell(decide(picture, resolver, moved), picture, into, tally, watch):
            tally.count(move, picture)
            yield move
        watch.advance()


def sort_pictures(plan: Plan, on_conflict: OnConflict, results: Path, tally: Tally, watch: Watch) -> None:
    """Do what is planned, and count it in ``tally``. ``results`` is the file that the plan was made of.

    One picture that cannot be sorted is told and does not keep the others. Raises UsageError if the folder cannot be
    written to, if another sort is at work in it, if there is no room left, and with ``fail`` before anything is done if
    anything is in the way. All can be run again then, and goes on where it ended.
    """
    if on_conflict is OnConflict.FAIL:
        _require_room(plan, results)
    with opened_folder(plan.choice.into) as made:
        pasts = pasts_in(plan.choice.into)
        asked = _asked(plan, on_conflict, results)
        earlier = next((past for past in reversed(pasts) if not past.ended and past.head.asked == asked), None)
        items = {source_of(picture): picture.item for picture in plan.pictures if picture.path is None}
        try:
            for past in pasts:
                if not past.ended:
                    _finish(past, str(plan.choice.into), items, end=past is not earlier)
            resolver = Resolver(
                plan, str(plan.choice.into), on_conflict, _sidecars(plan, results), None, known_pairs(pasts)
            )
            head = earlier.head if earlier else Head(secrets.token_hex(4), asked, tuple(made))
            with _Sorter(resolver, head, earlier, tally, watch) as sorter:
                sorter.run(moved_before(pasts))
        except OSError as error:  # of the journal
            raise unwritable(plan.choice.into, error) from error


def _asked(plan: Plan, on_conflict: OnConflict, results: Path) -> dict[str, Any]:
    """What has to be the same for a sort to go on with an earlier one's journal, as it is read back from there."""
    choice, stamp = plan.choice, results.stat()
    asked = {
        "into": os.path.abspath(choice.into),
        "results": str(results.resolve()),
        "size": stamp.st_size,
        "mtime_ns": stamp.st_mtime_ns,
        "action": choice.way,
        "min_score": choice.minimum,
        "below": plan.base,
        "changed": choice.changed,
        "on_conflict": on_conflict,
        "folders": sorted(set(plan.folders.values()) | {UNSURE, UNREADABLE}),
    }
    return dict(json.loads(json.dumps(asked)))


def _finish(past: Past, into: str, items: dict[str, Item], *, end: bool) -> None:
    """Finish, or give up, what was under way when an earlier sort was killed. Raises OSError."""
    with Journal(past.file, past.head, past) as journal:
        for step in list(past.pending()):

            def original(step: Step = step) -> BinaryIO:
                if step.local:
                    return Path(step.source).open("rb")
                return items[step.source].open() if step.source in items else io.BytesIO()

            try:
                mark = settle(step, into, past, original)
            except (OSError, ImageError):  # it is told when the picture's turn comes
                mark = None
            if mark is None:
                past.void.add(step.number)
                journal.write({"void": step.number})
            else:
                past.done[step.number] = mark
                journal.done(step.number, mark)
        if end:
            journal.write({"end": True})


class _Sorter(ExitStack):
    """Gathers steps into batches. The journal is begun with the first of them, or the ``earlier`` one goes on."""

    def __init__(self, resolver: Resolver, head: Head, earlier: Past | None, tally: Tally, watch: Watch) -> None:
        super().__init__()
        self._resolver, self._tally, self._watch = resolver, tally, watch
        self._into, self._head, self._earlier = resolver.into, head, earlier
        self._next = earlier.next_number if earlier else 1
        self._journal: Journal | None = None
        self._waiting = _Waiting()
        tally.journal = earlier.file if earlier else None

    def run(self, moved: dict[str, str]) -> None:
        """Sort all pictures."""
        for picture in self._resolver.plan.pictures:
            decided = decide(picture, self._resolver, moved)
            if isinstance(decided, Group) and self._waiting.would_meet(decided.moves):
                self._flush()
                decided = decide(picture, self._resolver, moved)
            self._add(picture, tell(decided, picture, self._into, self._tally, self._watch))
            if len(self._waiting.works) >= _BATCH:
                self._flush()
            self._watch.advance()
        self._flush()
        if self._journal is not None or self._earlier is not None:
            journal = self._begun()
            journal.write({"end": True})
            journal.sync()
            self._drop_empty(journal)

    def _drop_empty(self, journal: Journal) -> None:
        """Remove a journal by which nothing was done, and the folders that were made for nothing."""
        past = read_journal(journal.file)
        if past.done or any(past.pending()):
            return
        self.close()
        remove_folders(past, self._into)
        journal.file.unlink()
        self._tally.journal = None

    def _add(self, picture: Sorted, moves: Sequence[Move]) -> None:
        first = None
        for move in moves:
            is_picture = move.source == source_of(picture)
            try:
                mark = mark_of(move.source) if move.local else Mark(*picture.item.stamp())
            except OSError as error:
                self._fail(move.source, f"It cannot be read: {error.strerror or error}.")
                if is_picture:
                    return
                continue
            step = Step(self._next, move.source, move.target, move.way, mark, move.local)
            self._next += 1
            first = step.number if is_picture else first
            along = None if is_picture else first
            self._waiting.add(Work(step, picture.item if is_picture else None, along), picture, self._into)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, _Waiting()
        if not waiting.works:
            return

        def told(work: Work, reason: str | None) -> None:
            step = work.step
            if reason is not None:
                self._fail(step.source, reason)
            else:
                self._tally.count(Move(step.source, step.target, step.way, step.local), waiting.pictures[step.number])

        Batch(self._into, self._begun(), told).take(waiting.works, list(waiting.folders))

    def _begun(self) -> Journal:
        if self._journal is None:
            file = self._earlier.file if self._earlier else next_journal(Path(self._into))
            self._journal = self.enter_context(Journal(file, self._head, self._earlier))
            self._tally.journal = file
            flush_folder(self._into)
        return self._journal

    def _fail(self, source: str, reason: str) -> None:
        self._tally.failed += 1
        self._watch.failed(source, reason)


@dataclass(slots=True)
class _Waiting:
    """Steps that are taken together: none of them has the place of another, on whatever disk."""

    works: list[Work] = field(default_factory=list)
    pictures: dict[int, Sorted] = field(default_factory=dict)  # by the number of the step
    folders: dict[str, None] = field(default_factory=dict)  # that are to be made, outer ones first
    _claimed: set[str] = field(default_factory=set)

    def would_meet(self, moves: Sequence[Move]) -> bool:
        return any(same_on_some_disk(move.target) in self._claimed for move in moves)

    def add(self, work: Work, picture: Sorted, into: str) -> None:
        self.works.append(work)
        self.pictures[work.step.number] = picture
        self._claimed.add(same_on_some_disk(work.step.target))
        parts = work.step.target.split("/")[:-1]
        for end in range(1, len(parts) + 1):
            folder = "/".join(parts[:end])
            if folder not in self.folders and not os.path.isdir(path_of(into, folder)):
                self.folders[folder] = None


def _sidecars(plan: Plan, results: Path) -> Sidecars:
    return Sidecars(plan.all_paths, frozenset({os.path.abspath(results)}))


def _require_room(plan: Plan, results: Path) -> None:
    """Raise UsageError if anything is in the way of anything."""
    taken = _Taken()
    for _ in planned(plan, OnConflict.SKIP, results, Tally(), taken):
        pass
    if taken.names:
        raise UsageError(
            f"Something else has the place of {len(taken.names):,} files, so nothing was sorted: "
            f"{listed(taken.names, 3)}.",
            "Move it away, or set {on_conflict=rename} or {on_conflict=skip}.",
        )


@dataclass(slots=True)
class _Taken:
    """Keeps the names of what cannot get to its place, and not of what cannot be sorted anyhow."""

    names: list[str] = field(default_factory=list)

    def failed(self, path: str, reason: str) -> None:
        if reason.startswith("It stays,"):
            self.names.append(path)

    def advance(self) -> None:
        pass
