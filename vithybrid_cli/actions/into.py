"""The folder into which is sorted: made if it is not there, one sort's at a time, with the journals of all of them."""

# ruff: noqa: PTH100, PTH106, PTH208

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from vithybrid_cli.actions.journal import LOCK, Past, Way, journals_in, read_journal
from vithybrid_cli.actions.place import Mark
from vithybrid_cli.errors import UsageError
from vithybrid_cli.locks import AlreadyLocked, lock_file


def pasts_in(into: Path) -> list[Past]:
    """What the journals of the folder tell; what is none of one's own says nothing."""
    found: list[Past] = []
    if into.is_dir():
        for file in journals_in(into):
            with suppress(UsageError):
                found.append(read_journal(file))
    return found


def folders_before(into: Path) -> frozenset[str]:
    """The folders of labels into which was sorted earlier below ``into``."""
    found: set[str] = set()
    for past in pasts_in(into):
        names = past.head.asked.get("folders")
        found.update(map(str, names) if isinstance(names, list) else ())
    return frozenset(found)


def moved_before(pasts: Sequence[Past]) -> dict[str, str]:
    """Where each source went that was moved away, by the journals."""
    return {
        past.steps[number].source: past.steps[number].target
        for past in pasts
        for number in past.done
        if number in past.steps and past.steps[number].way is Way.MOVE
    }


def known_pairs(pasts: Sequence[Past]) -> dict[tuple[str, str], tuple[Mark, Mark]]:
    """Which source was put where, and what told both then: as long as that is so, nobody need read them again."""
    return {
        (step.source, step.target): (step.mark, past.done[number])
        for past in pasts
        for number, step in past.steps.items()
        if number in past.done
    }


def _drop_unbegun(into: Path) -> None:
    """Remove journals whose very first line was cut off when their writer was killed: nothing was begun."""
    for file in journals_in(into):
        with file.open("rb") as stream:
            unbegun = not stream.readline().endswith(b"\n")
        if unbegun:
            file.unlink()


@contextmanager
def opened_folder(into: Path) -> Iterator[Sequence[str]]:
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
            _drop_unbegun(into)
            yield made
    except AlreadyLocked as error:
        raise UsageError(f"Another sort or undo is at work in {into}.", "Wait until it has ended.") from error
    except OSError as error:
        raise unwritable(into, error) from error
    finally:
        for path in made:
            with suppress(OSError):  # there is something in it
                os.rmdir(path)


def unwritable(into: Path, error: OSError) -> UsageError:
    """The error to raise when the system refuses to write there."""
    return UsageError(
        f"Cannot write to {into}: {error.strerror or error}.",
        "Make room or change its permissions, or give another {into}.",
    )
