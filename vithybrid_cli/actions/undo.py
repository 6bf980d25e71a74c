"""What a sort has done is put back, as far as nobody has changed it since.

Each step is judged by what is there now, so that an undo that was killed is run again, and goes on where it ended.
"""

# ruff: noqa: PTH103, PTH106, PTH112, PTH113, PTH114, PTH116, PTH120, PTH123

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from vithybrid_cli.actions import place
from vithybrid_cli.actions.batch import FULL
from vithybrid_cli.actions.content import digest_of, is_beginning, same_content
from vithybrid_cli.actions.journal import LOCK, Journal, Past, Step, Way, is_name_of_journal, journals_in, read_journal
from vithybrid_cli.actions.place import ChangedMeanwhile, Mark, mark_of
from vithybrid_cli.actions.progress import Watch
from vithybrid_cli.actions.settle import clear, is_link_to, is_one_name, is_same_file, path_of
from vithybrid_cli.errors import UsageError
from vithybrid_cli.locks import AlreadyLocked, lock_file
from vithybrid_cli.sources.containers import is_member_name, place_of
from vithybrid_cli.sources.remote.addresses import is_address


class Undone(Enum):
    """What is done about a step."""

    NOTHING = "nothing"
    REMOVE = "remove"
    MOVE_BACK = "move back"
    MOVE_BACK_AGAIN = "move back again"  # of what is at its old place there is only the beginning


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
        return self.source if self.undone is not Undone.REMOVE else ""


def acts(past: Past, into: str, kept: list[tuple[str, str]]) -> Iterator[Act]:
    """What there is to do, the last step first; what stays is added to ``kept``, with the reason."""
    for number in sorted(past.steps, reverse=True):
        step = past.steps[number]
        if number in past.void:
            continue
        target = path_of(into, step.target)
        try:
            undone = _undone(step, target, past)
        except Kept as error:
            kept.append((target, str(error)))
        except OSError as error:
            kept.append((target, f"It cannot be read: {error.strerror or error}."))
        else:
            if undone is not Undone.NOTHING:
                yield Act(undone, step.source, target, step)


def _undone(step: Step, target: str, past: Past) -> Undone:
    """What is to be done about a step. Raises Kept, and OSError."""
    done = past.done.get(step.number)
    if not os.path.lexists(target):
        if step.way is Way.MOVE and done is not None and not os.path.lexists(step.source):
            raise Kept("It is not there any more, and cannot be put back.")
        return Undone.NOTHING
    if step.way is not Way.SYMLINK and step.local and os.path.lexists(step.source) and is_one_name(step.source, target):
        raise Kept("It may be the only copy: a link leads to it from where its original was.")
    match step.way:
        case Way.MOVE:
            return _of_move(step, target, done, past)
        case Way.SYMLINK:
            return _if(is_link_to(target, step.source), "It is another link, or a file, than was made.", done)
        case Way.HARDLINK:
            own = is_same_file(target, os.path.realpath(step.source))
            return _if(own, "It is not the same file as its original any more.", done)
        case Way.COPY:
            return _of_copy(step, target, done, begun=step.number in past.taken)


def _if(ours: bool, reason: str, done: Mark | None) -> Undone:
    if ours:
        return Undone.REMOVE
    if done is None:  # it was not begun; something else came there
        return Undone.NOTHING
    raise Kept(reason)


def _of_move(step: Step, target: str, done: Mark | None, past: Past) -> Undone:
    source, now = step.source, mark_of(target)
    unchanged = now.is_of(done or step.mark)
    if not os.path.lexists(source):
        if not unchanged:
            raise Kept("It was changed since it was moved.")
        return Undone.MOVE_BACK
    if is_same_file(source, target):
        return Undone.REMOVE
    if done is None and step.number in past.taken and _is_begun(target, source):
        return Undone.REMOVE
    if unchanged and step.number in past.taken_back and _is_begun(source, target):
        return Undone.MOVE_BACK_AGAIN
    if unchanged and mark_of(source).is_of(step.mark) and same_content(source, target):
        return Undone.REMOVE
    if done is None:
        return Undone.NOTHING
    raise Kept(f"Something else is at {source}, where it was.")


def _of_copy(step: Step, target: str, done: Mark | None, *, begun: bool) -> Undone:
    if done is None:
        return _of_unfinished_copy(step, target, begun)
    if not mark_of(target).is_of(done) or os.path.islink(target) or digest_of(target) != done.digest:
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


def put_back(act: Act, journal: Journal) -> None:
    """Do it. Raises Kept, and OSError."""
    if act.undone is Undone.REMOVE:
        place.remove(act.target)
        return
    if act.undone is Undone.MOVE_BACK_AGAIN:
        place.remove(act.source)
    folder = os.path.dirname(act.source)
    os.makedirs(folder, exist_ok=True)
    try:
        mark = _back_at_source(act, place.unfinished_name(folder, journal.head.token, act.step.number), journal)
    except FileExistsError as error:
        raise Kept(f"Something else is at {act.source}, where it was.") from error
    except ChangedMeanwhile as error:
        raise Kept("It was changed while it was put back.") from error
    place.flush_folder(folder)
    if mark.digest is not None and not place.checked(act.source, mark.digest):
        place.remove(act.source)
        raise Kept("Its copy was read back otherwise than it was written. Check the disk.")
    place.remove(act.target)


def _back_at_source(act: Act, part: str, journal: Journal) -> Mark:
    """Give a moved file its old name as well. Raises FileExistsError if something has it."""
    if os.path.islink(act.target):
        raise Kept("It was replaced by a link.")

    def take_name() -> None:
        journal.write({"taken_back": act.step.number})
        journal.sync()

    try:
        return place.hard_link(act.target, act.source)
    except OSError as error:
        if error.errno not in place.NO_LINK:
            raise
    return place.copy(act.target, act.source, part, take_name)


def journal_of(file: Path) -> Past:
    """What a journal tells; of a copy that lies elsewhere, the journal itself in the folder into which was sorted.

    That folder may have been renamed since. Raises UsageError for what is no journal, or a copy of one that is gone.
    """
    past = read_journal(file)
    into = past.head.asked.get("into")
    if not isinstance(into, str) or into == folder_of(past):
        return past
    for other in journals_in(Path(into)) if os.path.isdir(into) else ():
        with suppress(UsageError):
            if (original := read_journal(other)).head == past.head:
                return original
    if not is_name_of_journal(file.name):
        raise UsageError(
            f"{file} is a copy of a journal, and the journal itself is not in {into} any more.",
            "Give the journal in the folder into which was sorted.",
        )
    return past


def folder_of(past: Past) -> str:
    """The folder into which was sorted: that of the journal."""
    return str(past.file.parent.absolute())


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
    into, tally = folder_of(past), Tally()
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
    with Journal(past.file, past.head, past) as journal:
        for act in acts(past, into, kept):
            clear(act.step, into, past.head.token)
            try:
                put_back(act, journal)
            except Kept as error:
                kept.append((act.target, str(error)))
            except OSError as error:
                if error.errno in FULL:
                    raise
                kept.append((act.target, f"It cannot be put back: {error.strerror or error}."))
            else:
                tally.removed += act.undone is Undone.REMOVE
                tally.back += act.undone is not Undone.REMOVE
            watch.advance()
    for path, reason in kept:
        watch.failed(path, reason)
    tally.kept = len(kept)
