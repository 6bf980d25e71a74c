"""A benchmark becomes text: tables for people, one JSON object, or one long table for programs.

``csv`` and ``tsv`` hold a row for each ``measurement`` and each ``ratio``, as their first column says. ``median``,
``min`` and ``max`` are of images per second, or of how many times as fast as ``against`` it is in the same turn.
"""

from collections.abc import Iterator
from typing import Any, TextIO

from vithybrid_cli.bench.measurements import Report, Spread
from vithybrid_cli.output.delimited import RowWriter
from vithybrid_cli.output.formats import Format, prepare_stream
from vithybrid_cli.output.json_records import to_json

COLUMNS = (
    "kind",
    "part",
    "program",
    "engine",
    "dtype",
    "batch",
    "against",
    "median",
    "min",
    "max",
    "turns",
    "peak_bytes",
    "error",
)


def write_bench(output_format: Format, stream: TextIO, report: Report) -> None:
    """Write the whole ``report`` to ``stream``; ``jsonl`` is the object of ``json`` on one line."""
    prepare_stream(output_format, stream)
    match output_format:
        case Format.JSON | Format.JSONL:
            stream.write(to_json(report.record(), indent=2 if output_format is Format.JSON else None) + "\n")
            stream.flush()
        case Format.CSV | Format.TSV:
            rows = RowWriter(stream, delimiter="," if output_format is Format.CSV else "\t")
            rows.write(COLUMNS, *(_row(cells) for cells in _rows(report)))
        case Format.TABLE:
            from vithybrid_cli.bench.table import print_bench  # imports rich

            print_bench(stream, report)


def _rows(report: Report) -> Iterator[dict[str, Any]]:
    for measurement in report.measurements:
        facts = measurement.record()
        yield {"kind": "measurement", **facts, **_spread(measurement.rate)}
    for ratio in report.ratios:
        yield {"kind": "ratio", **ratio.record(), **_spread(ratio.spread)}


def _spread(spread: Spread | None) -> dict[str, Any]:
    if spread is None:
        return {}
    record = spread.record()
    return {**record, "turns": len(spread.values)}


def _row(cells: dict[str, Any]) -> tuple[str, ...]:
    values = (cells.get(column) for column in COLUMNS)
    return tuple("" if value is None else str(value) for value in values)
