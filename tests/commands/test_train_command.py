"""The contract of ``vithybrid train``: from folders of pictures to a checkpoint, broken off and continued."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from places import GOLDENS
from safetensors import safe_open
from typer.testing import CliRunner

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.commands.app import app
from vithybrid_cli.hub.locate import locate

GOLDEN = GOLDENS / "hf-hybrid-small"
CONFIG = {
    "model_type": "vit-hybrid",
    "backbone_config": {
        "model_type": "bit",
        "layer_type": "bottleneck",
        "global_padding": "SAME",
        "embedding_size": 8,
        "hidden_sizes": [16],
        "depths": [1],
        "num_groups": 4,
        "out_features": ["stage1"],
    },
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 16,
}
RECIPE = ["-c", "small", "--epochs", "2", "-b", "4", "--lr", "0.01", "--device", "cpu"]
LONG = [*RECIPE, "--epochs", "30", "--no-progress"]  # epochs of some 50 ms: time enough to be ended in their midst
STATE = "training_state.safetensors"
SUMMARY = "16 pictures of 2 labels: blue 8, red 8\n"


def picture(file: Path, colour: tuple[int, int, int]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 18), colour).save(file)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks as small as these only lose by more; here and in the programs that are started."""
    threads = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with training and held-out pictures, and the config of a very small network."""
    for folder, count in (("train", 8), ("test", 3)):
        for number in range(count):
            picture(tmp_path / folder / "blue" / f"{number}.png", (30, 40, 180 + number))
            picture(tmp_path / folder / "red" / f"{number}.png", (180 + number, 40, 30))
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Any:
    """Run vithybrid in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def train(*arguments: str, recipe: list[str] = RECIPE) -> Any:
    return run("train", "train", *recipe, *arguments)


def weights(folder: Path | str) -> bytes:
    return (Path(folder) / "model.safetensors").read_bytes()


def spoil(file: str) -> str:
    Path(file).write_bytes(b"no picture")
    return file


def test_the_colours_are_learnt_and_the_accuracy_on_the_held_out_folder_is_printed(place: Path) -> None:
    done = train("-o", "out", "--held-out", "test", "--no-progress")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert (report["pictures"], report["top1"], report["unreadable"]) == (6, 1.0, [])
    epochs = r"epoch 1 of 2: loss 0\.\d{4}\nepoch 2 of 2: loss 0\.\d{4}\n"
    assert re.fullmatch(SUMMARY + "held out: 6 pictures of 2 labels: blue 3, red 3\n" + epochs, done.stderr)


def test_classify_and_evaluate_take_the_folder_that_was_written(place: Path) -> None:
    done = train("-o", "out", "--weights-dtype", "float16")
    assert (done.exit_code, done.stdout) == (0, "")
    record = json.loads(run("classify", "test/red/0.png", "-m", "./out", "-k", "1").stdout)
    assert (record["predictions"][0]["index"], record["predictions"][0]["label"]) == (1, "red")
    assert json.loads(run("evaluate", "test", "-m", "./out").stdout)["top1"] == 1.0


