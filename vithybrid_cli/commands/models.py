"""``vithybrid models``: lists the catalog or a part of it, as a table for people, as JSON or CSV for programs."""

import re
from collections.abc import Sequence
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Annotated, Any, TextIO

import typer

from vithybrid_cli.commands import options
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub import catalog
from vithybrid_cli.hub.catalog import CatalogFamily, Entry, Task
from vithybrid_cli.hub.locate import is_cached
from vithybrid_cli.output import Format, default_format
from vithybrid_cli.output.delimited import RowWriter
from vithybrid_cli.output.destination import opened
from vithybrid_cli.output.formats import prepare_stream
from vithybrid_cli.output.json_records import to_json

HEADINGS = ("model", "task", "params", "GMACs", "input", "top-1", "download")
_LEFT_ALIGNED = ("model", "task")
_GAP = "  "
_COUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+) ?([KMG]?)", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


class SortKey(StrEnum):
    """What the list is ordered by."""

    CATALOG = "catalog"
    NAME = "name"
    PARAMS = "params"
    ACCURACY = "accuracy"
    SPEED = "speed"


FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        case_sensitive=False,
        metavar=options.TEXT_FORMATS,
        callback=options.no_parquet,
        show_default="table on a terminal, else jsonl",
        help="How the list is written.",
    ),
]
MaxParams = Annotated[
    str | None, typer.Option(metavar="N", help="Only models of at most so many parameters: 40M, 36.4M or 40000000.")
]
MinAccuracy = Annotated[
    float | None,
    typer.Option(metavar="PERCENT", min=0, max=100, help="Only models of at least this top-1 accuracy on ImageNet-1k."),
]
FamilyOption = Annotated[CatalogFamily | None, typer.Option("--family", help="Only models of this kind.")]
TaskOption = Annotated[Task | None, typer.Option("--task", help="Only models whose labels are of this kind.")]
Sort = Annotated[
    SortKey,
    typer.Option(help="Order: by family and size, by alias, fewest parameters, best accuracy or least work first."),
]


def models(
    output_format: FormatOption = None,
    max_params: MaxParams = None,
    min_accuracy: MinAccuracy = None,
    family: FamilyOption = None,
    task: TaskOption = None,
    sort: Sort = SortKey.CATALOG,
) -> None:
    """List the models that can be named by an alias, and which of them are in the cache.

    Any other checkpoint of these families can be named by its hub id or its folder. Opens no connection.

    Example: vithybrid models --max-params 40M --min-accuracy 80 --sort accuracy
    """
    limit = None if max_params is None else parse_count(max_params)
    of_kind = [e for e in catalog.ENTRIES if family in (None, e.family) and task in (None, e.task)]
    entries = [entry for entry in of_kind if _within(entry, limit, min_accuracy)]
    records = [_record(entry) for entry in _ordered(entries, sort)]
    with opened(None, remedy="make room there") as stream:
        chosen = output_format or default_format(stream)
        prepare_stream(chosen, stream)
        _write(stream, records, chosen, _remedies(max_params, min_accuracy, family, task))


def _write(stream: TextIO, records: list[dict[str, Any]], chosen: Format, remedies: str) -> None:
    match chosen:
        case Format.TABLE:
            _write_table(stream, records, remedies)
        case Format.JSON:
            typer.echo("[\n" + ",\n".join(map(to_json, records)) + "\n]" if records else "[]", stream)
        case Format.JSONL:
            typer.echo("".join(f"{to_json(record)}\n" for record in records), stream, nl=False)
        case Format.CSV | Format.TSV:
            rows = RowWriter(stream, delimiter="," if chosen is Format.CSV else "\t")
            rows.write(_KEYS, *(tuple(map(_cell, record.values())) for record in records))


def parse_count(text: str) -> int:
    """A number of parameters that may end in K, M or G. Raises UsageError for anything else."""
    match = _COUNT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no number of parameters.", "Give {max_params} as 40M or 40000000.")
    number, unit = match.groups()
    return round(float(number) * _UNITS[unit.upper()])


def _within(entry: Entry, max_params: int | None, min_accuracy: float | None) -> bool:
    """Limits are compared with the numbers as the table rounds them, so that what it shows can be given."""
    small = max_params is None or min(entry.parameters, round(entry.parameters, -5)) <= max_params
    top1 = entry.comparable_top1
    exact = min_accuracy is None or (top1 is not None and max(top1, round(top1, 1)) >= min_accuracy)
    return small and exact


