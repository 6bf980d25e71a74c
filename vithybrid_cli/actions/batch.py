"""Steps are taken in batches: all are written down first and reach the disk together, then each is taken.

Of a batch of moves all files have their new names, on the disk too, before the first one loses its old name.
"""

# ruff: noqa: PTH103, PTH110, PTH112, PTH114, PTH120

import errno
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from vithybrid_cli.actions import place
from vithybrid_cli.actions.journal import Journal, Step, Way
from vithybrid_cli.actions.place import ChangedMeanwhile, Mark, mark_of
from vithybrid_cli.actions.settle import is_same_file, path_of
from vithybrid_cli.errors import ImageError, UsageError
from vithybrid_cli.items import Item

FULL = (errno.ENOSPC, errno.EDQUOT)


class Refused(Exception):
    """A step that is not taken, with the reason as a sentence."""


@dataclass(frozen=True, slots=True)
class Work:
    """A step, the item of its source, and the number of the picture's step that it goes along with, if any."""

    step: Step
    item: Item | None
    along: int | None = None


@dataclass(slots=True)
class Batch:
    """Takes steps into the folder ``into``, and tells of each what has come of it by calling ``told``.

    That gets the work and the reason why nothing, or not all, came of it: None if all did.
    """

    into: str
    journal: Journal
    told: Callable[[Work, str | None], None]
    _failed: set[int] = field(default_factory=set)

    def take(self, works: Sequence[Work], folders: Sequence[str]) -> None:
        """Take all these steps; ``folders`` are to be made first. Raises UsageError when the disk is full."""
        self.journal.write(*({"folder": folder} for folder in folders), *(work.step.record() for work in works))
        self.journal.sync()
        placed: deque[tuple[Work, Mark]] = deque()
        ending: UsageError | KeyboardInterrupt | None = None  # once what was begun is finished
        for work in works:
            if ending is None and work.along not in self._failed:
                try:
                    placed.append((work, self._place(work)))
                    continue
                except UsageError as error:
                    ending = error
                except KeyboardInterrupt as error:
                    ending = error
                    self._failed.add(work.step.number)  # what became of it is found out later
                    continue
                except Refused as refusal:
                    self._fail(work, str(refusal))
                    continue
            self._fail(work, None)
        try:
            self._release(placed)
        except KeyboardInterrupt as error:
            ending = error
            self._release(placed)
        if ending is not None:
            raise ending

    def _place(self, work: Work) -> Mark:
        """Raises Refused with the reason, or UsageError if there is no room."""
        target = path_of(self.into, work.step.target)
        try:
            self._make_folder(target)
            return self._put(work, target)
        except ChangedMeanwhile as error:
            raise Refused("It was changed while it was copied. Sort again.") from error
        except ImageError as error:
            raise Refused(str(error)) from error
        except FileExistsError as error:
            raise Refused(f"Something else has come to {target} meanwhile. Sort again.") from error
        except OSError as error:
            if error.errno == errno.EXDEV:
                cause = f"{work.step.source} is on another file system than {self.into}, where no hard link can be."
                raise UsageError(cause, "Leave out {hardlink}, or set {symlink}.") from error
            if error.errno in FULL:
                cause = f"There is no room left for {target}: {error.strerror}."
                raise UsageError(cause, "Make room and sort again, which goes on where this ended.") from error
            raise Refused(_refusal(work.step, target, error)) from error

    def _put(self, work: Work, target: str) -> Mark:
        step, part = work.step, self._part(work.step, target)

        def take_name() -> None:
            self.journal.write({"taken": step.number})
            self.journal.sync()

        match step.way:
            case Way.COPY if not step.local and work.item is not None:
                with work.item.open() as stream:
                    return place.copy_out(stream, target, part, take_name)
            case Way.COPY:
                return place.copy(step.source, target, part, take_name)
            case Way.HARDLINK:
                return place.hard_link(os.path.realpath(step.source), target)
            case Way.SYMLINK:
                return place.symbolic_link(step.source, target)
            case Way.MOVE:
                return move_there(step.source, target, part, take_name)

    def _part(self, step: Step, target: str) -> str:
        return place.unfinished_name(os.path.dirname(target), self.journal.head.token, step.number)

    def _make_folder(self, target: str) -> None:
        """Raises Refused where something else has the name of a folder, and OSError."""
        folder = os.path.dirname(target)
        try:
            os.makedirs(folder, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            if (other := _no_folder(self.into, folder)) is None:
                raise
            kind = "a link to nothing" if not os.path.exists(other) else "a file"
            raise Refused(f"{other} is {kind}, where a folder has to be. Move it away and sort again.") from error

    def _release(self, placed: deque[tuple[Work, Mark]]) -> None:
        """Let moved files lose their old names, and write down what is done. What is dealt with is taken out."""
        moved = {path_of(self.into, work.step.target) for work, _ in placed if work.step.way is Way.MOVE}
        for folder in sorted({os.path.dirname(target) for target in moved}):
            place.flush_folder(folder)
        while placed:
            self._release_one(*placed[0])
            placed.popleft()

    def _release_one(self, work: Work, mark: Mark) -> None:
        target = path_of(self.into, work.step.target)
        if work.along in self._failed:
            take_back(work.step, target)
            self._fail(work, None)
            return
        try:
            reason = let_go(work.step, target) if work.step.way is Way.MOVE else None
        except OSError as error:
            take_back(work.step, target)
            self._fail(work, f"It cannot be moved away, and stays: {error.strerror or error}.")
            return
        self.journal.done(work.step.number, mark)
        self.told(work, reason)

    def _fail(self, work: Work, reason: str | None) -> None:
        """Nothing came of it, for this reason, or because nothing came of the picture that it goes along with."""
        self._failed.add(work.step.number)
        with suppress(OSError):  # what is not written down is found out later
            self.journal.write({"void": work.step.number})
        if reason is not None:
            self.told(work, reason)


def move_there(source: str, target: str, part: str, take_name: Callable[[], None]) -> Mark:
    """Give a file its new name as well; where that is on another file system, copy it there and read the copy again.

    Raises Refused and OSError, and as `place.copy` does.
    """
    if os.path.islink(source):
        raise Refused("It is a link, and might lead nowhere from another place. Sort without moving.")
    if not os.access(os.path.dirname(source), os.W_OK | os.X_OK):
        raise Refused("It cannot be moved out of its folder, which may not be changed.")
    try:
        return place.hard_link(source, target)
    except OSError as error:
        if error.errno not in place.NO_LINK:
            raise
    mark = place.copy(source, target, part, take_name)
    if mark.digest is not None and not place.checked(target, mark.digest):
        place.remove(target)
        raise Refused("Its copy was read back otherwise than it was written. Check the disk.")
    return mark


def let_go(step: Step, target: str) -> str | None:
    """Remove the source of a move whose target is there; gives the reason if it was replaced and stays.

    Raises OSError.
    """
    try:
        now = mark_of(step.source)
    except FileNotFoundError:
        return None
    if not is_same_file(step.source, target) and now != step.mark:
        return f"It was changed while it was moved: {target} is as it was before, and what is there now stays."
    place.remove(step.source)
    return None


def _no_folder(into: str, folder: str) -> str | None:
    """What is there under the name of a folder, or of one above it below ``into``, and is none."""
    found = None
    while len(folder) > len(into):
        if os.path.lexists(folder) and not os.path.isdir(folder):
            found = folder
        folder = os.path.dirname(folder)
    return found


def take_back(step: Step, target: str) -> None:
    """Remove the target of a step if the source is still there."""
    with suppress(OSError):
        if is_same_file(step.source, target) or (step.local and mark_of(step.source) == step.mark):
            place.remove(target)


def _refusal(step: Step, target: str, error: OSError) -> str:
    if step.local and not os.path.lexists(step.source):
        return "It is not there any more."
    failed = error.filename2 or error.filename
    where = target if failed in (None, step.source) else failed
    blamed = (
        "It cannot be read"
        if failed == step.source and not os.access(step.source, os.R_OK)
        else f"{where} cannot be made"
    )
    return f"{blamed}: {error.strerror or error}."
