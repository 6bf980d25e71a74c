"""The contract of ``vithybrid bench``: a report in each format, what stays off stdout, and how the run ends."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from places import GOLDENS
from typer.testing import CliRunner

from vithybrid_cli import __version__
from vithybrid_cli.bench import members
from vithybrid_cli.bench.measurements import IN_TURN, OURS, SLOWER, Part, Timing
from vithybrid_cli.bench.members import Member
from vithybrid_cli.bench.plan import Files, Plan
from vithybrid_cli.bench.serve import Request
from vithybrid_cli.bench.worker import Failed
from vithybrid_cli.commands.app import app

MODEL = str(GOLDENS / "hf-hybrid-small")
RATES = {Part.DECODE: 100.0, Part.NETWORK: 50.0, Part.WHOLE: 45.0}  # images per second of the fake engine


class FakeServer:
    """Does everything at its rate; the ``interrupt_at``-th request brings Ctrl-C."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.facts = {"engine": "torch", "batch_size": 2, "threads": 2, "gpus": ["a GPU"]}
        self._interrupt_at = interrupt_at
        self._requests = 0

    def measure(self, request: Request) -> Timing:
        self._requests += 1
        if self._requests == self._interrupt_at:
            raise KeyboardInterrupt
        return Timing(request.images / RATES[request.part], request.images)

    def close(self, *, at_once: bool = False) -> None:
        pass


