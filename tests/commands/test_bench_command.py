"""The contract of ``vithybrid bench``: a result in each format, what stays off stdout, and how the run ends."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from places import GOLDENS
from typer.testing import CliRunner
from warm import program

from vithybrid_cli import __version__
from vithybrid_cli.bench.measurements import IN_TURN, SLOWER
from vithybrid_cli.commands.app import app

MODEL = str(GOLDENS / "hf-hybrid-small")
LEAST = ["--engine", "torch", "--device", "cpu", "-b", "2", "--pictures", "1", "--seconds", "0"]


def run(*arguments: str) -> Any:
    """Run bench in this process without whole processes; the result has exit_code, stdout and stderr."""
    parts = [word for part in ("decode", "network", "whole") for word in ("--only", part)]
    return CliRunner().invoke(
        app, ["bench", "-m", MODEL, "--repeats", "2", *LEAST, *parts, *arguments], catch_exceptions=False
    )


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """All parts with random weights, as short as it can be."""
    bench = [*program(), "bench", "--repeats", "1"]
    options = ["-m", "tiny", "--random-weights", *LEAST, "-f", "json"]
    folder = tmp_path_factory.mktemp("elsewhere")
    return subprocess.run([*bench, *options], capture_output=True, text=True, cwd=folder, check=False)


def test_a_run_measures_each_part_and_leaves_stdout_to_the_data(real: "subprocess.CompletedProcess[str]") -> None:
    assert real.returncode == 0, real.stderr
    result = json.loads(real.stdout)
    found = [(m["part"], m["program"], m["engine"], m["dtype"], m["batch"]) for m in result["measurements"]]
    assert found == [
        ("decode", "vithybrid", None, None, None),
        ("network", "vithybrid", "torch", "float32", 2),
        ("whole", "vithybrid", "torch", "float32", 2),
        ("process", "vithybrid", "torch", "float32", None),
        ("start", "vithybrid", "torch", "float32", None),
    ]
    for measurement in result["measurements"]:
        assert measurement["error"] is None
        assert measurement["images_per_second"]["median"] > 0
    if sys.platform != "win32":
        assert all(measurement["peak_bytes"] > 50e6 for measurement in result["measurements"][3:])
    assert [(ratio["part"], ratio["against"]) for ratio in result["ratios"]] == [("whole", SLOWER), ("whole", IN_TURN)]
    assert "batch 2: turn 1 of 1" in real.stderr


def test_a_run_names_machine_versions_command_and_model(real: "subprocess.CompletedProcess[str]") -> None:
    result = json.loads(real.stdout)
    ours, machine = result["software"]["vithybrid"], result["machine"]
    assert ours["versions"]["vithybrid"] == __version__
    assert {"python", "torch", "pillow", "numpy"} <= ours["versions"].keys()
    assert ours["threads"] >= 1
    assert machine["processor"]
    assert machine["system"]
    assert machine["cores"] >= 1
    assert result["command"].startswith("vithybrid bench --repeats 1 ")
    assert (result["model"], result["image_size"]) == ("tiny with random weights", [64, 64])
    assert (result["pictures"], result["own_pictures"], result["repeats"]) == (1, True, 1)
    assert result["complete"] is True


def test_into_a_pipe_goes_the_json_on_one_line() -> None:
    one_line = run().stdout
    assert len(one_line.splitlines()) == 1
    assert json.loads(one_line).keys() == json.loads(run("-f", "json").stdout).keys()


def test_the_table_has_the_machine_the_numbers_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    done = run("-f", "table", "--dtype", "float32", "--dtype", "tf32")
    lines = done.stdout.splitlines()
    words = [line.split() for line in lines]
    assert [line[0] for line in words[:2]] == ["machine", "system"]
    assert ["network", "vithybrid", "torch", "float32", "2"] in [line[:5] for line in words]
    assert ["whole", "way", "vithybrid", "torch", "float32", "2", *SLOWER.split()] in [line[:-3] for line in words]
    assert lines[-2] == "Not measured"
    assert lines[-1].startswith("  vithybrid torch tf32  ")
    (first,) = [number for number, line in enumerate(lines) if line.startswith("Measured")]
    assert max(map(len, lines[first:-1])) <= 120


def test_limits_stand_beside_the_network_in_the_table_and_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("vithybrid_cli.bench.reach.SIDES", {"cpu": (64, 128)})  # which tell nothing about the machine
    monkeypatch.setattr("vithybrid_cli.bench.reach.SHORTEST_RUN", 1e-4)
    table = run("--limits", "-f", "table").stdout
    rows = table[table.index("Limits of the device") :].splitlines()
    begin = ("vithybrid torch float32 2 ", "matrix product, ", "convolutions, ", "linear layers, ")
    assert [" ".join(row.split())[: len(text)] for row, text in zip(rows[4:], begin, strict=False)] == list(begin)
    assert max(map(len, rows)) <= 80
    limits = json.loads(run("--limits").stdout)["limits"]
    assert limits.keys() == {"flop_per_image", "networks", "limits", "ratios"}
    assert [ratio["operations"] for ratio in limits["ratios"]] == ["matrix product", "convolutions", "linear layers"]
    assert all(ratio["ratio"]["median"] > 0 for ratio in limits["ratios"])


def test_limits_without_the_network_are_refused() -> None:
    done = CliRunner().invoke(app, ["bench", "-m", MODEL, "--only", "decode", "--limits"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Give --only network, too, or leave out --limits." in " ".join(done.stderr.split())


def test_the_output_file_holds_the_result(tmp_path: Path) -> None:
    done = run("-o", str(tmp_path / "bench.json"))
    assert (done.exit_code, done.stdout) == (0, "")
    result = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert len(result["measurements"]) == 3


def test_progress_and_complaints_go_to_stderr_and_can_be_switched_off() -> None:
    types = ("--dtype", "float32", "--dtype", "tf32")
    said = run(*types).stderr
    assert "batch 2: turn 2 of 2\n" in said
    assert "\nvithybrid torch tf32: " in said
    assert run(*types, "--quiet").stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_ctrl_c_prints_what_was_measured_until_then() -> None:
    bench = [sys.executable, "-m", "vithybrid_cli", "bench", "-m", MODEL, *LEAST, "--only", "decode"]
    with subprocess.Popen(
        [*bench, "--repeats", "1000000", "-f", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "turn 3 of" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.stderr.close()
        assert process.stdout is not None
        result = json.loads(process.stdout.read())
    assert (process.returncode, result["complete"]) == (130, False)
    assert len(result["measurements"][0]["images_per_second"]["values"]) >= 2


def test_given_pictures_are_measured_and_those_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    (tmp_path / "0bad.png").write_bytes(b"")
    done = run(str(tmp_path), "--pictures", "3")
    result = json.loads(done.stdout)
    assert (result["pictures"], result["own_pictures"], done.exit_code) == (2, False, 1)
    assert f"\n{tmp_path / '0bad.png'} is left out: " in f"\n{done.stderr}"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--only", "everything"], "everything", id="unknown part"),
        pytest.param(["--engine", "tpu"], "tpu", id="unknown engine"),
        pytest.param(["--dtype", "int4"], "int4", id="unknown type"),
        pytest.param(["-b", "0"], "--batch-size", id="batch of none"),
        pytest.param(["--repeats", "0"], "--repeats", id="no turns"),
        pytest.param(["nowhere.jpg"], "None of the inputs is a picture", id="no picture"),
        pytest.param(["-o", "no/such/folder.json"], "Cannot write", id="no output folder"),
        pytest.param(
            ["-m", "somebody/else", "--random-weights"],
            "Name one of `vithybrid models` with --model",
            id="unknown architecture",
        ),
        pytest.param(["-f", "csv"], "Give --format json.", id="rows"),
        pytest.param(["-o", "bench.tsv"], "Give --format json.", id="rows by the suffix"),
        pytest.param(["-o", "bench.txt"], "written as json or jsonl, and not as txt", id="unknown suffix"),
        pytest.param(["-f", "xml"], "xml", id="unknown format"),
        pytest.param(["--dtype", "tf32"], "tf32", id="type that this machine does not have"),
    ],
)
def test_wrong_usage_says_what_and_exits_with_2(arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert says in done.stderr
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.parametrize("options", [[], ["--random-weights"]], ids=["its weights", "random weights"])
def test_a_file_of_the_model_is_not_written_over(
    tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(MODEL, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    before = Path("model/config.json").read_bytes()
    done = run("-m", "model", "-o", "model/config.json", *options)
    assert done.exit_code == 2
    assert "model/config.json belongs to the model" in done.stderr
    assert Path("model/config.json").read_bytes() == before


def test_a_model_that_is_not_there_exits_with_3() -> None:
    done = run("-m", "./nowhere")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "nowhere" in done.stderr
