"""`read_results`: results of `classify` in any format are read as they were written, or refused in one sentence."""

import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from vithybrid_cli.errors import FetchFailed, ImageError, MissingFile, UsageError
from vithybrid_cli.output import Format, open_writer
from vithybrid_cli.output.json_records import JsonLinesWriter
from vithybrid_cli.output.read_results import format_of_results, read_results
from vithybrid_cli.output.write_results import result_writer
from vithybrid_cli.results import EmbeddingResult, ImageResult, Prediction

UNDECODABLE = os.fsdecode(b"caf\xe9.png")


class NewerError(ImageError):
    """A type that the package does not have."""


RESULTS = (
    ImageResult("cat.jpg", (Prediction(281, "tabby, tabby cat", 0.93124), Prediction(282, 'a "tiger"', 1 / 3))),
    ImageResult("gone.png", error=MissingFile("There is no file gone.png.", "Look for {archives=True}.")),
    ImageResult("nothing.png", ()),
    ImageResult("two\nlines, \r\tand émeu 鴯鶓\u202e.png", (Prediction(0, "two\nlines\u2028", -0.0),)),
    ImageResult("zip://a.png::b.zip", error=NewerError("Of a newer version.")),
    ImageResult("http://127.0.0.1/a.png", error=FetchFailed("404, not\nfound.")),
    ImageResult("large.png", tuple(Prediction(i, f"label {i}", 12345678.123457 / 7**i) for i in range(9))),
    ImageResult("last.png", (Prediction(3, "émeu", -17.25), Prediction(4, "", 1e-7))),
)

FORMATS = [item for item in Format if item is not Format.TABLE]
TEXTS = [item for item in FORMATS if item is not Format.PARQUET]
every_format = pytest.mark.parametrize("output_format", [pytest.param(item, id=item) for item in FORMATS])
every_text = pytest.mark.parametrize("output_format", [pytest.param(item, id=item) for item in TEXTS])


@pytest.fixture(autouse=True)
def parquet(request: pytest.FixtureRequest) -> None:
    if "parquet" in request.node.name:
        pytest.importorskip("pyarrow")


def write(file: Path, output_format: Format, results: Sequence[ImageResult] | Iterator[ImageResult]) -> bytes:
    with result_writer(file, output_format) as writer:
        for result in results:
            writer.write(result)
    return file.read_bytes()


def records(file: Path, *, allow_cut: bool = False) -> list[dict[str, object]]:
    return [result.record() for result in read_results(file, allow_cut=allow_cut)]


@every_format
def test_results_are_read_as_they_were_written_whatever_the_file_is_called(
    tmp_path: Path, output_format: Format
) -> None:
    write(tmp_path / "out.txt", output_format, RESULTS)
    assert records(tmp_path / "out.txt") == [result.record() for result in RESULTS]
    assert format_of_results(tmp_path / "out.txt") is output_format


@every_text
def test_a_writer_of_whole_files_writes_what_classify_writes(tmp_path: Path, output_format: Format) -> None:
    stream = io.StringIO(newline="")
    with open_writer(output_format, stream) as writer:
        for result in RESULTS:
            writer.write(result)
    assert write(tmp_path / "out", output_format, RESULTS) == stream.getvalue().encode()


@pytest.mark.parametrize("second", [pytest.param(item, id=item) for item in FORMATS])
@pytest.mark.parametrize("first", [pytest.param(item, id=item) for item in FORMATS])
def test_what_is_read_is_written_as_it_was_in_the_same_format_and_in_any_other(
    tmp_path: Path, first: Format, second: Format
) -> None:
    if Format.PARQUET in (first, second):
        pytest.importorskip("pyarrow")
    write(tmp_path / "first", first, RESULTS)
    assert write(tmp_path / "second", second, read_results(tmp_path / "first")) == write(
        tmp_path / "direct", second, RESULTS
    )


@every_format
def test_the_path_of_a_name_that_is_no_unicode_is_exact_in_json_and_escaped_elsewhere(
    tmp_path: Path, output_format: Format
) -> None:
    write(tmp_path / "out", output_format, [ImageResult(UNDECODABLE, error=MissingFile(f"No {UNDECODABLE}."))])
    (result,) = read_results(tmp_path / "out")
    exact = output_format in (Format.JSON, Format.JSONL)
    assert result.path == (UNDECODABLE if exact else "caf\\udce9.png")
    assert write(tmp_path / "again", output_format, [result]) == (tmp_path / "out").read_bytes()


def test_an_error_has_the_class_that_its_type_names_and_the_very_message(tmp_path: Path) -> None:
    write(tmp_path / "out.csv", Format.CSV, RESULTS)
    errors = [result.error for result in read_results(tmp_path / "out.csv") if result.error is not None]
    assert [type(error).__name__ for error in errors] == ["MissingFile", "NewerError", "FetchFailed"]
    assert isinstance(errors[0], MissingFile)
    assert type(errors[1]) is not NewerError  # which the package does not know
    assert isinstance(errors[1], ImageError)
    assert [str(error) for error in errors] == [str(result.error) for result in RESULTS if result.error is not None]


