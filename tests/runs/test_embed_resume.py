"""``embed -o FILE --resume``: however a run ended, its files become what one run without a break writes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_program import open_fake, open_fake_embedder
from PIL import Image
from places import GOLDENS, ROOT
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app

MODEL = str(GOLDENS / "hf-hybrid-small")
PROGRAM = [sys.executable, str(ROOT / "tests" / "fake_program.py"), "embed", "-m", MODEL]
EACH = pytest.mark.parametrize("name", ["out.npy", "out.jsonl"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with seven pictures, a white one, and files that are none; a list names all in order."""
    for number in range(7):
        Image.new("RGB", (4, 4), (20 * number,) * 3).save(tmp_path / f"{number}.png")
    Image.new("RGB", (4, 4), "white").save(tmp_path / "3a.png")  # which has no numbers as its feature
    for name in ("0a.png", "2a.png", "6z.png"):
        (tmp_path / name).write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setattr("vithybrid_cli.runs.embed.open_embedder", open_fake_embedder)
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", open_fake)
    return tmp_path


def run(*arguments: str) -> Any:
    """Run embed in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, ["embed", "-m", MODEL, ".", *arguments], catch_exceptions=False)


def files(name: str) -> tuple[Path, ...]:
    """What a run writes, in the order in which what is later refers to what is earlier."""
    return (Path(name), Path(name + ".jsonl")) if name.endswith(".npy") else (Path(name),)


def contents(name: str) -> list[bytes]:
    return [file.read_bytes() for file in files(name)]


@EACH
def test_a_resumed_run_begins_where_there_is_nothing_and_leaves_a_finished_one(folder: Path, name: str) -> None:
    assert run("-o", name).exit_code == 1
    whole = contents(name)
    for file in files(name):
        file.unlink()
    assert run("-o", name, "--resume").exit_code == 1
    assert contents(name) == whole
    done = run("-o", name, "--resume")
    assert (done.exit_code, contents(name)) == (1, whole)
    assert f"{name} has the results of all 11 inputs" in done.stderr


def test_lines_that_are_cut_at_any_byte_become_what_one_run_writes(folder: Path) -> None:
    run("-o", "out.jsonl")
    (whole,) = contents("out.jsonl")
    for cut in {*range(0, len(whole), 37), len(whole) - 1}:
        Path("out.jsonl").write_bytes(whole[:cut])
        assert run("-o", "out.jsonl", "--resume", "-q").exit_code == 1
        assert contents("out.jsonl") == [whole], f"cut after {cut} bytes"


def test_a_matrix_and_its_lines_that_are_cut_anywhere_become_what_one_run_writes(folder: Path) -> None:
    run("-o", "out.npy")
    matrix, lines = whole = contents("out.npy")
    ends = [*range(0, len(lines), 61), len(lines)]
    for number, cut in enumerate([1, 40, 127, 128, *range(129, len(matrix), 19), len(matrix)]):
        for end in (ends[number % len(ends)], len(lines)):
            Path("out.npy").write_bytes(matrix[:cut])
            Path("out.npy.jsonl").write_bytes(lines[:end])
            done = run("-o", "out.npy", "--resume", "-q")
            assert (done.exit_code, done.stderr) == (1, "")
            assert contents("out.npy") == whole, f"cut after {cut} and {end} bytes"


def test_rows_that_the_header_does_not_count_yet_are_written_again(folder: Path) -> None:
    run("-o", "out.npy")
    matrix, lines = whole = contents("out.npy")
    few = lines[: lines.index(b"\n", len(lines) // 2) + 1]
    Path("out.npy").write_bytes(matrix.replace(b"(7, 5)", b"(2, 5)") + b"half a row")
    Path("out.npy.jsonl").write_bytes(few)
    assert run("-o", "out.npy", "--resume").exit_code == 1
    assert contents("out.npy") == whole
    assert len(np.load("out.npy")) == 7


@EACH
def test_a_run_that_is_killed_again_and_again_ends_as_one_without_a_break(folder: Path, name: str) -> None:
    run("-o", name)
    whole = contents(name)
    for file in files(name):
        file.unlink()
    environment = {**os.environ, "SECONDS_PER_BATCH": "0.1"}
    for kill in range(3):
        arguments = [*PROGRAM, ".", "-o", name, "--resume", "-q"]
        with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE) as process:
            last = files(name)[-1]
            size = last.stat().st_size if last.exists() else 0
            while process.poll() is None and not (last.exists() and last.stat().st_size > size):
                time.sleep(0.005)
            time.sleep(0.01 * kill)
            process.send_signal(signal.SIGKILL)
    assert run("-o", name, "--resume").exit_code == 1
    assert contents(name) == whole


@EACH
def test_an_interrupted_run_says_how_to_go_on(folder: Path, name: str) -> None:
    run("-o", name)
    whole = contents(name)
    environment = {**os.environ, "SECONDS_PER_BATCH": "0.3"}
    last = files(name)[-1]
    last.unlink()
    with subprocess.Popen([*PROGRAM, ".", "-o", name], env=environment, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not (last.exists() and last.stat().st_size):
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == 130
    assert f"which are in {name}; --resume goes on from there" in said
    assert run("-o", name, "--resume").exit_code == 1
    assert contents(name) == whole


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--feature", "mean"], "out.npy was made with --feature auto, now mean.", id="another feature"),
        pytest.param(["-b", "2"], "out.npy was made with --batch-size 3, now 2.", id="another batch"),
        pytest.param(["-f", "jsonl"], "out.npy was made with --format npy, now jsonl.", id="another format"),
        pytest.param(["--fast-jpeg"], "out.npy was made with no --fast-jpeg, now with it.", id="other pixels"),
        pytest.param(
            ["-m", str(GOLDENS / "hf-hybrid-patch2-odd")], "out.npy was made with the model", id="another model"
        ),
        pytest.param(["--exclude", "1.png"], "Result 3 in out.npy is for ", id="other inputs"),
    ],
)
def test_a_run_of_other_settings_is_refused_and_nothing_is_touched(
    folder: Path, arguments: list[str], says: str
) -> None:
    run("-o", "out.npy")
    whole = contents("out.npy")
    done = run("-o", "out.npy", "--resume", *arguments)
    assert (done.exit_code, contents("out.npy")) == (2, whole)
    assert says in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"something else", "out.npy is damaged: it does not begin as a matrix.", id="no matrix"),
        pytest.param(None, "out.npy.jsonl cannot be read: No such file or directory.", id="no lines"),
    ],
)
def test_what_no_run_has_left_is_refused(folder: Path, content: bytes | None, says: str) -> None:
    run("-o", "out.npy")
    if content is None:
        Path("out.npy.jsonl").unlink()
    else:
        Path("out.npy").write_bytes(content)
    done = run("-o", "out.npy", "--resume")
    assert done.exit_code == 2
    assert says in done.stderr


def test_features_and_labels_do_not_go_on_with_each_other(folder: Path) -> None:
    run("-o", "features.jsonl")
    classify = ["classify", "-m", MODEL, ".", "-o"]
    for asked in ("--resume", "--update"):
        done = CliRunner().invoke(app, [*classify, "features.jsonl", asked])
        assert (done.exit_code, "features.jsonl has features, and no labels." in done.stderr) == (2, True)
    CliRunner().invoke(app, [*classify, "labels.jsonl"])
    done = run("-o", "labels.jsonl", "--resume")
    assert (done.exit_code, "labels.jsonl has labels, and no features." in done.stderr) == (2, True)


def test_the_record_tells_what_decides_features(folder: Path) -> None:
    run("-o", "out.npy")
    record = json.loads(Path("out.npy.run.json").read_text(encoding="utf-8"))
    assert (record["format"], record["feature"], record["batch_size"]) == ("npy", "auto", 3)
    assert record.keys() & {"top_k", "threshold", "activation"} == set()
    assert record["model"]["sha256"].keys() >= {"model.safetensors"}
