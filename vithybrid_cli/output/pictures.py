"""Pictures for people at a terminal, each with its labels: below it, or beside it where it is made of characters."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from vithybrid_cli.choices import Graphics
from vithybrid_cli.output.ask_terminal import Screen, screen_of, take_late_answer
from vithybrid_cli.output.blocks import half_blocks, shades
from vithybrid_cli.output.graphics import iterm, kitty, sixel
from vithybrid_cli.output.table import GAP, label_rows, score_text, within
from vithybrid_cli.output.terminal import open_terminal
from vithybrid_cli.results import ImageResult, Prediction

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

_MOST_COLUMNS, _MOST_ROWS = 64, 22  # of a picture, so that its labels are on the same screen
_BLOCK_COLUMNS, _BLOCK_ROWS = 36, 18
_TEXT_COLUMNS = 34  # that the labels need beside a picture
_SHARP = 2  # pixels of the picture for one of the cell, which screens of high density have


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A picture with a map over it (none for an error), its labels, and what the map is of.

    ``coarse`` gives the map as values from 0 to 1 on so many columns and rows; what is no number lies outside of it.
    """

    result: ImageResult
    picture: "Image.Image | None" = None
    coarse: "Callable[[int, int], npt.NDArray[np.float32]] | None" = None
    label: Prediction | None = None
    against: Prediction | None = None
    method: str = ""


class PictureWriter:
    """Prints each picture as it comes, as the terminal of ``stream`` shows pictures, or as ``wanted``."""

    def __init__(self, stream: TextIO, wanted: Graphics, *, probabilities: bool = True) -> None:
        self._terminal = open_terminal(stream)
        self._stream = stream
        self._screen: Screen = screen_of(stream, wanted, os.environ)
        self._probabilities = probabilities
        self._first = True

    def write(self, result: Shown) -> None:
        """Print and flush one picture."""
        if not self._first:
            self._terminal.print([Text()])
        self._first = False
        if result.picture is None or self._screen.graphics is Graphics.NONE:
            self._terminal.print(self._text(result, self._terminal.width))
        elif self._screen.graphics is Graphics.BLOCKS:
            self._terminal.print(self._in_characters(result, result.picture))
        else:
            self._stream.write(self._in_pixels(result.picture) + "\n")
            self._stream.flush()
            self._terminal.print(self._text(result, self._terminal.width))

    def close(self) -> None:
        """Nothing ends this format; what the terminal may have answered meanwhile is taken."""
        if self._screen.unanswered:
            take_late_answer(self._stream)
            self._screen = Screen(self._screen.graphics)

    def _in_pixels(self, picture: "Image.Image") -> str:
        columns, rows = self._cells(picture, _MOST_COLUMNS, _MOST_ROWS)
        width, height = columns * self._screen.cell[0], rows * self._screen.cell[1]
        if self._screen.graphics is Graphics.SIXEL:
            return sixel(_fitted(picture, width, height))
        sharp = _fitted(picture, _SHARP * width, _SHARP * height)
        return (kitty if self._screen.graphics is Graphics.KITTY else iterm)(sharp, columns)

    def _in_characters(self, shown: Shown, picture: "Image.Image") -> Iterator[Text]:
        """The picture at the left and the text beside it, or below it where both do not fit."""
        room = self._terminal.width
        beside = room >= 2 * _TEXT_COLUMNS
        columns, rows = self._cells(picture, min(_BLOCK_COLUMNS, room // 2 if beside else room), _BLOCK_ROWS)
        lines = self._characters(shown, picture, columns, rows)
        if not beside:
            yield from lines
            yield from self._text(shown, room)
            return
        text = self._text(shown, room - columns - len(GAP))
        for left, right in zip_longest(lines, text):
            yield Text.assemble(Text(" " * columns) if left is None else left, GAP, right or Text())

    def _characters(self, shown: Shown, picture: "Image.Image", columns: int, rows: int) -> list[Text]:
        console = self._terminal.console
        unicode = console.encoding.startswith("utf")
        if unicode and not console.no_color and console.color_system not in (None, "standard"):
            return half_blocks(picture, columns, rows)
        if shown.coarse is None:
            return []
        return shades(shown.coarse(columns, rows), ascii_only=not unicode)

    def _cells(self, picture: "Image.Image", most_columns: int, most_rows: int) -> tuple[int, int]:
        """Columns and rows for a picture in its proportions; of characters each cell is taken for twice as high."""
        most_columns = min(most_columns, self._terminal.width)
        if self._terminal.live:
            most_rows = within(self._terminal.console.height - 8, 4, most_rows)
        across, down = (1, 2) if self._screen.graphics is Graphics.BLOCKS else self._screen.cell
        scale = min(most_columns * across / picture.width, most_rows * down / picture.height)
        columns, rows = round(picture.width * scale / across), round(picture.height * scale / down)
        return within(columns, 1, most_columns), within(rows, 1, most_rows)

    def _text(self, shown: Shown, width: int) -> Iterator[Text]:
        """The path, a line for each label, and what the map is of."""
        terminal = self._terminal
        yield from terminal.hang(Text(), terminal.text(shown.result.path, "bold"), width)
        bar = within((width - 24) // 3, 0, 24)
        for fixed, rest in label_rows(terminal, shown.result, bar if self._probabilities else None):
            yield from terminal.hang(fixed, rest, width)
        if shown.label is not None:
            yield from terminal.hang(Text(), self._caption(shown, shown.label), width)

    def _caption(self, shown: Shown, label: Prediction) -> Text:
        parts: list[Text | tuple[str, str] | str] = [("map of ", "dim"), *self._named(shown, label)]
        if shown.against is not None:
            parts += [(" rather than ", "dim"), *self._named(shown, shown.against)]
        return Text.assemble(*parts, (f" by {shown.method}", "dim"))

    def _named(self, shown: Shown, label: Prediction) -> list[Text | tuple[str, str] | str]:
        """A label; with its score where that is not among those above."""
        alike = [other for other in shown.result.predictions if other.label == label.label]
        name = self._terminal.label(label.label, number=label.index if alike[1:] else None)
        if any(other.index == label.index for other in shown.result.predictions):
            return [name]
        return [name, " ", score_text(label.score, probability=self._probabilities)]


def _fitted(picture: "Image.Image", width: int, height: int) -> "Image.Image":
    """The picture in its proportions within so many pixels; smaller only, but for what would be tiny."""
    from PIL import Image

    scale = min(width / picture.width, height / picture.height, 1)
    size = max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)
