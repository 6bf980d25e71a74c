"""Identifies a checkpoint's weights by their content, not by their name or age. No torch."""

import hashlib
import re
import time
from contextlib import suppress
from pathlib import Path

from vithybrid_cli.atomic import write_text
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.errors import ModelError
from vithybrid_cli.user_cache import cache_folder

_SHA256 = re.compile(r"[0-9a-f]{64}")
# File systems keep times to some hundredths of a second, the coarsest (FAT) to two seconds: within these a file may be
# written once more and look the same.
_SETTLED = 2_000_000_000  # nanoseconds


def weights_sha256(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The SHA-256 of each weights file, in the order of their names. Raises ModelError when one cannot be read."""
    return tuple(file_sha256(file) for file in checkpoint.weight_files())


def file_sha256(file: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal; from a note if the file has not changed since that was written.

    Hashing the 400 MB of a large network takes a third of a second, so the result is noted in the user's cache for the
    file's path, inode, size and times. Raises ModelError when the file cannot be read.
    """
    try:
        state = _state(file)
        noted = _noted(state)
        if noted is not None:
            return noted
        with file.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        if _state(file) == state:
            _note(state, sha256)
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read ({error.strerror}).", "Make it readable, or fetch it again."
        ) from error
    return sha256


_State = tuple[str, int, int, int, int, int]


def _state(file: Path) -> _State:
    """What changes when the file is written again, even with the same length and an old date."""
    found = file.stat()
    return (str(file.resolve()), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _note_for(state: _State) -> Path:
    return cache_folder() / "sha256" / hashlib.sha256(repr(state).encode()).hexdigest()


def _noted(state: _State) -> str | None:
    # No note, no cache, another user's cache or a broken note: the file is hashed.
    with suppress(OSError, UnicodeDecodeError):
        text = _note_for(state).read_text(encoding="ascii")
        return text if _SHA256.fullmatch(text) else None
    return None


def _note(state: _State, sha256: str) -> None:
    if time.time_ns() - max(state[-2:]) < _SETTLED:
        return
    with suppress(OSError):  # without a cache that it may write, the next run hashes the file again
        note = _note_for(state)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_text(note, sha256)
