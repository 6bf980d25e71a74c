"""`vithybrid models`: lists the catalog, for people as a table, for programs as JSON or CSV."""

import sys
from dataclasses import asdict
from typing import Annotated, Any, TextIO

import typer

from vithybrid_cli.checkpoints import catalog, hub
from vithybrid_cli.output import Format, default_format
from vithybrid_cli.output.delimited import RowWriter
from vithybrid_cli.output.formats import prepare_stream
from vithybrid_cli.output.json_records import to_json

HEADINGS = ("model", "params", "download", "input", "top-1", "measured on", "licence", "in cache")
_LEFT_ALIGNED = ("model", "measured on", "licence", "in cache")
_GAP = "  "

FormatOption = Annotated[
    Format | None,
    typer.Option("--format", "-f", show_default="table on a terminal, else jsonl", help="How the list is written."),
]


def models(output_format: FormatOption = None) -> None:
    """List the models that can be named by an alias, and which of them are in the cache.

    Any other checkpoint of these families can be named by its hub id or its folder. Opens no connection.

    Example: vithybrid models --format json
    """
    chosen = output_format or default_format(sys.stdout)
    prepare_stream(chosen, sys.stdout)
    records = [_record(entry) for entry in catalog.ENTRIES]
    match chosen:
        case Format.TABLE:
            _write_table(sys.stdout, records)
        case Format.JSON:
            typer.echo("[\n" + ",\n".join(map(to_json, records)) + "\n]")
        case Format.JSONL:
            typer.echo("\n".join(map(to_json, records)))
        case Format.CSV | Format.TSV:
            rows = RowWriter(sys.stdout, delimiter="," if chosen is Format.CSV else "\t")
            rows.write(tuple(records[0]), *(tuple(map(_cell, record.values())) for record in records))


def _record(entry: catalog.Entry) -> dict[str, Any]:
    """What is known about a model, by the names in the catalog, and whether it needs no network."""
    return asdict(entry) | {"cached": entry.hub_id is None or hub.is_cached(entry.hub_id)}


def _cell(value: object) -> str:
    """JSON's words for truth values, nothing for what is not known."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _write_table(stream: TextIO, records: list[dict[str, Any]]) -> None:
    """Two lines for each model: its numbers under headings, and what it is."""
    from rich.text import Text

    from vithybrid_cli.output.terminal import open_terminal  # imports rich

    terminal = open_terminal(stream)
    rows = [HEADINGS, *map(_columns, records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminal.print([Text(_aligned(HEADINGS, widths), "bold")])
    for row, record in zip(rows[1:], records, strict=True):
        terminal.print([Text(_aligned(row, widths))])
        terminal.print(terminal.hang(Text(_GAP), Text(_description(record), "dim")))


def _columns(record: dict[str, Any]) -> tuple[str, ...]:
    """The cells under ``HEADINGS``."""
    return (
        record["alias"],
        f"{record['parameters'] / 1e6:.1f} M",
        f"{record['size_bytes'] / 1e6:.0f} MB",
        f"{record['image_size']}",
        "" if record["top1"] is None else f"{record['top1']:.1f} %",
        record["dataset"],
        record["licence"],
        "built in" if record["hub_id"] is None else "yes" if record["cached"] else "no",
    )


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    """One line: words to the left of their columns, numbers to the right."""
    cells = zip(HEADINGS, row, widths, strict=True)
    return _GAP.join(
        cell.ljust(width) if heading in _LEFT_ALIGNED else cell.rjust(width) for heading, cell, width in cells
    )


def _description(record: dict[str, Any]) -> str:
    return ": ".join(part for part in (record["hub_id"], record["description"]) if part)
