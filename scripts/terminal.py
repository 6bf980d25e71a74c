"""Draw what commands print in a terminal as pictures: `python scripts/terminal.py FOLDER`.

The commands are run here and now, in a terminal of their own and a folder that holds the examples. Text stays text;
bars become rectangles, since the block characters of most fonts leave gaps.
"""

import io
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(sys.executable).parent  # where `vithybrid` lies
COLUMNS = 76


@dataclass(frozen=True)
class Drawing:
    """A file of the documentation, what it shows in words, and the commands; those that ``prepare`` are not shown."""

    name: str
    title: str
    commands: tuple[str, ...]
    prepare: tuple[str, ...] = ()


DRAWINGS = (
    Drawing(
        "terminal.svg",
        "What vithybrid classify prints: a bar, a score and a label for each guess",
        ("vithybrid classify examples/cat.png -m tiny", "vithybrid classify examples/*.jpg -m tiny -k 2"),
    ),
    Drawing(
        "sort.svg",
        "What vithybrid sort prints: where each picture would go, where each has gone, and how to undo it",
        (
            "vithybrid sort labels.jsonl --into sorted --dry-run",
            "vithybrid sort labels.jsonl --into sorted",
            "vithybrid tag labels.jsonl",
        ),
        prepare=("vithybrid classify examples -m tiny --unsure 0.5 -o labels.jsonl",),
    ),
)

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
CELL, LINE, MARGIN, SIZE = 8.4, 20, 20, 14  # width of a character, heights and the font's size, in pixels
BAR = 11  # height of a bar
RED, GREEN, YELLOW = 1, 2, 3  # a terminal's own numbers for them
COLOURS = {None: "#e6edf3", RED: "#f85149", GREEN: "#3fb950", YELLOW: "#d29922"}
DIM = 0.6
BLOCKS = " ▏▎▍▌▋▊▉█"  # by eighths


def printed(command: str, folder: Path) -> list[Text]:
    """The lines that a command prints on a terminal in ``folder``, with their colours."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": str(COLUMNS),
        "TERM": "xterm",
    }
    screen, terminal = pty.openpty()
    shell = ["bash", "-c", f"{command} --no-progress"]  # a bar is gone at the end
    with subprocess.Popen(shell, cwd=folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal) as run:
        os.close(terminal)
        with os.fdopen(screen, "rb", buffering=0) as stream:
            text = b"".join(iter(lambda: _read(stream), b"")).decode()
    if run.returncode:
        raise SystemExit(f"{command} has failed:\n{text}")
    lines = map(Text.from_ansi, text.splitlines())
    return [part for line in lines for part in line.divide(range(COLUMNS, len(line), COLUMNS))]


def _read(stream: io.FileIO) -> bytes:
    try:
        return stream.read(4096) or b""
    except OSError:  # what Linux says when nobody has the terminal open any more
        return b""


def screen(drawing: Drawing) -> Iterator[Text]:
    """All lines of the picture: each command behind its prompt, what it printed, and a blank line between two."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "examples", folder / "examples")
        for command in drawing.prepare:
            printed(command, folder)
        for index, command in enumerate(drawing.commands):
            if index:
                yield Text()
            yield Text.assemble(("$ ", "dim"), (command, "bold"))
            yield from printed(command, folder)


def drawn(segments: list[Segment], row: int) -> Iterator[str]:
    """One line as SVG: a rectangle for each bar, and text for each word with its colour."""
    column = 0
    for segment in segments:
        for part in re.finditer(rf"[{BLOCKS[1:]}]+|(?:(?![{BLOCKS[1:]}])\S)+(?: \S+)*", segment.text):
            yield bar(part, column, row, paint(segment)) if part[0][0] in BLOCKS else word(part, column, row, segment)
        column += len(segment.text)


def bar(part: re.Match[str], column: int, row: int, colour: str) -> str:
    width = sum(BLOCKS.index(block) for block in part[0]) / 8 * CELL
    x, y = MARGIN + (column + part.start()) * CELL, MARGIN + row * LINE + (LINE - BAR) / 2
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" rx="1" {colour}/>'


def word(part: re.Match[str], column: int, row: int, segment: Segment) -> str:
    x, y = MARGIN + (column + part.start()) * CELL, MARGIN + row * LINE + LINE * 0.72
    weight = ' font-weight="bold"' if segment.style is not None and segment.style.bold else ""
    length = f'textLength="{len(part[0]) * CELL:.1f}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {length}{weight} {paint(segment)}>{escape(part[0])}</text>'


def paint(segment: Segment) -> str:
    """The colour of a segment as attributes."""
    style = segment.style
    number = style.color.number if style is not None and style.color is not None else None
    opacity = f' opacity="{DIM}"' if style is not None and style.dim else ""
    return f'fill="{COLOURS[number]}"{opacity}'


def picture(lines: list[Text], title: str) -> str:
    """The whole picture; its own dark ground lets it stand on light and dark pages."""
    width, height = round(COLUMNS * CELL + 2 * MARGIN), len(lines) * LINE + 2 * MARGIN
    console = Console(width=COLUMNS, color_system="truecolor")
    rows = [mark for row, line in enumerate(lines) for mark in drawn(list(line.render(console)), row)]
    ground = f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="#0d1117" stroke="#484f58"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    group = f'<g font-family="{FONT}" font-size="{SIZE}">'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, group, *rows, "</g>", "</svg>", ""])


def main(folder: Path) -> None:
    """Draw the pictures into this folder."""
    for drawing in DRAWINGS:
        (folder / drawing.name).write_text(picture(list(screen(drawing)), drawing.title), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
