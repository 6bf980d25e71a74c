"""The result of a benchmark for people: the machine, the measurements, the ratios, and what is missing."""

from collections.abc import Iterable, Iterator
from typing import TextIO

from rich import box
from rich.table import Table
from rich.text import Text

from vithybrid_cli.bench import limits_table
from vithybrid_cli.bench.machine import Machine
from vithybrid_cli.bench.measurements import Measurement, Part, Ratio, Spread, Subject
from vithybrid_cli.bench.result import BenchResult
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


def print_bench(stream: TextIO, result: BenchResult) -> None:
    """Print ``result``; what is missing comes last, where the reader ends up."""
    terminal = open_terminal(stream)
    lines = [*_machine(result.machine), *_software(result), *_asked(result)]
    width = max(len(title) for title, _ in lines) + 2
    for title, text in lines:
        terminal.print(terminal.hang(Text(title.ljust(width), "dim"), terminal.text(text)))
    measured = [_measured(measurement) for measurement in result.measurements if measurement.timings]
    if measured:
        terminal.console.print(_table("Measured, median of the turns", _MEASURED, measured))
    if result.ratios:
        terminal.console.print(_table("Ratios, each within a turn", _RATIOS, map(_ratio, result.ratios)))
    if result.limits is not None and result.limits.networks:
        rows = limits_table.rows(result.limits)
        terminal.console.print(_table(limits_table.title(result.limits), limits_table.COLUMNS, rows))
    terminal.print(_missing(terminal, result))


def _machine(machine: Machine) -> Iterator[tuple[str, str]]:
    memory = "" if machine.memory_bytes is None else f", {machine.memory_bytes / 2**30:.1f} GiB"
    yield "machine", f"{machine.processor}, {machine.cores} cores{memory}"
    yield "system", machine.system
    if machine.gpus:
        yield "GPU", ", ".join(machine.gpus)
    if machine.environment:
        yield "set", " ".join(f"{name}={value}" for name, value in machine.environment.items())
    if machine.load_before is not None:
        yield "load", f"{machine.load_before} before, {machine.load_after} after"


def _software(result: BenchResult) -> Iterator[tuple[str, str]]:
    for program, software in result.software.items():
        others = [f"{name} {version}" for name, version in software.versions.items() if name != program]
        threads = "" if software.threads is None else f"{software.threads} threads"
        yield program, ", ".join(filter(None, [software.versions.get(program), *others, threads]))


def _asked(result: BenchResult) -> Iterator[tuple[str, str]]:
    plan, (height, width) = result.plan, result.image_size
    made = " made for it" if result.own_pictures else ""
    size = f"{result.picture_bytes / 1000:.0f} kB on average"
    yield "model", f"{result.model}, {width}×{height}, device {plan.device}"
    yield "pictures", f"{result.pictures}{made}, {size}, {plan.workers} decoding threads"
    yield "turns", f"{plan.repeats} of at least {plan.seconds:g} s{'' if result.complete else '; interrupted'}"
    yield "command", result.command


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name in _WORDS else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _subject(subject: Subject) -> tuple[str, str, str]:
    return _PARTS[subject.part], subject.name, "" if subject.batch is None else str(subject.batch)


def _measured(measurement: Measurement) -> tuple[str, ...]:
    rate, seconds, peak = measurement.rate, measurement.seconds, measurement.peak_bytes
    memory = "" if peak is None else f"{peak / 2**20:,.0f} MiB"
    return (*_subject(measurement.subject), _number(rate.median), _range(rate), _number(seconds.median), memory)


def _ratio(ratio: Ratio) -> tuple[str, ...]:
    low, high = min(ratio.spread.values), max(ratio.spread.values)
    return (*_subject(ratio.subject), ratio.against, f"{ratio.spread.median:.3f} ×", f"{low:.3f}–{high:.3f}")


def _number(value: float) -> str:
    """Three or more digits: 1.17, 25.3, 1,204."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.{0 if value >= 100 else 1}f}"


def _range(spread: Spread) -> str:
    return f"{_number(min(spread.values))}–{_number(max(spread.values))}"


def _missing(terminal: Terminal, result: BenchResult) -> Iterator[Text]:
    """What was asked for and failed, each reason once."""
    failed = [measurement for measurement in result.measurements if measurement.error is not None]
    reasons = {str(measurement.error): measurement.subject.name for measurement in reversed(failed)}
    if result.limits is not None:
        reasons |= {error: name for name, error in limits_table.missing(result.limits).items() if error not in reasons}
    if reasons:
        yield Text("Not measured", "bold red")
    for error, name in reasons.items():
        yield from terminal.hang(Text.assemble("  ", terminal.text(name), "  "), terminal.text(error, "red"))
