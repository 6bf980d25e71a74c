"""`vithybrid models` lists the catalog for people and for programs, and opens no connection."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from huggingface_hub import constants
from typer.testing import CliRunner

from vithybrid_cli.checkpoints import catalog
from vithybrid_cli.commands.models import models

NAMES = [entry.alias for entry in catalog.ENTRIES]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(models)
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def put_into_cache(cache: Path, entry: catalog.Entry) -> None:
    """Lay out one snapshot as the hub's client does, filed under the sha256 that the catalog has."""
    assert entry.hub_id is not None
    assert entry.sha256 is not None
    model = cache / ("models--" + entry.hub_id.replace("/", "--"))
    snapshot = model / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("1")
    (model / "blobs").mkdir()
    (model / "blobs" / entry.sha256).write_bytes(b"weights")
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").symlink_to(Path("..", "..", "blobs", entry.sha256))


def by_alias(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {record["alias"]: record for record in records}


def test_a_pipe_gets_one_object_per_line() -> None:
    assert [json.loads(line)["alias"] for line in run().splitlines()] == NAMES


def test_json_is_one_array_with_all_that_is_known() -> None:
    records = by_alias(json.loads(run("-f", "json")))
    assert list(records) == NAMES
    base = records["base-384"]
    assert (base["hub_id"], base["parameters"], base["image_size"]) == (catalog.DEFAULT_MODEL, 98_950_952, 384)
    assert (base["top1"], base["licence"], base["cached"]) == (84.99, "Apache-2.0", False)


@pytest.mark.parametrize(("name", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_rows_have_the_columns_of_the_json(name: str, delimiter: str) -> None:
    rows = list(csv.DictReader(io.StringIO(run("-f", name)), delimiter=delimiter))
    records = json.loads(run("-f", "json"))
    assert [list(row) for row in rows] == [list(record) for record in records]
    assert rows[0]["hub_id"] == ""
    assert [row["cached"] for row in rows] == ["true", "false"]


def test_the_table_has_a_line_of_numbers_and_a_line_of_words_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("-f", "table").splitlines()
    assert lines[0].split() == [
        "model",
        "params",
        "download",
        "input",
        "top-1",
        "measured",
        "on",
        "licence",
        "in",
        "cache",
    ]
    assert [line.split()[0] for line in lines[1::2]] == NAMES
    assert "99.0 M    396 MB    384  85.0 %  ImageNet-1k  Apache-2.0  no" in lines[3]
    assert catalog.DEFAULT_MODEL in lines[4]
    assert max(map(len, lines[:4:2])) <= 80


def test_a_model_in_the_cache_is_marked(cache: Path) -> None:
    put_into_cache(cache, catalog.BASE_384)
    assert by_alias(json.loads(run("-f", "json")))["base-384"]["cached"] is True
    assert run("-f", "table").splitlines()[3].endswith("yes")


def test_the_built_in_model_needs_no_cache() -> None:
    assert by_alias(json.loads(run("-f", "json")))["tiny"]["cached"] is True
    assert "built in" in run("-f", "table").splitlines()[1]
