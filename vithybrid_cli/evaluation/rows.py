"""An evaluation becomes text: tables for people, one JSON object, or one long table for programs.

``csv`` and ``tsv`` hold rows of several kinds under one header. The first column says what a row is, so that it is
filtered by it: ``pandas.read_csv(file).query("kind == 'label'").convert_dtypes()``.

- ``summary``, the first row: how many pictures were read, how many were unreadable, top-1 and top-5.
- ``label``: one for each label that has pictures or was given to one, with its recall and precision.
- ``confusion``: so many ``pictures`` of ``label`` were taken for ``predicted_label``, most frequent pair first.
- ``unreadable``: a picture that is in no other number, and why.

A row leaves the columns of other kinds empty, and so does a share that would divide by zero.
"""

from collections.abc import Iterator
from typing import TextIO

from vithybrid_cli.evaluation.figures import Report
from vithybrid_cli.output.delimited import RowWriter
from vithybrid_cli.output.formats import Format, prepare_stream
from vithybrid_cli.output.json_records import to_json

KINDS = {
    "summary": ("pictures", "unreadable", "top1", "top5"),
    "label": ("index", "label", "pictures", "correct", "correct_top5", "predicted", "recall", "precision"),
    "confusion": ("index", "label", "predicted_index", "predicted_label", "pictures"),
    "unreadable": ("path", "error_type", "error_message"),
}
COLUMNS = ("kind", *dict.fromkeys(column for columns in KINDS.values() for column in columns))


def write_report(output_format: Format, stream: TextIO, report: Report) -> None:
    """Write the whole ``report`` to ``stream``.

    ``json`` is one object over several lines, ``jsonl`` the same object on one line, fit to be appended to a log of
    runs. ``csv`` and ``tsv`` hold the same facts as rows.
    """
    prepare_stream(output_format, stream)
    match output_format:
        case Format.JSON | Format.JSONL:
            stream.write(to_json(report.record(), indent=2 if output_format is Format.JSON else None) + "\n")
            stream.flush()
        case Format.CSV | Format.TSV:
            rows = RowWriter(stream, delimiter="," if output_format is Format.CSV else "\t")
            rows.write(COLUMNS, *_rows(report))
        case Format.TABLE:
            from vithybrid_cli.evaluation.table import print_report  # imports rich

            print_report(stream, report)


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    yield _row("summary", report.pictures, len(report.unreadable), report.top1, report.top5)
    for score in report.labels:
        counts = (score.pictures, score.correct, score.correct_top5, score.predicted)
        yield _row("label", score.index, score.label, *counts, score.recall, score.precision)
    for pair in report.confusions:
        yield _row("confusion", pair.true_index, pair.true, pair.predicted_index, pair.predicted, pair.count)
    for result in report.unreadable:
        yield _row("unreadable", result.path, type(result.error).__name__, result.error)


def _row(kind: str, *values: object) -> tuple[str, ...]:
    """The values of this kind's columns, each below its heading."""
    cells: dict[str, object] = {"kind": kind, **dict(zip(KINDS[kind], values, strict=True))}
    return tuple(_cell(cells.get(column)) for column in COLUMNS)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    return "" if value is None else str(value)
