"""Results for people: path, bar, percent and label, line by line, or a single picture as a block.

Scores that are no probabilities are shown as numbers, without a bar.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TextIO

from rich.text import Text

from vithybrid_cli.errors import ImageError
from vithybrid_cli.output.formats import Writer
from vithybrid_cli.output.terminal import Terminal, open_terminal
from vithybrid_cli.results import Answer, ImageResult

GAP = "  "
PERCENT = len("100.0%")
VALUE = len("-1.23457e-05")  # six significant digits of any number


class TableWriter(Writer[ImageResult]):
    """Prints each picture as it comes. No line waits for a later one, so widths depend on the screen alone."""

    def __init__(self, stream: TextIO, *, single: bool, probabilities: bool = True) -> None:
        self._terminal = open_terminal(stream)
        self._single = single
        self._probabilities = probabilities

    def write(self, result: ImageResult) -> None:
        self._terminal.print(self._block(result) if self._single else self._group(result))

    def close(self) -> None:
        """Nothing ends this format."""

    def _block(self, result: ImageResult) -> Iterator[Text]:
        """The path on the first line, the rows below it."""
        yield self._terminal.text(result.path, "bold")
        bar = within(self._terminal.width // 3, 6, 40)
        for fixed, rest in label_rows(self._terminal, result, bar if self._probabilities else None):
            yield from self._terminal.hang(Text.assemble(GAP, fixed), rest)

    def _group(self, result: ImageResult) -> Iterator[Text]:
        """The path in the left column, the rows beside it."""
        width = within(self._terminal.width * 3 // 8, 12, 60)
        bar = within((self._terminal.width - 40) // 4, 0, 20)
        left = self._terminal.column(self._terminal.text(result.path, "bold"), width)
        for fixed, rest in label_rows(self._terminal, result, bar if self._probabilities else None):
            yield from self._terminal.hang(Text.assemble(left, GAP, fixed), rest)
            left = Text(" " * width)


def within(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def label_rows(terminal: Terminal, result: ImageResult, bar: int | None) -> Iterator[tuple[Text, Text]]:
    """For each line the part of fixed width, and the text that fills the rest; None for no bar, but plain numbers."""
    if result.error is not None:
        yield Text(), _reason(terminal, result.error)
    elif not result.predictions and result.instead is None:
        yield Text(), Text("no label reaches the threshold", "dim")
    if result.instead is not None:
        yield _instead(terminal, result.instead, bar)
    repeated = Counter(prediction.label for prediction in result.predictions)
    for rank, prediction in enumerate(result.predictions):
        number = prediction.index if repeated[prediction.label] > 1 else None
        label = terminal.label(prediction.label, "bold" if rank == 0 else "", number)
        value = _value(prediction.score) if bar is None else _score(terminal, prediction.score, bar)
        if result.instead is None:
            yield value, label
        else:  # told from it without colours, too
            yield Text(value.plain + GAP, "dim"), Text(label.plain, "dim")


def _instead(terminal: Terminal, answer: Answer, bar: int | None) -> tuple[Text, Text]:
    """The line of what a rule put in place of the labels; ``unsure`` has no score, but the first label below it."""
    value = _value(answer.score) if bar is None else _score(terminal, answer.score, bar)
    if answer.is_unsure:
        return Text(" " * value.cell_len), terminal.text(answer.label, "bold yellow")
    return value, terminal.text(answer.label, "bold")


def _reason(terminal: Terminal, error: ImageError) -> Text:
    return Text.assemble(("error: ", "bold red"), terminal.text(str(error) or type(error).__name__, "red"))


def _score(terminal: Terminal, score: float, bar: int) -> Text:
    percent = score_text(score, probability=True)
    return Text.assemble(terminal.bar(score, bar, _colour(score)), " ", percent.rjust(PERCENT), GAP)


def _value(score: float) -> Text:
    return Text(score_text(score, probability=False).rjust(VALUE) + GAP)


def score_text(score: float, *, probability: bool) -> str:
    """A score as people read it: per cent, or six significant digits of what is no probability."""
    if not probability:
        return f"{score:.6g}"
    return "<0.1%" if 0 < score < 0.0005 else f"{score:.1%}"


def _colour(score: float) -> str:
    """Green where no other label can be more probable, yellow for a fair candidate, dim for the rest."""
    return "green" if score >= 0.5 else "yellow" if score >= 0.1 else "dim"
