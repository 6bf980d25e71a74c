"""Every output format, read back the way its users read it."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from vithybrid_cli.errors import ImageError, UnreadableImage
from vithybrid_cli.output import Format, default_format, open_writer, visible
from vithybrid_cli.output.terminal import shorten
from vithybrid_cli.results import ImageResult, Prediction

CAT = ImageResult("cat.jpg", (Prediction(281, "tabby, tabby cat", 0.93124999), Prediction(282, "tiger cat", 1e-6)))
BROKEN = ImageResult("broken.jpg", error=UnreadableImage("the file is truncated"))
NOTHING = ImageResult("fog.jpg")
RESULTS = (CAT, BROKEN, NOTHING, ImageResult("last.jpg", (Prediction(0, "tench", 0.5),)))

EVIL = "[bold red]x[/] [link=http://a]\x1b[2J\x1b]0;t\x07\x9b31m\u202egpj\u2066\r\nnext\x7f"
UNDECODABLE = os.fsdecode(b"caf\xe9.jpg") if os.name == "posix" else "caf\udce9.jpg"
LABELS = [
    pytest.param("tabby, tabby cat", id="comma"),
    pytest.param('the "big" one', id="quotes"),
    pytest.param("Grünspecht, ピカチュウ 🐈", id="accents"),
    pytest.param("two\nlines", id="newline"),
    pytest.param("carriage\rreturn", id="carriage-return"),
    pytest.param("a\ttab", id="tab"),
    pytest.param(" =SUM(A1:A9) ", id="formula-and-blanks"),
    pytest.param(EVIL, id="controls"),
]


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


def render(
    output_format: Format,
    results: Iterable[ImageResult],
    stream: io.StringIO | None = None,
    *,
    single: bool = False,
    probabilities: bool = True,
) -> str:
    stream = stream or io.StringIO(newline="")
    with open_writer(output_format, stream, single=single, probabilities=probabilities) as writer:
        for result in results:
            writer.write(result)
    return stream.getvalue()


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def paths_of_json(text: str) -> list[str]:
    return [record["path"] for record in json.loads(text)]


def paths_of_jsonl(text: str) -> list[str]:
    return [json.loads(line)["path"] for line in text.splitlines()]


def rows(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def paths_of_csv(text: str) -> list[str]:
    return list(dict.fromkeys(row[0] for row in rows(text)[1:]))


def paths_of_tsv(text: str) -> list[str]:
    return list(dict.fromkeys(row[0] for row in rows(text, "\t")[1:]))


def paths_of_table(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if not line.startswith(" ")]


READERS: dict[Format, Callable[[str], list[str]]] = {
    Format.JSON: paths_of_json,
    Format.JSONL: paths_of_jsonl,
    Format.CSV: paths_of_csv,
    Format.TSV: paths_of_tsv,
    Format.TABLE: paths_of_table,
}
TEXTS = [item for item in Format if item is not Format.PARQUET]  # which is no text, and has tests of its own
every_format = pytest.mark.parametrize("output_format", [pytest.param(item, id=item) for item in TEXTS])


@every_format
def test_each_path_comes_once_and_in_order(output_format: Format) -> None:
    assert READERS[output_format](render(output_format, RESULTS)) == ["cat.jpg", "broken.jpg", "fog.jpg", "last.jpg"]


@pytest.mark.parametrize(
    ("output_format", "text"),
    [
        pytest.param(Format.TABLE, "", id="table"),
        pytest.param(Format.JSON, "[]\n", id="json"),
        pytest.param(Format.JSONL, "", id="jsonl"),
        pytest.param(Format.CSV, "path,rank,index,label,score,error_type,error_message\n", id="csv"),
        pytest.param(Format.TSV, "path\trank\tindex\tlabel\tscore\terror_type\terror_message\n", id="tsv"),
    ],
)
def test_a_run_without_results_is_valid(output_format: Format, text: str) -> None:
    assert render(output_format, []) == text


@every_format
def test_a_row_is_flushed_as_soon_as_it_is_known(output_format: Format, tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("w", encoding="utf-8") as stream, open_writer(output_format, stream) as writer:
        writer.write(CAT)
        assert "tiger cat" in path.read_text(encoding="utf-8")


def interrupted(output_format: Format, stream: io.StringIO) -> None:
    with open_writer(output_format, stream) as writer:
        writer.write(CAT)
        raise KeyboardInterrupt


@pytest.mark.parametrize("output_format", [pytest.param(item, id=item) for item in TEXTS if item is not Format.TABLE])
@pytest.mark.parametrize("done", [1, 3, 4])
def test_a_writer_goes_on_where_another_one_was_broken_off(output_format: Format, done: int) -> None:
    stream = io.StringIO(newline="")
    first = open_writer(output_format, stream)
    for result in RESULTS[:done]:
        first.write(result)
    with open_writer(output_format, stream, continued=True) as second:
        for result in RESULTS[done:]:
            second.write(result)
    assert stream.getvalue() == render(output_format, RESULTS)


@every_format
def test_an_interrupted_run_leaves_what_was_done_and_valid(output_format: Format) -> None:
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        interrupted(output_format, stream)
    assert READERS[output_format](stream.getvalue()) == ["cat.jpg"]


@every_format
def test_closing_twice_writes_nothing_more_and_leaves_the_stream_open(output_format: Format) -> None:
    stream = io.StringIO()
    writer = open_writer(output_format, stream)
    writer.close()
    once = stream.getvalue()
    writer.close()
    assert stream.getvalue() == once


@every_format
def test_a_closed_pipe_is_the_callers_affair(output_format: Format) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError), open_writer(output_format, Gone()) as writer:
        writer.write(CAT)


@every_format
def test_an_undecodable_name_is_written_as_valid_utf8(output_format: Format, tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("w", encoding="utf-8") as stream, open_writer(output_format, stream) as writer:
        writer.write(ImageResult(UNDECODABLE))
    assert r"caf\udce9.jpg" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("output_format", [Format.JSON, Format.JSONL])
def test_json_gives_an_undecodable_name_back(output_format: Format) -> None:
    assert READERS[output_format](render(output_format, [ImageResult(UNDECODABLE)])) == [UNDECODABLE]


@pytest.mark.parametrize("output_format", [Format.JSON, Format.JSONL, Format.CSV, Format.TSV])
def test_a_program_reads_utf8_whatever_the_locale(output_format: Format) -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")
    with open_writer(output_format, stream) as writer:
        writer.write(ImageResult("é.jpg", (Prediction(0, "猫", 1.0),)))
    assert "猫" in buffer.getvalue().decode("utf-8")


@every_format
@pytest.mark.parametrize("label", LABELS)
def test_no_label_can_steer_a_terminal(output_format: Format, label: str) -> None:
    written = render(output_format, [ImageResult(label + "/p", (Prediction(3, label, 0.75),))], Screen())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066]", without_colours(written).replace("\t", ""))


@pytest.mark.parametrize("label", LABELS)
def test_json_keeps_each_label_exactly(label: str) -> None:
    (record,) = json.loads(render(Format.JSON, [ImageResult("p", (Prediction(3, label, 0.75),))]))
    assert record == {"path": "p", "predictions": [{"index": 3, "label": label, "score": 0.75}]}


@pytest.mark.parametrize("label", LABELS)
def test_json_lines_keep_each_label_exactly_and_on_one_line(label: str) -> None:
    written = render(Format.JSONL, [ImageResult(label, (Prediction(3, label, 0.75),))] * 2)
    first, second = written.splitlines()
    assert first == second
    assert json.loads(first)["path"] == json.loads(first)["predictions"][0]["label"] == label


@pytest.mark.parametrize(
    ("output_format", "delimiter"), [pytest.param(Format.CSV, ",", id="csv"), pytest.param(Format.TSV, "\t", id="tsv")]
)
@pytest.mark.parametrize("label", LABELS)
def test_delimited_text_keeps_each_label_exactly(output_format: Format, delimiter: str, label: str) -> None:
    written = render(output_format, [ImageResult(label, (Prediction(3, label, 0.75),)), CAT])
    assert rows(written, delimiter)[1:3] == [
        [label, "1", "3", label, "0.750000", "", ""],
        ["cat.jpg", "1", "281", "tabby, tabby cat", "0.931250", "", ""],
    ]


def test_a_csv_file_has_a_row_per_prediction_and_one_for_each_picture_without() -> None:
    assert render(Format.CSV, RESULTS).splitlines() == [
        "path,rank,index,label,score,error_type,error_message",
        'cat.jpg,1,281,"tabby, tabby cat",0.931250,,',
        "cat.jpg,2,282,tiger cat,0.000001,,",
        "broken.jpg,,,,,UnreadableImage,the file is truncated",
        "fog.jpg,,,,,,",
        "last.jpg,1,0,tench,0.500000,,",
    ]


def test_json_records_have_the_documented_shape() -> None:
    assert json.loads(render(Format.JSON, [CAT, BROKEN, NOTHING])) == [
        {
            "path": "cat.jpg",
            "predictions": [
                {"index": 281, "label": "tabby, tabby cat", "score": 0.93125},
                {"index": 282, "label": "tiger cat", "score": 0.000001},
            ],
        },
        {"path": "broken.jpg", "error": {"type": "UnreadableImage", "message": "the file is truncated"}},
        {"path": "fog.jpg", "predictions": []},
    ]


def test_letters_stay_letters_in_json() -> None:
    assert '"Grünspecht"' in render(Format.JSONL, [ImageResult("p", (Prediction(0, "Grünspecht", 1.0),))])


def test_people_get_a_table_and_programs_get_json_lines() -> None:
    assert (default_format(Screen()), default_format(io.StringIO())) == (Format.TABLE, Format.JSONL)


def test_a_table_has_path_bar_percent_and_label() -> None:
    assert render(Format.TABLE, RESULTS).splitlines() == [
        "cat.jpg                                ██████████████   93.1%  tabby, tabby cat",
        "                                                        <0.1%  tiger cat",
        "broken.jpg                             error: the file is truncated",
        "fog.jpg                                no label reaches the threshold",
        "last.jpg                               ███████▌         50.0%  tench",
    ]


def test_a_single_picture_gets_a_block_of_its_own() -> None:
    assert render(Format.TABLE, [CAT], single=True).splitlines() == [
        "cat.jpg",
        "  ██████████████████████████████▊    93.1%  tabby, tabby cat",
        "                                     <0.1%  tiger cat",
    ]


def test_a_label_that_two_classes_share_is_shown_with_its_index() -> None:
    crane = ImageResult(
        "p", (Prediction(134, "crane", 0.5), Prediction(517, "crane", 0.4), Prediction(0, "tench", 0.1))
    )
    labels = [line.split("%  ")[1] for line in render(Format.TABLE, [crane]).splitlines()]
    assert labels == ["crane #134", "crane #517", "tench"]


@pytest.mark.parametrize("width", [24, 40, 60, 100, 200])
@pytest.mark.parametrize("single", [pytest.param(True, id="single"), pytest.param(False, id="several")])
def test_a_table_fits_the_screen_and_keeps_every_word_of_a_label(
    width: int, single: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    words = "black and gold garden spider Argiope aurantia"
    results = [ImageResult("写真/" * 9 + "a.jpg", (Prediction(0, words, 0.7),)), BROKEN]
    written = without_colours(render(Format.TABLE, results, Screen(), single=single))
    if width >= 40 and not single:
        assert max(len(line) + len(re.findall("[写真]", line)) for line in written.splitlines()) <= width
    assert all(word in re.sub(r"\s+", "", written) for word in words.split())


def test_a_screen_shows_colours_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[32m" in render(Format.TABLE, [CAT], Screen())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in render(Format.TABLE, [CAT], Screen())


def test_a_table_in_a_file_is_plain_and_cuts_nothing() -> None:
    path, label = "folder/" * 30 + "p.jpg", "long label " * 30 + "end"
    written = render(Format.TABLE, [ImageResult(path, (Prediction(0, label, 1.0),))])
    assert path in written
    assert label in written
    assert "\x1b" not in written


def test_a_table_needs_no_more_than_the_encoding_has() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii", newline="\n")
    with open_writer(Format.TABLE, stream, single=True) as writer:
        writer.write(ImageResult("é.jpg", (Prediction(0, "tench", 0.5),)))
    assert buffer.getvalue().decode("ascii") == "\\xe9.jpg\n  ################                   50.0%  tench\n"


@pytest.mark.parametrize("label", [pytest.param("", id="empty"), pytest.param("   ", id="blank")])
def test_a_label_without_letters_still_has_its_line(label: str) -> None:
    assert "50.0%" in render(Format.TABLE, [ImageResult("p", (Prediction(0, label, 0.5),))], Screen())


def test_an_error_without_words_is_named_by_its_kind() -> None:
    assert "error: ImageError" in render(Format.TABLE, [ImageResult("p", error=ImageError(""))])


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        pytest.param("a/b.jpg", 7, "a/b.jpg", id="fits"),
        pytest.param("holiday/2019/rome/cat.jpg", 16, "holid…me/cat.jpg", id="middle"),
        pytest.param("holiday/2019/rome/a-long-name.jpg", 20, "hol…/a-long-name.jpg", id="name"),
        pytest.param("x/an-even-longer-name.jpg", 12, "…er-name.jpg", id="long-name"),
        pytest.param("写真写真写真/ねこ.jpg", 13, "写…/ねこ.jpg", id="wide"),
    ],
)
def test_a_long_path_is_cut_in_the_middle_and_keeps_its_name(text: str, width: int, expected: str) -> None:
    assert shorten(text, width) == expected


def test_control_characters_become_visible() -> None:
    assert visible("a\x1b[1m\n\u202e\udce9é") == r"a\x1b[1m\n\u202e\udce9é"


def test_rich_is_imported_by_the_table_alone() -> None:
    code = (
        "import io, sys\n"
        "from vithybrid_cli.output import Format, open_writer\n"
        "[open_writer(f, io.StringIO()).close() for f in Format if f not in (Format.TABLE, Format.PARQUET)]\n"
        "assert not {'rich', 'torch', 'typer', 'PIL'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


AGE = ImageResult(
    "p.png", (Prediction(1, "age", 37.25), Prediction(0, "smile", 0.5), Prediction(2, "tilt", -1234.5678))
)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("screen", [Screen, io.StringIO])
def test_scores_that_are_no_probabilities_are_plain_numbers_in_a_table(
    single: bool, screen: Callable[[], io.StringIO]
) -> None:
    written = without_colours(render(Format.TABLE, [AGE], screen(), single=single, probabilities=False))
    values = [line.split()[-2:] for line in written.splitlines() if "p.png" not in line or not single]
    assert values == [["37.25", "age"], ["0.5", "smile"], ["-1234.57", "tilt"]]
    assert not re.search("[%#█▉-▏]", written)


@pytest.mark.parametrize("output_format", [Format.JSON, Format.JSONL, Format.CSV, Format.TSV])
def test_scores_that_are_no_probabilities_are_written_with_six_decimals(output_format: Format) -> None:
    result = ImageResult("p", (Prediction(0, "a", 123456.7890123), Prediction(1, "b", -0.00000004)))
    written = render(output_format, [result], probabilities=False)
    assert "123456.789012" in written
    assert "-0.0" not in written
