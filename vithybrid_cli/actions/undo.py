"""What a sort has done is put back, as far as nobody has changed it since.

Each step is judged by what is there now, so that an undo that was killed is run again, and goes on where it ended.
"""

# ruff: noqa: PTH103, PTH106, PTH113, PTH114, PTH116, PTH120, PTH123

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from vithybrid_cli.actions import place
from vithybrid_cli.actions.content import digest_of, is_beginning, same_content
from vithybrid_cli.actions.journal import LOCK, Past, Step, Way, journals_in
from vithybrid_cli.actions.place import ChangedMeanwhile, Mark, mark_of
from vithybrid_cli.actions.progress import Watch
from vithybrid_cli.actions.settle import clear, is_link_to, is_same_file, path_of
from vithybrid_cli.errors import UsageError
from vithybrid_cli.locks import AlreadyLocked, lock_file
from vithybrid_cli.sources.containers import is_member_name, place_of
from vithybrid_cli.sources.remote.addresses import is_address


class Undone(Enum):
    """What is done about a step."""

    NOTHING = "nothing"
    REMOVE = "remove"
    MOVE_BACK = "move back"


class Kept(Exception):
    """Why what a step has done stays, as a sentence."""


@dataclass(slots=True)
class Tally:
    """How many files were put back, how many copies and links were removed, and how many stay."""

    back: int = 0
    removed: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """What is done about one file: ``target`` is where it is now, ``source`` where it came from."""

    undone: Undone
    source: str
    target: str
    step: Step

    @property
    def goes_to(self) -> str:
        """Where it is afterwards; nothing for what is removed."""
        return self.source if self.undone is Undone.MOVE_BACK else ""


def acts(past: Past, into: str, kept: list[tuple[str, str]]) -> Iterator[Act]:
    """What there is to do, the last step first; what stays is added to ``kept``, with the reason."""
    for number in sorted(past.steps, reverse=True):
        step = past.steps[number]
        if number in past.void:
            continue
        target = path_of(into, step.target)
        try:
            undone = _undone(step, target, past.done.get(number), number in past.taken)
        except Kept as error:
            kept.append((target, str(error)))
        except OSError as error:
            kept.append((target, f"It cannot be read: {error.strerror or error}."))
        else:
            if undone is not Undone.NOTHING:
                yield Act(undone, step.source, target, step)


def _undone(step: Step, target: str, done: Mark | None, begun: bool) -> Undone:
    """What is to be done about a step. Raises Kept, and OSError."""
    if not os.path.lexists(target):
        if step.way is Way.MOVE and done is not None and not os.path.lexists(step.source):
            raise Kept("It is not there any more, and cannot be put back.")
        return Undone.NOTHING
    match step.way:
        case Way.MOVE:
            return _of_move(step, target, done)
        case Way.SYMLINK:
            return _if(is_link_to(target, step.source), "It is another link, or a file, than was made.", done)
        case Way.HARDLINK:
            own = is_same_file(target, os.path.realpath(step.source))
            return _if(own, "It is not the same file as its original any more.", done)
        case Way.COPY:
            return _of_copy(step, target, done, begun)


def _if(ours: bool, reason: str, done: Mark | None) -> Undone:
    if ours:
        return Undone.REMOVE
    if done is None:  # it was not begun; something else came there
        return Undone.NOTHING
    raise Kept(reason)


def _of_move(step: Step, target: str, done: Mark | None) -> Undone:
    if not os.path.lexists(step.source):
        if mark_of(target) != _plain(done or step.mark):
            raise Kept("It was changed since it was moved.")
        return Undone.MOVE_BACK
    if is_same_file(step.source, target):
        return Undone.REMOVE
    if (
        mark_of(step.source) == step.mark
        and mark_of(target) == _plain(done or step.mark)
        and same_content(step.source, target)
    ):
        return Undone.REMOVE
    if done is None:
        return Undone.NOTHING
    raise Kept(f"Something else is at {step.source}, where it was.")


def _of_copy(step: Step, target: str, done: Mark | None, begun: bool) -> Undone:
    if done is None:
        return _of_unfinished_copy(step, target, begun)
    if mark_of(target) != _plain(done) or os.path.islink(target) or digest_of(target) != done.digest:
        raise Kept("It was changed since it was copied.")
    if not _has_original(step, done):
        raise Kept("It may be the only copy: its original is gone, or has changed.")
    return Undone.REMOVE


