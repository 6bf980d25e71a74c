"""``classify --unsure --rollup`` from end to end: files of any format, resumed, updated, computed as a job."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fake_program import SIDE, FakeEngine
from PIL import Image
from places import GOLDENS
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.jobs.job import Job
from vithybrid_cli.jobs.worker import Worker
from vithybrid_cli.output.read_results import read_results
from vithybrid_cli.pipeline.classifier import Classifier
from vithybrid_cli.results import ImageResult
from vithybrid_cli.settings import Running

# The later ones have higher scores, the more so the brighter the picture is.
LABELS = (
    "minivan",
    "pizza, pizza pie",
    "volcano",
    "malamute, malemute, Alaskan malamute",
    "Siberian husky",
)
OF_THE_MODEL = (
    *LABELS,
    "daisy",
    "tabby, tabby cat",
    "tench, Tinca tinca",
)  # as many as its weights have; a fake has fewer
RULES = ("--rollup", "0.8", "--unsure", "0.6")
FORMATS = ("jsonl", "json", "csv", "tsv", "parquet")
TEXTS = FORMATS[:-1]
every_text = pytest.mark.parametrize("output_format", TEXTS)


def opened(checkpoint: object, how: Running, batch_limit: int | None = None) -> Classifier:
    """What stands in for `vithybrid_cli.runs.label.open_classifier`."""
    return Classifier(FakeEngine(batch_size=how.batch_size or 3), Preprocessing.default((SIDE, SIDE)), LABELS)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with ``p``: eight pictures from dark to bright, and one that is none; and a model."""
    (tmp_path / "p").mkdir()
    for number in range(8):
        Image.new("RGB", (4, 4), (30 * number,) * 3).save(tmp_path / "p" / f"{number}.png")
    (tmp_path / "p" / "2a.png").write_bytes(b"no picture")
    model = tmp_path / "dogs"
    shutil.copytree(GOLDENS / "hf-hybrid-small", model)
    config = json.loads((model / "config.json").read_text())
    config |= {
        "id2label": dict(enumerate(OF_THE_MODEL)),
        "label2id": {label: i for i, label in enumerate(OF_THE_MODEL)},
    }
    (model / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", opened)
    monkeypatch.setattr("vithybrid_cli.jobs.worker.open_classifier", opened)
    return tmp_path


def run(*arguments: str, command: tuple[str, ...] = ("classify", "-m", "dogs")) -> Any:
    """Run the program in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, [*command, *arguments], catch_exceptions=False)


def classified(output: str, *more: str) -> bytes:
    """What one run over all pictures writes."""
    done = run("p", "-k", "2", "-q", "-o", output, *(more or RULES))
    assert done.exit_code == 1, done.stderr  # since one is no picture
    return Path(output).read_bytes()


def answers(file: str) -> list[str | None]:
    return [None if (answer := result.answer) is None else answer.label for result in read_results(Path(file))]


def test_dark_pictures_are_unsure_others_sled_dogs_and_bright_ones_huskies(folder: Path) -> None:
    classified("out.jsonl")
    results = [result for result in read_results(Path("out.jsonl")) if result.error is None]
    assert len(results) == 8
    assert {expected(result) for result in results} == {"unsure", "sled dog", "Siberian husky"}
    assert [result.answer and result.answer.label for result in results] == [expected(result) for result in results]


def expected(result: ImageResult) -> str:
    """What the rules make of a picture, by its predictions: both are sled dogs, and nothing else is one."""
    husky, malamute = (prediction.score for prediction in result.predictions)
    if husky < 0.8 <= husky + malamute:
        return "sled dog"
    return "unsure" if husky < 0.6 else "Siberian husky"


def test_each_record_of_such_a_run_tells_its_label(folder: Path) -> None:
    classified("out.jsonl")
    records = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert {tuple(record) for record in records} == {("path", "error"), ("path", "label", "score", "predictions")}
    assert [record.get("label") for record in records] == answers("out.jsonl")


def test_predictions_are_those_of_a_run_without_rules(folder: Path) -> None:
    classified("plain.jsonl", "--quiet")
    classified("out.jsonl")
    plain = [json.loads(line) for line in Path("plain.jsonl").read_text().splitlines()]
    ruled = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    for record in ruled:
        record.pop("label", None)
        record.pop("score", None)
    assert ruled == plain
    assert "unsure" not in Path("plain.jsonl.run.json").read_text()


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_tells_the_same_answers(folder: Path, output_format: str) -> None:
    if output_format == "parquet":
        pytest.importorskip("pyarrow")
    classified("out.jsonl")
    classified(f"other.{output_format}")
    assert answers(f"other.{output_format}") == answers("out.jsonl")


def test_the_first_row_of_a_picture_is_its_answer(folder: Path) -> None:
    classified("out.csv")
    with Path("out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows if row["rank"] == "0"] == [one for one in answers("out.csv") if one]


def test_people_see_the_answer_before_the_labels(folder: Path) -> None:
    lines = run("p/0.png", "p/4.png", "-k", "1", "-f", "table", *RULES).stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["unsure", "husky", "dog", "husky"]


# Runs that go on


@every_text
def test_a_file_that_is_cut_becomes_what_one_run_writes(folder: Path, output_format: str) -> None:
    output = Path(f"out.{output_format}")
    whole = classified(str(output))
    for cut in range(1, len(whole), len(whole) // 8):
        output.write_bytes(whole[:cut])
        assert classified(str(output), *RULES, "--resume") == whole, f"cut after {cut} bytes"


@every_text
def test_an_update_follows_the_pictures_and_keeps_the_answers(folder: Path, output_format: str) -> None:
    output = f"out.{output_format}"
    classified(output)
    Path("p/1.png").unlink()
    Image.new("RGB", (4, 5), (240,) * 3).save("p/9.png")
    updated = classified(output, *RULES, "--update")
    names = [result.path for result in read_results(Path(output))]
    assert names == ["p/0.png", "p/2.png", "p/2a.png", *(f"p/{number}.png" for number in (3, 4, 5, 6, 7, 9))]
    for result in read_results(Path(output)):
        assert (result.answer and result.answer.label) == (None if result.error else expected(result))
    assert classified(output, *RULES, "--update") == updated


@pytest.mark.parametrize("asked", ["--resume", "--update"])
@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        pytest.param(RULES, ("--rollup", "0.8", "--unsure", "0.5"), "--unsure 0.6, now 0.5", id="another score"),
        pytest.param(RULES, ("--rollup", "0.8"), "--unsure 0.6, now without it", id="without it"),
        pytest.param(("-q",), ("--unsure", "0.6"), "no --unsure, now 0.6", id="with it"),
        pytest.param(("--unsure", "0.6"), RULES, "no --rollup, now 0.8", id="with one more"),
        pytest.param(RULES, ("-q",), "--unsure 0.6, now without it; --rollup 0.8, now without it", id="without both"),
    ],
)
def test_a_run_goes_on_with_the_same_rules_alone(
    folder: Path, asked: str, first: tuple[str, ...], second: tuple[str, ...], says: str
) -> None:
    before = classified("out.jsonl", *first)
    done = run("p", "-k", "2", "-o", "out.jsonl", asked, *second)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"vithybrid: out.jsonl was made with {says}.")
    assert Path("out.jsonl").read_bytes() == before


# Jobs


@pytest.mark.parametrize("output_format", FORMATS)
def test_shards_become_the_bytes_of_one_classify(folder: Path, output_format: str) -> None:
    if output_format == "parquet":
        pytest.importorskip("pyarrow")
    plan = ("job", "plan", "p", "-o", "job", "-m", "dogs", "-k", "2", "--shard-size", "4")
    assert run(*RULES, command=plan).exit_code == 0
    job = Job.open("job")
    worker = Worker(job)
    for shard in range(job.shards):
        worker.compute(shard)
    run("job", "merge", "job", "-q", "-o", f"merged.{output_format}", command=())
    assert Path(f"merged.{output_format}").read_bytes() == classified(f"whole.{output_format}")


# What cannot be done


@pytest.mark.parametrize("command", [("classify", "p", "-m"), ("job", "plan", "p", "-o", "job", "-m")])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("dogs", "--unsure", "60"), "The score 60.0 is no probability. Give --unsure one", id="per cent"),
        pytest.param(("dogs", "--rollup", "-1"), "The score -1.0 is no probability. Give --rollup one", id="below 0"),
        pytest.param(
            ("dogs", "--rollup", "0.5", "--activation", "sigmoid"),
            "Each label has a score of its own with a sigmoid, and those of several do not add up. "
            "Leave out --rollup, or give --activation softmax.",
            id="sigmoid",
        ),
        pytest.param(
            ("dogs", "--unsure", "0.5", "--activation", "none"),
            "The scores are the network's outputs themselves, and no probabilities. "
            "Leave out --unsure, or give --activation softmax.",
            id="outputs",
        ),
        pytest.param(
            ("tiny", "--rollup", "0.5"),
            "8 of the 10 labels of the model are none of ImageNet's, so they have no place in WordNet: "
            '"airplane", "automobile", "cat" and 5 more. '
            "Leave out --rollup, or give a --model with ImageNet's labels or WordNet ids.",
            id="other labels",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_before_a_network_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], arguments: tuple[str, ...], says: str
) -> None:
    def loaded(*_: object) -> Classifier:
        raise AssertionError("a network is loaded")

    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", loaded)
    done = run(*arguments, command=command)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"vithybrid: {says}")
    assert not Path("job").exists()
