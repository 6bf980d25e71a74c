"""A benchmark for people: what it ran on, what was measured, what is how much faster, and what is not there."""

from collections.abc import Iterator
from typing import TextIO

from rich import box
from rich.table import Table
from rich.text import Text

from vithybrid_cli.bench.measurements import Machine, Measurement, Part, Ratio, Report, Setting, Spread, Subject
from vithybrid_cli.output.terminal import Terminal, open_terminal

_PARTS = {
    Part.DECODE: "decoding",
    Part.NETWORK: "network",
    Part.WHOLE: "whole way",
    Part.PROCESS: "whole process",
    Part.START: "cold start",
}
_MEASURED = ("", "what", "batch", "images/s", "min–max", "seconds", "memory")
_RATIOS = ("", "what", "batch", "times as fast as", "median", "min–max")
_WORDS = ("", "what", "times as fast as")  # columns of words; the others are of numbers


def print_bench(stream: TextIO, report: Report) -> None:
    """Print ``report``: where, then the numbers, then what is missing, where the eye ends up."""
    terminal = open_terminal(stream)
    lines = [*_machine(report.machine), *_software(report), *_setting(report.setting, report.complete)]
    width = max(len(title) for title, _ in lines) + 2
    for title, text in lines:
        terminal.print(terminal.hang(Text(title.ljust(width), "dim"), terminal.text(text)))
    measured = [measurement for measurement in report.measurements if measurement.timings]
    if measured:
        terminal.console.print(_table("Measured, median of the turns", _MEASURED, map(_measured, measured)))
    if report.ratios:
        terminal.console.print(_table("Ratios, each within a turn", _RATIOS, map(_ratio, report.ratios)))
    terminal.print(_absent(terminal, report))


def _machine(machine: Machine) -> Iterator[tuple[str, str]]:
    memory = "" if machine.memory_bytes is None else f", {machine.memory_bytes / 2**30:.1f} GiB"
    yield "machine", f"{machine.processor}, {machine.cores} cores{memory}"
    yield "system", machine.system
    if machine.gpus:
        yield "GPU", ", ".join(machine.gpus)
    if machine.environment:
        yield "set", " ".join(f"{name}={value}" for name, value in machine.environment.items())
    if None not in machine.load:
        yield "load", f"{machine.load[0]} before, {machine.load[1]} after"


def _software(report: Report) -> Iterator[tuple[str, str]]:
    for program, software in report.software.items():
        others = [f"{name} {version}" for name, version in software.versions.items() if name != program]
        names = [software.versions.get(program, ""), *others]
        threads = [] if software.threads is None else [f"{software.threads} threads"]
        yield program, ", ".join(filter(None, [*names, *threads]))


def _setting(setting: Setting, complete: bool) -> Iterator[tuple[str, str]]:
    height, width = setting.image_size
    yield "model", f"{setting.model}, {width}×{height}, device {setting.device}"
    made = " made for it" if setting.own_pictures else ""
    size = f"{setting.picture_bytes / 1000:.0f} kB on average"
    yield "pictures", f"{setting.pictures}{made}, {size}, {setting.workers} decoding threads"
    ended = "" if complete else "; interrupted"
    yield "turns", f"{setting.repeats} of at least {setting.seconds:g} s{ended}"
    yield "command", setting.command


def _table(title: str, columns: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name in _WORDS else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _subject(subject: Subject) -> tuple[str, str, str]:
    return _PARTS[subject.part], subject.name, "" if subject.batch is None else str(subject.batch)


def _measured(measurement: Measurement) -> tuple[str, ...]:
    rate, seconds = measurement.rate, measurement.seconds
    assert rate is not None
    assert seconds is not None
    peak = "" if measurement.peak_bytes is None else f"{measurement.peak_bytes / 2**20:,.0f} MiB"
    return (*_subject(measurement.subject), _number(rate.median), _range(rate), _number(seconds.median), peak)


def _ratio(ratio: Ratio) -> tuple[str, ...]:
    spread = ratio.spread
    return (*_subject(ratio.subject), ratio.against, f"{spread.median:.3f} ×", f"{_three(spread)}")


def _number(value: float) -> str:
    """Three or more digits: 1.17, 25.3, 1,204."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.{0 if value >= 100 else 1}f}"


def _range(spread: Spread) -> str:
    return f"{_number(min(spread.values))}–{_number(max(spread.values))}"


def _three(spread: Spread) -> str:
    return f"{min(spread.values):.3f}–{max(spread.values):.3f}"


def _absent(terminal: Terminal, report: Report) -> Iterator[Text]:
    """What was asked for and is not among the numbers, each reason once."""
    reasons = {message: program for program, message in report.missing.items()}
    for measurement in report.measurements:
        if measurement.error is not None:
            reasons.setdefault(measurement.error, measurement.subject.name)
    if reasons:
        yield Text("Not measured", "bold red")
    for message, name in reasons.items():
        yield from terminal.hang(Text.assemble("  ", terminal.text(name), "  "), terminal.text(message, "red"))
