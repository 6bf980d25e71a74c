"""The contract of ``vithybrid train``: from folders of pictures to a checkpoint, broken off and continued."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
import torch
from PIL import Image
from places import GOLDENS
from safetensors import safe_open
from safetensors.torch import load_file
from typer.testing import CliRunner

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.commands.app import app
from vithybrid_cli.hub.locate import locate
from vithybrid_cli.runs.training.pace import Pace

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
LONG = [*RECIPE, "--epochs", "20", "--no-progress"]  # epochs of some 50 ms: time enough to be ended in their midst
STATE = "training_state.safetensors"
WRITES = ("config.json", "model.safetensors", "training.svg", "training.json")
PICTURES = "pictures:   16 pictures of 2 labels: blue 8, red 8\n"
BEGINNING = (
    "recipe:     scratch, {} epochs of 4 steps with 4 pictures each, learning rate 0.01\n"
    "from:       random weights in the architecture of small, 4,922 parameters\n" + PICTURES
)
NOTHING_HELD_OUT = (
    "note: no picture is held out, so nothing will tell how good it gets; --val-split 0.1 holds out a tenth of each "
    "label\n"
)
EXPECTED = r"expected:   about \d+ (?:s|min) for the whole run, by its steps so far\n"
WRITTEN = (
    "written:    out, with its curve in training.svg and its figures in training.json\n"
    "next:       vithybrid classify PICTURES -m ./out\n"
)


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
    return lay_out(tmp_path, monkeypatch)


def lay_out(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this folder what `place` is."""
    for folder, count, green in (("train", 8, 40), ("test", 3, 41)):
        for number in range(count):
            picture(place / folder / "blue" / f"{number}.png", (30, green, 180 + number))
            picture(place / folder / "red" / f"{number}.png", (180 + number, green, 30))
    (place / "small").mkdir()
    (place / "small" / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    monkeypatch.chdir(place)
    return place


def run(*arguments: str) -> Any:
    """Run vithybrid in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def train(*arguments: str, recipe: list[str] = RECIPE) -> Any:
    return run("train", "train", *recipe, *arguments)


def weights(folder: Path | str) -> bytes:
    return (Path(folder) / "model.safetensors").read_bytes()


def described(folder: Path | str = "out") -> Any:
    """What ``training.json`` says."""
    return json.loads((Path(folder) / "training.json").read_text(encoding="utf-8"))


def spoil(file: str) -> str:
    Path(file).write_bytes(b"no picture")
    return file


def test_the_colours_are_learnt_and_measured_on_the_held_out_folder_which_chooses_nothing(place: Path) -> None:
    done = train("-o", "out", "--held-out", "test", "--no-progress")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert (report["pictures"], report["top1"], report["unreadable"]) == (6, 1.0, [])
    assert re.fullmatch(
        re.escape(
            BEGINNING.format(2) + "test:       6 pictures of 2 labels: blue 3, red 3; they choose nothing\n"
            "note: only 6 pictures are tested on: one is worth 17% of the accuracy, so it says little\n"
        )
        + EXPECTED
        + r"epoch 1 of 2: loss 0\.\d{4}, test +\d+\.\d% right\n"
        + r"epoch 2 of 2: loss 0\.\d{4}, test 100\.0% right\n"
        + re.escape(
            "kept:       epoch 2 of 2, the last\n"
            "accuracy:   100.0% of 6 pictures of test are right (95 % interval: 61.0% to 100.0%)\n" + WRITTEN
        ),
        done.stderr,
    ), done.stderr


def test_held_out_pictures_of_a_label_that_is_not_trained_are_left_out_and_said(place: Path) -> None:
    picture(place / "test" / "green" / "1.png", (30, 180, 30))
    done = train("-o", "out", "--held-out", "test", "--no-progress", "--epochs", "1")
    assert (done.exit_code, json.loads(done.stdout)["pictures"]) == (0, 6)
    assert "\nnote: of test what has a label that is not trained is left out, 1 picture: green\n" in done.stderr
    assert "\nleft out: 1 picture of labels that are not trained (green)\n" in done.stderr
    (place / "test" / "green").rename(place / "test" / "Red")
    (place / "test" / "red").rename(place / "green")
    misspelt = train("-o", "other", "--held-out", "test")
    assert (misspelt.exit_code, "test has the label Red, which is not trained, while red is." in misspelt.stderr) == (
        2,
        True,
    )


def test_classify_and_evaluate_take_the_folder_that_was_written(place: Path) -> None:
    done = train("-o", "out", "--weights-dtype", "float16")
    assert (done.exit_code, done.stdout) == (0, "")
    record = json.loads(run("classify", "test/red/0.png", "-m", "./out", "-k", "1").stdout)
    assert (record["predictions"][0]["index"], record["predictions"][0]["label"]) == (1, "red")
    assert json.loads(run("evaluate", "test", "-m", "./out").stdout)["top1"] == 1.0
    assert json.loads(run("info", "./out", "--format", "json").stdout)["layout"] == "transformers"
    assert run("convert", "./out", "converted").exit_code == 0


def test_one_epoch_is_enough_for_a_checkpoint_which_is_drawn_and_described(place: Path) -> None:
    done = train("-o", "out", "--epochs", "1", "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert (place / "out" / "config.json").is_file()
    assert (place / "out" / "training.svg").read_text(encoding="utf-8").startswith("<svg ")
    assert described()["kept"] == 1


def test_pictures_that_are_split_off_choose_the_epoch_and_are_measured(place: Path) -> None:
    done = train("-o", "out", "--val-split", "0.3", "--no-progress", "--epochs", "3")
    figures, said = json.loads(done.stdout), described()
    names = said["held_out"]
    assert (done.exit_code, figures["pictures"], len(names)) == (0, 4, 4)
    assert [(row["label"], row["pictures"]) for row in figures["labels"]] == [("blue", 2), ("red", 2)]
    assert said["labels"] == [{"label": name, "trained_on": 6, "held_out": 2} for name in ("blue", "red")]
    assert "held out:   4 pictures of 2 labels: blue 2, red 2; they choose the epoch that is kept\n" in done.stderr
    best = max(said["epochs"], key=lambda epoch: (epoch["correct"], epoch["epoch"]))
    assert best["epoch"] == said["kept"]
    assert best["correct"] == sum(row["correct"] for row in figures["labels"])
    assert f"kept:       epoch {best['epoch']} of 3, the best on the held-out pictures\n" in done.stderr
    assert "; they also chose the epoch, so expect a little less on others\n" in done.stderr
    assert said["measured"]["top1"] == figures["top1"]


def test_a_test_beside_a_split_is_measured_once_and_chooses_nothing(place: Path) -> None:
    done = train("-o", "out", "--val-split", "0.3", "--held-out", "test", "--no-progress")
    assert json.loads(done.stdout)["pictures"] == 6
    assert described()["labels"][0] == {"label": "blue", "trained_on": 6, "held_out": 2, "test": 3}
    assert {epoch["pictures"] for epoch in described()["epochs"]} == {4}
    assert re.search(r"^accuracy: +\d+\.\d% of 6 pictures of test are right \([^)]+\)", done.stderr, re.MULTILINE)
    assert "chose the epoch" not in done.stderr
    alone = train("-o", "alone", "--val-split", "0.3", "-q")
    assert alone.exit_code == 0
    assert weights("out") == weights("alone")


def test_a_test_that_is_only_shown_leaves_the_weights_as_they_are(place: Path) -> None:
    train("-o", "out", "--held-out", "test", "-q")
    train("-o", "alone", "-q")
    assert weights("out") == weights("alone")


def test_pictures_of_the_test_that_are_trained_on_are_told(place: Path) -> None:
    done = train("-o", "out", "--held-out", "train/../train", "--epochs", "1", "--no-progress")
    assert (
        "note: of the test's pictures 16 are trained on, so it tells less of how good it is on others\n" in done.stderr
    )
    assert "right (95 % interval: " in done.stderr
    assert "; but 16 are trained on, so expect less on others\n" in done.stderr


def test_copies_of_what_is_trained_on_are_told_in_a_test_and_beside_a_split(place: Path) -> None:
    shutil.make_archive("copied", "zip", "train")
    for number in range(8):
        shutil.copy(f"train/red/{number}.png", f"train/red/again {number}.png")
    done = train("-o", "out", "--held-out", "copied.zip", "--val-split", "0.25", "--epochs", "1", "--no-progress")
    found = described()["test_overlap"]
    assert found["trained_on"] >= 12
    assert f"note: of the test's pictures {found['trained_on']} are trained on and " in done.stderr
    assert f"; but {found['trained_on']} are trained on and " in done.stderr
    assert re.search(
        r"note: of the pictures that choose the epoch \d (is|are) trained on, too, as train/red/.*\.png, which is also "
        r"train/red/.*\.png: on these it seems better than on others; keep one of each\n",
        done.stderr,
    )


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
    done = train("-o", "out", "-m", "./start", "--held-out", "test", recipe=["--lr", "1e-9", "--epochs", "1"])
    assert json.loads(done.stdout)["top1"] == 1.0
    before, after = (load_file(Path(folder, "model.safetensors")) for folder in ("start", "out"))
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_unreadable_pictures_are_named_once_and_the_run_goes_on(place: Path) -> None:
    bad = [spoil(f"train/red/{number}.png") for number in (3, 5, 6, 7)]
    done = train("-o", "out", "--no-progress", "--epochs", "3", "-b", "1")
    named = [line for line in done.stderr.splitlines() if line.startswith("train/red/")]
    why = "This is no picture in a supported format, but a text file. Give a picture."
    assert sorted(named) == [f"{path}: {why}" for path in bad]
    assert (done.exit_code, done.stdout) == (1, "")
    assert "\nunreadable: 4 of 16 pictures to train on could not be read, and count for nothing\n" in done.stderr
    assert (place / "out" / "model.safetensors").is_file()
    written = described()
    assert [label["trained_on"] for label in written["labels"]] == [8, 4]
    assert sorted(one["path"] for one in written["unreadable"]) == bad
    assert {one["error"]["message"] for one in written["unreadable"]} == {why}


def test_a_finished_run_that_is_resumed_still_knows_what_was_unreadable(place: Path) -> None:
    spoil("train/red/1.png")
    assert train("-o", "out", "--val-split", "0.25").exit_code == 1
    before = (place / "out" / "training.json").read_bytes()
    again = train("-o", "out", "--val-split", "0.25", "--resume")
    assert again.exit_code == 1
    assert "\nunreadable: 1 of " in again.stderr
    assert (place / "out" / "training.json").read_bytes() == before


def test_the_same_picture_under_two_labels_is_told_before_the_training_and_not_after_it(place: Path) -> None:
    (place / "train" / "red" / "x.png").write_bytes((place / "train" / "blue" / "3.png").read_bytes())
    said = (
        "note: 1 picture is under several labels with the same content, which contradict each other: "
        "train/blue/3.png (blue) is also train/red/x.png (red); remove what is under a wrong label\n"
    )
    done = train("-o", "out", "--no-progress")
    assert said in done.stderr
    assert done.stderr.index(said) < done.stderr.index("epoch 1 of 2")
    assert said not in train("-o", "out", "--resume").stderr


def test_unreadable_held_out_pictures_are_named_and_counted(place: Path) -> None:
    spoil("test/red/1.png")
    done = train("-o", "out", "--held-out", "test")
    report = json.loads(done.stdout)
    assert (report["pictures"], report["top1"]) == (5, 1.0)
    assert [record["path"] for record in report["unreadable"]] == ["test/red/1.png"]
    assert done.stderr.count("test/red/1.png: This is no picture in a supported format") == 1
    assert "\nunreadable: 1 picture of the test could not be read, and count" in done.stderr
    assert [label["test"] for label in described()["labels"]] == [3, 2]
    assert done.exit_code == 1


@pytest.mark.parametrize(
    "held_out", [pytest.param([], id="that choose"), pytest.param(["--held-out", "test"], id="beside a test")]
)
def test_an_unreadable_picture_that_chooses_is_named_after_the_first_epoch_alone(
    place: Path, held_out: list[str]
) -> None:
    for number in range(8):
        spoil(f"train/red/{number}.png")
    done = train("-o", "out", "--val-split", "0.25", *held_out, "--no-progress", "--epochs", "3")
    (name, _) = [name for name in described()["held_out"] if "/red/" in name]
    assert done.exit_code == 1
    assert done.stderr.count(f"{name}: This is no picture") == 1
    assert done.stderr.index(f"{name}: ") < done.stderr.index("epoch 1 of 3") < done.stderr.index("epoch 2 of 3")
    assert [one["path"] for one in described()["unreadable"]].count(name) == 1
    again = train("-o", "out", "--val-split", "0.25", *held_out, "--no-progress", "--epochs", "3", "--resume")
    assert again.stderr.count(f"{name}: This is no picture") == (0 if held_out else 1)  # it is measured at the end


def cut_off(file: str) -> str:
    """A picture whose file ends before it does."""
    noise = torch.randint(256, (40, 40, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    Image.fromarray(noise.numpy()).save(file)
    whole = Path(file).read_bytes()
    Path(file).write_bytes(whole[: len(whole) // 2])
    return file


def test_what_is_cut_off_is_read_as_far_as_it_goes_where_that_is_wanted(place: Path) -> None:
    options = ["--held-out", "test", "--no-progress"]
    files = [cut_off("train/red/1.png"), cut_off("test/red/1.png")]
    told = train("-o", "out", *options).stderr
    for file in files:
        line = next(line for line in told.splitlines() if line.startswith(f"{file}: "))
        assert line.endswith("or set --allow-truncated to read what is there.")
    done = train("-o", "partly", *options, "--allow-truncated")
    assert (done.exit_code, json.loads(done.stdout)["pictures"], described("partly")["unreadable"]) == (0, 6, [])
    again = train("-o", "partly", *options, "--resume")
    assert "partly holds another run, which is done: allow_truncated yes, not no." in again.stderr


def test_a_picture_above_the_limit_of_pixels_names_an_option_that_training_has(place: Path) -> None:
    done = train("-o", "out", "--max-pixels", "100")
    assert (done.exit_code, "None of the pictures could be read" in done.stderr) == (2, True)
    assert "--max-pixels" in done.stderr
    assert train("-o", "out", "--max-pixels", "360").exit_code == 0


def test_quiet_leaves_unreadable_pictures_to_the_exit_code(place: Path) -> None:
    spoil("train/red/1.png")
    done = train("-o", "out", "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "")


def test_a_label_that_has_only_unreadable_pictures_is_trained_around(place: Path) -> None:
    for number in range(8):
        spoil(f"train/red/{number}.png")
    done = train("-o", "out")
    assert done.exit_code == 1
    assert "8 of 16 pictures to train on could not be read, and count for nothing; none of red could be" in done.stderr
    assert json.loads(run("classify", "test/red/0.png", "-m", "./out").stdout)["predictions"][0]["label"] == "blue"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["-o", "out", "-m", str(GOLDEN)], "Give --config or --model, not both.", id="config and model"),
        pytest.param(["-o", "small/config.json"], "small/config.json is no folder. Give a", id="output is a file"),
        pytest.param(
            ["-o", "small/config.json/below"],
            "small/config.json/below cannot be made: small/config.json is no folder.",
            id="output below a file",
        ),
        pytest.param(["-o", "lost"], "lost is a link to what does not exist.", id="output is a dead link"),
        pytest.param(["-o", "lost/below"], "lost/below cannot be made: lost is a link", id="output below a dead link"),
        pytest.param(["-o", "train"], "train is within train, where each folder is a label", id="output is the data"),
        pytest.param(["-o", "train/new"], "Give an --output outside of it", id="output among the data"),
        pytest.param(["-o", "small"], "small holds a checkpoint already. Give another --output", id="foreign output"),
        pytest.param(["-o", "small", "--resume"], "small holds no run to resume", id="nothing to resume"),
        pytest.param(["-o", "out", "--held-out", "nowhere"], "nowhere is no folder", id="no held-out folder"),
        pytest.param(
            ["-o", "out", "--held-out", "odd"],
            "pictures of other labels alone: green (the labels are blue, red)",
            id="odd label",
        ),
        pytest.param(["-o", "out", "--held-out", "void"], "void holds no pictures", id="empty held-out folder"),
        pytest.param(["-o", "out", "-c", "train/red/0.png"], "0.png is a file", id="config is a picture"),
        pytest.param(["-o", "out", "--epochs", "0"], "epochs", id="no epochs"),
        pytest.param(["-o", "out", "--seed", "-1"], "seed", id="negative seed"),
        pytest.param(["-o", "out", "--seed", "99999999999"], "seed", id="large seed"),
        pytest.param(
            ["-o", "out", "--val-split", "1.5"],
            "'1.5' is no share from 0.001 to 0.9. Give one as 0.1.",
            id="more held out than there is",
        ),
        pytest.param(
            ["-o", "out", "--val-split", "20%"], "'20%' is no share from 0.001 to 0.9. Give it as 0.2.", id="%"
        ),
        pytest.param(["-o", "out", "--val-split", "0%"], "Give one as 0.1.", id="nothing held out"),
        pytest.param(["-o", "out", "--val-split", "nan"], "Give one as 0.1.", id="no number to hold out"),
        pytest.param(["-o", "out", "--lr", "nan"], "'nan' is no learning rate.", id="no number as a rate"),
        pytest.param(["-o", "out", "--lr", "0"], "nothing is learnt. Give a higher one, as 0.001.", id="no rate"),
        pytest.param(["-o", "out", "--lr", "inf"], "'inf' is no learning rate. Give a number", id="endless rate"),
        pytest.param(["-o", "out", "--lr", "1e-3x"], "'1e-3x' is no learning rate.", id="a rate with a letter"),
        pytest.param(["-o", "out", "--lr", "-1"], "'-1' is no learning rate.", id="a rate below 0"),
        pytest.param(["-o", "out", "--recipe", "best"], "'best' is not one of 'scratch', 'finetune'", id="no recipe"),
        pytest.param(
            ["-o", "out", "--freeze", "backbone"],
            "learnt nothing",
            id="random weights kept",
        ),
        pytest.param(["-o", "out", "--weights-dtype", "int8"], "int8", id="unknown type"),
        pytest.param(["-o", "out", "--device", "tpu"], "not a device", id="unknown device"),
        pytest.param(["-o", "out", "--lr", "1e30"], "Give a lower learning rate (--lr)", id="diverging"),
        pytest.param([], "--output", id="no output"),
    ],
)
def test_wrong_usage_says_what_and_exits_with_2(place: Path, arguments: list[str], says: str) -> None:
    picture(place / "odd" / "green" / "0.png", (0, 255, 0))
    (place / "void" / "red").mkdir(parents=True)
    (place / "lost").symlink_to("nowhere/at/all")
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


def test_a_network_without_a_backbone_cannot_keep_it(place: Path) -> None:
    plain = str(GOLDENS / "hf-vit")
    done = train("-o", "out", "-m", plain, "--freeze", "backbone", recipe=[])
    assert "no backbone" in done.stderr
    assert "Leave out --freeze, or give --freeze encoder to train the head alone.\n" in done.stderr
    assert (done.exit_code, Path("out").exists()) == (2, False)


def test_what_keeps_its_weights_is_told_and_kept(place: Path) -> None:
    train("-o", "start", "-q")
    done = train("-o", "out", "-m", "./start", "--freeze", "encoder", "--no-progress", recipe=["-b", "8"])
    assert "learns:     34 parameters; all but the head keep the weights that ./start has\n" in done.stderr
    assert "labels:     the model knows both labels\n" in done.stderr
    before, after = (load_file(Path(folder, "model.safetensors")) for folder in ("start", "out"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_labels_with_one_picture_each_cannot_be_split(place: Path) -> None:
    picture(place / "one" / "a" / "0.png", (1, 2, 3))
    picture(place / "one" / "b" / "0.png", (1, 2, 3))
    done = run("train", "one", "-o", "out", "--val-split", "0.5")
    assert done.stderr == (
        "vithybrid: Each label has only one picture, so that none can be held out. Add pictures, or leave out "
        "--val-split.\n"
    )
    assert done.exit_code == 2


def test_a_checkpoint_is_not_written_over(place: Path) -> None:
    train("-o", "out")
    before = weights("out")
    done = train("-o", "out", "--seed", "1")
    assert "Give --resume to continue it, or another --output." in done.stderr
    assert done.exit_code == 2
    assert weights("out") == before


def test_a_run_is_not_resumed_with_other_options(place: Path) -> None:
    train("-o", "out")
    done = train("-o", "out", "--resume", "--class-weights", "--no-flip", "--seed", "3")
    assert done.stderr == (
        "vithybrid: out holds another run, which is done: without --no-flip, class_weights no, not yes, seed 0, not 3. "
        "Train on from its weights (--model) in another --output, or give the options of that run.\n"
    )
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("start", "options", "says"),
    [
        pytest.param([], ["--epochs", "1"], "epochs 2, not 1", id="epochs"),
        pytest.param([], ["--lr", "0.02"], "learning_rate 0.01, not 0.02", id="the rate of all matrices"),
        pytest.param(
            ["-m", str(GOLDEN)],
            ["--epochs", "1", "--lr", "0.02"],
            "epochs 2, not 1, learning_rate 0.01, not 0.02",
            id="head",
        ),
    ],
)
def test_what_follows_from_another_option_is_no_difference_of_its_own(
    place: Path, start: list[str], options: list[str], says: str
) -> None:
    recipe = [*(start or RECIPE[:2]), *RECIPE[2:]]
    train("-o", "out", recipe=recipe)
    done = train("-o", "out", "--resume", *options, recipe=recipe)
    assert f"out holds another run: {says}. " in done.stderr.replace(", which is done", "")
    assert done.exit_code == 2


def test_a_run_that_is_done_is_only_measured_again(place: Path) -> None:
    train("-o", "out")
    before = weights("out")
    done = train("-o", "out", "--resume", "--held-out", "test")
    assert (done.exit_code, json.loads(done.stdout)["top1"]) == (0, 1.0)
    assert done.stderr == (
        "nothing left to train: out is trained for 2 epochs\nkept:       epoch 2 of 2, the last\n"
        "accuracy:   100.0% of 6 pictures of test are right (95 % interval: 61.0% to 100.0%)\n" + WRITTEN
    )
    assert weights("out") == before


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run of `LONG` that nothing has ended."""
    with pytest.MonkeyPatch.context() as patch:
        lay_out(tmp_path_factory.mktemp("unbroken"), patch)
        assert train("-o", "out", "-q", recipe=LONG).exit_code == 0
        return {file: Path("out", file).read_bytes() for file in WRITES}


@pytest.mark.parametrize(
    ("blow", "exit_code"),
    [
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGINT, 130, id="interrupted", marks=pytest.mark.thorough),
        pytest.param(signal.SIGTERM, 143, id="terminated", marks=pytest.mark.thorough),
    ],
)
def test_a_run_that_was_ended_is_resumed_to_the_same_bytes(
    place: Path, unbroken: dict[str, bytes], blow: signal.Signals, exit_code: int
) -> None:
    command = [sys.executable, "-m", "vithybrid_cli", "train", "train", *LONG, "-o", "runs/out"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        begun = until_an_epoch(process.stderr)
        assert begun.startswith(BEGINNING.format(20) + NOTHING_HELD_OUT)
        process.send_signal(blow)
        stderr = process.stderr.read()
        assert process.stdout.read() == ""
    assert process.returncode == exit_code
    said = re.sub(r"epoch [ \d]\d of 20: loss 0\.\d{4}\n", "", stderr)
    told = r"interrupted after \d+ of 20 epochs, which are in runs/out; --resume goes on from there\n"
    assert re.fullmatch("" if blow is signal.SIGKILL else told, said)
    done = _epochs_done(place / "runs" / "out")
    assert 1 <= done < 20
    assert run("classify", "test/red/0.png", "-m", "runs/out").exit_code == 0
    resumed = train("-o", "runs/out", "--resume", recipe=LONG)
    assert resumed.exit_code == 0
    assert f"resumed:    after epoch {done} of 20\n" in resumed.stderr
    for file, written in unbroken.items():
        assert Path("runs/out", file).read_bytes() == written, file


def until_an_epoch(stderr: IO[str]) -> str:
    """What was said until the first epoch is on disk."""
    said = ""
    while not re.search(r"^epoch +1 ", said, re.MULTILINE):
        line = stderr.readline()
        assert line, said
        said += line
    return said


def in_the_second_epoch(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do this once in this process, between two steps of a run whose first epoch is on disk."""
    step, left = Pace.step, [act]

    def acting(pace: Pace, epoch: int, number: int) -> bool:
        if (epoch, number) == (1, 1) and left:
            left.pop()()
        return step(pace, epoch, number)

    monkeypatch.setattr(Pace, "step", acting)


@pytest.mark.parametrize(
    ("blow", "exit_code"),
    [pytest.param(signal.SIGINT, 130, id="interrupted"), pytest.param(signal.SIGTERM, 143, id="terminated")],
)
def test_a_run_that_a_signal_ends_in_an_epoch_goes_on_after_the_one_before(
    place: Path, monkeypatch: pytest.MonkeyPatch, blow: signal.Signals, exit_code: int
) -> None:
    three = [*RECIPE, "--epochs", "3", "--no-progress"]
    assert train("-o", "unbroken/out", "-q", recipe=three).exit_code == 0
    in_the_second_epoch(monkeypatch, lambda: os.kill(os.getpid(), blow))
    ended = train("-o", "runs/out", recipe=three)
    assert (ended.exit_code, ended.stdout) == (exit_code, "")
    said = "interrupted after 1 of 3 epochs, which are in runs/out; --resume goes on from there"
    assert ended.stderr.splitlines()[-1] == said
    assert run("classify", "test/red/0.png", "-m", "runs/out").exit_code == 0
    resumed = train("-o", "runs/out", "--resume", recipe=three)
    assert (resumed.exit_code, "resumed:    after epoch 1 of 3\n" in resumed.stderr) == (0, True)
    for file in WRITES:
        assert Path("runs/out", file).read_bytes() == Path("unbroken/out", file).read_bytes(), file


IS_WRITTEN_TO = (
    "vithybrid: Another training run is writing to out. Wait until it has ended, or give another --output.\n"
)


def test_of_two_runs_that_train_into_one_folder_the_second_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: list[Any] = []
    in_the_second_epoch(monkeypatch, lambda: seconds.append(train("-o", "out", "--resume")))
    assert train("-o", "out").exit_code == 0
    [second] = seconds
    assert (second.exit_code, second.stderr.endswith(IS_WRITTEN_TO)) == (2, True)


@pytest.mark.thorough
def test_of_two_programs_that_train_into_one_folder_the_second_is_refused(place: Path) -> None:
    endless = [*LONG, "--epochs", "100000"]
    command = [sys.executable, "-m", "vithybrid_cli", "train", "train", *endless, "-o", "out"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        until_an_epoch(first.stderr)
        done = train("-o", "out", "--resume", recipe=endless)
        assert first.poll() is None
        first.kill()
    assert done.stderr.endswith(IS_WRITTEN_TO)
    assert done.exit_code == 2


def _epochs_done(folder: Path) -> int:
    with safe_open(folder / STATE, framework="pt") as state:
        return int(state.metadata()["epochs_done"])


def test_progress_stays_off_stdout(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vithybrid_cli.commands.train_loop.PLAIN_INTERVAL", 1e-9)
    done = train("-o", "out")
    assert done.stdout == ""
    assert re.search(r"^32 of 32 pictures, ", done.stderr, re.MULTILINE)


def test_what_was_ended_between_the_state_and_the_checkpoint_is_resumed(place: Path) -> None:
    train("-o", "out", "-q")
    before = weights("out")
    for file in ("config.json", "model.safetensors", "preprocessor_config.json"):
        Path("out", file).unlink()
    done = train("-o", "out")
    assert done.stderr.endswith(
        "out holds a training run already. Give --resume to continue it, or another --output.\n"
    )
    done = train("-o", "out", "--resume")
    assert done.stderr.startswith("nothing left to train: out is trained for 2 epochs\n")
    assert (done.exit_code, weights("out")) == (0, before)


def test_without_room_for_checkpoint_and_state_no_epoch_is_spent(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=2**30, free=10_000))
    done = train("-o", "out")
    assert done.stderr.splitlines()[-1] == (
        "vithybrid: out has room for 0 MiB, and this run needs 1 MiB there: it writes model.safetensors of 1 MiB, "
        "training_state.safetensors of 1 MiB, and each anew before the old one goes. Make room, or give an --output "
        "elsewhere."
    )
    assert (done.exit_code, "epoch 1" in done.stderr, done.stdout) == (2, False, "")
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert train("-o", "out").exit_code == 0  # nothing is in its way


def test_a_rate_that_is_far_too_high_is_told_once_and_in_a_quiet_run(place: Path) -> None:
    done = train("-o", "out", "--lr", "30", "--epochs", "4", "-q")
    first, *others = done.stderr.splitlines()
    assert re.fullmatch(r"warning: the loss of epoch 1 is [\d,.]+, and guessing gives 0\.69: the learning .*", first)
    assert [line for line in others if "too high" in line] == []


def test_resume_begins_where_nothing_was_written_yet(place: Path) -> None:
    Path("out").mkdir()  # as a run leaves it that is killed in its first epoch
    done = run("train", "train", *RECIPE, "-o", "out", "--resume")
    assert (done.exit_code, done.stdout) == (0, "")
    assert Path("out", "model.safetensors").is_file()
