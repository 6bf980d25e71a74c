"""The contract of ``vithybrid classify``: what is on stdout, in which order, and how the run ends."""

import csv
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from headless import make_headless
from places import GOLDENS
from typer.testing import CliRunner
from warm import program

from vithybrid_cli.commands.app import app
from vithybrid_cli.cores import usable_processors

MODEL = str(GOLDENS / "hf-hybrid-small")
LABELS = 8  # of that model
CLASSIFY = ["classify", "-m", MODEL]
PROGRAM = [sys.executable, "-m", "vithybrid_cli", *CLASSIFY]


def run(*arguments: str, stdin: bytes | None = None) -> Any:
    """Run classify in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, ["classify", "-m", MODEL, *arguments], input=stdin, catch_exceptions=False)


def records(stdout: str) -> list[dict[str, Any]]:
    """The JSON lines of a run."""
    return [json.loads(line) for line in stdout.splitlines()]


def paths(found: Sequence[dict[str, Any]]) -> list[str]:
    return [record["path"] for record in found]


def test_a_folder_is_classified_in_natural_order_with_the_bad_file_in_its_place(pictures: Path) -> None:
    done = run(".")
    found = records(done.stdout)
    assert paths(found) == ["./0.png", "./1.png", "./1a.png", "./2.png"]
    assert [sorted(record) for record in found] == [
        ["path", "predictions"],
        ["path", "predictions"],
        ["error", "path"],
        ["path", "predictions"],
    ]
    assert found[2]["error"]["type"] == "UnreadableImage"
    assert done.exit_code == 1


@pytest.mark.parametrize("batch", ["1", "2", "3", "64"])
@pytest.mark.parametrize("workers", ["1", "3"])
def test_batches_and_threads_change_neither_order_nor_labels(pictures: Path, batch: str, workers: str) -> None:
    reference = records(run("2.png", "1a.png", "0.png", "1.png").stdout)
    found = records(run("2.png", "1a.png", "0.png", "1.png", "-b", batch, "-j", workers).stdout)
    assert paths(found) == ["2.png", "1a.png", "0.png", "1.png"]
    for one, other in zip(found, reference, strict=True):
        assert [p["index"] for p in one.get("predictions", [])] == [p["index"] for p in other.get("predictions", [])]


def test_one_picture_gives_five_labels_with_their_index_best_first(pictures: Path) -> None:
    done = run("0.png")
    (found,) = records(done.stdout)
    scores = [prediction["score"] for prediction in found["predictions"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert {frozenset(prediction) for prediction in found["predictions"]} == {frozenset({"index", "label", "score"})}
    assert done.exit_code == 0


def test_a_top_k_above_the_number_of_labels_gives_them_all(pictures: Path) -> None:
    (found,) = records(run("0.png", "-k", "100").stdout)
    assert sorted(prediction["index"] for prediction in found["predictions"]) == list(range(LABELS))
    assert sum(prediction["score"] for prediction in found["predictions"]) == pytest.approx(1, abs=1e-5)


def test_a_threshold_that_nothing_reaches_gives_an_empty_list(pictures: Path) -> None:
    done = run("0.png", "--threshold", "1")
    assert records(done.stdout) == [{"path": "0.png", "predictions": []}]
    assert done.exit_code == 0


def test_labels_with_commas_quotes_accents_and_duplicates_survive_csv(pictures: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("0.png", "-k", "8", "-f", "csv").stdout)))
    by_index = [row["label"] for row in sorted(rows, key=lambda row: int(row["index"]))]
    assert by_index[:4] == ["tench, Tinca tinca", "crane", "crane", "tabby, tabby cat"]
    assert by_index[4:] == ["maillot, tank suit", "émeu", 'a"quoted"', "a,comma"]
    assert [row["rank"] for row in rows] == [str(rank) for rank in range(1, 9)]


def test_json_is_one_array(pictures: Path) -> None:
    assert paths(json.loads(run(".", "-f", "json").stdout)) == ["./0.png", "./1.png", "./1a.png", "./2.png"]


def test_an_empty_folder_is_an_empty_array(pictures: Path) -> None:
    (pictures / "empty").mkdir()
    done = run("empty", "-f", "json")
    assert json.loads(done.stdout) == []
    assert done.exit_code == 0


def test_a_missing_file_and_a_pattern_without_match_are_records(pictures: Path) -> None:
    done = run("nowhere.png", "*.webp", "0.png")
    found = records(done.stdout)
    assert [record.get("error", {}).get("type") for record in found] == ["MissingFile", "MissingFile", None]
    assert done.exit_code == 1


def test_strict_stops_at_the_first_bad_file_and_keeps_what_was_done(pictures: Path) -> None:
    done = run(".", "--strict", "-q")
    assert paths(records(done.stdout)) == ["./0.png", "./1.png", "./1a.png"]
    assert (done.exit_code, done.stderr) == (
        1,
        "vithybrid: stopped at ./1a.png, the first picture that could not be read, as --strict asks\n",
    )


def test_each_bad_file_is_one_line_on_stderr_unless_quiet(pictures: Path) -> None:
    assert run(".", "--no-progress").stderr.startswith("./1a.png: ")
    assert run(".", "--quiet").stderr == ""


def test_paths_come_from_stdin_line_by_line(pictures: Path) -> None:
    found = records(run("-", stdin=b"2.png\r\n\n0.png").stdout)
    assert paths(found) == ["2.png", "0.png"]


def test_nul_separated_paths_may_hold_newlines(pictures: Path) -> None:
    (pictures / "0.png").rename(pictures / "a\nb.png")
    found = records(run("-", "-0", stdin=b"a\nb.png\x002.png\x00").stdout)
    assert paths(found) == ["a\nb.png", "2.png"]
    assert "error" not in found[0]


def test_a_folder_in_a_list_is_a_record(pictures: Path) -> None:
    (pictures / "list.txt").write_text("0.png\n.\n", encoding="utf-8")
    found = records(run("--files-from", "list.txt").stdout)
    assert [record.get("error", {}).get("type") for record in found] == [None, "NotAFile"]


def test_the_output_file_holds_what_stdout_would(pictures: Path) -> None:
    expected = run(".", "-f", "csv").stdout
    done = run(".", "-o", "out.csv")
    assert done.stdout == ""
    assert (pictures / "out.csv").read_text(encoding="utf-8") == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param([], "There are no inputs", id="no inputs"),
        pytest.param(["-", "--files-from", "-"], "Stdin can be read only once", id="stdin twice"),
        pytest.param(["0.png", "-0"], "--null", id="null without a list"),
        pytest.param(["--files-from", "no.txt"], "no.txt cannot be read", id="no such list"),
        pytest.param(["0.png", "-o", "no/such/folder.json"], "Cannot write", id="no output folder"),
        pytest.param(["0.png", "--device", "tpu"], "not a device", id="unknown device"),
        pytest.param(["0.png", "--device", "cuda:99"], "--device cpu", id="absent device"),
        pytest.param(["0.png", "--device", "cpu", "--dtype", "tf32"], "Give --dtype float32", id="TF32 on a CPU"),
        pytest.param(["0.png", "--engine", "openvino", "--compile"], "Leave out --compile", id="compiled by another"),
        pytest.param(["0.png", "--top-k", "0"], "top-k", id="no labels"),
        pytest.param(["0.png", "--threshold", "2"], "threshold", id="impossible threshold"),
        pytest.param(["0.png", "--format", "xml"], "xml", id="unknown format"),
        pytest.param(["0.png", "--no-such-option"], "no-such-option", id="unknown option"),
    ],
)
def test_wrong_usage_says_what_and_exits_with_2(pictures: Path, arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert says in done.stderr
    assert done.stdout == ""
    assert done.exit_code == 2


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_network_without_a_head_has_no_labels_and_says_what_it_has(pictures: Path, engine: str) -> None:
    make_headless(pictures / "model")
    done = run("0.png", "nowhere.png", "-m", "model", "--engine", engine, "-o", "out.csv")
    assert done.stderr == (
        "vithybrid: model has no head that is read here, so it gives no labels. "
        "Get its features with `vithybrid embed` or `Embedder`.\n"
    )
    assert done.exit_code == 3
    assert not (pictures / "out.csv").exists()


def test_larger_pictures_give_other_scores_of_the_same_labels(pictures: Path) -> None:
    own, named, larger = (
        records(run("0.png", "--engine", "torch", *size).stdout)
        for size in ([], ["--image-size", "64"], ["--image-size", "96"])
    )
    assert own == named
    assert own != larger
    assert {p["label"] for p in own[0]["predictions"]} & {p["label"] for p in larger[0]["predictions"]}


def test_an_image_size_below_one_patch_is_wrong_usage(pictures: Path) -> None:
    done = run("0.png", "--image-size", "4", "-m", str(Path(MODEL).parent / "hf-vit"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "pixels, not 4. Raise --image-size." in done.stderr


def test_a_picture_is_never_written_over_by_its_labels(pictures: Path) -> None:
    before = Path("0.png").read_bytes()
    done = run("1.png", "0.png", "-f", "csv", "-o", str(pictures / "0.png"))
    assert "0.png is a picture, which would be overwritten. Give another --output." in done.stderr
    assert (done.exit_code, done.stdout) == (2, "")
    assert Path("0.png").read_bytes() == before


def test_a_folder_that_is_not_there_is_told_before_the_model_is_looked_for(pictures: Path) -> None:
    done = run("0.png", "-o", "no/such/folder.json", "-m", "./no-such-model")
    assert done.exit_code == 2
    assert "there is no folder" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_model_and_no_network_is_one_line_that_names_tiny(pictures: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(pictures / "empty-cache")}
    command = [*program(), "classify", "0.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "use the built-in model, tiny" in done.stderr


def test_only_data_reaches_stdout_of_the_real_program(pictures: Path) -> None:
    done = subprocess.run([*PROGRAM, "."], capture_output=True, text=True, check=False)
    assert len(records(done.stdout)) == 4
    assert done.returncode == 1


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_run_goes_on_with_as_many_threads_alone(pictures: Path, engine: str) -> None:
    command = [*program(), *CLASSIFY, "0.png", "2.png", "-o", "out.jsonl", "--engine", engine]

    def go_on(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*command, "--resume", *arguments], capture_output=True, text=True, check=False)

    assert go_on("--threads", "1").returncode == 0
    assert json.loads(Path("out.jsonl.run.json").read_text())["environment"]["threads"] == 1
    whole = Path("out.jsonl").read_bytes()
    Path("out.jsonl").write_bytes(whole[:-5])
    if usable_processors() > 1:
        refused = go_on("--threads", "2")
        assert (refused.returncode, "was made with threads 1, now 2" in refused.stderr) == (2, True)
    assert (go_on("--threads", "1").returncode, Path("out.jsonl").read_bytes()) == (0, whole)


def test_a_closed_pipe_ends_the_run_quietly(pictures: Path) -> None:
    process = subprocess.Popen(
        [*program(), *CLASSIFY, "-", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"0.png\n" * 10_000)  # fits into the pipe, so that writing it does not block
    process.stdin.close()
    assert json.loads(process.stdout.readline())["path"] == "0.png"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0


def test_results_come_while_the_list_is_still_open(pictures: Path) -> None:
    command = [*program(), *CLASSIFY, "-", "-q"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin, process.stdout:
        process.stdin.write(b"0.png\n1.png\n")
        process.stdin.flush()
        assert paths([json.loads(process.stdout.readline()) for _ in range(2)]) == ["0.png", "1.png"]
        assert process.poll() is None


def test_an_interrupt_keeps_a_valid_array_and_exits_with_130(pictures: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "-", "-f", "json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"0.png\n1.png\n")
    process.stdin.flush()
    first = process.stdout.readline() + process.stdout.readline()
    process.send_signal(signal.SIGINT)
    with process, process.stdin, process.stdout, process.stderr:
        array = json.loads(first + process.stdout.read())
        assert process.wait(60) == 130
        assert b"Traceback" not in process.stderr.read()
    assert paths(array) == ["0.png", "1.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize("where", ["stdout", "file"])
def test_a_full_disk_is_one_line(pictures: Path, where: str) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [*program(), "classify", "-m", MODEL, "0.png", *(["-o", "/dev/full"] if where == "file" else [])]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert b"No space left" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_list_from_a_pipe_is_read_once_and_whole(pictures: Path) -> None:
    reading, writing = os.pipe()
    count = 3_000
    os.write(writing, b"".join(b"no-%d\n" % number for number in range(count)))
    os.close(writing)
    command = [*PROGRAM, "--files-from", f"/dev/fd/{reading}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, pass_fds=[reading])
    os.close(reading)
    assert paths(records(done.stdout)) == [f"no-{number}" for number in range(count)]


def test_what_is_no_list_of_paths_is_one_line_on_stderr(pictures: Path) -> None:
    (pictures / "list.bin").write_bytes(b"x" * 100_000)
    done = run("--files-from", "list.bin")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "no list of paths" in done.stderr


@pytest.mark.parametrize(
    ("to_file", "closed"),
    [
        (False, "0<&- 2>&-"),
        (False, "0<&-"),
        (True, "2>&-"),
        *(
            pytest.param(to_file, closed, marks=pytest.mark.thorough)
            for to_file, closed in ((False, "2>&-"), (True, "0<&- 2>&-"), (True, "0<&-"))
        ),
    ],
)
def test_with_closed_streams_the_results_come_all_the_same(pictures: Path, closed: str, to_file: bool) -> None:
    command = shlex.join([*PROGRAM, "0.png", "1a.png", "-o", "out.jsonl" if to_file else "-"])
    done = subprocess.run(["sh", "-c", f"{command} {closed}"], capture_output=True, text=True, check=False)
    written = Path("out.jsonl").read_text(encoding="utf-8") if to_file else done.stdout
    assert done.returncode == 1
    assert ["predictions" in record for record in records(written)] == [True, False]
    assert ("1a.png: This is no picture" in done.stderr) == ("2>" not in closed)


def test_a_closed_stdin_is_wrong_usage(pictures: Path) -> None:
    command = " ".join([*PROGRAM, "-", "<&-"])
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Stdin is closed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param([".", "-o", "0.png"], "0.png is a picture", id="a picture of a folder"),
        pytest.param(["0.png", "-o", "1.png"], "1.png is a picture", id="a picture that is no input"),
        pytest.param(["out.csv.run.json", "-o", "out.csv"], "out.csv.run.json is an input", id="an input of that name"),
        pytest.param(["0.png", "-m", "model", "-o", "model/config.json"], "belongs to the model", id="the model"),
    ],
)
def test_nothing_that_is_read_is_written_over(pictures: Path, arguments: list[str], says: str) -> None:
    (pictures / "out.csv.run.json").write_bytes((pictures / "0.png").read_bytes())
    shutil.copytree(MODEL, pictures / "model")
    before = {file: file.read_bytes() for file in pictures.rglob("*") if file.is_file()}
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    assert {file: file.read_bytes() for file in pictures.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("there", [True, False])
def test_a_name_of_a_folder_is_no_output(pictures: Path, there: bool) -> None:
    if there:
        Path("sub").mkdir()
    done = run("0.png", "-o", "sub/")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "sub/ names a folder" in done.stderr
    assert Path("sub").is_dir() == there


@pytest.mark.parametrize("arguments", [["-f", "CSV"], ["-o", "out.CSV"], ["-o", "out.CSV", "-f", "Csv"]])
def test_formats_may_be_written_in_capitals(pictures: Path, arguments: list[str]) -> None:
    done = run("0.png", *arguments)
    written = Path("out.CSV").read_text(encoding="utf-8") if "-o" in arguments else done.stdout
    assert written.startswith("path,rank,index,label")


def test_a_dash_for_the_output_is_stdout(pictures: Path) -> None:
    done = run("0.png", "-o", "-")
    assert json.loads(done.stdout)["path"] == "0.png"
    assert not Path("-").exists()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["classify", "0.png", "-q", "-m", MODEL], id="classify"),
        pytest.param(["embed", "0.png", "-q", "-m", MODEL], id="embed"),
        pytest.param(["info", "-q", MODEL], id="info"),
        pytest.param(["models"], id="models"),
    ],
)
def test_a_closed_stdout_is_one_line(pictures: Path, command: list[str]) -> None:
    line = shlex.join([sys.executable, "-m", "vithybrid_cli", *command])
    done = subprocess.run(f"{line} >&-", shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "vithybrid: Stdout is closed, so there is no place for results. Give --output, or leave stdout open.\n",
    )


def test_help_on_a_full_disk_is_one_line() -> None:
    line = shlex.join([*program(), "classify", "--help"])
    done = subprocess.run(f"{line} >/dev/full", shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "vithybrid: Cannot write to stdout: No space left on device. Make room there.\n",
    )


def test_the_outputs_themselves_are_numbers_in_every_format(pictures: Path) -> None:
    (found,) = records(run("0.png", "-k", "8", "--activation", "none").stdout)
    values = [prediction["score"] for prediction in found["predictions"]]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0
    table = run("0.png", "-k", "8", "--activation", "none", "-f", "table").stdout
    assert "%" not in table
    assert f"{values[-1]:.6g}" in table
    rows = csv.DictReader(io.StringIO(run("0.png", "-k", "8", "--activation", "none", "-f", "csv").stdout))
    assert [float(row["score"]) for row in rows] == values


def test_a_threshold_of_outputs_may_be_any_number(pictures: Path) -> None:
    options = ("0.png", "-k", "8", "--activation", "none")
    values = [prediction["score"] for prediction in records(run(*options).stdout)[0]["predictions"]]
    least = (values[3] + values[4]) / 2
    (found,) = records(run(*options, "--threshold", str(least)).stdout)
    assert [prediction["score"] for prediction in found["predictions"]] == values[:4]
    wrong = run(*options, "--threshold", "inf")
    assert (wrong.exit_code, wrong.stderr) == (
        2,
        "vithybrid: The threshold inf is no finite number. Give a --threshold that is one.\n",
    )


def test_a_run_goes_on_only_with_the_scores_that_it_began_with(pictures: Path) -> None:
    run("0.png", "-o", "out.jsonl", "--activation", "sigmoid")
    other = run("0.png", "1.png", "-o", "out.jsonl", "--resume")
    assert other.exit_code == 2
    assert "--activation sigmoid, now softmax" in other.stderr
    assert run("0.png", "1.png", "-o", "out.jsonl", "--resume", "--activation", "sigmoid").exit_code == 0
    assert len(records(Path("out.jsonl").read_text(encoding="utf-8"))) == 2


def test_what_a_model_scores_by_itself_may_be_spelt_out_to_go_on(pictures: Path) -> None:
    run("0.png", "-o", "out.jsonl")
    assert run("0.png", "1.png", "-o", "out.jsonl", "--resume", "--activation", "softmax").exit_code == 0


@pytest.mark.parametrize("name", ["labels.txt", "labels.xlsx", "labels.feather", "labels.yaml", "labels.csv.gz"])
def test_a_suffix_that_is_no_format_is_wrong_usage_unless_a_format_is_given(pictures: Path, name: str) -> None:
    done = run("0.png", "-o", name, "-m", "./no-such-model")
    assert (done.exit_code, done.stdout, Path(name).exists()) == (2, "", False)
    assert len(done.stderr.splitlines()) == 1
    assert run("0.png", "-o", name, "-f", "csv").exit_code == 0
    assert Path(name).read_text(encoding="utf-8").startswith("path,rank")


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        pytest.param("labels", '{"path"', id="no suffix"),
        pytest.param("LABELS.CSV", "path,rank", id="capitals"),
        pytest.param("labels.ndjson", '{"path"', id="other name of jsonl"),
    ],
)
def test_a_suffix_is_a_format_by_any_of_its_names(pictures: Path, name: str, begin: str) -> None:
    assert run("0.png", "-o", name).exit_code == 0
    assert Path(name).read_text(encoding="utf-8").startswith(begin)
