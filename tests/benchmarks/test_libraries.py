"""Other libraries take their turns: the processes that measure them, and what happens if a library is not there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from places import GOLDENS, ROOT

from benchmarks.libraries import NAMES, Library
from benchmarks.peers import pillow_alone
from benchmarks.worker import Crew, Fallback, Worker
from vithybrid_cli.bench.amount import Amount
from vithybrid_cli.bench.material import Material, Plan, prepared
from vithybrid_cli.bench.measurements import Part, Timing
from vithybrid_cli.bench.processes import ProcessFailed
from vithybrid_cli.bench.turns import Log

GOLDEN = GOLDENS / "hf-hybrid-small"
PLAN = Plan((Part.NETWORK,), ("torch",), ("float32", "bfloat16"), (2,), "cpu", 2, 1, 0.0)
SILENT = Log(lambda text: None, lambda text: None)


@pytest.fixture(scope="module")
def material() -> Iterator[Material]:
    with prepared("small", GOLDEN, [], 3, SILENT) as found:
        yield found


def library(name: str, material: Material) -> Library:
    return Library(name, PLAN, material, sys.executable, SILENT)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("transformers", {Part.NETWORK, Part.PROCESS, Part.START}),
        ("timm", {Part.NETWORK}),
        ("openvino", {Part.NETWORK}),
        ("pillow", {Part.DECODE}),
    ],
)
def test_each_library_has_the_parts_that_can_be_compared_in_each_type(
    name: str, parts: set[Part], material: Material
) -> None:
    found = {part: list(library(name, material).tasks(part, 2)) for part in Part}
    assert {part for part, tasks in found.items() if tasks} == parts
    for part in parts:
        dtypes = (None,) if part is Part.DECODE else PLAN.dtypes
        assert [(task.subject.program, task.subject.dtype) for task in found[part]] == [(name, d) for d in dtypes]
    assert name in NAMES


def test_pillow_decodes_until_it_has_enough(material: Material) -> None:
    timing = pillow_alone.decoding(Amount(1, 5, 0.0), list(material.pictures))
    assert timing.images == 5


def test_a_crew_does_its_share_each_and_is_as_fast_as_all_of_them(material: Material) -> None:
    wanted = {"pictures": str(material.every)}
    crew = Crew([Worker("pillow_alone", {**wanted, "first": first}) for first in range(2)])
    try:
        timing = crew.measure(Amount(1, 7, 0.0))
        assert (timing.images, crew.measure(Amount(1, 1, 0.0)).images) == (8, 2)
        assert timing.seconds > 0
        assert set(crew.workers[0].software.versions) == {"python", "pillow"}
    finally:
        crew.close()


class FakeWorker:
    """Fails at its ``fails_at``-th measurement."""

    def __init__(self, fails_at: int) -> None:
        self.fails_at, self.asked, self.closed = fails_at, 0, False

    def measure(self, amount: Amount) -> Timing:
        self.asked += 1
        if self.asked == self.fails_at:
            raise ProcessFailed("It crashed.")
        return Timing(1.0, amount.images)

    def close(self) -> None:
        self.closed = True


def test_another_worker_takes_over_once_where_the_first_one_fails() -> None:
    first, second = FakeWorker(1), FakeWorker(2)
    with_second: Any = lambda: second  # noqa: E731
    begin: Any = first
    fallback = Fallback(begin, with_second)
    assert fallback.measure(Amount(4, 4, 0.0)).images == 4
    assert (first.asked, second.asked, first.closed) == (1, 1, True)
    with pytest.raises(ProcessFailed):
        fallback.measure(Amount(4, 4, 0.0))


def test_what_a_library_cannot_run_is_told_in_one_line(material: Material) -> None:
    elsewhere = replace(PLAN, device="cuda")
    (task, _) = Library("openvino", elsewhere, material, sys.executable, SILENT).tasks(Part.NETWORK, 2)
    with pytest.raises(ProcessFailed, match="OpenVINO by hand is measured on the CPU alone"):
        task.warm_up()


def test_a_comparison_takes_turns_and_names_what_is_not_installed(tmp_path: Path) -> None:
    no_timm = tmp_path / "python"
    no_timm.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'timm'\" >&2\nexit 1\n")
    no_timm.chmod(0o755)
    options = ["-m", str(GOLDEN), "--engine", "torch", "--device", "cpu", "-b", "2", "--pictures", "1", "-f", "json"]
    parts = ["--only", "decode", "--only", "network", "--repeats", "1", "--seconds", "0"]
    against = ["--against", "pillow,timm", "--peers", str(no_timm)]
    program = [sys.executable, "-m", "benchmarks.compare", *options, *parts, *against]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    found = [(m["part"], m["program"], m["error"]) for m in result["measurements"]]
    assert found == [
        ("decode", "vithybrid", None),
        ("decode", "pillow", None),
        ("network", "vithybrid", None),
        ("network", "timm", "ModuleNotFoundError: No module named 'timm'"),
    ]
    assert [(ratio["part"], ratio["against"]) for ratio in result["ratios"]] == [("decode", "pillow decoding alone")]
    assert "pillow" in result["software"]["pillow"]["versions"]


def test_a_library_that_nobody_knows_is_wrong_usage() -> None:
    program = [sys.executable, "-m", "benchmarks.compare", "--against", "keras"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "'keras' is not one of transformers, timm, openvino, pillow" in done.stderr
