"""Every command that reads folders says what they leave out, once, and where nothing was found."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from places import GOLDENS
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app

MODEL = str(GOLDENS / "hf-hybrid-small")
LEFT_OUT = "left out: 2 .dng, 1 .xmp\n"
READERS = ["classify", "embed"]


def run(command: str, *arguments: str, stdin: bytes | None = None) -> Any:
    """Run a command on the CPU with a small network; the result has exit_code, stdout and stderr."""
    options = ["-m", MODEL, "--device", "cpu"]
    return CliRunner().invoke(app, [command, *arguments, *options], input=stdin, catch_exceptions=False)


@pytest.fixture
def place(pictures: Path) -> Path:
    """The current folder, with a folder of pictures and of what is none, and others without any."""
    for name in ("p/a.dng", "p/b.dng", "p/c.xmp", "raws/a.nef", "labels/tench/a.nef"):
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        (pictures / name).write_bytes(b"no picture")
    (pictures / "p" / "1").write_bytes((pictures / "2.png").read_bytes())
    (pictures / "empty").mkdir()
    (pictures / "blank.txt").write_text("\n\n", encoding="utf-8")
    return pictures


@pytest.mark.parametrize("command", READERS)
def test_what_a_folder_leaves_out_is_said_after_the_run(place: Path, command: str) -> None:
    done = run(command, "p", "-f", "jsonl")
    assert (done.exit_code, done.stderr) == (0, LEFT_OUT)
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == ["p/1"]
    assert run(command, "p", "-f", "jsonl", "-q").stderr == ""


@pytest.mark.parametrize("output", ["out.csv", "out.npy"])
def test_a_run_does_not_count_its_own_files_nor_what_goes_on_with_it(place: Path, output: str) -> None:
    command = "embed" if output.endswith("npy") else "classify"
    for _ in range(2):
        assert run(command, "p", "-o", f"p/{output}").stderr.endswith(LEFT_OUT)
    if command == "classify":
        assert run(command, "p", "-o", f"p/{output}", "--resume").stderr.endswith(LEFT_OUT)


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        pytest.param(["empty"], "empty holds no pictures that are read", id="an empty folder"),
        pytest.param(
            ["raws"],
            "raws holds no pictures that are read; left out: 1 .nef; --raw-preview reads the previews in raw files",
            id="a folder of raw files",
        ),
        pytest.param(["--files-from", "blank.txt"], "the list in blank.txt is empty", id="a blank list"),
        pytest.param(["-"], "the list on stdin is empty", id="an empty list on stdin"),
        pytest.param(
            ["p", "--exclude", "1"],
            "p holds no pictures that are read; left out: 2 .dng, 1 .xmp; excluded: 1 file; "
            "--raw-preview reads the previews in raw files",
            id="all excluded",
        ),
    ],
)
def test_nothing_found_is_said_even_in_a_quiet_run_and_is_no_error(
    place: Path, command: str, inputs: list[str], says: str
) -> None:
    for quiet in ([], ["-q"]):
        done = run(command, *inputs, "-f", "jsonl", *quiet, stdin=b"\n")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"vithybrid: {says}\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(
            ["evaluate", "labels"], "labels holds no pictures that are read; left out: 1 .nef.", id="evaluate"
        ),
        pytest.param(["train", "labels", "-o", "out"], "labels holds no pictures that are read; left", id="train"),
        pytest.param(["bench", "raws"], "raws holds no pictures that are read; left out: 1 .nef.", id="bench"),
    ],
)
def test_where_pictures_are_needed_nothing_found_is_an_error(place: Path, arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"vithybrid: {says}" in done.stderr


@pytest.mark.parametrize("command", READERS)
def test_a_pattern_that_excludes_nothing_is_told_after_the_run(place: Path, command: str) -> None:
    done = run(command, "p", "-f", "jsonl", "--exclude", "*.dng", "--exclude", "*.DNGs", "--exclude", "sub/1")
    assert (done.exit_code, done.stderr) == (
        0,
        "left out: 1 .xmp; excluded: 2 files\n"
        "note: nothing was left out by --exclude *.DNGs, --exclude sub/1, which fit nothing that would be read below a "
        "folder; check the spelling, and that what has a / is the whole path from there\n",
    )
    assert run(command, "p", "-f", "jsonl", "--exclude", "none", "-q").stderr == ""
    assert "note" not in run(command, "empty", "-f", "jsonl", "--exclude", "none").stderr


@pytest.mark.parametrize("command", [*READERS, "evaluate"])
def test_an_empty_pattern_is_refused_before_anything_is_read(place: Path, command: str) -> None:
    done = run(command, "labels" if command == "evaluate" else "p", "--exclude", "")
    assert done.stderr.startswith("vithybrid: The pattern '' names nothing that could be left out. Give --exclude the")
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.parametrize(("excluded", "told"), [("2.png", False), ("3.png", True)])
def test_a_pattern_that_excludes_nothing_in_an_archive_is_told(place: Path, excluded: str, *, told: bool) -> None:
    with zipfile.ZipFile("all.zip", "w") as archive:
        for name in ("1.png", "2.png"):
            archive.write("2.png", name)
    done = run("classify", "all.zip", "-f", "jsonl", "--exclude", excluded)
    assert ("note: nothing was left out by --exclude 3.png, which fits nothing" in done.stderr) == told


def test_evaluate_says_what_lies_in_no_label_folder(place: Path) -> None:
    for name in ("labels/tench/1.png", "labels/loose.png", "labels/@eaDir/1.png"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes((place / "2.png").read_bytes())
    done = run("evaluate", "labels")
    assert (done.exit_code, json.loads(done.stdout)["pictures"]) == (0, 1)
    assert done.stderr == "left out: 1 .nef, 1 picture in no label's folder, 1 folder of the system (@eaDir)\n"
    assert run("evaluate", "labels", "--exclude", "*.nef", "-q").stderr == ""
    assert "left out by --exclude trench, which fits nothing" in run("evaluate", "labels", "--exclude", "trench").stderr


def test_evaluate_on_the_root_of_a_data_set_names_the_folders_to_give(place: Path) -> None:
    for name in ("set/train/tench/1.png", "set/val/tench/1.png"):
        (place / name).parent.mkdir(parents=True)
        (place / name).write_bytes((place / "2.png").read_bytes())
    done = run("evaluate", "set")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "set is the root of a data set" in done.stderr
    assert "set/train, set/val. Give one of these folders." in done.stderr


def test_bench_says_what_its_inputs_leave_out(place: Path) -> None:
    done = run("bench", "p", "--only", "decode", "--repeats", "1", "--seconds", "0", "-f", "jsonl")
    assert done.exit_code == 0
    assert LEFT_OUT in done.stderr