def test_one_epoch_is_enough_for_a_checkpoint_and_its_learning_rate_still_rises_and_falls(place: Path) -> None:
    done = train("-o", "out", "--epochs", "1", "--warmup-epochs", "5", "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert (place / "out" / "config.json").is_file()


@pytest.mark.parametrize("config", ["small", "./small", "small/", "small/config.json"])
def test_the_config_is_named_by_its_folder_or_its_file(place: Path, config: str) -> None:
    assert train("-c", config, "-o", "out").exit_code == 0
    assert json.loads((place / "out" / "config.json").read_text(encoding="utf-8"))["hidden_size"] == 16


def test_without_a_config_it_is_the_one_of_tiny(place: Path) -> None:
    assert train("-o", "out", recipe=["--epochs", "1", "-b", "16", "-q"]).exit_code == 0
    tiny, out = (Checkpoint.read(locate(name)).config for name in ("tiny", "./out"))
    assert out == replace(tiny, labels=("blue", "red"))


def test_labels_may_be_links_and_pictures_lie_deep(place: Path) -> None:
    (place / "far").mkdir()
    (place / "train" / "red").rename(place / "far" / "red")
    (place / "train" / "red").symlink_to(place / "far" / "red", target_is_directory=True)
    (place / "train" / "blue").rename(place / "far" / "deep")
    (place / "train" / "blue").mkdir()
    (place / "far" / "deep").rename(place / "train" / "blue" / "deep")
    assert train("-o", "out", "--held-out", "test").exit_code == 0
    assert list(json.loads((place / "out" / "config.json").read_text(encoding="utf-8"))["label2id"]) == ["blue", "red"]


def test_fine_tuning_with_other_labels_replaces_the_head(place: Path) -> None:
    recipe = ["--epochs", "2", "--lr", "0.001", "-b", "4"]
    done = train("-o", "out", "-m", str(GOLDEN), "--held-out", "test", recipe=recipe)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["top1"] == 1.0
    assert json.loads((place / "out" / "config.json").read_text(encoding="utf-8"))["id2label"] == {
        "0": "blue",
        "1": "red",
    }


def test_fine_tuning_begins_with_a_file_of_weights(place: Path) -> None:
    npz = GOLDEN.parent / "jax-hybrid" / "R50+ViT.npz"
    assert train("-o", "out", "-m", str(npz), "--epochs", "1", recipe=RECIPE[2:]).exit_code == 0
    assert Checkpoint.read(place / "out").config.labels == ("blue", "red")


def test_fine_tuning_with_the_same_labels_keeps_what_was_learnt(place: Path) -> None:
    train("-o", "start")
    done = train("-o", "out", "-m", "./start", "--held-out", "test", recipe=["--lr", "0", "--epochs", "1"])
    assert json.loads(done.stdout)["top1"] == 1.0
    assert weights("out") == weights("start")


def test_unreadable_pictures_are_named_once_and_the_run_goes_on(place: Path) -> None:
    bad = [spoil(f"train/red/{number}.png") for number in (3, 5, 6, 7)]
    done = train("-o", "out", "--no-progress", "--epochs", "3", "-b", "1")
    named = [line for line in done.stderr.splitlines() if not line.startswith("epoch")]
    assert named[0] == SUMMARY.strip()
    assert sorted(named[1:]) == [f"{path}: left out, since it cannot be read" for path in bad]
    assert len(done.stderr.splitlines()) == 1 + 4 + 3
    assert (done.exit_code, done.stdout) == (1, "")
    assert (place / "out" / "model.safetensors").is_file()


def test_unreadable_held_out_pictures_are_named_and_counted(place: Path) -> None:
    spoil("test/red/1.png")
    done = train("-o", "out", "--held-out", "test")
    report = json.loads(done.stdout)
    assert (report["pictures"], report["top1"]) == (5, 1.0)
    assert [record["path"] for record in report["unreadable"]] == ["test/red/1.png"]
    assert "test/red/1.png: " in done.stderr
    assert done.exit_code == 1


def test_quiet_leaves_unreadable_pictures_to_the_exit_code(place: Path) -> None:
    spoil("train/red/1.png")
    done = train("-o", "out", "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "")


def test_a_label_that_has_only_unreadable_pictures_is_trained_around(place: Path) -> None:
    for number in range(8):
        spoil(f"train/red/{number}.png")
    assert train("-o", "out", "-q").exit_code == 1
    assert json.loads(run("classify", "test/red/0.png", "-m", "./out").stdout)["predictions"][0]["label"] == "blue"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["-o", "out", "-m", str(GOLDEN)], "Give --config or --model, not both.", id="config and model"),
        pytest.param(["-o", "small/config.json"], "Give another --output", id="output is a file"),
        pytest.param(["-o", "small/config.json/below"], "Give another --output", id="output below a file"),
        pytest.param(["-o", "train"], "train is within train, where each folder is a label", id="output is the data"),
        pytest.param(["-o", "train/new"], "Give an --output outside of it", id="output among the data"),
        pytest.param(["-o", "small"], "small holds a checkpoint already. Give another --output", id="foreign output"),
        pytest.param(["-o", "small", "--resume"], "small holds no run to resume", id="nothing to resume"),
        pytest.param(["-o", "out", "--held-out", "nowhere"], "nowhere is no folder", id="no held-out folder"),
        pytest.param(
            ["-o", "out", "--held-out", "odd"], "not labels: green (the labels are blue, red)", id="odd label"
        ),
        pytest.param(["-o", "out", "--held-out", "void"], "void holds no pictures", id="empty held-out folder"),
        pytest.param(["-o", "out", "-c", "train/red/0.png"], "0.png is a file", id="config is a picture"),
        pytest.param(["-o", "out", "--epochs", "0"], "epochs", id="no epochs"),
        pytest.param(["-o", "out", "--seed", "-1"], "seed", id="negative seed"),
        pytest.param(["-o", "out", "--seed", "99999999999"], "seed", id="large seed"),
        pytest.param(["-o", "out", "--min-area", "0"], "min-area", id="no area"),
        pytest.param(["-o", "out", "--label-smoothing", "1.5"], "label-smoothing", id="too much smoothing"),
        pytest.param(["-o", "out", "--weights-dtype", "int8"], "int8", id="unknown type"),
        pytest.param(["-o", "out", "--device", "tpu"], "not a device", id="unknown device"),
        pytest.param(["-o", "out", "--lr", "1e30"], "Give a lower learning rate (--lr)", id="diverging"),
        pytest.param([], "--output", id="no output"),
    ],
)
def test_wrong_usage_says_what_and_exits_with_2(place: Path, arguments: list[str], says: str) -> None:
    picture(place / "odd" / "green" / "0.png", (0, 255, 0))
    (place / "void" / "red").mkdir(parents=True)
    done = train(*arguments)
    assert says in re.sub(r"[\s│]+", " ", done.stderr)
    assert (done.exit_code, done.stdout) == (2, "")
    assert not (place / "out" / "config.json").exists()