def _of_unfinished_copy(step: Step, target: str, begun: bool) -> Undone:
    if not step.local:
        return Undone.NOTHING if begun else Undone.REMOVE
    if not os.path.isfile(step.source):
        raise Kept("It may be the only copy: its original is gone.")
    if same_content(step.source, target) and not is_same_file(step.source, target):
        return Undone.REMOVE
    if begun and _is_begun(target, step.source):
        return Undone.REMOVE
    return Undone.NOTHING


def _is_begun(target: str, source: str) -> bool:
    with open(source, "rb") as stream:
        return is_beginning(target, stream)


def _has_original(step: Step, done: Mark) -> bool:
    """Whether what was copied is still where it was; what was at an address is taken to be."""
    if not step.local:
        holder = place_of(step.source)
        return not is_member_name(step.source) or is_address(holder) or os.path.isfile(holder)
    try:
        if not os.path.isfile(step.source):
            return False
        status = os.stat(step.source)
        unchanged = Mark(status.st_size, status.st_mtime_ns) == step.mark
        return unchanged or digest_of(step.source) == done.digest
    except OSError:
        return False


def _plain(mark: Mark) -> Mark:
    return Mark(mark.size, mark.mtime_ns)


def put_back(act: Act, token: str) -> None:
    """Do it. Raises Kept, and OSError."""
    if act.undone is Undone.REMOVE:
        place.remove(act.target)
        return
    folder = os.path.dirname(act.source)
    os.makedirs(folder, exist_ok=True)
    part = place.unfinished_name(folder, token, act.step.number)
    try:
        mark = _again(act, part)
    except FileExistsError as error:
        raise Kept(f"Something else is at {act.source}, where it was.") from error
    except ChangedMeanwhile as error:
        raise Kept("It was changed while it was put back.") from error
    place.flush_folder(folder)
    if (
        not is_same_file(act.source, act.target)
        and mark.digest is not None
        and not place.checked(act.source, mark.digest)
    ):
        place.remove(act.source)
        raise Kept("Its copy was read back otherwise than it was written. Check the disk.")
    place.remove(act.target)


def _again(act: Act, part: str) -> Mark:
    """Give a moved file its old name as well. Raises FileExistsError if something has it."""
    if os.path.islink(act.target):
        raise Kept("It was replaced by a link.")
    try:
        return place.hard_link(act.target, act.source)
    except OSError as error:
        if error.errno not in place.NO_LINK:
            raise
    return place.copy(act.target, act.source, part, lambda: None)


def remove_folders(past: Past, into: str) -> None:
    """Remove the folders that the sort made and that are empty, the innermost first."""
    for folder in sorted(set(past.folders), key=lambda folder: folder.count("/"), reverse=True):
        with suppress(OSError):
            os.rmdir(path_of(into, folder))


def undo_sort(past: Past, watch: Watch) -> Tally:
    """Put everything back; what stays is told, and does not keep the rest.

    The journal goes when nothing stays, and the folder into which was sorted, if the sort made it and it is empty.
    Raises UsageError if a sort or another undo is at work there.
    """
    into, tally = str(past.file.parent.absolute()), Tally()
    try:
        with lock_file(Path(into) / LOCK):
            _all(past, into, tally, watch)
            remove_folders(past, into)
            last = not tally.kept
            if last:
                past.file.unlink()
            alone = last and not journals_in(Path(into))
    except AlreadyLocked as error:
        raise UsageError(f"A sort or another undo is at work in {into}.", "Wait until it has ended.") from error
    except OSError as error:
        raise UsageError(
            f"Cannot write to {into}: {error.strerror or error}.", "Make it writable, and undo again."
        ) from error
    if alone:
        _remove_made(past, into)
    return tally


def _remove_made(past: Past, into: str) -> None:
    """The folder into which was sorted, and those above it that were made for it; if it was renamed, it alone."""
    if not past.head.made:
        return
    for folder in (into, *past.head.made[1:]):
        with suppress(OSError):
            os.rmdir(folder)


def _all(past: Past, into: str, tally: Tally, watch: Watch) -> None:
    for step in past.pending():
        clear(step, into, past.head.token)
    kept: list[tuple[str, str]] = []
    for act in acts(past, into, kept):
        clear(act.step, into, past.head.token)
        try:
            put_back(act, past.head.token)
        except Kept as error:
            kept.append((act.target, str(error)))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            kept.append((act.target, f"It cannot be put back: {error.strerror or error}."))
        else:
            tally.back += act.undone is Undone.MOVE_BACK
            tally.removed += act.undone is Undone.REMOVE
        watch.advance()
    for path, reason in kept:
        watch.failed(path, reason)
    tally.kept = len(kept)
