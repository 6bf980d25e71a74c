"""An evaluation for people: labels, confusions, unreadable pictures, and the accuracy where the eye ends up."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich import box
from rich.table import Table
from rich.text import Text

from vithybrid_cli.evaluation.figures import LabelScore, Report
from vithybrid_cli.output.terminal import Terminal, open_terminal

BAR = 10
NAMED = 20  # unreadable pictures that are listed; the other formats have them all


def print_report(stream: TextIO, report: Report) -> None:
    """Print ``report``, the summary last, since the table of a thousand labels scrolls everything else away."""
    terminal = open_terminal(stream)
    if report.labels:
        terminal.console.print(_labels(terminal, report))
    if report.confusions:
        terminal.console.print(_confusions(terminal, report))
    terminal.print([*_unreadable(terminal, report), _summary(report)])


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _labels(terminal: Terminal, report: Report) -> Table:
    table = _table("Labels")
    table.add_column("label", overflow="fold")
    for name in _columns(terminal.width):
        is_bar = name == "bar"
        table.add_column("" if is_bar else name, justify="left" if is_bar else "right", no_wrap=True)
    repeated = _repeated(report)
    for score in report.labels:
        cells = _cells(terminal, score)
        label = terminal.label(score.label, number=score.index if score.label in repeated else None)
        table.add_row(label, *(cells[name] for name in _columns(terminal.width)))
    return table


def _columns(width: int) -> Sequence[str]:
    """What fits beside the label: counts and bar give way on a narrow screen."""
    if width < 56:
        return ("recall", "precision")
    counts = ("pictures", "correct", "predicted") if width >= 80 else ("pictures",)
    return (*counts, "recall", "bar", "precision")


def _cells(terminal: Terminal, score: LabelScore) -> dict[str, str | Text]:
    recall = score.recall or 0.0
    return {
        "pictures": str(score.pictures),
        "correct": str(score.correct),
        "predicted": str(score.predicted),
        "recall": _percent(score.recall),
        "bar": terminal.bar(recall, BAR, _colour(recall)),
        "precision": _percent(score.precision),
    }


def _confusions(terminal: Terminal, report: Report) -> Table:
    table = _table("Most confused")
    table.add_column("pictures", justify="right", no_wrap=True)
    table.add_column("of the label", overflow="fold")
    table.add_column("were taken for", overflow="fold")
    repeated = _repeated(report)
    for pair in report.confusions:
        true = terminal.label(pair.true, number=pair.true_index if pair.true in repeated else None)
        taken = terminal.label(pair.predicted, number=pair.predicted_index if pair.predicted in repeated else None)
        table.add_row(str(pair.count), true, taken)
    return table


def _repeated(report: Report) -> set[str]:
    """Labels that several classes share, which need their index to be told apart."""
    return {label for label, count in Counter(score.label for score in report.labels).items() if count > 1}


def _unreadable(terminal: Terminal, report: Report) -> Iterator[Text]:
    if not report.unreadable:
        return
    yield Text("Unreadable, left out of all numbers", "bold red")
    for result in report.unreadable[:NAMED]:
        path = Text.assemble("  ", terminal.text(result.path), "  ")
        yield from terminal.hang(path, terminal.text(str(result.error), "red"))
    more = len(report.unreadable) - NAMED
    if more > 0:
        yield Text(f"  and {more:,} more; `-f json` names them all", "dim")
    yield Text()


def _summary(report: Report) -> Text:
    numbers = {
        "top-1": _percent(report.top1, 2),
        "top-5": _percent(report.top5, 2),
        "pictures": f"{report.pictures:,}",
        "unreadable": f"{len(report.unreadable):,}",
    }
    parts = [Text.assemble((name, "dim"), " ", (value, "bold")) for name, value in numbers.items()]
    return Text("   ").join(parts)


def _percent(share: float | None, digits: int = 1) -> str:
    return "-" if share is None else f"{share:.{digits}%}"


def _colour(recall: float) -> str:
    return "green" if recall >= 0.8 else "yellow" if recall >= 0.5 else "red"