@every_format
def test_a_file_without_results_has_none(tmp_path: Path, output_format: Format) -> None:
    write(tmp_path / "out", output_format, [])
    assert records(tmp_path / "out") == []


@every_text
def test_of_a_file_that_is_cut_at_any_byte_all_that_is_whole_comes_and_then_an_error(
    tmp_path: Path, output_format: Format
) -> None:
    whole = write(tmp_path / "whole", output_format, RESULTS)
    expected = [result.record() for result in RESULTS]
    silent = 0  # cuts that cannot be told from an end
    for cut in range(len(whole)):
        (tmp_path / f"cut.{output_format}").write_bytes(whole[:cut])
        found: list[dict[str, object]] = []
        try:
            for result in read_results(tmp_path / f"cut.{output_format}"):
                found.append(result.record())  # noqa: PERF401 (what came before the error counts)
            silent += 1
            assert whole[:cut].endswith((b"\n", b"}", b"]")) or not cut
        except UsageError as error:
            assert error.cause == f"{tmp_path}/cut.{output_format} is cut off after {_results(len(found))}."  # noqa: PT017
        if output_format in (Format.JSON, Format.JSONL):
            assert found == expected[: len(found)]
            assert len(found) == whole[:cut].count(b"}]}") + whole[:cut].count(b'"}}') + whole[:cut].count(b"[]}")
        elif found:
            assert found[:-1] == expected[: len(found) - 1]
            last, full = found[-1], expected[len(found) - 1]
            assert last == full or _is_beginning(last, full)
    assert silent <= (1 if output_format is Format.JSON else len(RESULTS) * 9)


def _results(count: int) -> str:
    return "1 result" if count == 1 else f"{count} results"


def _is_beginning(part: dict[str, object], full: dict[str, object]) -> bool:
    """Whether a file that was cut between two rows of a picture has its first predictions."""
    predictions, every = part["predictions"], full["predictions"]
    assert isinstance(predictions, list)
    assert isinstance(every, list)
    return part["path"] == full["path"] and predictions == every[: len(predictions)]


def test_a_cut_is_one_warning_where_that_is_allowed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = write(tmp_path / "out.jsonl", Format.JSONL, RESULTS)
    (tmp_path / "out.jsonl").write_bytes(whole[:-5])
    assert len(records(tmp_path / "out.jsonl", allow_cut=True)) == len(RESULTS) - 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/out.jsonl is cut off after 7 results; what was cut is left out"
    ]


def test_an_empty_parquet_file_is_damaged(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "out.parquet").touch()
    with pytest.raises(UsageError, match="is damaged: it is no whole Parquet file"):
        list(read_results(tmp_path / "out.parquet"))