@pytest.mark.parametrize(
    ("start", "says"),
    [
        pytest.param(["-c", "nowhere/at/all"], "There is no folder or file", id="no such config"),
        pytest.param(["-m", "./small"], "holds no model.safetensors", id="no weights"),
        pytest.param(["-c", "./train"], "holds pictures (blue/, red/) and no checkpoint", id="no config"),
    ],
)
def test_a_start_that_cannot_be_had_exits_with_3(place: Path, start: list[str], says: str) -> None:
    done = train("-o", "out", recipe=start)
    assert says in done.stderr
    assert done.exit_code == 3
    assert not (place / "out").exists()


def test_a_checkpoint_is_not_written_over(place: Path) -> None:
    train("-o", "out")
    before = weights("out")
    done = train("-o", "out", "--seed", "1")
    assert "Give --resume to continue it, or another --output." in done.stderr
    assert done.exit_code == 2
    assert weights("out") == before


def test_a_run_is_not_resumed_with_other_options(place: Path) -> None:
    train("-o", "out")
    done = train("-o", "out", "--resume", "--lr", "0.5", "--label-smoothing", "0")
    assert done.stderr == (
        "vithybrid: out holds another run: learning_rate 0.01, not 0.5, label_smoothing 0.1, not 0.0. "
        "Resume with the options of that run.\n"
    )
    assert done.exit_code == 2


def test_a_run_that_is_done_is_only_measured_again(place: Path) -> None:
    train("-o", "out")
    before = weights("out")
    done = train("-o", "out", "--resume", "--held-out", "test")
    assert (done.exit_code, json.loads(done.stdout)["top1"]) == (0, 1.0)
    assert re.fullmatch(r"nothing left to train: out is trained for \d+ epochs?\n", done.stderr)
    assert weights("out") == before


@pytest.mark.parametrize(
    ("blow", "exit_code"),
    [
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGINT, 130, id="interrupted"),
    ],
)
def test_a_run_that_was_ended_is_resumed_to_the_same_bytes(place: Path, blow: signal.Signals, exit_code: int) -> None:
    command = [sys.executable, "-m", "vithybrid_cli", "train", "train", *LONG, "-o", "out"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == SUMMARY
        stderr = process.stderr.readline() + process.stderr.readline()  # the second epoch: the first one is written
        process.send_signal(blow)
        stderr += process.stderr.read()
        assert process.stdout.read() == ""
    assert process.returncode == exit_code
    said = re.sub(r"epoch \d+ of 30: loss 0\.\d{4}\n", "", stderr)
    told = r"interrupted after \d+ of 30 epochs, which are in out; --resume goes on from there\n"
    assert re.fullmatch(told if blow is signal.SIGINT else "", said)
    assert 1 <= _epochs_done(place / "out") < 30
    assert run("classify", "test/red/0.png", "-m", "./out").exit_code == 0
    assert train("-o", "out", "--resume", "-q", recipe=LONG).exit_code == 0
    assert train("-o", "unbroken", "-q", recipe=LONG).exit_code == 0
    assert _epochs_done(place / "out") == 30
    assert weights("out") == weights("unbroken")


def test_of_two_programs_that_train_into_one_folder_the_second_is_refused(place: Path) -> None:
    endless = [*LONG, "--epochs", "100000"]
    command = [sys.executable, "-m", "vithybrid_cli", "train", "train", *endless, "-o", "out"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        assert first.stderr.readline() == SUMMARY
        first.stderr.readline()
        first.stderr.readline()  # the second epoch: the first one is written
        done = train("-o", "out", "--resume", recipe=endless)
        assert first.poll() is None
        first.kill()
    assert done.stderr == SUMMARY + (
        "vithybrid: Another training run is writing to out. Wait until it has ended, or give another --output.\n"
    )
    assert done.exit_code == 2


def _epochs_done(folder: Path) -> int:
    with safe_open(folder / STATE, framework="pt") as state:
        return int(state.metadata()["epochs_done"])


def test_progress_stays_off_stdout(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vithybrid_cli.commands.progress.PLAIN_INTERVAL", 0.0)
    done = train("-o", "out")
    assert done.stdout == ""
    assert re.search(r"^32 of 32 pictures, ", done.stderr, re.MULTILINE)


def test_resume_begins_where_nothing_was_written_yet(place: Path) -> None:
    Path("out").mkdir()  # as a run leaves it that is killed in its first epoch
    done = run("train", "train", *RECIPE, "-o", "out", "--resume")
    assert (done.exit_code, done.stdout) == (0, "")
    assert Path("out", "model.safetensors").is_file()
