"""Tables through the program itself: classified, resumed, updated, decoded in processes, and refused."""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from places import GOLDENS
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MODEL = str(GOLDENS / "hf-hybrid-small")
COLOURS = ("red", "green", "blue", "black", "yellow", "gray", "orange")
HUGGING_FACE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(stream, "PNG")
    return stream.getvalue()


def value(colour: str) -> dict[str, Any]:
    return {"bytes": png(colour), "path": None}


def write(file: str, values: Sequence[Any], name: str = "image") -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: pa.array(values, HUGGING_FACE)}), file, row_group_size=3)


def run(*arguments: str, code: int = 0) -> tuple[str, str]:
    """What a command writes to stdout and stderr."""
    result = CliRunner().invoke(app, [*arguments, "-m", MODEL, "--device", "cpu"])
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(autouse=True)
def _in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("how", [[], ["--isolate"]], ids=["threads", "processes"])
def test_a_table_gives_what_the_same_pictures_give_as_files(how: list[str]) -> None:
    write("clone/data/train-00000-of-00001.parquet", [value(colour) for colour in COLOURS])
    Path("files").mkdir()
    for index, colour in enumerate(COLOURS):
        Path("files", f"{index}.png").write_bytes(png(colour))
    of_table = records(run("classify", "clone", "-f", "jsonl", *how)[0])
    of_files = records(run("classify", "files", "-f", "jsonl", *how)[0])
    assert [record["predictions"] for record in of_table] == [record["predictions"] for record in of_files]
    assert of_table[2]["path"] == "parquet://2::clone/data/train-00000-of-00001.parquet"


def test_rows_that_cannot_be_read_are_records_in_their_place() -> None:
    write("t.parquet", [value("red"), None, {"bytes": b"no picture", "path": None}, value("blue")])
    found = records(run("classify", "t.parquet", "-f", "jsonl", code=1)[0])
    assert [record.get("error", {}).get("type") for record in found] == [
        None,
        "UnreadableMember",
        "UnreadableImage",
        None,
    ]


def test_a_run_over_a_table_is_resumed_at_a_row() -> None:
    write("t.parquet", [value(colour) for colour in COLOURS])
    run("classify", "t.parquet", "-o", "whole.jsonl", "--batch-size", "3")
    whole = Path("whole.jsonl").read_bytes()
    for suffix in ("", ".run.json", ".files.jsonl"):
        file = Path(f"whole.jsonl{suffix}")
        if file.exists():
            Path(f"cut.jsonl{suffix}").write_bytes(file.read_bytes())
    Path("cut.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:4]))
    run("classify", "t.parquet", "-o", "cut.jsonl", "--batch-size", "3", "--resume")
    assert Path("cut.jsonl").read_bytes() == whole


def test_an_update_labels_the_rows_again_that_have_changed() -> None:
    write("t.parquet", [value(colour) for colour in COLOURS[:4]])
    run("classify", "t.parquet", "-o", "r.jsonl")
    write(
        "t.parquet", [value("red"), {"bytes": b"damaged", "path": None}, value("blue"), value("black"), value("gray")]
    )
    _, said = run("classify", "t.parquet", "-o", "r.jsonl", "--update", code=1)
    found = records(Path("r.jsonl").read_text())
    assert [record["path"] for record in found] == [f"parquet://{row}::t.parquet" for row in range(5)]
    assert [record.get("error", {}).get("type") for record in found] == [None, "UnreadableImage", None, None, None]
    assert said.endswith("labelled 1 new; kept 3; could not read 1\n")


@pytest.mark.parametrize("inputs", [["t.parquet"], ["folder"], ["folder/*.parquet"]])
def test_a_table_with_several_columns_of_pictures_is_one_line_before_anything_is_loaded(inputs: list[str]) -> None:
    Path("folder").mkdir()
    for file in ("t.parquet", "folder/t.parquet"):
        column = pa.array([value("red")], HUGGING_FACE)
        pq.write_table(pa.table({"left": column, "right": column}), file)
    stdout, stderr = run("classify", *inputs, code=2)
    assert stdout == ""
    assert "left and right" in stderr
    assert "--column" in stderr
    assert len(records(run("classify", *inputs, "--column", "left", "-f", "jsonl")[0])) == 1


def test_a_missing_pyarrow_is_one_line_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    write("t.parquet", [value("red")])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    _, stderr = run("classify", "t.parquet", code=2)
    assert "pip install 'vithybrid-cli[parquet]'" in " ".join(stderr.split())
