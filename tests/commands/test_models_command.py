"""`vithybrid models` lists the catalog for people and for programs, and opens no connection."""

import csv
import io
import json
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from huggingface_hub import constants
from typer.testing import CliRunner, Result
from warm import program

from vithybrid_cli.commands.guard import guarded
from vithybrid_cli.commands.models import models
from vithybrid_cli.hub import catalog

NAMES = [entry.alias for entry in catalog.ENTRIES]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*arguments: str) -> str:
    result = invoke(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def invoke(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(guarded(models))
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def listed(*arguments: str) -> list[str]:
    """The aliases in the order of the list."""
    return [record["alias"] for record in json.loads(run("-f", "json", *arguments))]


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
    (snapshot / "preprocessor_config.json").write_text("{}")
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
    assert [row["cached"] for row in rows] == ["true", *["false"] * (len(NAMES) - 1)]
    assert {row["top1"] for row in rows if row["family"] == "dino"} == {""}


@pytest.mark.parametrize("columns", [80, 100])
def test_the_table_has_a_line_of_numbers_and_a_line_of_words_for_each(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    table, legend = run("-f", "table").split("\n\n")
    lines = table.splitlines()
    assert lines[0].split() == ["model", "task", "params", "GMACs", "input", "top-1", "download"]
    assert [line.split()[0] for line in lines[1::2]] == NAMES
    base = lines.index("  google/vit-hybrid-base-bit-384: the published Hybrid ViT; the default")
    assert lines[base - 1].split() == ["base-384", "imagenet", "99.0", "M", "67.4", "384", "85.0", "%", "396", "MB"]
    assert max(map(len, lines)) <= 80
    assert "GMACs: work for one picture" in legend
    assert "Licence: Apache-2.0; unknown: age." in legend


def test_an_accuracy_that_another_preprocessing_gave_is_starred_and_explained() -> None:
    shown = run("-f", "table", "--family", "deit")
    assert "72.2 %*" in shown
    assert "*: measured with another preprocessing than the model's files ask for" in shown
    assert "*:" not in run("-f", "table", "--family", "hybrid")
    deit = by_alias(json.loads(run("-f", "json")))["deit-base-384"]
    assert deit["measured_with"] == "DeiT's code: bicubic, shortest edge 438, centre crop"


def test_a_task_can_be_asked_for() -> None:
    assert listed("--task", "nsfw") == ["nsfw", "nsfw-384", "nsfw-tiny-384"]
    assert listed("--task", "age") == ["age"]
    assert "dino-vits16" in listed("--task", "features", "--max-params", "30M")
    record = json.loads(run("--task", "age"))
    assert (record["task"], record["labels"][0], record["labels"][-1]) == ("age", "0-2", "more than 70")


def test_a_fine_tune_shows_its_labels_and_whose_word_its_accuracy_is() -> None:
    shown = run("-f", "table", "--task", "nsfw")
    assert "  Falconsai/nsfw_image_detection: safe for work or not (normal, nsfw)\n" in shown
    assert "That of nsfw and nsfw-tiny-384 is its author's word" in shown
    assert "(0-2, 3-9, …, more than 70)" in run("-f", "table", "--task", "age")


def test_what_is_not_known_is_left_blank_in_the_table() -> None:
    row = run("-f", "table", "--family", "dino").splitlines()[1]
    assert row.split() == ["dino-vits16", "features", "21.7", "M", "4.6", "224", "87", "MB"]


def test_a_model_in_the_cache_is_marked(cache: Path) -> None:
    put_into_cache(cache, catalog.BASE_384)
    assert by_alias(json.loads(run("-f", "json")))["base-384"]["cached"] is True
    (row,) = (line for line in run("-f", "table").splitlines() if line.startswith("base-384"))
    assert row.endswith("cached")


@pytest.mark.parametrize("limit", ["36.5M", "36.5 m", "36500000", "36500k", ".0365G"])
def test_models_can_be_limited_by_their_parameters(limit: str) -> None:
    found = listed("--max-params", limit)
    assert {"tiny", "r26-s32-384", "deit-small", "bit-50"} <= set(found)
    assert found == [entry.alias for entry in catalog.ENTRIES if entry.parameters <= 36_500_000]


def test_a_limit_that_the_table_shows_includes_its_model() -> None:
    shown = run("-f", "table", "--family", "hybrid")
    assert "36.4 M" in shown  # of 36 431 912
    assert "r26-s32-224" in listed("--max-params", "36.4M")
    assert "84.1 %" in shown  # of 84.07
    assert "r26-s32-384" in listed("--min-accuracy", "84.1")


@pytest.mark.parametrize("limit", ["", "many", "-5", "40MB", "1e6", "M", "40M0", "nan", "40\N{KELVIN SIGN}"])
def test_a_limit_that_is_no_number_is_wrong_usage_with_an_example(limit: str) -> None:
    result = invoke(f"--max-params={limit}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"vithybrid: {limit!r} is no number of parameters. Give --max-params as 40M or 40000000.\n"
    )


def test_models_can_be_limited_by_their_accuracy() -> None:
    found = listed("--min-accuracy", "86")
    assert found == ["r50-l32-384", "augreg-base-384", "augreg-large-384"]


def test_an_accuracy_among_ten_labels_does_not_count_as_one_among_a_thousand() -> None:
    assert catalog.TINY.top1 is not None
    assert "tiny" not in listed("--min-accuracy", "80")
    assert listed("--sort", "accuracy")[0] == "augreg-large-384"


def test_limits_hold_together() -> None:
    assert listed("--max-params", "40M", "--min-accuracy", "84") == ["r26-s32-384"]


def test_one_family_can_be_asked_for() -> None:
    assert listed("--family", "beit") == ["beit-base", "beit-base-pt22k"]
    assert listed("--family", "dino") == ["dino-vits16", "dino-vits8", "dino-vitb16", "dino-vitb8"]


@pytest.mark.parametrize(
    ("key", "family", "expected"),
    [
        pytest.param("catalog", "dino", ["dino-vits16", "dino-vits8", "dino-vitb16", "dino-vitb8"], id="catalog"),
        pytest.param("name", "dino", ["dino-vitb16", "dino-vitb8", "dino-vits16", "dino-vits8"], id="name"),
        pytest.param("params", "dino", ["dino-vits16", "dino-vits8", "dino-vitb16", "dino-vitb8"], id="params"),
        pytest.param("speed", "dino", ["dino-vits16", "dino-vitb16", "dino-vits8", "dino-vitb8"], id="speed"),
        pytest.param("accuracy", "bit", ["bit-50"], id="accuracy of one"),
        pytest.param(
            "accuracy",
            "deit",
            ["deit-base-distilled-384", "deit-base-distilled", "deit-base-384", "deit-base", "deit-small", "deit-tiny"],
            id="accuracy",
        ),
    ],
)
def test_the_list_can_be_sorted(key: str, family: str, expected: list[str]) -> None:
    assert listed("--family", family, "--sort", key) == expected


def test_models_without_an_accuracy_are_sorted_behind_all_others_in_the_order_of_the_catalog() -> None:
    unknown = [entry.alias for entry in catalog.ENTRIES if entry.comparable_top1 is None]
    assert listed("--sort", "accuracy")[-len(unknown) :] == unknown


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("json", "[]\n", id="json"),
        pytest.param("jsonl", "", id="jsonl"),
        pytest.param("csv", ",".join([*(field.name for field in fields(catalog.Entry)), "cached"]) + "\n", id="csv"),
        pytest.param("table", "No model matches: raise --max-params or drop --family.\n", id="table"),
    ],
)
def test_a_list_without_models_is_an_empty_one_of_its_format(name: str, expected: str) -> None:
    assert run("-f", name, "--max-params", "1M", "--family", "vit") == expected


def test_the_built_in_model_needs_no_cache() -> None:
    assert by_alias(json.loads(run("-f", "json")))["tiny"]["cached"] is True
    assert "built in" in run("-f", "table").splitlines()[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize("name", ["table", "json", "jsonl", "csv"])
def test_a_full_disk_is_one_line(name: str) -> None:
    command = [*program(), "models", "-f", name]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "vithybrid: Cannot write to stdout: No space left on device. What was written stays; make room there.\n",
    )
