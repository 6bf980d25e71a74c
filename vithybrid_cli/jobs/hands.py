"""Notes of which pictures are in a worker's hands: small writes, made before the pictures are taken."""

import json
from contextlib import suppress
from typing import BinaryIO, Self

from vithybrid_cli.jobs.crashes import Crashes, hands_in
from vithybrid_cli.jobs.folder import Folder
from vithybrid_cli.jobs.job import WORKING

_SUFFIX = ".hands"
_WIDTH = 80  # bytes of a note, of which each takes the place of the one before
_STRETCH = 1024  # pictures at least that one note in a bucket stands for, where each is a request


class Hands:
    """The note of one worker on one shard. A context manager: the note goes when the worker lives on.

    It survives the death of the process, and need not survive that of the machine.
    """

    def __init__(self, folder: Folder, shard: int, tag: str, batch_size: int, end: int) -> None:
        """Nothing from number ``end`` on is taken."""
        self._folder, self._name = folder, hands_file(shard, tag)
        self._stretch = batch_size if folder.local is not None else max(batch_size, _STRETCH)
        self._end, self._done, self._noted = end, 0, 0
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        if self._folder.local is not None:
            self._stream = (self._folder.local / self._name).open("wb", buffering=0)
        return self

    def __exit__(self, *raised: object) -> None:
        if self._stream is not None:
            self._stream.close()
        with suppress(OSError):
            self._folder.remove(self._name)

    def take(self, number: int) -> None:
        """The input of this number, and no earlier one, is about to be taken. Raises OSError."""
        if self._noted == 0:
            self._done = number
        if number >= self._noted:
            self._noted = number + self._stretch
            self._write({"first": self._done, "end": min(self._noted, self._end)})

    def done(self, number: int) -> None:
        """All before this number have their results."""
        self._done = number

    def trying(self, number: int) -> None:
        """This one is about to be tried alone."""
        self._write({"first": number, "end": number, "trying": number})

    def _write(self, facts: dict[str, int]) -> None:
        content = json.dumps(facts).encode().ljust(_WIDTH) + b"\n"
        if self._stream is None:
            self._folder.write(self._name, content)
        else:
            self._stream.seek(0)
            self._stream.write(content)


def take_notes_of_the_dead(crashes: Crashes) -> None:
    """Add what the notes of a shard tell to its crashes, and remove them. Whoever calls this holds the shard's lock.

    Where locks do not hold, a note may be of a worker that lives: then its pictures are tried, and found innocent.
    """
    begin = f"{crashes.shard:06}."
    notes = [f"{WORKING}/{name}" for name in crashes.folder.list(WORKING) if name.startswith(begin)]
    notes = [name for name in notes if name.endswith(_SUFFIX)]
    for name in notes:
        with suppress(OSError):
            note = hands_in(crashes.folder.read(name))
            if note is not None:
                span, trying = note
                crashes.add_death(span)
                if trying is not None:
                    crashes.add_trial(trying, "with all that ran beside it")
    if notes:
        crashes.write()  # before they are removed: two notes of one death are a lesser evil than none
        for name in notes:
            crashes.folder.remove(name)


def hands_file(shard: int, tag: str) -> str:
    """Where a worker's note on a shard lies."""
    return f"{WORKING}/{shard:06}.{tag}{_SUFFIX}"