def test_a_parquet_file_that_is_cut_is_damaged(tmp_path: Path) -> None:
    whole = write(tmp_path / "out", Format.PARQUET, RESULTS)
    for cut in (4, 20, len(whole) // 2, len(whole) - 1):
        (tmp_path / "out").write_bytes(whole[:cut])
        with pytest.raises(UsageError, match="is damaged: it is no whole Parquet file"):
            list(read_results(tmp_path / "out"))


@pytest.mark.parametrize("layout", ["indented", "one line", "compact lines", "indented values", "spaced"])
def test_json_may_have_gone_through_another_program(tmp_path: Path, layout: str) -> None:
    expected = [result.record() for result in RESULTS]
    lines = [json.dumps(record, separators=(",", ":")) for record in expected]
    text = {
        "indented": json.dumps(expected, indent=4),
        "one line": json.dumps(expected),
        "compact lines": "\n".join(lines),
        "indented values": "\n".join(json.dumps(record, indent=2) for record in expected),
        "spaced": "\ufeff\r\n [ " + " ,\r\n\t".join(lines) + "\r\n]\r\n\r\n",
    }[layout]
    (tmp_path / "out").write_text(text, encoding="utf-8")
    assert records(tmp_path / "out") == expected


@pytest.mark.parametrize("output_format", [Format.CSV, Format.TSV])
def test_rows_may_have_gone_through_a_spreadsheet(tmp_path: Path, output_format: Format) -> None:
    plain = [result for result in RESULTS if r"\n" not in repr(result)]
    text = write(tmp_path / "out", output_format, plain).decode()
    (tmp_path / "out").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert [record["path"] for record in records(tmp_path / "out")] == [result.path for result in plain]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(
            b"PK\x03\x04", "it is no JSON, CSV, TSV or Parquet that `vithybrid classify` wrote.", id="an archive"
        ),
        pytest.param(
            "path;rank".encode("utf-16"),
            "it is no JSON, CSV, TSV or Parquet that `vithybrid classify` wrote.",
            id="UTF-16",
        ),
        pytest.param(
            b"cat.jpg  99.1% tabby\n",
            "it is no JSON, CSV, TSV or Parquet that `vithybrid classify` wrote.",
            id="a table",
        ),
        pytest.param(b"\x93NUMPY\x01\x00", "is no file of results: it holds features, and no labels.", id="a matrix"),
        pytest.param(b'{"path": "a", "row": 0}\n', "it holds features, and no labels.", id="lines of a matrix"),
        pytest.param(b'{"top1": 0.5}\n', "is no file of results: its first record is none.", id="figures"),
        pytest.param(b"[1]\n", "is no file of results: its first record is none.", id="numbers"),
        pytest.param(b"path,label\na,b\n", "is no file of results: it has other columns.", id="other columns"),
        pytest.param(b'{"path": "a", "predictions": 5}', "its first record is none.", id="no predictions"),
        pytest.param(
            b'{"path": "a", "predictions": []}\n{"path": 7, "predictions": []}\n',
            "is damaged: record 2 is no result.",
            id="a number as its name",
        ),
        pytest.param(b'{"path": "a", "predictions": []}\n}\n', "is damaged: record 2 is no result.", id="a brace"),
        pytest.param(b'[{"path": "a", "predictions": []} {}]', "damaged: no comma follows record 1.", id="a comma"),
        pytest.param(b"[]\n[]\n", "is damaged: something follows the end of the array.", id="two arrays"),
        pytest.param(b'{"path": "\xff', "is damaged: a part of it is not UTF-8.", id="no text"),
        pytest.param(b'{"a":' * 100_000, "is damaged: record 1 is no JSON.", id="deep"),
        pytest.param(b'{"path": ' + b"1" * 10_000 + b"}", "is damaged: record 1 is no JSON.", id="a long number"),
        pytest.param(
            b'{"path": "a", "error": {"type": "a b", "message": "m"}}', "its first record is none.", id="no type"
        ),
        pytest.param(
            b'{"path": "a", "predictions": [{"index": 1, "label": "b", "score": NaN}]}', "first record", id="no number"
        ),
        pytest.param(
            b"path,rank,index,label,score,error_type,error_message\na,1,0,b,0.5,,\na,3,0,b,0.5,,\n",
            "is damaged: a row does not follow the one before it.",
            id="a gap",
        ),
        pytest.param(
            b"path,rank,index,label,score,error_type,error_message\na,1,x,b,0.5,,\n",
            "is damaged: a row has no numbers where they should be.",
            id="no index",
        ),
    ],
)
def test_what_holds_no_results_is_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError) as raised:
        list(read_results(tmp_path / "file"))
    assert says in raised.value.cause


def test_features_are_told_apart(tmp_path: Path) -> None:
    with (tmp_path / "f.jsonl").open("w", encoding="utf-8") as stream, JsonLinesWriter(stream) as writer:
        writer.write(EmbeddingResult("a", np.ones(3, np.float32)))
    with pytest.raises(UsageError, match="it holds features, and no labels"):
        list(read_results(tmp_path / "f.jsonl"))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no file .*none.csv\."):
        list(read_results(tmp_path / "none.csv"))


@pytest.mark.parametrize(("name", "says"), [(".", "is a folder."), ("-", "and not from stdin.")])
def test_a_folder_and_stdin_are_no_files_of_results(name: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        list(read_results(Path(name)))
    assert says in raised.value.cause


def test_a_record_of_thousands_of_labels_is_read(tmp_path: Path) -> None:
    many = ImageResult("a", tuple(Prediction(i, f"label number {i}", 1 / (i + 1)) for i in range(5000)))
    for output_format in TEXTS:
        write(tmp_path / "out", output_format, [many, RESULTS[0]])
        assert records(tmp_path / "out") == [many.record(), RESULTS[0].record()]


@every_format
def test_reading_takes_no_more_than_is_asked_for(tmp_path: Path, output_format: Format) -> None:
    write(tmp_path / "out", output_format, RESULTS)
    results = read_results(tmp_path / "out")
    assert next(results).path == "cat.jpg"
    (tmp_path / "out").unlink()


def test_a_file_that_is_written_anew_stays_as_it_was_when_that_fails(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    before = write(file, Format.JSONL, RESULTS[:1])

    def broken() -> Iterator[ImageResult]:
        yield RESULTS[1]
        raise UsageError("There is no more.", "Wait.")

    with pytest.raises(UsageError, match="There is no more"):
        write(file, Format.JSONL, broken())
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Cannot write to"):
        write(tmp_path / "none" / "out.jsonl", Format.JSONL, RESULTS)
