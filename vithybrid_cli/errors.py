"""Everything that can go wrong for a user: the cause, and the next step, as two sentences.

The next step may name options of the program. They are spelt as the interface in use spells them: ``dtype='float32'``
in Python, ``--dtype float32`` on the command line, which says so by `options_spelt`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

Spelling = Callable[[str, str | None], str]  # the name of an option, and the value to give it if any → text

_OPTION = re.compile(r"\{([a-z_0-9]+)(?:=([^{}]*))?\}")
_IN_A_SHELL = re.compile(r"\{\$([a-z_0-9]+)\}")


def as_keyword(name: str, value: str | None) -> str:
    """An option as Python has it: ``max_pixels``, ``dtype='float32'``, ``resume=True``."""
    if value is None:
        return name
    return f"{name}={value}" if value in ("True", "False", "None") or value.isdecimal() else f"{name}={value!r}"


def as_flag(name: str, value: str | None) -> str:
    """An option as the command line has it: ``--max-pixels``, ``--dtype float32``, ``--resume``."""
    flag = f"--{name.replace('_', '-')}"
    return flag if value in (None, "True") else f"{flag} {value}"


_spelling: ContextVar[Spelling] = ContextVar("spelling", default=as_keyword)


@contextmanager
def options_spelt(spelling: Spelling) -> Iterator[None]:
    """Within this context, in this thread, errors that become text spell options this way."""
    token = _spelling.set(spelling)
    try:
        yield
    finally:
        _spelling.reset(token)


def option(name: str, value: object = None) -> str:
    """An option, with a value if one is given, as the interface in use spells it."""
    return _spelling.get()(name, None if value is None else str(value))


def spelt(text: str) -> str:
    """``text`` with each ``{dtype}`` and ``{dtype=float32}`` replaced by that option as `option` spells it.

    ``{$dtype}`` is within a command for a shell, which is the same whatever interface is in use.
    """
    text = _IN_A_SHELL.sub(lambda found: "--" + found[1].replace("_", "-"), text)
    return _OPTION.sub(lambda found: option(found[1], found[2]), text)


def listed(names: Sequence[str], most: int) -> str:
    """The first ``most`` names, and how many more there are: ``a, b and 3 more``."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def short(name: str, most: int = 60) -> str:
    """A name from the user's files, cut where it is too long for a line that says something else, too."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def counted(count: int, what: str) -> str:
    """So many of something, in words: ``1 picture``, ``2,000 pictures``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def are(count: int) -> str:
    """``is`` or ``are``, as so many do."""
    return "is" if count == 1 else "are"


class VitHybridError(Exception):
    """Base of all errors that a user can cause and mend; its text is fit to be shown as one line.

    ``cause`` is a sentence that says what is wrong, ``remedy`` one that says what to do. In the latter ``{dtype}``
    stands for the option of that name, and ``{dtype=float32}`` for the option with that value.
    """

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.cause} {spelt(self.remedy)}".rstrip()


class UsageError(VitHybridError):
    """The request itself makes no sense (wrong device, wrong option, nothing to do)."""


class ModelError(VitHybridError):
    """The model could not be found, fetched or loaded."""


class ImageError(VitHybridError):
    """One input is no usable picture; its class name is the ``type`` of the error record."""


class MissingFile(ImageError):
    """There is no file of this name."""


class NotAFile(ImageError):
    """The path is a folder, a device, a socket or a pipe."""


class PermissionDenied(ImageError):
    """The file exists and may not be read."""


class UnreadableImage(ImageError):
    """The file is empty, truncated, damaged, or no picture at all."""


class RawPhoto(ImageError):
    """The file holds what a camera's sensor has seen, with a preview at most; or its preview cannot be read."""


class NonFiniteLogits(ImageError):
    """The network's outputs for this picture are not finite, as when a short type overflows."""


class ImageTooLarge(ImageError):
    """The picture has more pixels than the limit allows (a decompression bomb, or a very large scan)."""


class DecodeTimeout(ImageError):
    """The picture took longer to decode than its time limit allows."""


class DecoderCrashed(ImageError):
    """The process that decoded the picture ended without an answer."""


class FileTooLarge(ImageError):
    """The picture in an archive, a table or at an address has more bytes than the limit allows."""


class UnreadableMember(ImageError):
    """A member of an archive or a row of a table is damaged, encrypted, or not what one would unpack."""


class DamagedArchive(ImageError):
    """From some place on an archive or a table cannot be read; this is one record for all that would follow."""


class FetchFailed(ImageError):
    """What lies at an address could not be fetched."""


class WorkerCrashed(ImageError):
    """The process that labelled the picture ended each time."""
