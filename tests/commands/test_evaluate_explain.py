"""``vithybrid evaluate --explain N``: each method's figures, in the JSON, the rows and the table."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from places import GOLDENS
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app

AREAS = ("insertion", "deletion", "difference")


def run(model: str, *arguments: str) -> Any:
    """Run evaluate in this process; the result has exit_code, stdout and stderr."""
    options = ["-m", str(GOLDENS / model), "--device", "cpu", "--engine", "torch"]
    return CliRunner().invoke(app, ["evaluate", "labelled", *options, *arguments], catch_exceptions=False)


@pytest.fixture
def _labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures of each of two labels, and a broken one, in the current folder."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for label in ("0", "3"):
        folder = tmp_path / "labelled" / label
        folder.mkdir(parents=True)
        for number in range(2):
            Image.fromarray(random.integers(0, 256, (70, 80, 3), np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "labelled" / "0" / "0.png").write_bytes(b"no picture")


@pytest.mark.usefixtures("_labelled")
def test_each_method_of_the_family_has_figures_beside_chance_and_a_blob() -> None:
    done = run("hf-bit", "--explain", "2", "--format", "json")
    assert done.exit_code == 1  # for the broken one
    maps = json.loads(done.stdout)["maps"]
    assert maps["pictures"] == 2
    assert {row["method"] for row in maps["methods"]} == {"grad-cam", "occlusion", "random map", "centred blob"}
    for row in maps["methods"]:
        means = {area: row[area]["mean"] for area in AREAS}
        assert means["difference"] == pytest.approx(means["insertion"] - means["deletion"], abs=2e-6)
        assert 0 < means["insertion"] < 1
        assert 0 < means["deletion"] < 1
        assert all(row[area]["standard_error"] >= 0 for area in AREAS)
    differences = [row["difference"]["mean"] for row in maps["methods"]]
    assert differences == sorted(differences, reverse=True)
    assert run("hf-bit", "--explain", "2", "--format", "json").stdout == done.stdout


@pytest.mark.usefixtures("_labelled")
def test_one_picture_has_no_standard_error_in_rows_and_table() -> None:
    rows = list(csv.DictReader(io.StringIO(run("hf-bit", "--explain", "1", "--format", "csv").stdout)))
    found = {row["method"]: row for row in rows if row["kind"] == "map"}
    assert found.keys() == {"grad-cam", "occlusion", "random map", "centred blob"}
    assert {(row["pictures"], row["insertion_error"]) for row in found.values()} == {("1", "")}
    assert float(found["occlusion"]["difference"]) >= -1
    table = run("hf-bit", "--explain", "1", "--format", "table").stdout
    assert "Maps of 1 picture\n" in "".join(line.rstrip() + "\n" for line in table.splitlines())
    assert "occlusion" in table


@pytest.mark.usefixtures("_labelled")
def test_without_it_nothing_is_said_of_maps() -> None:
    assert "maps" not in json.loads(run("hf-bit", "--format", "json").stdout)
