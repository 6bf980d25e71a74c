"""Metrics for people: labels, confusions, unreadable pictures, and last the accuracy, where one looks first."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich import box
from rich.table import Table
from rich.text import Text

from vithybrid_cli.evaluation.faithful import Estimate, Faithfulness
from vithybrid_cli.evaluation.figures import LabelMetrics, Metrics
from vithybrid_cli.output.terminal import Terminal, open_terminal

BAR = 10
LISTED = 20  # unreadable pictures at most; the other formats have them all


def print_metrics(stream: TextIO, metrics: Metrics) -> None:
    """Print ``metrics``, the summary last: a table of a thousand labels would scroll it away."""
    terminal = open_terminal(stream)
    if metrics.labels:
        terminal.console.print(_labels(terminal, metrics))
    if metrics.confusions:
        terminal.console.print(_confusions(terminal, metrics))
    if metrics.maps is not None:
        terminal.console.print(_maps(terminal, metrics.maps))
    terminal.print([*_unreadable(terminal, metrics), *_summary(terminal, metrics)])


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _labels(terminal: Terminal, metrics: Metrics) -> Table:
    table = _table("Labels")
    table.add_column("label", overflow="fold")
    for name in _columns(terminal.width):
        is_bar = name == "bar"
        table.add_column("" if is_bar else name, justify="left" if is_bar else "right", no_wrap=True)
    repeated = _repeated(metrics)
    for row in metrics.labels:
        cells = _cells(terminal, row)
        label = terminal.label(row.label, number=row.index if row.label in repeated else None)
        table.add_row(label, *(cells[name] for name in _columns(terminal.width)))
    return table


def _columns(width: int) -> Sequence[str]:
    """What fits beside the label: a narrow screen has no room for counts and bars."""
    if width < 56:
        return ("recall", "precision")
    counts = ("pictures", "correct", "predicted") if width >= 80 else ("pictures",)
    return (*counts, "recall", "bar", "precision")


def _cells(terminal: Terminal, row: LabelMetrics) -> dict[str, str | Text]:
    recall = row.recall or 0.0
    return {
        "pictures": str(row.pictures),
        "correct": str(row.correct),
        "predicted": str(row.predicted),
        "recall": _percent(row.recall),
        "bar": terminal.bar(recall, BAR, _colour(recall)),
        "precision": _percent(row.precision),
    }


def _confusions(terminal: Terminal, metrics: Metrics) -> Table:
    table = _table("Most confused")
    table.add_column("pictures", justify="right", no_wrap=True)
    table.add_column("label", overflow="fold")
    table.add_column("predicted", overflow="fold")
    repeated = _repeated(metrics)
    for pair in metrics.confusions:
        true = terminal.label(pair.true, number=pair.true_index if pair.true in repeated else None)
        predicted = terminal.label(pair.predicted, number=pair.predicted_index if pair.predicted in repeated else None)
        table.add_row(str(pair.count), true, predicted)
    return table


def _maps(terminal: Terminal, maps: Faithfulness) -> Table:
    """How faithful maps are, best first."""
    table = _table(f"Maps of {maps.pictures:,} picture{'' if maps.pictures == 1 else 's'}")
    table.add_column("method", no_wrap=True)
    for name in ("insertion", "deletion", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    sign = "\N{PLUS-MINUS SIGN}" if terminal.console.encoding.startswith("utf") else "+-"
    for one in maps.methods:
        table.add_row(one.method, *(_estimate(area, sign) for area in (one.insertion, one.deletion, one.difference)))
    return table


def _estimate(area: Estimate, sign: str) -> str:
    return f"{area.mean:.3f}" if area.error is None else f"{area.mean:.3f} {sign} {area.error:.3f}"


def _repeated(metrics: Metrics) -> set[str]:
    """Labels that several classes share: only the index tells them apart."""
    return {label for label, count in Counter(row.label for row in metrics.labels).items() if count > 1}


def _unreadable(terminal: Terminal, metrics: Metrics) -> Iterator[Text]:
    if not metrics.unreadable:
        return
    yield Text("Unreadable, not counted", "bold red")
    for picture in metrics.unreadable[:LISTED]:
        path = Text.assemble("  ", terminal.text(picture.path), "  ")
        yield from terminal.hang(path, terminal.text(picture.message, "red"))
    more = len(metrics.unreadable) - LISTED
    if more > 0:
        yield Text(f"  and {more:,} more; JSON and CSV list them all", "dim")
    yield Text()


def _summary(terminal: Terminal, metrics: Metrics) -> Iterator[Text]:
    """The figures on one line, or on several where a screen has no room."""
    numbers = {
        "top-1": _with_interval(terminal, metrics.top1, metrics.top1_interval),
        "top-5": _with_interval(terminal, metrics.top5, metrics.top5_interval),
        "calibration error": _calibration_error(metrics),
        "pictures": f"{metrics.pictures:,}",
        "unreadable": f"{len(metrics.unreadable):,}",
    }
    line = Text()
    for name, value in numbers.items():
        part = Text.assemble((name, "dim"), " ", (value, "bold"))
        if line and terminal.live and line.cell_len + 3 + part.cell_len > terminal.width:
            yield line
            line = Text()
        line = Text.assemble(line, "   ", part) if line else part
    yield line


def _with_interval(terminal: Terminal, share: float | None, interval: tuple[float, float] | None) -> str:
    """A share with the ends of its 95 % confidence interval, as in "84.2% (83.1–85.2)"."""
    if interval is None:
        return _percent(share)
    dash = "\N{EN DASH}" if terminal.console.encoding.startswith("utf") else "-"
    low, high = (f"{100 * end:.1f}" for end in interval)
    return f"{_percent(share)} ({low}{dash}{high})"


def _calibration_error(metrics: Metrics) -> str:
    return "none of raw outputs" if metrics.calibration.why_not else _percent(metrics.calibration.error)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _colour(recall: float) -> str:
    return "green" if recall >= 0.8 else "yellow" if recall >= 0.5 else "red"
