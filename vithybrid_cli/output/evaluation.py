"""An evaluation becomes text: tables for people, one JSON object, or one row per label."""

from collections.abc import Iterator
from typing import TextIO

from vithybrid_cli.evaluation import LabelScore, Report
from vithybrid_cli.output.delimited import RowWriter
from vithybrid_cli.output.formats import Format, prepare_stream
from vithybrid_cli.output.json_records import to_json

COLUMNS = ("index", "label", "pictures", "correct", "correct_top5", "predicted", "recall", "precision")


def write_report(output_format: Format, stream: TextIO, report: Report) -> None:
    """Write the whole ``report`` to ``stream``.

    ``json`` is one object over several lines, ``jsonl`` the same object on one line, fit to be appended to a log of
    runs. ``csv`` and ``tsv`` have one row per label; the sums of its columns give top-1 and top-5, and a share that
    would divide by zero is empty.
    """
    prepare_stream(output_format, stream)
    match output_format:
        case Format.JSON | Format.JSONL:
            stream.write(to_json(report.record(), indent=2 if output_format is Format.JSON else None) + "\n")
            stream.flush()
        case Format.CSV | Format.TSV:
            rows = RowWriter(stream, delimiter="," if output_format is Format.CSV else "\t")
            rows.write(COLUMNS, *_rows(report.labels))
        case Format.TABLE:
            from vithybrid_cli.output.evaluation_table import print_report  # imports rich

            print_report(stream, report)


def _rows(labels: tuple[LabelScore, ...]) -> Iterator[tuple[str, ...]]:
    for score in labels:
        counts = (score.pictures, score.correct, score.correct_top5, score.predicted)
        yield (str(score.index), score.label, *map(str, counts), _share(score.recall), _share(score.precision))


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
