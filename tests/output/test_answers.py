"""Answers that a rule chose (``unsure``, ``rollup``): in every format beside the predictions, and read back from it."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from vithybrid_cli.errors import MissingFile, UsageError
from vithybrid_cli.output import Format, open_writer
from vithybrid_cli.output.parquet import ParquetWriter
from vithybrid_cli.output.read_back import read_back
from vithybrid_cli.output.read_results import read_results
from vithybrid_cli.output.write_results import result_writer
from vithybrid_cli.results import Answer, ImageResult, Prediction

HUSKIES = (Prediction(250, "Siberian husky", 0.31), Prediction(248, "Eskimo dog, husky", 0.3000004))
DOG = ImageResult("dog.jpg", HUSKIES, instead=Answer("dog", 0.9100001, None))
UNSURE = ImageResult('"a, b".jpg', (Prediction(3, "crane", 1 / 3),), instead=Answer("unsure", 1 / 3, None))
SURE = ImageResult("sure.jpg", (Prediction(0, "tench", 0.97), Prediction(1, "a\nb", 0.02)), ruled=True)
GONE = ImageResult("gone.jpg", error=MissingFile("There is no file gone.jpg.", "Look for it."))
HIDDEN = ImageResult("hidden.jpg", instead=Answer("unsure", 0.2, None))  # a threshold that no label reaches
BELOW = ImageResult("below.jpg", instead=Answer("crane", 0.88, 517))  # sure, and below the threshold all the same
NOTHING = ImageResult("nothing.jpg", ruled=True)
RESULTS = (GONE, DOG, UNSURE, SURE, HIDDEN, NOTHING, DOG, DOG)

FORMATS = [item for item in Format if item is not Format.TABLE]
TEXTS = [item for item in FORMATS if item is not Format.PARQUET]
every_format = pytest.mark.parametrize("output_format", [pytest.param(item, id=item) for item in FORMATS])
every_text = pytest.mark.parametrize("output_format", [pytest.param(item, id=item) for item in TEXTS])


@every_format
def test_a_sure_label_below_the_threshold_is_read_back_with_its_index(tmp_path: Path, output_format: Format) -> None:
    file = tmp_path / "results"
    written = write(file, output_format, (BELOW, NOTHING, BELOW))
    found = list(read_results(file))
    assert found == [BELOW, NOTHING, BELOW]
    assert write(tmp_path / "again", output_format, found) == written


@pytest.fixture(autouse=True)
def parquet(request: pytest.FixtureRequest) -> None:
    if "parquet" in request.node.name:
        pytest.importorskip("pyarrow")


def write(file: Path, output_format: Format, results: Sequence[ImageResult]) -> bytes:
    with result_writer(file, output_format, about={"unsure": 0.5}) as writer:
        for result in results:
            writer.write(result)
    return file.read_bytes()


def render(output_format: Format, results: Sequence[ImageResult], *, single: bool = False) -> str:
    stream = io.StringIO(newline="")
    with open_writer(output_format, stream, single=single) as writer:
        for result in results:
            writer.write(result)
    return stream.getvalue()


def test_json_has_the_label_and_its_score_before_the_predictions() -> None:
    found = [json.loads(line) for line in render(Format.JSONL, RESULTS).splitlines()]
    assert [list(record) for record in found[:2]] == [["path", "error"], ["path", "label", "score", "predictions"]]
    assert [(record["label"], record["score"]) for record in found[1:6]] == [
        ("dog", 0.91),
        ("unsure", 0.333333),
        ("tench", 0.97),
        ("unsure", 0.2),
        (None, None),
    ]
    assert found[1]["predictions"] == [
        {"index": 250, "label": "Siberian husky", "score": 0.31},
        {"index": 248, "label": "Eskimo dog, husky", "score": 0.3},
    ]


def test_rows_have_the_answer_at_rank_0_without_an_index_where_it_is_no_class() -> None:
    rows = list(csv.reader(io.StringIO(render(Format.CSV, RESULTS[1:6]), newline="")))
    assert [row[:5] for row in rows[1:]] == [
        ["dog.jpg", "0", "", "dog", "0.910000"],
        ["dog.jpg", "1", "250", "Siberian husky", "0.310000"],
        ["dog.jpg", "2", "248", "Eskimo dog, husky", "0.300000"],
        ['"a, b".jpg', "0", "", "unsure", "0.333333"],
        ['"a, b".jpg', "1", "3", "crane", "0.333333"],
        ["sure.jpg", "0", "0", "tench", "0.970000"],
        ["sure.jpg", "1", "0", "tench", "0.970000"],
        ["sure.jpg", "2", "1", "a\nb", "0.020000"],
        ["hidden.jpg", "0", "", "unsure", "0.200000"],
        ["nothing.jpg", "0", "", "", ""],
    ]


def test_parquet_has_two_columns_more(tmp_path: Path) -> None:
    table = pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "out", Format.PARQUET, RESULTS)
    found = table.read_table(tmp_path / "out")
    assert found.column_names == ["path", "label", "score", "index", "predictions", "error"]
    types = [str(found.schema.field(name).type) for name in ("label", "score", "index")]
    assert types == ["string", "double", "int32"]
    assert found["label"].to_pylist() == [None, "dog", "unsure", "tench", "unsure", None, "dog", "dog"]


def test_parquet_without_a_rule_has_no_column_more_and_loses_no_answer(tmp_path: Path) -> None:
    table = pytest.importorskip("pyarrow.parquet")
    with result_writer(tmp_path / "out", Format.PARQUET, about={"top_k": 5}) as writer:
        writer.write(ImageResult("a.jpg", HUSKIES))
    assert table.read_table(tmp_path / "out").column_names == ["path", "predictions", "error"]
    writer = ParquetWriter(io.BytesIO(), {})
    writer.write(DOG)
    with pytest.raises(ValueError, match="a rule chose answers"):
        writer.close()


@every_format
def test_answers_are_read_as_they_were_written(tmp_path: Path, output_format: Format) -> None:
    write(tmp_path / "out", output_format, RESULTS)
    found = list(read_results(tmp_path / "out"))
    assert [result.record() for result in found] == [result.record() for result in RESULTS]
    assert [result.instead and result.instead.label for result in found] == [
        result.instead and result.instead.label for result in RESULTS
    ]
    assert [result.answer and result.answer.index for result in found] == [
        result.answer and result.answer.index for result in RESULTS
    ]


@pytest.mark.parametrize("second", [pytest.param(item, id=item) for item in FORMATS])
@pytest.mark.parametrize("first", [pytest.param(item, id=item) for item in FORMATS])
def test_what_is_read_is_written_as_it_was_in_the_same_format_and_in_any_other(
    tmp_path: Path, first: Format, second: Format
) -> None:
    if Format.PARQUET in (first, second):
        pytest.importorskip("pyarrow")
    write(tmp_path / "first", first, RESULTS)
    again = write(tmp_path / "second", second, list(read_results(tmp_path / "first")))
    assert again == write(tmp_path / "direct", second, RESULTS)


@every_text
def test_of_a_file_that_is_cut_at_any_byte_all_that_is_whole_comes_and_then_an_error(
    tmp_path: Path, output_format: Format
) -> None:
    whole = write(tmp_path / "whole", output_format, RESULTS)
    expected = [result.record() for result in RESULTS]
    for cut in range(len(whole)):
        (tmp_path / f"cut.{output_format}").write_bytes(whole[:cut])
        found: list[dict[str, object]] = []
        try:
            for result in read_results(tmp_path / f"cut.{output_format}"):
                found.append(result.record())  # noqa: PERF401 (what came before the error counts)
            assert whole[:cut].endswith((b"\n", b"}", b"]")) or not cut
        except UsageError as error:
            assert "is cut off after" in error.cause  # noqa: PT017
        assert found[:-1] == expected[: max(len(found) - 1, 0)]
        if found and found[-1] != expected[len(found) - 1]:  # cut between two rows of one picture
            assert output_format in (Format.CSV, Format.TSV)
            found[-1].pop("index", None)  # of an answer that no prediction tells, as after such a cut
            assert {**found[-1], "predictions": ()} == {**expected[len(found) - 1], "predictions": ()}


@every_text
def test_what_a_killed_run_has_written_is_read_back_as_far_as_it_is_whole(output_format: Format) -> None:
    buffer = io.BytesIO()
    ends = []
    with open_writer(output_format, io.TextIOWrapper(buffer)) as writer:
        for result in (DOG, GONE, DOG, SURE, DOG):  # each has two labels, or an error
            writer.write(result)
            ends.append(len(buffer.getvalue()))
    content = buffer.getvalue()
    for size in range(len(content) + 1):
        read = list(read_back(output_format, io.BytesIO(content[:size]), 2))
        whole = [end for end in ends if end <= size]
        assert [result.end for result in read] in (whole, whole[:-1] if output_format is Format.JSON else whole)
        assert [result.path for result in read] == ["dog.jpg", "gone.jpg", "dog.jpg", "sure.jpg", "dog.jpg"][
            : len(read)
        ]


HEADER = b"path,rank,index,label,score,error_type,error_message\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(HEADER + b"a,0,,dog,x,,\n", "a row has no numbers where they should be", id="no score"),
        pytest.param(HEADER + b"a,0,,dog,0.9,,\nb,1,3,c,0.5,,\n", "a row does not follow", id="another picture"),
        pytest.param(HEADER + b"a,0,,dog,0.9,,\na,2,3,c,0.5,,\n", "a row does not follow", id="a gap"),
        pytest.param(
            b'{"path": "a", "predictions": []}\n{"path": "a", "label": 5, "score": 0.5, "predictions": []}\n',
            "record 2 is no result",
            id="a number as a label",
        ),
        pytest.param(
            b'{"path": "a", "predictions": []}\n{"path": "a", "label": "b", "score": NaN, "predictions": []}\n',
            "record 2 is no result",
            id="no number as a score",
        ),
    ],
)
def test_answers_that_no_run_has_written_are_damage(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError) as raised:
        list(read_results(tmp_path / "file"))
    assert says in raised.value.cause


def test_a_label_that_somebody_has_added_to_records_without_its_score_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_text('{"path": "a", "label": "mine", "predictions": []}\n')
    (result,) = read_results(tmp_path / "file")
    assert (result.answer, result.ruled) == (None, False)


def test_a_table_has_the_answer_first_and_the_predictions_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert render(Format.TABLE, (DOG, UNSURE, SURE, HIDDEN, NOTHING)).splitlines() == [
        "dog.jpg                                █████████████▋   91.0%  dog",
        "                                       ████▋            31.0%    Siberian husky",
        "                                       ████▌            30.0%    Eskimo dog, husky",
        '"a, b".jpg                                                     unsure',
        "                                       █████            33.3%    crane",
        "sure.jpg                               ██████████████▌  97.0%  tench",
        "                                       ▎                 2.0%  a\\nb",
        "hidden.jpg                                                     unsure",
        "nothing.jpg                            no label reaches the threshold",
    ]


def test_a_single_picture_has_its_answer_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert [line.split("%")[-1].split() for line in render(Format.TABLE, [DOG], single=True).splitlines()] == [
        ["dog.jpg"],
        ["dog"],
        ["Siberian", "husky"],
        ["Eskimo", "dog,", "husky"],
    ]


def test_an_answer_takes_the_predictions_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Screen()
    with open_writer(Format.TABLE, stream) as writer:
        writer.write(DOG)
    first, *rest = stream.getvalue().splitlines()
    assert "\x1b[1mdog" in first
    assert all("\x1b[2m" in line and "\x1b[1m" not in line for line in rest)