Use = Callable[..., None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Lets the command open one fake process for all parts of ours, with these engines as far as they can be opened."""

    def fake(*, broken: tuple[str, ...] = (), interrupt_at: int | None = None) -> None:
        def ours(plan: Plan, files: Files) -> list[Member]:
            opened: Any = FakeServer(interrupt_at)

            def broken_one() -> Any:
                raise Failed("OpenVINO cannot be loaded", "UsageError")

            decoding = Member(OURS, None, None, (Part.DECODE,), lambda: opened)
            parts = (Part.NETWORK, Part.WHOLE)
            engines = [
                Member(OURS, engine, "float32", parts, broken_one if engine in broken else lambda: opened)
                for engine in plan.engines
            ]
            return [decoding, *engines]

        monkeypatch.setattr(members, "ours", ours)

    return fake


def run(*arguments: str) -> Any:
    """Run bench in this process without whole processes; the result has exit_code, stdout and stderr."""
    parts = [word for part in RATES for word in ("--only", part)]
    options = ["-m", MODEL, "--pictures", "1", "--repeats", "2", "--seconds", "0", *parts]
    return CliRunner().invoke(app, ["bench", *options, *arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """A run with nothing made up but the weights, once, as short as it can be."""
    options = ["-m", "tiny", "--random-weights", "--engine", "torch", "--device", "cpu", "-b", "2", "--pictures", "2"]
    parts = [word for part in ("decode", "network", "whole", "start") for word in ("--only", part)]
    program = [
        sys.executable,
        "-m",
        "vithybrid_cli",
        "bench",
        "--repeats",
        "1",
        "--seconds",
        "0",
        "--against",
        "pillow",
    ]
    folder = tmp_path_factory.mktemp("elsewhere")
    return subprocess.run(
        [*program, *options, *parts, "-f", "json"], capture_output=True, text=True, cwd=folder, check=False
    )


def test_a_real_run_measures_each_part_and_leaves_stdout_to_the_data(
    real: "subprocess.CompletedProcess[str]",
) -> None:
    assert real.returncode == 0, real.stderr
    report = json.loads(real.stdout)
    found = [(m["part"], m["program"], m["engine"], m["dtype"], m["batch"]) for m in report["measurements"]]
    assert found == [
        ("decode", "vithybrid", None, None, None),
        ("decode", "pillow", None, None, None),
        ("network", "vithybrid", "torch", "float32", 2),
        ("whole", "vithybrid", "torch", "float32", 2),
        ("start", "vithybrid", "torch", "float32", None),
    ]
    for measurement in report["measurements"]:
        assert measurement["error"] is None
        assert measurement["images_per_second"]["median"] > 0
    assert "turn 1 of 1" in real.stderr


def test_a_real_run_has_its_ratios(real: "subprocess.CompletedProcess[str]") -> None:
    pairs = [(ratio["part"], ratio["against"]) for ratio in json.loads(real.stdout)["ratios"]]
    pillow = "pillow decoding alone"
    assert pairs == [("decode", pillow), ("whole", SLOWER), ("whole", IN_TURN), ("whole", pillow)]


def test_a_real_run_names_machine_versions_command_and_model(real: "subprocess.CompletedProcess[str]") -> None:
    report = json.loads(real.stdout)
    ours, machine = report["software"]["vithybrid"], report["machine"]
    assert ours["versions"]["vithybrid"] == __version__
    assert {"python", "torch", "pillow", "numpy"} <= ours["versions"].keys()
    assert ours["threads"] >= 1
    assert report["software"]["pillow"]["versions"]["pillow"] == ours["versions"]["pillow"]
    assert machine["processor"]
    assert machine["system"]
    assert machine["cores"] >= 1
    assert report["command"].startswith("vithybrid bench --repeats 1 ")
    assert (report["model"], report["image_size"]) == ("tiny with random weights", [64, 64])
    assert (report["pictures"], report["own_pictures"], report["repeats"]) == (2, True, 1)
    assert report["complete"] is True


def test_the_turns_stand_in_the_report_as_they_were(use: Use) -> None:
    use()
    done = run()
    report = json.loads(done.stdout)
    network = report["measurements"][1]
    assert (network["part"], network["batch"]) == ("network", 2)
    assert network["images_per_second"] == {"median": 50.0, "min": 50.0, "max": 50.0, "values": [50.0, 50.0]}
    ratios = [(ratio["part"], ratio["against"], ratio["ratio"]["median"]) for ratio in report["ratios"]]
    assert ratios == [("whole", SLOWER, 0.9), ("whole", IN_TURN, 1.35)]
    assert report["machine"]["gpus"] == ["a GPU"]
    assert (done.exit_code, report["software"]["vithybrid"]["threads"]) == (0, 2)


def test_into_a_pipe_goes_the_json_on_one_line(use: Use) -> None:
    use()
    one_line = run().stdout
    assert len(one_line.splitlines()) == 1
    assert json.loads(one_line).keys() == json.loads(run("-f", "json").stdout).keys()


@pytest.mark.parametrize(("name", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_rows_are_measurements_and_ratios(use: Use, name: str, delimiter: str) -> None:
    use(broken=("openvino",))
    done = run("-f", name, "--engine", "torch", "--engine", "openvino")
    rows = list(csv.DictReader(io.StringIO(done.stdout), delimiter=delimiter))
    found = [(row["kind"], row["part"], row["engine"], row["against"], row["median"], row["turns"]) for row in rows]
    assert found == [
        ("measurement", "decode", "", "", "100.0", "2"),
        ("measurement", "network", "torch", "", "50.0", "2"),
        ("measurement", "network", "openvino", "", "", ""),
        ("measurement", "whole", "torch", "", "45.0", "2"),
        ("measurement", "whole", "openvino", "", "", ""),
        ("ratio", "whole", "torch", SLOWER, "0.9", "2"),
        ("ratio", "whole", "torch", IN_TURN, "1.35", "2"),
    ]
    assert [row["error"] for row in rows if row["engine"] == "openvino"] == ["OpenVINO cannot be loaded"] * 2


def test_the_table_has_the_machine_the_numbers_and_what_is_missing(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    use(broken=("openvino",))
    lines = run("-f", "table", "--engine", "torch", "--engine", "openvino").stdout.splitlines()
    words = [line.split() for line in lines]
    assert [line[0] for line in words[:3]] == ["machine", "system", "GPU"]
    assert ["network", "vithybrid", "torch", "float32", "2", "50.0", "50.0–50.0", "0.040"] in words
    assert ["whole", "way", "vithybrid", "torch", "float32", "2", *SLOWER.split(), "0.900", "×", "0.900–0.900"] in words
    assert lines[-2:] == ["Not measured", "  vithybrid openvino float32  OpenVINO cannot be loaded"]
    (first,) = [number for number, line in enumerate(lines) if line.startswith("Measured")]
    assert max(map(len, lines[first:])) <= 120


def test_the_output_file_holds_the_report_and_its_suffix_is_its_format(use: Use, tmp_path: Path) -> None:
    use()
    done = run("-o", str(tmp_path / "bench.json"))
    assert (done.exit_code, done.stdout) == (0, "")
    report = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert len(report["measurements"]) == 3


def test_progress_and_complaints_go_to_stderr_and_can_be_switched_off(use: Use) -> None:
    use(broken=("openvino",))
    engines = ("--engine", "torch", "--engine", "openvino")
    complaint = "vithybrid openvino float32: OpenVINO cannot be loaded\n"
    assert "batch 2: turn 2 of 2" in run(*engines).stderr
    assert run(*engines, "--no-progress").stderr == complaint
    assert run(*engines, "--quiet").stderr == ""


def test_ctrl_c_prints_what_was_measured_until_then(use: Use) -> None:
    use(interrupt_at=8)  # three to warm up, three of the first turn, and decoding of the second
    done = run("-f", "json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["complete"]) == (130, False)
    assert [len(m["images_per_second"]["values"]) for m in report["measurements"]] == [2, 1, 1]
    assert "interrupted" in run("-f", "table").stdout


def test_ctrl_c_before_the_first_turn_prints_nothing(use: Use) -> None:
    use(interrupt_at=2)
    done = run("-f", "json")
    assert (done.exit_code, done.stdout) == (130, "")


def test_given_pictures_are_measured_and_those_that_cannot_be_read_are_named(use: Use, tmp_path: Path) -> None:
    use()
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    (tmp_path / "0bad.png").write_bytes(b"")
    done = run(str(tmp_path), "--pictures", "3", "--no-progress")
    report = json.loads(done.stdout)
    assert (report["pictures"], report["own_pictures"], done.exit_code) == (2, False, 1)
    assert done.stderr.startswith(f"{tmp_path / '0bad.png'}: left out, ")


def test_a_peer_that_is_not_there_is_told_with_the_command_that_brings_it(use: Use) -> None:
    use()
    done = run("--against", "transformers,timm", "--no-progress")
    missing = json.loads(done.stdout)["missing"]
    assert list(missing) == ["transformers", "timm"]
    assert "peers/bin/pip install torch transformers==4.57.6 pillow, then give --peers peers/bin/python" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--against", "timm,keras"], "'keras' is not known. Known: transformers, timm", id="unknown peer"),
        pytest.param(["--against", "timm", "--peers", "./none"], "is no Python that runs", id="no interpreter"),
        pytest.param(["--only", "everything"], "everything", id="unknown part"),
        pytest.param(["--engine", "tpu"], "tpu", id="unknown engine"),
        pytest.param(["--dtype", "int4"], "int4", id="unknown type"),
        pytest.param(["-b", "0"], "--batch-size", id="batch of none"),
        pytest.param(["--repeats", "0"], "--repeats", id="no turns"),
        pytest.param(["nowhere.jpg"], "no picture among the inputs", id="no picture"),
        pytest.param(["-o", "no/such/folder.json"], "Cannot write", id="no output folder"),
        pytest.param(["-m", "somebody/else", "--random-weights"], "--random-weights needs", id="unknown architecture"),
        pytest.param(["-f", "xml"], "xml", id="unknown format"),
    ],
)
def test_wrong_usage_says_what_and_exits_with_2(use: Use, arguments: list[str], says: str) -> None:
    use()
    done = run(*arguments)
    assert says in done.stderr
    assert (done.exit_code, done.stdout) == (2, "")


def test_an_engine_that_alone_was_asked_for_and_is_not_there_is_wrong_usage(use: Use) -> None:
    use(broken=("openvino",))
    done = run("--engine", "openvino", "--no-progress")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "vithybrid: OpenVINO cannot be loaded\n"


def test_a_model_that_is_not_there_exits_with_3(use: Use) -> None:
    use()
    done = run("-m", "./nowhere")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "no such folder" in done.stderr