def _ordered(entries: Sequence[Entry], sort: SortKey) -> list[Entry]:
    """Unknown values come last; equal ones stay in the order of the catalog."""
    match sort:
        case SortKey.CATALOG:
            return list(entries)
        case SortKey.NAME:
            return sorted(entries, key=lambda entry: entry.alias)
        case SortKey.PARAMS:
            return sorted(entries, key=lambda entry: entry.parameters)
        case SortKey.ACCURACY:
            return sorted(entries, key=lambda entry: -(entry.comparable_top1 or 0.0))
        case SortKey.SPEED:
            return sorted(entries, key=lambda entry: float("inf") if entry.gmacs is None else entry.gmacs)


def _record(entry: Entry) -> dict[str, Any]:
    """The catalog's row of a model, and whether it can be used without a network."""
    return asdict(entry) | {"cached": entry.hub_id is None or is_cached(entry.hub_id)}


_KEYS = (*(field.name for field in fields(Entry)), "cached")


def _cell(value: object) -> str:
    """JSON's words for truth values, labels in one cell, nothing for unknown values."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else str(value)


def _remedies(
    max_params: str | None, min_accuracy: float | None, family: CatalogFamily | None, task: Task | None
) -> str:
    """How to change the options that were given so that more models match."""
    remedies = {
        "raise --max-params": max_params,
        "lower --min-accuracy": min_accuracy,
        "drop --family": family,
        "drop --task": task,
    }
    return " or ".join(remedy for remedy, given in remedies.items() if given is not None)


def _write_table(stream: TextIO, records: list[dict[str, Any]], remedies: str) -> None:
    """Two lines for each model: its numbers under headings, and a description; below, what the headings mean."""
    from rich.text import Text

    from vithybrid_cli.output.terminal import open_terminal  # imports rich

    terminal = open_terminal(stream)
    if not records:
        terminal.print([Text(f"No model matches: {remedies}.")])
        return
    rows = [HEADINGS, *map(_columns, records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminal.print([Text(_aligned(HEADINGS, widths), "bold")])
    for row, record in zip(rows[1:], records, strict=True):
        terminal.print([Text(_aligned(row, widths))])
        terminal.print(terminal.hang(Text(_GAP), Text(_description(record), "dim")))
    for line in _legend(records):
        terminal.print(terminal.hang(Text(), Text(line, "dim")))


def _columns(record: dict[str, Any]) -> tuple[str, ...]:
    """The cells under ``HEADINGS``."""
    return (
        record["alias"],
        record["task"],
        f"{record['parameters'] / 1e6:.1f} M",
        "" if record["gmacs"] is None else f"{record['gmacs']:.1f}",
        f"{record['image_size']}",
        _top1(record),
        "built in" if record["hub_id"] is None else "cached" if record["cached"] else _megabytes(record),
    )


def _top1(record: dict[str, Any]) -> str:
    """Percent, with a star for one that this program does not reach with the checkpoint's own files."""
    star = "*" if record["measured_otherwise"] else " "
    return "" if record["top1"] is None else f"{record['top1']:.1f} %{star}"


def _megabytes(record: dict[str, Any]) -> str:
    return f"{record['size_bytes'] / 1e6:.0f} MB"


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    """One line, with words aligned to the left and numbers to the right."""
    cells = zip(HEADINGS, row, widths, strict=True)
    return _GAP.join(
        cell.ljust(width) if heading in _LEFT_ALIGNED else cell.rjust(width) for heading, cell, width in cells
    )


def _description(record: dict[str, Any]) -> str:
    names = record["labels"]
    shown = names if len(names) < 4 else (*names[:2], "…", names[-1])
    labels = f" ({', '.join(shown)})" if shown else ""
    return ": ".join(part for part in (record["hub_id"], f"{record['description']}{labels}") if part)


def _legend(records: list[dict[str, Any]]) -> list[str]:
    licences = ", ".join(sorted({record["licence"] for record in records} - {"unknown"}))
    unknown = ", ".join(record["alias"] for record in records if record["licence"] == "unknown")
    starred = any(record["measured_otherwise"] for record in records)
    own = " and ".join(record["alias"] for record in records if record["dataset"] == catalog.AUTHORS_OWN)
    return [
        "",
        "task: what the labels are of; features have none, see `vithybrid embed`.",
        "top-1: how often the first label is right, on pictures of that task.",
        *([f"  That of {own} is its author's word, on pictures of their own."] if own else []),
        *([_STAR] if starred else []),
        "GMACs: work for one picture, in billions of multiply-adds.",
        f"Licence: {licences or 'unknown'}{f'; unknown: {unknown}' if unknown and licences else ''}.",
        "For a shorter list: --task, --max-params, --min-accuracy, --family.",
    ]


_STAR = "*: measured with another preprocessing than the model's files ask for (-f json)."
