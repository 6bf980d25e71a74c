"""What became of a step of which a journal only says that it was about to be taken: its process was killed."""

# ruff: noqa: PTH113, PTH114, PTH115, PTH118, PTH120

import os
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from vithybrid_cli.actions.content import digest_of, is_beginning, same_content
from vithybrid_cli.actions.journal import Past, Step, Way
from vithybrid_cli.actions.place import Mark, flush_folder, mark_of, remove, unfinished_name

Open = Callable[[], BinaryIO]


def path_of(into: str, target: str) -> str:
    """The path of what is below the folder into which is sorted."""
    return os.path.join(into, *target.split("/"))


def clear(step: Step, into: str, token: str) -> None:
    """Remove what was being written for a step when its process was killed, at the one end or at the other."""
    places = {os.path.dirname(path_of(into, step.target))}
    if step.local:
        places.add(os.path.dirname(step.source))
    for folder in places:
        with suppress(OSError):
            remove(unfinished_name(folder, token, step.number))


def settle(step: Step, into: str, past: Past, original: Open) -> Mark | None:
    """Finish a step if it was so far that its target is there; gives the mark of that, or None if nothing is there.

    ``original`` opens the source. Raises OSError and ImageError.
    """
    clear(step, into, past.head.token)
    target = path_of(into, step.target)
    if not os.path.lexists(target):
        return None
    match step.way:
        case Way.SYMLINK:
            return mark_of(target) if is_link_to(target, step.source) else None
        case Way.HARDLINK:
            return mark_of(target) if is_same_file(target, os.path.realpath(step.source)) else None
        case Way.MOVE:
            return _settle_move(step, target, past, original)
        case Way.COPY:
            return _settle_copy(step, target, past, original)


def is_link_to(target: str, source: str) -> bool:
    """Whether a link leads to just this path."""
    return os.path.islink(target) and os.readlink(target) == source


def is_one_name(one: str, other: str) -> bool:
    """Whether one path leads to the other, by links on the way or at its end: there is one file under one name."""
    return os.path.realpath(one) == os.path.realpath(other)


def is_same_file(one: str, other: str) -> bool:
    """Whether both are names of one file, and neither is a link."""
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except OSError:
        return False


def _settle_move(step: Step, target: str, past: Past, original: Open) -> Mark | None:
    if not os.path.lexists(step.source):
        mark = mark_of(target)
        return mark if mark.is_of(step.mark) else None
    if is_one_name(step.source, target):
        return mark_of(target)
    if not is_same_file(step.source, target):
        if step.number in past.taken or not same_content(step.source, target):
            _remove_begun(step, target, past, original)
            return None
        if mark_of(step.source) != step.mark:
            return None
    flush_folder(os.path.dirname(target))
    remove(step.source)
    return mark_of(target)


def _settle_copy(step: Step, target: str, past: Past, original: Open) -> Mark | None:
    if step.number in past.taken:  # whether times and permissions are there nobody knows
        _remove_begun(step, target, past, original)
        return None
    ours = not step.local or same_content(step.source, target)  # it got its name with all its content
    return mark_of(target, digest_of(target)) if ours else None


def _remove_begun(step: Step, target: str, past: Past, original: Open) -> None:
    """Remove what had taken the name before its content was there, if it is the beginning of just that."""
    if step.number not in past.taken or os.path.islink(target) or not os.path.isfile(target):
        return
    with original() as stream:
        begun = is_beginning(target, stream)
    if begun:
        remove(target)
