"""Metrics become text: tables for people, one JSON object, or one long table for programs.

``csv`` and ``tsv`` hold rows of several kinds below one header. The first column names the kind, to filter by:
``pandas.read_csv(file).query("kind == 'label'").convert_dtypes()``.

- ``summary``, the first row: how many pictures were read, how many could not be, top-1 and top-5 with the ends of their
  95 % confidence intervals, and the expected calibration error.
- ``label``: one for each label that has pictures or was predicted, with its recall and precision.
- ``confusion``: for so many ``pictures`` of ``label`` the model predicted ``predicted_label``; most frequent first.
- ``map``: how faithful one method's maps of so many ``pictures`` are, if that was measured: insertion, deletion and
  their difference, each with its standard error.
- ``unreadable``: a picture that counts for nothing else, and why.
- ``calibration``: so many ``pictures`` have a score above ``score_low`` and up to ``score_high``, with their mean score
  and accuracy; none for raw outputs.

The columns of other kinds are empty, and so is a share that would divide by zero.
"""

from collections.abc import Iterator
from itertools import chain
from typing import TextIO

from vithybrid_cli.evaluation.figures import Metrics
from vithybrid_cli.output.delimited import RowWriter
from vithybrid_cli.output.formats import Format, prepare_stream
from vithybrid_cli.output.json_records import to_json

_AREAS = ("insertion", "insertion_error", "deletion", "deletion_error", "difference", "difference_error")
_ENDS = ("top1_low", "top1_high", "top5_low", "top5_high")
KINDS = {
    "summary": ("pictures", "unreadable", "top1", "top5", *_ENDS, "calibration_error"),
    "label": ("index", "label", "pictures", "correct", "correct_top5", "predicted", "recall", "precision"),
    "confusion": ("index", "label", "predicted_index", "predicted_label", "pictures"),
    "unreadable": ("path", "error_type", "error_message"),
    "calibration": ("score_low", "score_high", "pictures", "mean_score", "accuracy"),
    "map": ("method", "pictures", *_AREAS),
}
_NAMES = dict.fromkeys(column for columns in KINDS.values() for column in columns)
_LATER = (*_ENDS, "calibration_error", "score_low", "score_high", "mean_score", "accuracy", "method", *_AREAS)
COLUMNS = ("kind", *sorted(_NAMES, key=_LATER.__contains__))  # new columns come after those that there were


def write_metrics(output_format: Format, stream: TextIO, metrics: Metrics) -> None:
    """Write all ``metrics`` to ``stream``.

    ``json`` is an object on several lines, ``jsonl`` the same object on one line, so that it can be appended to a log.
    ``csv`` and ``tsv`` hold the same facts as rows.
    """
    prepare_stream(output_format, stream)
    match output_format:
        case Format.JSON | Format.JSONL:
            stream.write(to_json(metrics.record(), indent=2 if output_format is Format.JSON else None) + "\n")
            stream.flush()
        case Format.CSV | Format.TSV:
            rows = RowWriter(stream, delimiter="," if output_format is Format.CSV else "\t")
            rows.write(COLUMNS, *_rows(metrics))
        case Format.TABLE:
            from vithybrid_cli.evaluation.table import print_metrics  # imports rich

            print_metrics(stream, metrics)


def _rows(metrics: Metrics) -> Iterator[tuple[str, ...]]:
    counts = (metrics.pictures, len(metrics.unreadable))
    ends = (*(metrics.top1_interval or (None, None)), *(metrics.top5_interval or (None, None)))
    yield _row("summary", *counts, metrics.top1, metrics.top5, *ends, metrics.calibration.error)
    for row in metrics.labels:
        of_label = (row.pictures, row.correct, row.correct_top5, row.predicted)
        yield _row("label", row.index, row.label, *of_label, row.recall, row.precision)
    for pair in metrics.confusions:
        yield _row("confusion", pair.true_index, pair.true, pair.predicted_index, pair.predicted, pair.count)
    for picture in metrics.unreadable:
        yield _row("unreadable", picture.path, picture.error_type, picture.message)
    for part in metrics.calibration.bins:
        yield _row("calibration", part.low, part.high, part.pictures, part.mean_score, part.accuracy)
    for one in metrics.maps.methods if metrics.maps else ():
        areas = ((area.mean, area.error) for area in (one.insertion, one.deletion, one.difference))
        yield _row("map", one.method, metrics.maps.pictures if metrics.maps else 0, *chain.from_iterable(areas))


def _row(kind: str, *values: object) -> tuple[str, ...]:
    """The values of this kind's columns, each in its place."""
    cells: dict[str, object] = {"kind": kind, **dict(zip(KINDS[kind], values, strict=True))}
    return tuple(_cell(cells.get(column)) for column in COLUMNS)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    return "" if value is None else str(value)
