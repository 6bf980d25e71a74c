"""``-f parquet``: what jsonl has, in a file that is there when the run ends or is interrupted, and not before."""

import io
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_program import LABELS, open_fake, open_fake_embedder
from PIL import Image
from places import GOLDENS, ROOT
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app
from vithybrid_cli.output import parquet
from vithybrid_cli.output.read_results import read_results

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MODEL = str(GOLDENS / "hf-hybrid-small")
FAKE = [sys.executable, str(ROOT / "tests" / "fake_program.py")]
UNDECODABLE = os.fsdecode(b"caf\xe9.png")
EACH = pytest.mark.parametrize("command", ["classify", "embed"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with seven pictures, a white one and a file that is none."""
    for number in range(7):
        Image.new("RGB", (4, 4), (20 * number,) * 3).save(tmp_path / f"{number}.png")
    Image.new("RGB", (4, 4), "white").save(tmp_path / "3a.png")  # which has no numbers as its scores
    (tmp_path / "2a.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setattr("vithybrid_cli.runs.embed.open_embedder", open_fake_embedder)
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", open_fake)
    return tmp_path


def run(command: str, *arguments: str) -> Any:
    """Run a command in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, [command, "-m", MODEL, *arguments], catch_exceptions=False)


def rows(file: str | io.BytesIO) -> list[dict[str, Any]]:
    """The rows in the shape of the JSON output."""
    return [
        {name: value for name, value in row.items() if value is not None} for row in pq.read_table(file).to_pylist()
    ]


def lines(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]


@EACH
def test_a_row_has_exactly_what_a_line_of_json_has(folder: Path, command: str) -> None:
    for name in ("out.jsonl", "out.parquet"):
        assert run(command, ".", "-o", name).exit_code == 1
    assert len(rows("out.parquet")) == 9
    expected = lines("out.jsonl")
    if command == "embed":  # float32 reads the shortest decimals as what they were
        for record in expected:
            if "embedding" in record:
                record["embedding"] = np.array(record["embedding"], np.float32).tolist()
    assert rows("out.parquet") == expected


@EACH
def test_columns_have_the_same_types_whatever_is_in_them(folder: Path, command: str) -> None:
    last = (
        "predictions: list<element: struct<index: int32, label: string, score: double>>"
        if command == "classify"
        else f"embedding: fixed_size_list<element: float>[{len(LABELS)}]"
    )
    expected = ["path: string", last, "error: struct<type: string, message: string>"]
    for inputs in (["0.png"], ["2a.png"], ["--files-from", os.devnull]):
        run(command, *inputs, "-o", "out.parquet")
        schema = pq.read_schema("out.parquet")
        assert [f"{field.name}: {field.type}" for field in schema] == expected


def test_a_threshold_leaves_an_empty_list_and_an_error_none(folder: Path) -> None:
    run("classify", "0.png", "2a.png", "--threshold", "0.99", "-o", "out.parquet")
    table = pq.read_table("out.parquet")
    assert table["predictions"].to_pylist() == [[], None]
    assert table["error"].is_null().to_pylist() == [True, False]


@EACH
def test_the_file_tells_how_it_was_made_as_the_record_of_a_run_does(folder: Path, command: str) -> None:
    run(command, ".", "-o", "out.jsonl")
    run(command, ".", "-o", "out.parquet")
    recorded = json.loads(Path("out.jsonl.run.json").read_text(encoding="utf-8"))
    made = parquet.how_made(Path("out.parquet"))
    assert made | {"live": False} == {**recorded, "format": "parquet"}
    assert made["model"]["sha256"].keys() >= {"model.safetensors", "config.json"}
    assert made["environment"]["Pillow"]
    assert not Path("out.parquet.run.json").exists()


@EACH
def test_a_pipe_gets_the_bytes_of_the_file(folder: Path, command: str) -> None:
    run(command, ".", "-o", "out.parquet")
    piped = subprocess.run(
        [*FAKE, command, "-m", MODEL, ".", "-f", "parquet", "-q"], stdout=subprocess.PIPE, check=False
    )
    assert piped.stdout == Path("out.parquet").read_bytes()


def test_a_terminal_gets_none(folder: Path) -> None:
    terminal, stdout = pty.openpty()
    command = [*FAKE, "classify", "-m", MODEL, ".", "-f", "parquet", "-q"]
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=False)
    os.close(stdout)
    os.close(terminal)
    assert done.returncode == 2
    assert b"Stdout is a terminal, and Parquet is for programs. Give --output NAME.parquet" in done.stderr


