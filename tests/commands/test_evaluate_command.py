"""The contract of ``vithybrid evaluate``: numbers that are counted by hand, in each format, and how the run ends."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from headless import make_headless
from PIL import Image
from places import GOLDENS
from safetensors.torch import save_file
from small_checkpoints import PLAIN, random_weights
from typer.testing import CliRunner

from vithybrid_cli import Classifier
from vithybrid_cli.checkpoints.layouts.imagenet import imagenet_labels
from vithybrid_cli.checkpoints.layouts.transformers import write_config
from vithybrid_cli.checkpoints.load import transformers_map
from vithybrid_cli.commands.app import app
from vithybrid_cli.images.decode import decode
from vithybrid_cli.settings import Decoding

MODEL = str(GOLDENS / "hf-hybrid-small")
LABELS = (
    "tench, Tinca tinca",
    "crane",
    "crane",
    "tabby, tabby cat",
    "maillot, tank suit",
    "émeu",
    'a"quoted"',
    "a,comma",
)


def run(*arguments: str) -> Any:
    """Run evaluate in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, ["evaluate", "-m", MODEL, "--device", "cpu", *arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, list[int]]]:
    """Pictures, and the model's eight labels for each, best first."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(random.integers(0, 256, (70, 80, 3), np.uint8)).save(folder / f"{number}.png")
    paths = sorted(folder.iterdir())
    results = Classifier.from_pretrained(MODEL, device="cpu").classify(paths, top_k=8)
    return [(path, [p.index for p in result.predictions]) for path, result in zip(paths, results, strict=True)]


@pytest.fixture
def pictures(ranked: list[tuple[Path, list[int]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Six pictures in folders of the current one, as the model ranks them: 1st, 1st, 1st, 2nd, 5th and 6th.

    Gives the index of the label, and the one that the model gives, of each.
    """
    monkeypatch.chdir(tmp_path)
    pairs = []
    for rank, (path, labels) in zip([0, 0, 0, 1, 4, 5], ranked, strict=True):
        folder = tmp_path / "labelled" / str(labels[rank])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).write_bytes(path.read_bytes())
        pairs.append([labels[rank], labels[0]])
    return pairs


def spoil(pairs: list[list[int]]) -> str:
    """Add a file that is no picture to a label."""
    file = Path("labelled", str(pairs[0][0]), "bad.png")
    file.write_bytes(b"no picture")
    return str(file)


def test_top1_and_top5_count_the_first_and_the_first_five_labels(pictures: list[list[int]]) -> None:
    done = run("labelled", "-f", "json")
    report = json.loads(done.stdout)
    assert (report["pictures"], report["top1"], report["top5"]) == (6, 0.5, round(5 / 6, 6))
    assert report["unreadable"] == []
    assert (done.exit_code, done.stderr) == (0, "")


def test_each_label_has_its_recall_and_precision(pictures: list[list[int]]) -> None:
    report = json.loads(run("labelled").stdout)
    assert [record["index"] for record in report["labels"]] == sorted({index for pair in pictures for index in pair})
    for record in report["labels"]:
        index = record["index"]
        true, given = (sum(pair[side] == index for pair in pictures) for side in (0, 1))
        right = pictures.count([index, index])
        assert record["label"] == LABELS[index]
        assert (record["pictures"], record["predicted"], record["correct"]) == (true, given, right)
        assert record["recall"] == (round(right / true, 6) if true else None)
        assert record["precision"] == (round(right / given, 6) if given else None)


def test_the_confusions_are_the_pairs_that_differ(pictures: list[list[int]]) -> None:
    report = json.loads(run("labelled").stdout)
    found = [[c["true_index"], c["predicted_index"]] for c in report["confusions"] for _ in range(c["count"])]
    assert sorted(found) == sorted(pair for pair in pictures if pair[0] != pair[1])
    counts = [confusion["count"] for confusion in report["confusions"]]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize(
    "options", [["-b", "1"], ["-b", "4", "-j", "3"], ["--attention", "eager"], ["--no-progress"], ["--fast-jpeg"]]
)
def test_how_it_runs_does_not_change_the_numbers(pictures: list[list[int]], options: list[str]) -> None:
    assert run("labelled", *options).stdout == run("labelled").stdout


