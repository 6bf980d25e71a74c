"""Pictures are sorted into folders by their labels, so that nothing is lost whenever this ends."""

# ruff: noqa: PTH100, PTH106, PTH112, PTH113, PTH123, PTH208

import io
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from vithybrid_cli.actions.batch import Batch, Work
from vithybrid_cli.actions.folders import UNREADABLE, UNSURE
from vithybrid_cli.actions.journal import LOCK, Head, Journal, Past, Step, Way, journals_in, next_journal, read_journal
from vithybrid_cli.actions.names import same_on_some_disk
from vithybrid_cli.actions.place import Mark, flush_folder, mark_of
from vithybrid_cli.actions.plan import Plan, Sorted
from vithybrid_cli.actions.progress import Watch
from vithybrid_cli.actions.resolve import Group, Move, OnConflict, Resolver
from vithybrid_cli.actions.settle import path_of, settle
from vithybrid_cli.actions.sidecars import Sidecars
from vithybrid_cli.errors import ImageError, UsageError, listed
from vithybrid_cli.locks import AlreadyLocked, lock_file

_BATCH = 64  # steps that are written down together


@dataclass(slots=True)
class Tally:
    """How many pictures went where. ``beside`` are sidecars that went along; ``journal`` says what was done."""

    placed: int = 0
    unsure: int = 0
    unreadable: int = 0
    there: int = 0
    lying: int = 0
    skipped: int = 0
    failed: int = 0
    beside: int = 0
    beside_left: int = 0
    journal: Path | None = None


def planned(plan: Plan, on_conflict: OnConflict, results: Path, tally: Tally, watch: Watch) -> Iterator[Move]:
    """What sorting would do, in order; nothing is written. ``tally`` counts as it goes."""
    into = str(plan.choice.into)
    resolver = Resolver(plan, into, on_conflict, _sidecars(plan, results), claimed={})
    moved = _moved_before(_pasts(plan.choice.into))
    for picture in plan.pictures:
        group = _group(picture, resolver, moved, tally, watch)
        for move in () if group is None else group.moves:
            _count(tally, move, picture)
            yield move
        watch.advance()


def sort_pictures(plan: Plan, on_conflict: OnConflict, results: Path, watch: Watch) -> Tally:
    """Do what is planned. ``results`` is the file that the plan was made of.

    One picture that cannot be sorted is told and does not keep the others. Raises UsageError if the folder cannot be
    written to, if another sort is at work in it, if there is no room left, and with ``fail`` before anything is done if
    anything is in the way. All can be run again then, and goes on where it ended.
    """
    if on_conflict is OnConflict.FAIL:
        _require_room(plan, results)
    with _folder(plan.choice.into) as made:
        sorter = _Sorter(plan, on_conflict, results, watch, made)
        try:
            sorter.run()
        finally:
            sorter.close()
        return sorter.tally


