"""The contract of ``vithybrid embed``: vectors as JSON lines or a NumPy file, in order, and how the run ends."""

import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from headless import make_headless
from places import GOLDENS
from typer.testing import CliRunner

from vithybrid_cli import Embedder
from vithybrid_cli.commands.app import app

MODEL = str(GOLDENS / "hf-vit")
WIDTH = 48  # of its features
PROGRAM = [sys.executable, "-m", "vithybrid_cli", "embed", "-m", MODEL]
WAIT = 60.0  # seconds; far above what anything here takes


def run(*arguments: str, stdin: bytes | None = None) -> Any:
    """Run embed in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, ["embed", "-m", MODEL, *arguments], input=stdin, catch_exceptions=False)


def records(text: str) -> list[dict[str, Any]]:
    """The JSON lines of a run."""
    return [json.loads(line) for line in text.splitlines()]


def lines_of(output: str) -> list[dict[str, Any]]:
    """The lines beside an ``.npy`` file."""
    return records(Path(f"{output}.jsonl").read_text(encoding="utf-8"))


def paths(found: Sequence[dict[str, Any]]) -> list[str]:
    return [record["path"] for record in found]


def wait_for_rows(output: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a file has so many rows, or the process has ended."""
    deadline = time.monotonic() + WAIT
    while process.poll() is None and time.monotonic() < deadline:
        if output.exists() and output.stat().st_size > count * WIDTH * 4:
            return
        time.sleep(0.01)


def test_a_folder_becomes_json_lines_in_natural_order_with_the_bad_file_in_its_place(pictures: Path) -> None:
    done = run(".", "--engine", "torch")
    found = records(done.stdout)
    assert paths(found) == ["./0.png", "./1.png", "./1a.png", "./2.png"]
    assert found[2]["error"]["type"] == "UnreadableImage"
    assert done.exit_code == 1
    expected = Embedder.from_pretrained(MODEL, engine="torch").embed(["0.png", "1.png", "2.png"])
    for record, result in zip([found[0], found[1], found[3]], expected, strict=True):
        assert result.embedding is not None
        np.testing.assert_allclose(record["embedding"], result.embedding, rtol=0, atol=1e-5)


def test_an_npy_file_has_the_rows_of_the_readable_pictures_and_the_lines_say_whose(pictures: Path) -> None:
    done = run(".", "-o", "features.npy")
    assert (done.exit_code, done.stdout) == (1, "")
    rows = np.load("features.npy", allow_pickle=False)
    assert (rows.shape, rows.dtype) == ((3, WIDTH), np.float32)
    lines = lines_of("features.npy")
    assert paths(lines) == ["./0.png", "./1.png", "./1a.png", "./2.png"]
    assert [line.get("row") for line in lines] == [0, 1, None, 2]
    assert lines[2]["error"]["type"] == "UnreadableImage"
    for line, record in zip(lines, records(run(".").stdout), strict=True):
        if "row" in line:
            np.testing.assert_allclose(rows[line["row"]], record["embedding"], rtol=0, atol=1e-5)


def test_the_end_of_an_npy_run_says_where_what_is_unless_quiet(pictures: Path) -> None:
    says = f"f.npy has 1 row of {WIDTH} numbers; f.npy.jsonl says which row is whose\n"
    assert run("0.png", "-o", "f.npy").stderr == says
    assert run("0.png", "-o", "f.npy", "-q").stderr == ""


def test_the_format_that_is_asked_for_wins_over_the_suffix(pictures: Path) -> None:
    run("0.png", "-o", "features", "-f", "npy")
    assert np.load("features").shape == (1, WIDTH)
    run("0.png", "-o", "features.npy", "-f", "jsonl")
    assert paths(records(Path("features.npy").read_text(encoding="utf-8"))) == ["0.png"]


def test_no_picture_is_a_matrix_without_rows(pictures: Path) -> None:
    (pictures / "empty").mkdir()
    assert run("empty", "-o", "f.npy").exit_code == 0
    assert np.load("f.npy").shape == (0, WIDTH)
    assert lines_of("f.npy") == []