@pytest.mark.parametrize(("options", "fast"), [([], False), (["--fast-jpeg"], True)])
def test_fast_jpeg_reaches_the_decoder(
    pictures: list[list[int]], options: list[str], fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def noted(path: str, how: Decoding, draft_side: int | None, *others: Any) -> Image.Image:
        asked.append(draft_side is not None)
        return decode(path, how, draft_side, *others)

    monkeypatch.setattr("vithybrid_cli.images.read.decode", noted)
    assert run("labelled", *options).exit_code == 0
    assert asked == [fast] * len(pictures)


def test_into_a_pipe_goes_the_same_object_on_one_line(pictures: list[list[int]]) -> None:
    one_line = run("labelled").stdout
    assert len(one_line.splitlines()) == 1
    assert one_line == run("labelled", "-f", "jsonl").stdout
    assert json.loads(one_line) == json.loads(run("labelled", "-f", "json").stdout)


@pytest.mark.parametrize(("name", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_rows_have_what_the_json_has(pictures: list[list[int]], name: str, delimiter: str) -> None:
    bad = spoil(pictures)
    rows = list(csv.DictReader(io.StringIO(run("labelled", "-f", name).stdout), delimiter=delimiter))
    report = json.loads(run("labelled").stdout)
    (summary,), labels, confusions, (unreadable,), bins = (
        [row for row in rows if row["kind"] == kind]
        for kind in ("summary", "label", "confusion", "unreadable", "calibration")
    )
    assert len(rows) == 1 + len(labels) + len(confusions) + 1 + len(bins)
    assert [float(summary[f"top{k}_{end}"]) for k in (1, 5) for end in ("low", "high")] == [
        *report["top1_interval"],
        *report["top5_interval"],
    ]
    assert float(summary["calibration_error"]) == report["calibration"]["error"]
    assert [int(row["pictures"]) for row in bins] == [one["pictures"] for one in report["calibration"]["bins"]]
    assert (float(summary["top1"]), float(summary["top5"])) == (report["top1"], report["top5"])
    assert (summary["pictures"], summary["unreadable"], unreadable["path"]) == ("6", "1", bad)
    for row, record in zip(labels, report["labels"], strict=True):
        for column, value in record.items():
            if column.endswith("_interval"):
                continue
            assert row[column] == ("" if value is None else f"{value:.6f}" if isinstance(value, float) else str(value))
    assert [(row["label"], row["predicted_label"], int(row["pictures"])) for row in confusions] == [
        (pair["true"], pair["predicted"], pair["count"]) for pair in report["confusions"]
    ]


def test_the_table_ends_with_the_accuracy(pictures: list[list[int]]) -> None:
    lines = run("labelled", "-f", "table").stdout.splitlines()
    assert lines[-1].startswith("top-1 50.0% (18.8–81.2)   top-5 83.3% (43.6–97.0)   calibration error ")
    assert lines[-1].endswith("%   pictures 6   unreadable 0")
    assert "Most confused" in [line.strip() for line in lines]


@pytest.mark.parametrize("output_format", ["json", "jsonl", "csv", "tsv", "table"])
def test_unreadable_pictures_are_named_and_the_exit_code_is_1(pictures: list[list[int]], output_format: str) -> None:
    bad = spoil(pictures)
    before = run("labelled", "-f", output_format)
    assert before.exit_code == 1
    assert before.stderr.startswith(f"{bad}: ")
    assert len(before.stderr.splitlines()) == 1
    assert run("labelled", "-f", output_format, "--quiet").stderr == ""


def test_unreadable_pictures_are_records_of_the_report_and_in_no_other_number(pictures: list[list[int]]) -> None:
    before = json.loads(run("labelled").stdout)
    bad = spoil(pictures)
    report = json.loads(run("labelled").stdout)
    assert [(record["path"], record["error"]["type"]) for record in report["unreadable"]] == [(bad, "UnreadableImage")]
    assert {**report, "unreadable": []} == before


def test_a_folder_of_unreadable_pictures_has_no_accuracy(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "bad.png").write_bytes(b"")
    done = run(str(tmp_path))
    report = json.loads(done.stdout)
    assert (report["pictures"], report["top1"], report["top5"], len(report["unreadable"])) == (0, None, None, 1)
    assert done.exit_code == 1


def test_folders_are_named_by_label_first_name_or_index(ranked: list[tuple[Path, list[int]]], tmp_path: Path) -> None:
    for name in ("tench", "2", "tabby, tabby cat", "émeu"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(ranked[0][0].read_bytes())
    records = json.loads(run(str(tmp_path)).stdout)["labels"]
    assert [record["index"] for record in records if record["pictures"]] == [0, 2, 3, 5]


def test_the_output_file_holds_what_stdout_would_and_its_suffix_is_its_format(pictures: list[list[int]]) -> None:
    done = run("labelled", "-o", "out.csv")
    assert (done.exit_code, done.stdout) == (0, "")
    assert Path("out.csv").read_text(encoding="utf-8") == run("labelled", "-f", "csv").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["nowhere"], "nowhere is no folder", id="no folder"),
        pytest.param(["void"], "void holds no folders", id="empty folder"),
        pytest.param(["hollow"], "hollow holds no pictures", id="empty label"),
        pytest.param(["odd"], '"kraken"', id="unknown label"),
        pytest.param(["doubtful"], '"crane" (1 or 2)', id="ambiguous label"),
        pytest.param(["labelled", "-o", "no/such/folder.json"], "Cannot write", id="no output folder"),
        pytest.param(
            ["labelled", "-o", "out.yaml"], "json, jsonl, csv, tsv or html, and not as yaml", id="unknown suffix"
        ),
        pytest.param(["labelled", "--device", "tpu"], "not a device", id="unknown device"),
        pytest.param(["labelled", "--format", "xml"], "xml", id="unknown format"),
        pytest.param([], "INPUTS", id="no folder given"),
    ],
)
def test_wrong_usage_says_what_and_exits_with_2(pictures: list[list[int]], arguments: list[str], says: str) -> None:
    for folder in ("void", "hollow/tench", "odd/kraken", "doubtful/crane"):
        Path(folder).mkdir(parents=True)
    done = run(*arguments)
    assert says in done.stderr
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_network_without_a_head_exits_with_3(pictures: list[list[int]]) -> None:
    make_headless(Path("headless"))
    done = run("labelled", "-m", "headless")
    assert "headless has no head that is read here, so it gives no labels." in done.stderr
    assert (done.exit_code, done.stdout) == (3, "")


def test_the_image_size_reaches_the_network(pictures: list[list[int]]) -> None:
    assert run("labelled", "--image-size", "64").stdout == run("labelled").stdout
    done = run("labelled", "--image-size", "4", "-m", str(Path(MODEL).parent / "hf-vit"))
    assert "pixels, not 4. Raise --image-size." in done.stderr
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_model_that_is_not_there_exits_with_3(pictures: list[list[int]]) -> None:
    done = run("labelled", "-m", "./nowhere")
    assert "There is no folder or file" in done.stderr
    assert (done.exit_code, done.stdout) == (3, "")


def test_progress_goes_to_stderr(pictures: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vithybrid_cli.commands.progress.PLAIN_INTERVAL", 0.0)
    done = run("labelled", "-b", "1")
    assert re.search(r"^6( of 6)? pictures, ", done.stderr, re.MULTILINE)  # the total is counted beside the work
    assert json.loads(done.stdout)["pictures"] == 6
    assert run("labelled", "-b", "1", "--no-progress").stderr == ""


def test_only_the_report_reaches_stdout_of_the_real_program(pictures: list[list[int]]) -> None:
    spoil(pictures)
    command = [sys.executable, "-m", "vithybrid_cli", "evaluate", "labelled", "-m", MODEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["pictures"] == 6
    assert done.returncode == 1


@pytest.mark.usefixtures("pictures")
def test_a_picture_is_not_written_over() -> None:
    picture = next(Path("labelled").rglob("*.png"))
    before = picture.read_bytes()
    done = run("labelled", "-o", str(picture))
    assert (done.exit_code, picture.read_bytes()) == (2, before)
    assert "is a picture, which would be overwritten" in done.stderr


@pytest.mark.usefixtures("pictures")
def test_the_model_is_not_written_over(tmp_path: Path) -> None:
    model = shutil.copytree(MODEL, tmp_path / "model")
    before = (model / "config.json").read_bytes()
    done = run("labelled", "-m", str(model), "-o", str(model / "config.json"))
    assert (done.exit_code, (model / "config.json").read_bytes()) == (2, before)
    assert "belongs to the model" in done.stderr


def model_of(folder: Path, labels: tuple[str, ...], **fields: Any) -> str:
    """A small checkpoint with these labels."""
    config = replace(PLAIN, labels=labels)
    tensors = transformers_map(config).from_ours(random_weights(config))
    folder.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(write_config(config) | fields), encoding="utf-8")
    processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    return str(folder)


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes folders with one picture each in ``labelled`` of the current folder."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str) -> None:
        for number, name in enumerate(names):
            Path("labelled", name).mkdir(parents=True)
            Image.new("RGB", (40, 40), (number * 40, 90, 200)).save(Path("labelled", name, "picture.png"))

    return make


def test_a_model_that_scores_each_label_by_itself_is_measured_by_rank_and_it_is_said(
    labelled: Callable[..., None], tmp_path: Path
) -> None:
    labels = ("beach", "person", "sunset")
    labelled(*labels)
    alike = run("labelled", "-m", model_of(tmp_path / "one-is-right", labels))
    each = run("labelled", "-m", model_of(tmp_path / "each", labels, problem_type="multi_label_classification"))
    [one, other] = (json.loads(done.stdout) for done in (alike, each))
    assert [report.pop("calibration")["scores"] for report in (one, other)] == ["softmax", "sigmoid"]
    assert one == other
    assert alike.stderr == ""
    assert each.stderr == (
        "the model scores each label by itself, and a folder names one label: where a picture has others too, they "
        "count as wrong in top-1, precision, confusions and the calibration error\n"
    )


@pytest.mark.parametrize(
    ("labels", "fields", "says"),
    [
        pytest.param(("smile",), {}, 'has one label, "smile", so there is nothing to tell it from.', id="one label"),
        pytest.param(("a", "b"), {"problem_type": "regression"}, "gives values (regression), which", id="values"),
    ],
)
def test_a_model_that_label_folders_cannot_measure_is_refused_with_what_to_do(
    labels: tuple[str, ...], fields: dict[str, str], says: str, labelled: Callable[..., None], tmp_path: Path
) -> None:
    labelled(*labels)
    done = run("labelled", "-m", model_of(tmp_path / "mine", labels, **fields))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"vithybrid: {tmp_path / 'mine'} {says}")
    assert "vithybrid classify" in done.stderr


def test_folders_named_by_wordnet_ids_are_measured_with_imagenets_labels(
    labelled: Callable[..., None], tmp_path: Path
) -> None:
    labelled("n02123045", "tench", "n02085620-Chihuahua", "3")
    report = json.loads(run("labelled", "-m", model_of(tmp_path / "imagenet", imagenet_labels())).stdout)
    true = [record["index"] for record in report["labels"] if record["pictures"]]
    assert (report["pictures"], true) == (4, [0, 3, 151, 281])


def test_a_folder_that_is_no_label_is_said_before_the_weights_are_read(
    labelled: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classifier, "open", None)
    labelled("kraken")
    done = run("labelled", "-m", model_of(tmp_path / "mine", ("a", "b")))
    assert done.exit_code == 2
    assert '"kraken"' in done.stderr
