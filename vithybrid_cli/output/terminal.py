"""Drawing for people with rich: a console that cuts nothing that one may search for, bars, shortened paths."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from vithybrid_cli.output.escape import visible

FILE_WIDTH = 100  # columns where there is no terminal to ask
MIN_WIDTH = 8  # columns that wrapped text gets on the narrowest screen
EIGHTHS = " ▏▎▍▌▋▊▉"


class _Console(Console):
    """A rich console that leaves a closed pipe to the caller; rich itself would end the process."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError("the reader has closed the pipe")


@dataclass(frozen=True)
class Terminal:
    """Where people read: a screen if ``live``, otherwise a file or a pipe, whose lines may have any length."""

    console: Console
    live: bool

    @property
    def width(self) -> int:
        """Columns at this moment: the window may be resized during a run."""
        return self.console.width

    def text(self, value: str, style: str = "") -> Text:
        """Foreign text, safe to print: no markup, no control characters, only what the encoding has."""
        return Text(visible(value, self.console.encoding), style)

    def label(self, name: str, style: str = "", number: int | None = None) -> Text:
        """A label; ``number`` is its class index, for a name that several classes share."""
        return Text.assemble(self.text(name, style), "" if number is None else (f" #{number}", "dim"))

    def print(self, lines: Iterable[Text]) -> None:
        """Print ``lines`` as they are, without trailing blanks, all at once and flushed."""
        lines = [line.copy() for line in lines]
        for line in lines:
            line.rstrip()
        self.console.print(Text("\n").join(lines), soft_wrap=True)

    def hang(self, left: Text, right: Text, width: int | None = None) -> Iterator[Text]:
        """``left`` and ``right`` on one line; what does not fit goes on below the start of ``right``.

        ``width`` is that of a column; None is the screen's, and then what is no screen has lines of any length.
        """
        if width is None and not self.live:
            yield Text.assemble(left, right)
            return
        width = self.width if width is None else width
        for piece in right.wrap(self.console, max(width - left.cell_len, MIN_WIDTH)):
            yield Text.assemble(left, piece)
            left = Text(" " * left.cell_len)

    def bar(self, share: float, width: int, style: str) -> Text:
        """``share`` (0 to 1) of ``width`` columns, drawn to an eighth of a column where the encoding has blocks."""
        if not self.console.encoding.startswith("utf"):
            return Text(("#" * round(share * width)).ljust(width), style)
        full, rest = divmod(round(share * width * 8), 8)
        return Text(("█" * full + EIGHTHS[rest].strip()).ljust(width), style)

    def column(self, text: Text, width: int) -> Text:
        """``text`` padded to ``width`` columns; on a screen also shortened to them, in the middle."""
        if self.live and text.cell_len > width:
            mark = "…" if self.console.encoding.startswith("utf") else "~"
            text = Text(shorten(text.plain, width, mark), text.style)
        return Text.assemble(text, " " * (width - text.cell_len))


def open_terminal(stream: TextIO) -> Terminal:
    """The terminal of ``stream``, with colours as the environment asks (``NO_COLOR``, ``FORCE_COLOR``, ``TERM``)."""
    live = stream.isatty()
    width = None if live or os.environ.get("COLUMNS", "").isdigit() else FILE_WIDTH
    return Terminal(_Console(file=stream, width=width, highlight=False, markup=False, emoji=False), live)


def shorten(text: str, width: int, mark: str = "…") -> str:
    """``text`` in at most ``width`` columns, cut in the middle; the file name of a path is kept as far as it fits."""
    if cell_len(text) <= width:
        return text
    room = width - cell_len(mark)
    name = cell_len(re.split(r"[/\\]", text)[-1])
    tail = min(max(room * 2 // 3, name + 1), room)
    # A wide character that is cut in half leaves a blank.
    return set_cell_size(text, room - tail).rstrip() + mark + set_cell_size(text[::-1], tail)[::-1].lstrip()