@pytest.mark.parametrize("engine", ["torch", "openvino"])
@pytest.mark.parametrize("feature", ["auto", "cls", "mean"])
def test_each_feature_comes_from_each_engine(pictures: Path, engine: str, feature: str) -> None:
    (found,) = records(run("0.png", "--feature", feature, "--engine", engine).stdout)
    (expected,) = Embedder.from_pretrained(MODEL, feature=feature, engine="torch").embed(["0.png"])
    assert expected.embedding is not None
    np.testing.assert_allclose(found["embedding"], expected.embedding, rtol=0, atol=1e-4)
    (other,) = records(run("0.png", "--feature", "cls" if feature == "mean" else "mean").stdout)
    assert np.abs(np.subtract(found["embedding"], other["embedding"])).max() > 1e-2


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_network_without_a_head_gives_its_features(pictures: Path, engine: str) -> None:
    make_headless(pictures / "model")
    (found,) = records(run("0.png", "-m", "model", "--engine", engine).stdout)
    (expected,) = records(run("0.png", "--engine", engine).stdout)
    np.testing.assert_allclose(found["embedding"], expected["embedding"], rtol=0, atol=1e-5)


def test_pictures_of_another_size_give_other_numbers(pictures: Path) -> None:
    own, larger = (records(run("0.png", *size).stdout)[0]["embedding"] for size in ([], ["--image-size", "96"]))
    assert len(own) == len(larger) == WIDTH
    assert own != larger


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["1.png", "0.png", "-f", "npy", "-o", "./0.png"], id="a picture"),
        pytest.param(["--files-from", "f.npy.jsonl", "-o", "f.npy"], id="a list where the lines would lie"),
        pytest.param(["--files-from", "f.npy.jsonl", "-o", "f.npy.jsonl"], id="a list"),
    ],
)
def test_an_input_is_never_written_over(pictures: Path, arguments: list[str]) -> None:
    (pictures / "f.npy.jsonl").write_text("0.png\n", encoding="utf-8")
    before = {file: file.read_bytes() for file in pictures.iterdir()}
    done = run(*arguments)
    assert "which would be overwritten" in done.stderr
    assert (done.exit_code, done.stdout) == (2, "")
    assert {file: file.read_bytes() for file in pictures.iterdir()} == before


def test_strict_stops_at_the_first_bad_file_and_keeps_what_was_done(pictures: Path) -> None:
    done = run(".", "--strict", "-q", "-o", "f.npy")
    assert paths(lines_of("f.npy")) == ["./0.png", "./1.png", "./1a.png"]
    assert np.load("f.npy").shape == (2, WIDTH)
    assert (done.exit_code, done.stderr) == (
        1,
        "vithybrid: stopped at ./1a.png, the first picture that could not be read, as --strict asks\n",
    )


def test_paths_come_from_lists(pictures: Path) -> None:
    assert paths(records(run("-", "-0", stdin=b"2.png\x000.png\x00").stdout)) == ["2.png", "0.png"]
    (pictures / "list.txt").write_text("1.png\n.\n", encoding="utf-8")
    found = records(run("--files-from", "list.txt").stdout)
    assert [record.get("error", {}).get("type") for record in found] == [None, "NotAFile"]


