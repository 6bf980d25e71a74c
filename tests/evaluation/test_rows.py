"""The metrics of an evaluation in every output format, read back the way its users read it."""

import csv
import io
import json
import os
import re

import pytest

from vithybrid_cli.choices import Activation
from vithybrid_cli.evaluation.calibration import Bin, Calibration
from vithybrid_cli.evaluation.figures import Confusion, LabelMetrics, Metrics, Unreadable
from vithybrid_cli.evaluation.rows import write_metrics
from vithybrid_cli.output import Format

BROKEN = Unreadable("broken.jpg", "UnreadableImage", "The file is truncated.")
UNDECODABLE = os.fsdecode(b"caf\xe9.jpg") if os.name == "posix" else "caf\udce9.jpg"


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")


def rows(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


METRICS = Metrics(
    (
        LabelMetrics(0, "crane", 2, 1, 2, 1),
        LabelMetrics(1, "crane", 0, 0, 0, 1),
        LabelMetrics(7, 'a "b", [c]\x1b', 1, 1, 1, 0),
    ),
    (Confusion(0, "crane", 1, "crane", 1),),
    (BROKEN,),
    Calibration(bins=(Bin(0.6, 2 / 3, 3, 2, 1.85),)),
)


def text(output_format: Format, metrics: Metrics = METRICS) -> str:
    stream = io.StringIO(newline="")
    write_metrics(output_format, stream, metrics)
    return stream.getvalue()


@pytest.mark.parametrize(
    "output_format", [pytest.param(Format.JSON, id="json"), pytest.param(Format.JSONL, id="jsonl")]
)
def test_metrics_in_json_are_one_object(output_format: Format) -> None:
    assert json.loads(text(output_format)) == METRICS.record()


def test_metrics_in_json_lines_are_one_line() -> None:
    assert text(Format.JSONL).count("\n") == 1


@pytest.mark.parametrize(
    ("output_format", "delimiter"), [pytest.param(Format.CSV, ",", id="csv"), pytest.param(Format.TSV, "\t", id="tsv")]
)
def test_delimited_metrics_are_one_table_with_rows_of_each_kind(output_format: Format, delimiter: str) -> None:
    header, *lines = rows(text(output_format), delimiter)
    filled = [{name: cell for name, cell in zip(header, line, strict=True) if cell} for line in lines]
    assert filled == [
        {
            "kind": "summary",
            "pictures": "3",
            "unreadable": "1",
            "top1": "0.666667",
            "top5": "1.000000",
            "top1_low": "0.207660",
            "top1_high": "0.938508",
            "top5_low": "0.438503",
            "top5_high": "1.000000",
            "calibration_error": "0.050000",
        },
        label_row("0", "crane", "2", "1", "2", "1") | {"recall": "0.500000", "precision": "1.000000"},
        label_row("1", "crane", "0", "0", "0", "1") | {"precision": "0.000000"},
        label_row("7", 'a "b", [c]\x1b', "1", "1", "1", "0") | {"recall": "1.000000"},
        {
            "kind": "confusion",
            "index": "0",
            "label": "crane",
            "predicted_index": "1",
            "predicted_label": "crane",
            "pictures": "1",
        },
        {
            "kind": "unreadable",
            "path": "broken.jpg",
            "error_type": "UnreadableImage",
            "error_message": "The file is truncated.",
        },
        {
            "kind": "calibration",
            "score_low": "0.600000",
            "score_high": "0.666667",
            "pictures": "3",
            "mean_score": "0.616667",
            "accuracy": "0.666667",
        },
    ]


def label_row(*cells: str) -> dict[str, str]:
    names = ("index", "label", "pictures", "correct", "correct_top5", "predicted")
    return {"kind": "label", **dict(zip(names, cells, strict=True))}


def test_delimited_metrics_without_pictures_are_a_summary_without_accuracy() -> None:
    assert text(Format.CSV, Metrics((), (), ())).splitlines() == [
        "kind,pictures,unreadable,top1,top5,index,label,correct,correct_top5,predicted,recall,precision,"
        "predicted_index,predicted_label,path,error_type,error_message,"
        "top1_low,top1_high,top5_low,top5_high,calibration_error,score_low,score_high,mean_score,accuracy,"
        "method,insertion,insertion_error,deletion,deletion_error,difference,difference_error",
        "summary,0,0" + "," * 30,
    ]


def test_an_undecodable_name_in_metrics_is_written_as_valid_utf8() -> None:
    metrics = Metrics((), (), (Unreadable(UNDECODABLE, "UnreadableImage", "empty"),))
    assert r",caf\udce9.jpg,UnreadableImage,empty" in text(Format.CSV, metrics)


def test_a_table_ends_with_the_accuracy_and_lists_what_was_unreadable() -> None:
    lines = text(Format.TABLE).splitlines()
    assert lines[-1] == (
        "top-1 66.7% (20.8–93.9)   top-5 100.0% (43.9–100.0)   calibration error 5.0%   pictures 3   unreadable 1"
    )
    assert "  broken.jpg  The file is truncated." in lines
    assert any(line.split() == ["1", "crane", "#0", "crane", "#1"] for line in lines)
    assert any(line.split()[:3] == ["a", '"b",', r"[c]\x1b"] for line in lines)


def test_a_table_lists_twenty_unreadable_pictures_and_counts_the_rest() -> None:
    written = text(Format.TABLE, Metrics((), (), (BROKEN,) * 25))
    assert written.count("broken.jpg") == 20
    assert "and 5 more" in written
    assert "top-1 -" in written


def test_a_table_says_why_raw_outputs_have_no_calibration_error() -> None:
    metrics = Metrics((), (), (), Calibration(Activation.NONE))
    assert text(Format.TABLE, metrics).splitlines()[-1] == (
        "top-1 -   top-5 -   calibration error none of raw outputs   pictures 0   unreadable 0"
    )


def test_a_narrow_screen_has_each_figure_whole_on_one_of_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "56")
    stream = Screen()
    write_metrics(Format.TABLE, stream, METRICS)
    assert without_colours(stream.getvalue()).splitlines()[-2:] == [
        "top-1 66.7% (20.8–93.9)   top-5 100.0% (43.9–100.0)",
        "calibration error 5.0%   pictures 3   unreadable 1",
    ]


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_table_shows_its_labels_on_every_screen(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    metrics = Metrics((LabelMetrics(0, "automobile", 10, 5, 5, 10),), (), ())
    stream = Screen()
    write_metrics(Format.TABLE, stream, metrics)
    lines = without_colours(stream.getvalue()).splitlines()
    assert any("automobile" in line and "50.0%" in line for line in lines)
    assert width < 60 or any(re.search(r"50\.0%   █████ {12}50\.0%", line) for line in lines)
    assert width < 60 or max(map(len, lines)) <= width