def asked_for(plan: Plan, on_conflict: OnConflict, results: Path) -> dict[str, Any]:
    """What has to be the same for a sort to go on with an earlier one's journal."""
    choice, stamp = plan.choice, results.stat()
    return {
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


def folders_before(into: Path) -> frozenset[str]:
    """The folders of labels into which was sorted earlier below ``into``."""
    found: set[str] = set()
    for past in _pasts(into):
        names = past.head.asked.get("folders")
        found.update(map(str, names) if isinstance(names, list) else ())
    return frozenset(found)


class _Sorter:
    def __init__(self, plan: Plan, on_conflict: OnConflict, results: Path, watch: Watch, made: Sequence[str]) -> None:
        self.plan, self.into, self.watch = plan, str(plan.choice.into), watch
        self.tally = Tally()
        pasts = _pasts(plan.choice.into)
        asked = asked_for(plan, on_conflict, results)
        self._past = next(
            (past for past in reversed(pasts) if not past.ended and past.head.asked == json.loads(json.dumps(asked))),
            None,
        )
        self._head = self._past.head if self._past else Head(secrets.token_hex(4), asked, tuple(made))
        self._number = self._past.next_number if self._past else 1
        self._journal: Journal | None = None
        self._resolver = Resolver(plan, self.into, on_conflict, _sidecars(plan, results))
        self._settled: dict[str, str] = {}
        self._others = pasts
        self._works: list[Work] = []
        self._folders: dict[str, None] = {}
        self._claimed: set[str] = set()
        self._of: dict[int, Sorted] = {}

    def run(self) -> None:
        if self._past is not None:
            self._settle(self._past)
        moved = _moved_before(self._others)
        for picture in self.plan.pictures:
            self._take(picture, moved)
        self._flush()
        if self._journal is not None:
            self._journal.write({"end": True})
            self._journal.sync()

    def close(self) -> None:
        if self._journal is not None:
            self._journal.__exit__(None, None, None)
        if self._past is not None:
            self.tally.journal = self._past.file

    def _settle(self, past: Past) -> None:
        """Finish, or give up, what was under way when an earlier run was killed."""
        journal = self._open()
        items = {picture.item.name: picture.item for picture in self.plan.pictures if picture.path is None}
        for step in list(past.pending()):

            def original(step: Step = step) -> BinaryIO:
                if step.local:
                    return open(step.source, "rb")
                return items[step.source].open() if step.source in items else io.BytesIO()

            try:
                mark = settle(step, self.into, past, original)
            except (OSError, ImageError):  # it will be told when the picture's turn comes
                mark = None
            if mark is None:
                past.void.add(step.number)
                journal.write({"void": step.number})
            else:
                past.done[step.number] = mark
                journal.done(step.number, mark)

    def _open(self) -> Journal:
        if self._journal is None:
            try:
                file = self._past.file if self._past else next_journal(self.plan.choice.into)
                self._journal = Journal(file, self._head, self._past)
                flush_folder(self.into)
            except OSError as error:
                raise _unwritable(self.plan.choice.into, error) from error
            self.tally.journal = file
        return self._journal

    def _take(self, picture: Sorted, moved: dict[str, str]) -> None:
        group = _group(picture, self._resolver, moved, self.tally, self.watch)
        if group is not None and any(same_on_some_disk(move.target) in self._claimed for move in group.moves):
            self._flush()
            group = _group(picture, self._resolver, moved, Tally(), self.watch)
        first = None
        for move in () if group is None else group.moves:
            number, self._number = self._number, self._number + 1
            is_picture = move.source == (picture.path or picture.item.name)
            try:
                mark = mark_of(move.source) if move.local else Mark(*picture.item.stamp())
            except OSError as error:
                self._fail(move.source, f"It cannot be read: {error.strerror or error}.")
                break
            step = Step(number, move.source, move.target, move.way, mark, move.local)
            self._works.append(Work(step, picture.item if is_picture else None, first))
            self._of[number] = picture
            first = number if is_picture else first
            self._claimed.add(same_on_some_disk(move.target))
            self._add_folders(move.target)
        if len(self._works) >= _BATCH:
            self._flush()
        self.watch.advance()

    def _add_folders(self, target: str) -> None:
        parts = target.split("/")[:-1]
        for end in range(1, len(parts) + 1):
            folder = "/".join(parts[:end])
            if folder not in self._folders and not os.path.isdir(path_of(self.into, folder)):
                self._folders[folder] = None

    def _flush(self) -> None:
        if not self._works:
            return
        try:
            batch = Batch(self.into, self._open(), self._told)
            batch.take(self._works, list(self._folders))
        except OSError as error:
            raise _unwritable(self.plan.choice.into, error) from error
        finally:
            self._works, self._folders, self._claimed, self._of = [], {}, set(), {}

    def _told(self, work: Work, reason: str | None) -> None:
        if reason is not None:
            self._fail(work.step.source, reason)
            return
        picture, step = self._of[work.step.number], work.step
        _count(self.tally, Move(step.source, step.target, step.way, step.local), picture)

    def _fail(self, source: str, reason: str) -> None:
        self.tally.failed += 1
        self.watch.failed(source, reason)


def _group(picture: Sorted, resolver: Resolver, moved: dict[str, str], tally: Tally, watch: Watch) -> Group | None:
    """What to do for a picture; None if it is nothing, which is counted and told."""
    plan, name = resolver.plan, picture.path or picture.item.name
    way, into = plan.choice.way, str(plan.choice.into)
    try:
        if picture.path is None and way is not Way.COPY:
            raise _Cannot("It is in an archive or at an address, and can only be copied.")
        if picture.path is not None and not os.path.lexists(picture.path):
            target = moved.get(picture.path)
            if target is None or not os.path.lexists(path_of(into, target)):
                raise _Cannot("It is not there any more.")
            group = resolver.rest(picture, target)
        elif picture.path is not None and not os.path.isfile(picture.path):
            raise _Cannot("It is no file any more, or a link that leads nowhere.")
        elif way is not Way.MOVE and plan.lies_sorted(picture):
            tally.lying += 1
            return None
        else:
            group = resolver.group(picture)
    except (_Cannot, ImageError) as error:
        tally.failed += 1
        watch.failed(name, str(error))
        return None
    except OSError as error:
        tally.failed += 1
        watch.failed(name, f"It cannot be read: {error.strerror or error}.")
        return None
    tally.there += group.there
    if group.is_skipped:
        tally.skipped += 1
        watch.failed(name, f"Something else is at {path_of(into, group.taken[0].target)}, so it stays.")
    elif group.taken:
        tally.beside_left += len(group.taken)
        for move in group.taken:
            watch.failed(move.source, f"Something else is at {path_of(into, move.target)}, so it stays.")
    return group


class _Cannot(Exception):
    """Why a picture is not sorted, as a sentence."""


def _count(tally: Tally, move: Move, picture: Sorted) -> None:
    if move.source != (picture.path or picture.item.name):
        tally.beside += 1
        return
    tally.placed += 1
    folder = move.target.split("/")[0]
    tally.unsure += folder == UNSURE
    tally.unreadable += folder == UNREADABLE


def _moved_before(pasts: Sequence[Past]) -> dict[str, str]:
    """Where each source went that was moved away, by the journals."""
    return {
        past.steps[number].source: past.steps[number].target
        for past in pasts
        for number in past.done
        if number in past.steps and past.steps[number].way is Way.MOVE
    }


def _sidecars(plan: Plan, results: Path) -> Sidecars:
    return Sidecars(plan.all_paths, frozenset({os.path.abspath(results)}))


def _pasts(into: Path) -> list[Past]:
    """What the journals of the folder tell; what is none of one's own says nothing."""
    found: list[Past] = []
    if into.is_dir():
        for file in journals_in(into):
            with suppress(UsageError):
                found.append(read_journal(file))
    return found


def _require_room(plan: Plan, results: Path) -> None:
    """Raise UsageError if anything is in the way of anything."""
    taken = _Taken()
    for _ in planned(plan, OnConflict.SKIP, results, Tally(), taken):
        pass
    if taken.names:
        names = listed(taken.names, 3)
        raise UsageError(
            f"{len(taken.names):,} files are in the way of others, so nothing was sorted: {names}.",
            "Move them away, or set {on_conflict=rename} or {on_conflict=skip}.",
        )


@dataclass(slots=True)
class _Taken:
    names: list[str] = field(default_factory=list)

    def failed(self, path: str, reason: str) -> None:
        if reason.startswith("Something else is at "):
            self.names.append(path)

    def advance(self) -> None:
        pass


@contextmanager
def _folder(into: Path) -> Iterator[Sequence[str]]:
    """The folder, made if it is not there, and no other sort's as long as this goes on; gives which were made."""
    made: list[str] = []
    try:
        folder = Path(os.path.abspath(into))
        while not os.path.lexists(folder):
            made.append(str(folder))
            folder = folder.parent
        into.mkdir(parents=True, exist_ok=True)
        if os.listdir(into) == [LOCK]:  # left by one that was killed before it had done anything
            made = made or [os.path.abspath(into)]
        with lock_file(into / LOCK):
            yield made
    except AlreadyLocked as error:
        raise UsageError(f"Another sort or undo is at work in {into}.", "Wait until it has ended.") from error
    except OSError as error:
        raise _unwritable(into, error) from error
    finally:
        for path in made:
            with suppress(OSError):  # there is something in it
                os.rmdir(path)


def _unwritable(into: Path, error: OSError) -> UsageError:
    return UsageError(
        f"Cannot write to {into}: {error.strerror or error}.",
        "Make room or change its permissions, or give another {into}.",
    )