def test_a_reader_that_has_enough_ends_the_run_quietly(folder: Path) -> None:
    command = [*FAKE, "classify", "-m", MODEL, ".", "-f", "parquet", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in (0, 1)


@EACH
def test_an_interrupted_run_leaves_a_file_of_what_was_done(folder: Path, command: str) -> None:
    environment = {**os.environ, "SECONDS_PER_BATCH": "0.05"}
    arguments = [*FAKE, command, "-m", MODEL, "-b", "1", "-o", "out.parquet", "-"]
    with subprocess.Popen(arguments, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"0.png\n1.png\n2a.png\n")
        process.stdin.flush()
        assert b"2a.png" in process.stderr.readline()
        assert not Path("out.parquet").exists()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
    assert process.returncode == 130
    assert "which are in out.parquet; no run goes on with a Parquet file" in said
    assert [row["path"] for row in rows("out.parquet")] == ["0.png", "1.png", "2a.png"]


def test_a_run_that_is_killed_leaves_what_was_there(folder: Path) -> None:
    run("classify", "0.png", "-o", "out.parquet")
    before = Path("out.parquet").read_bytes()
    environment = {**os.environ, "SECONDS_PER_BATCH": "0.05"}
    arguments = [*FAKE, "classify", "-m", MODEL, "-o", "out.parquet", "."]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not list(folder.glob(".out.parquet.*")):
            time.sleep(0.002)
        process.kill()
    assert Path("out.parquet").read_bytes() == before


@EACH
def test_a_full_disk_is_one_line_and_what_was_there_stays(folder: Path, command: str) -> None:
    run(command, "0.png", "-o", "out.parquet")
    before = Path("out.parquet").read_bytes()

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    arguments = [*FAKE, command, "-m", MODEL, "-o", "out.parquet", "-q", "0.png", "1.png"]
    done = subprocess.run(arguments, stderr=subprocess.PIPE, preexec_fn=limited, check=False)
    assert done.returncode == 2
    assert done.stderr == b"vithybrid: Cannot write to out.parquet: File too large. Give another --output.\n"
    assert Path("out.parquet").read_bytes() == before
    assert list(folder.glob(".out*")) == []


@EACH
def test_no_run_goes_on_with_parquet_and_the_line_says_what_does(folder: Path, command: str) -> None:
    for asked in ["--resume", "--update"] if command == "classify" else ["--resume"]:
        done = run(command, ".", "-o", "out.parquet", asked)
        assert done.exit_code == 2
        assert "No run goes on with a Parquet file" in done.stderr
        assert "vithybrid job plan" in done.stderr


@EACH
def test_a_missing_library_is_one_line_before_the_model_is_looked_for(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = run(command, ".", "-m", "no/such/model", "-o", "out.parquet")
    assert done.exit_code == 2
    assert done.stderr == (
        "vithybrid: Parquet needs one more library. Install it with `pip install 'vithybrid-cli[parquet]'`.\n"
    )


def test_names_that_are_no_unicode_are_escaped_as_in_csv(folder: Path) -> None:
    run("classify", "0.png", UNDECODABLE, "-o", "out.parquet")
    run("classify", "0.png", UNDECODABLE, "-o", "out.csv")
    assert [row["path"] for row in rows("out.parquet")] == ["0.png", "caf\\udce9.png"]
    assert [result.record() for result in read_results(Path("out.parquet"))] == [
        result.record() for result in read_results(Path("out.csv"))
    ]


def test_a_link_stays_one_and_permissions_stay(folder: Path) -> None:
    Path("real.parquet").write_bytes(b"")
    Path("real.parquet").chmod(0o600)
    Path("out.parquet").symlink_to("real.parquet")
    assert run("classify", "0.png", "-o", "out.parquet").exit_code == 0
    assert Path("out.parquet").is_symlink()
    assert Path("real.parquet").stat().st_mode & 0o777 == 0o600
    assert len(rows("real.parquet")) == 1


@pytest.mark.parametrize("command", ["evaluate", "models"])
def test_what_is_no_list_of_pictures_is_not_written_as_parquet(folder: Path, command: str) -> None:
    inputs = ["."] if command == "evaluate" else []
    done = CliRunner().invoke(app, [command, *inputs, "-f", "parquet"])
    assert done.exit_code == 2
    assert "'parquet' is not one of" in done.stderr


def test_row_groups_are_bounded_in_rows_and_in_bytes_and_cut_by_the_results_alone() -> None:
    from vithybrid_cli.results import EmbeddingResult, ImageResult

    few, many = io.BytesIO(), io.BytesIO()
    with parquet.ParquetWriter(few, {}) as labels:
        for number in range(parquet.ROWS_PER_GROUP * 2 + 5):
            labels.write(ImageResult(f"{number}.png"))
    sizes = pq.read_metadata(few)
    assert [sizes.row_group(group).num_rows for group in range(sizes.num_row_groups)] == [10_000, 10_000, 5]
    wide = np.zeros(2**20, np.float32)
    with parquet.ParquetFeatureWriter(many, len(wide), {}) as features:
        for number in range(20):
            features.write(EmbeddingResult(f"{number}.png", wide))
    sizes = pq.read_metadata(many)
    assert [sizes.row_group(group).num_rows for group in range(sizes.num_row_groups)] == [8, 8, 4]
