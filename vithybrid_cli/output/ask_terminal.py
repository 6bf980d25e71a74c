"""What kind of pictures a terminal shows: what its environment says, or what it answers when it is asked.

A question never blocks for long, and an answer never stays behind for the shell to read as input.
"""

import os
import re
import select
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TextIO

from vithybrid_cli.choices import Graphics

_PATIENCE = 1.0  # seconds for an answer, which comes at once unless the terminal is far away
# Size of a cell in pixels (xterm's window operations), then device attributes, which every terminal knows: so the
# answer to the second ends the waiting, also where the first is not known.
_QUESTION = b"\x1b[16t\x1b[c"
_ATTRIBUTES = re.compile(rb"\x1b\[\?([0-9;]*)c")
_CELL = re.compile(rb"\x1b\[6;([0-9]+);([0-9]+)t")
_SIXEL = b"4"  # among the device attributes
_LATE = 0.05  # seconds for what has come since, if anything has
_USUAL_CELL = (10, 20)  # pixels, where the terminal does not say
_MOST = 4096  # bytes of an answer


@dataclass(frozen=True, slots=True)
class Screen:
    """How a terminal shows pictures, and the (width, height) of a cell in pixels.

    ``unanswered``: it was asked, and may still answer; `take_late_answer` sees to that.
    """

    graphics: Graphics
    cell: tuple[int, int] = _USUAL_CELL
    unanswered: bool = False


def screen_of(stream: TextIO, wanted: Graphics, environment: Mapping[str, str] = os.environ) -> Screen:
    """How to show pictures on ``stream``: as ``wanted``, or if that is auto as it can. Blocks where nothing is known.

    The terminal is asked only where it has to be, and only if it is the one that the user types into.
    """
    if wanted in (Graphics.NONE, Graphics.BLOCKS):
        return Screen(wanted)
    known = wanted if wanted is not Graphics.AUTO else known_graphics(environment)
    if known in (Graphics.KITTY, Graphics.ITERM):
        return Screen(known, _cell_size(stream) or _USUAL_CELL)
    if not stream.isatty() or environment.get("TERM", "dumb") in ("", "dumb"):
        return Screen(known or Graphics.BLOCKS)
    answer = ask(stream)
    attributes = _ATTRIBUTES.search(answer or b"")
    if known is None and (attributes is None or _SIXEL not in attributes[1].split(b";")[1:]):
        return Screen(Graphics.BLOCKS, unanswered=answer is not None and attributes is None)
    told = _CELL.search(answer or b"")
    cell = _cell_size(stream) or ((int(told[2]), int(told[1])) if told else _USUAL_CELL)
    return Screen(Graphics.SIXEL, cell if min(cell) > 0 else _USUAL_CELL)


def known_graphics(environment: Mapping[str, str]) -> Graphics | None:
    """The protocol of a terminal that is known to have one; None if it has to be asked.

    Within tmux, screen or zellij variables tell of the terminal around them, which gets no pictures through them.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if {"TMUX", "STY", "ZELLIJ"} & environment.keys() or term.startswith(("tmux", "screen")):
        return None
    if program in ("WezTerm", "iTerm.app") or environment.get("LC_TERMINAL") == "iTerm2":
        return Graphics.ITERM
    if term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty" or "KITTY_WINDOW_ID" in environment:
        return Graphics.KITTY
    return None


def take_late_answer(stream: TextIO) -> None:
    """Take an answer that came after the patience had ended, so that no shell reads it as typed."""
    if sys.platform == "win32":
        return
    with suppress(OSError), open("/dev/tty", "r+b", buffering=0) as terminal:  # noqa: PTH123 (no buffer)
        if _is_controlling(stream.fileno()) and os.tcgetpgrp(terminal.fileno()) == os.getpgrp():
            with _unechoed(terminal.fileno()):
                _answer(terminal.fileno(), _LATE)


def ask(stream: TextIO, patience: float = _PATIENCE) -> bytes | None:
    """What the terminal of ``stream`` answers; None where it is not asked.

    That is so if it is not the one that this program is typed into, and where something is typed ahead, which would be
    mixed up with the answer.
    """
    if sys.platform == "win32":
        return None
    with suppress(OSError), open("/dev/tty", "r+b", buffering=0) as terminal:  # noqa: PTH123 (no buffer)
        if not _is_controlling(stream.fileno()) or os.tcgetpgrp(terminal.fileno()) != os.getpgrp():
            return None
        with _unechoed(terminal.fileno()):
            if _readable(terminal.fileno(), 0):
                return None
            stream.flush()
            os.write(terminal.fileno(), _QUESTION)
            return _answer(terminal.fileno(), patience)
    return None


def _is_controlling(descriptor: int) -> bool:
    """Only of its controlling terminal does the system tell a process the foreground group."""
    try:
        os.tcgetpgrp(descriptor)
    except OSError:
        return False
    return True


@contextmanager
def _unechoed(terminal: int) -> Iterator[None]:
    """While what arrives is neither shown nor kept until a line ends; what is typed then is not lost."""
    import termios

    before = termios.tcgetattr(terminal)
    changed = termios.tcgetattr(terminal)
    changed[3] &= ~(termios.ECHO | termios.ICANON)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 0, 0
    termios.tcsetattr(terminal, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _answer(terminal: int, patience: float) -> bytes:
    """All until the end of the device attributes, or what has come until the patience ends."""
    answer = b""
    end = time.monotonic() + patience
    while len(answer) < _MOST and (left := end - time.monotonic()) > 0:
        if not _readable(terminal, left):
            break
        answer += os.read(terminal, 1)  # no more than the answer: what follows it is the user's
        if _ATTRIBUTES.search(answer):
            break
    return answer


def _readable(terminal: int, seconds: float) -> bool:
    return bool(select.select([terminal], [], [], seconds)[0])


def _cell_size(stream: TextIO) -> tuple[int, int] | None:
    """The (width, height) of a cell, if the system knows the window's size in pixels."""
    if sys.platform == "win32":
        return None
    import fcntl
    import struct
    import termios

    try:
        packed = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
    except (OSError, ValueError):
        return None
    rows, columns, width, height = struct.unpack("HHHH", packed)
    if 0 in (rows, columns, width // max(columns, 1), height // max(rows, 1)):
        return None
    return width // columns, height // rows