def test_each_bad_file_is_one_line_on_stderr_unless_quiet(pictures: Path) -> None:
    assert run(".", "--no-progress").stderr.startswith("./1a.png: ")
    assert run(".", "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param([], "There are no inputs", id="no inputs"),
        pytest.param(["0.png", "-f", "npy"], "which stdout cannot take back", id="npy into stdout"),
        pytest.param(
            ["0.png", "-f", "npy", "-o", "/dev/stdout"], "Give --output NAME.npy", id="npy into stdout by name"
        ),
        pytest.param(["0.png", "-o", "pipe.npy"], "which pipe.npy cannot take back", id="npy into a pipe"),
        pytest.param(["0.png", "-o", "f.csv"], "jsonl, npy or parquet, and not as csv", id="a table"),
        pytest.param(["0.png", "-o", "f.json"], "jsonl, npy or parquet, and not as json", id="an array"),
        pytest.param(["0.png", "-o", "f.arrow"], "jsonl, npy or parquet, and not as arrow", id="unknown suffix"),
        pytest.param(["0.png", "-o", "f.npy.gz"], "Leave out .gz, and compress", id="compressed"),
        pytest.param(["0.png", "-o", "taken.npy"], "Cannot write to taken.npy.jsonl", id="no place for the lines"),
        pytest.param(["0.png", "-o", "no/such/folder.npy"], "there is no folder", id="no output folder"),
        pytest.param(["0.png", "--feature", "max"], "max", id="unknown feature"),
        pytest.param(["0.png", "--feature", "cls", "-m", str(GOLDENS / "hf-bit")], "no CLS token", id="CLS of a BiT"),
        pytest.param(["0.png", "--image-size", "4"], "pixels, not 4. Raise --image-size.", id="too small"),
        pytest.param(["0.png", "--device", "tpu"], "not a device", id="unknown device"),
    ],
)
def test_wrong_usage_says_what_and_exits_with_2(pictures: Path, arguments: list[str], says: str) -> None:
    os.mkfifo("pipe.npy")
    (pictures / "taken.npy.jsonl").mkdir()
    done = run(*arguments)
    assert says in " ".join(done.stderr.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert not (pictures / "f.csv").exists()


def test_a_model_that_is_not_there_exits_with_3(pictures: Path) -> None:
    done = run("0.png", "-m", "./nowhere", "-o", "f.npy")
    assert (done.exit_code, done.stdout) == (3, "")
    assert not (pictures / "f.npy").exists()


def test_what_classify_knew_of_a_file_goes_with_it(pictures: Path) -> None:
    runner = CliRunner()
    classify = ["classify", "0.png", "-m", MODEL, "-o", "out.jsonl"]
    assert runner.invoke(app, classify).exit_code == 0
    assert run("0.png", "-o", "out.jsonl").exit_code == 0
    resumed = runner.invoke(app, [*classify, "--resume"])
    assert resumed.exit_code == 2
    assert "out.jsonl has features, and no labels." in resumed.stderr


def test_a_run_that_is_killed_leaves_a_matrix_with_a_row_for_each_line(pictures: Path) -> None:
    output = pictures / "f.npy"
    command = [*PROGRAM, "-", "-o", str(output), "-b", "2", "-q"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"0.png\n1a.png\n1.png\n2.png\n" * 500)
        process.stdin.flush()
        wait_for_rows(output, 20, process)
        process.kill()
    rows, text = np.load(output), Path(f"{output}.jsonl").read_text(encoding="utf-8")
    pointed = [line["row"] for line in records(text[: text.rfind("\n") + 1]) if "row" in line]
    assert 20 <= len(pointed) <= len(rows)
    assert pointed == list(range(len(pointed)))
    assert np.abs(rows[0] - rows[3]).max() <= 1e-4  # both are of the same picture


def test_an_interrupt_keeps_what_was_done_and_exits_with_130(pictures: Path) -> None:
    output = pictures / "f.npy"
    with subprocess.Popen([*PROGRAM, "-", "-o", str(output)], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"0.png\n1.png\n")
        process.stdin.flush()
        wait_for_rows(output, 2, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 130
        assert b"Traceback" not in process.stderr.read()
    assert np.load(output).shape == (2, WIDTH)
    assert [line["row"] for line in lines_of(str(output))] == [0, 1]


def test_a_full_disk_is_one_line_and_leaves_a_file_that_can_be_read(pictures: Path) -> None:
    limit = 128 + 12 * WIDTH * 4 + 10  # bytes: of the 13th row, a part; more than the record of the run takes

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [*PROGRAM, *["0.png"] * 15, "-o", "f.npy", "--engine", "torch", "--no-progress"]
    done = subprocess.run(command, stderr=subprocess.PIPE, preexec_fn=limited, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"vithybrid: Cannot write to f.npy: File too large. What was written stays;")
    assert len(done.stderr.splitlines()) == 1
    assert np.load("f.npy").shape == (12, WIDTH)
    assert [line["row"] for line in lines_of("f.npy")] == list(range(12))


def test_a_closed_pipe_ends_the_run_quietly(pictures: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "-", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"0.png\n" * 10_000)  # fits into the pipe, so that writing it does not block
        process.stdin.close()
        assert json.loads(process.stdout.readline())["path"] == "0.png"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(WAIT) == 0


def test_on_a_terminal_the_last_line_says_what_to_do_with_so_many_numbers(pictures: Path) -> None:
    screen, terminal = pty.openpty()
    done = subprocess.run([*PROGRAM, "0.png"], stdout=terminal, stderr=subprocess.PIPE, text=True, check=True)
    os.close(terminal)
    assert json.loads(os.read(screen, 100_000))["path"] == "0.png"
    os.close(screen)
    assert done.stderr == f"these are {WIDTH} numbers for each picture; -o features.npy puts them into a file\n"
