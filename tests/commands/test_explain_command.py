"""The contract of ``vithybrid explain``: what is in the folder, on the terminal, in the pipe, and how the run ends."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_terminal import Terminal
from PIL import Image
from places import EXAMPLES, GOLDENS, PACKAGE
from typer.testing import CliRunner

from vithybrid_cli import Classifier
from vithybrid_cli.choices import Method
from vithybrid_cli.commands.app import app
from vithybrid_cli.errors import UsageError
from vithybrid_cli.explain import explainer
from vithybrid_cli.explain.heatmap import HeatMap
from vithybrid_cli.runs.explain.pictures import Asked, explain
from vithybrid_cli.settings import Reading, Running

AUTO = "attention-backbone"  # for tiny
CAT = str(EXAMPLES / "cat.png")
ESCAPE = "\x1b"


def run(*arguments: str, model: str = "tiny", stdin: bytes | None = None) -> Any:
    """Run explain in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, ["explain", "-m", model, *arguments], input=stdin, catch_exceptions=False)


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def manifest(folder: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
    return found


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Brightness:
    """Stands in for an explainer: the map is how bright each quarter is, and the score of a label its index."""

    labels = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    input_size = (64, 64)
    method = Method.OCCLUSION

    def explain(
        self, pixels: np.ndarray[Any, Any], index: int | None = None, against: int | None = None
    ) -> tuple[HeatMap, np.ndarray[Any, Any]]:
        if index is None and against == 9:
            raise UsageError("Label 9 cannot be explained against itself.", "Give another.")
        quarters = pixels.reshape(2, 32, 2, 32, 3).mean(axis=(1, 3, 4))
        return HeatMap(quarters.astype(np.float32), self.method, True), np.arange(10, dtype=np.float32)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is computed."""
    monkeypatch.setattr(explainer, "open_explainer", lambda checkpoint, how, method: Brightness())


def test_a_folder_gets_pictures_maps_a_sheet_and_last_a_manifest(pictures: Path) -> None:
    (pictures / "deep").mkdir()
    Image.new("RGB", (2400, 1200), "orange").save(pictures / "deep" / "0.png")
    done = run(".", "-o", "why")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "./1a.png: This is no picture" in done.stderr
    assert "why has the maps of 4 pictures, and sheet.png shows them together" in done.stderr
    names = {"0.png", "0.npy", "1.png", "1.npy", "2.png", "2.npy", "0-2.png", "0-2.npy", "sheet.png", "manifest.json"}
    assert {path.name for path in Path("why").iterdir()} == names
    told = manifest("why")
    assert told["program"] == "vithybrid explain"
    assert told["versions"].keys() == {"vithybrid", "torch", "numpy", "Pillow"}
    assert told["model"]["name"] == "tiny"
    assert told["model"]["sha256"].keys() == {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert (told["method"], told["options"]["method"]) == (AUTO, "auto")
    assert [one["path"] for one in told["pictures"]] == ["./0.png", "./1.png", "./1a.png", "./2.png", "./deep/0.png"]
    assert told["pictures"][2]["error"]["type"] == "UnreadableImage"
    last = told["pictures"][4]
    assert (last["files"], last["size"], last["drawn"]) == (
        {"overlay": "0-2.png", "map": "0-2.npy"},
        [2400, 1200],
        [1600, 800],
    )
    values = np.load(Path("why") / "0-2.npy", allow_pickle=False)
    assert (values.dtype, list(values.shape)) == (np.float32, last["shape"])
    with Image.open(Path("why") / "0-2.png") as drawn:
        assert drawn.size == (1600, 800)


def test_the_score_is_that_of_classify_and_a_second_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run(CAT, "-o", str(tmp_path / "a"))
    run(CAT, "-o", str(tmp_path / "b"))
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert not (tmp_path / "a" / "sheet.png").exists()  # of one picture
    (told,) = manifest(tmp_path / "a")["pictures"]
    (expected,) = Classifier.from_pretrained("tiny", engine="torch").classify(CAT)
    assert [one["label"] for one in told["predictions"]] == [one.label for one in expected.predictions]
    assert told["score"] == pytest.approx(expected.predictions[0].score, abs=1e-4)


@pytest.mark.parametrize(
    ("preparation", "box"),
    [
        pytest.param(
            {"size": {"shortest_edge": 71}, "crop_size": 64, "do_center_crop": True},
            [89.35, 12.68, 361.65, 283.1],
            id="the middle",
        ),
        pytest.param(
            {"size": {"height": 64, "width": 64}, "do_center_crop": False}, [0, 0, 451, 300], id="all, not in its shape"
        ),
    ],
)
def test_the_box_is_what_the_model_asks_for(preparation: dict[str, Any], box: list[float], tmp_path: Path) -> None:
    shutil.copytree(PACKAGE / "builtin" / "tiny", tmp_path / "model")
    file = tmp_path / "model" / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | preparation), encoding="utf-8")
    (record,) = records(run(CAT, model=str(tmp_path / "model")).stdout)
    assert record["explanation"]["box"] == box


def test_a_pipe_gets_the_record_of_classify_with_the_map(pictures: Path) -> None:
    done = run("0.png", "1a.png", "-k", "2")
    first, second = records(done.stdout)
    assert [one["label"] for one in first["predictions"]] == [
        first["explanation"]["label"],
        first["predictions"][1]["label"],
    ]
    assert np.array(first["explanation"]["map"]).ndim == 2
    assert first["explanation"]["size"] == [80, 70]
    assert second["error"]["type"] == "UnreadableImage"
    assert done.exit_code == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("arguments", "label", "against"),
    [
        ([], "truck", None),
        (["--label", "Cat"], "cat", None),
        (["--label", "0"], "airplane", None),
        (["--label", "cat", "--against", "dog"], "cat", "dog"),
        (["--against", "dog"], "truck", "dog"),
        (["--against", "truck"], "ship", "truck"),  # the best of the others
    ],
)
def test_a_label_and_a_rival_are_chosen_by_name_or_index(
    pictures: Path, arguments: list[str], label: str, against: str | None
) -> None:
    (record,) = records(run("0.png", *arguments).stdout)
    found = record["explanation"]
    assert (found["label"], found["against"] and found["against"]["label"]) == (label, against)


def test_another_label_has_another_map_and_a_rival_too() -> None:
    best, _, third, *_ = (one["label"] for one in records(run(CAT).stdout)[0]["predictions"])
    maps = [
        records(run(CAT, *arguments).stdout)[0]["explanation"]["map"]
        for arguments in ([], ["--label", third], ["--label", third, "--against", best], ["--against", best])
    ]
    assert len({json.dumps(rows) for rows in maps}) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label", "hrse"], 'no label "hrse"; the nearest are "horse" (7).'),
        (["--label", "10"], "indices go from 0 to 9"),
        (["--label", "cat", "--against", "3"], 'Nothing can speak for "cat" rather than for itself.'),
        (["--method", "lrp"], "Invalid value for '--method'"),
        (["--workers", "0"], "Invalid value"),
        (["--decode-timeout", "3"], "--isolate"),
        (["-o", "-"], "Explanations are written to a folder"),
        (["-o", "0.png"], "0.png is a file, and explanations are written to a folder."),
        (["-o", "map.png"], "map.png is named as a file, and explanations are written to a folder."),
        (["-o", "why.json"], "why.json is named as a file"),
        (["-o", "no/such/folder"], "there is no folder"),
        (["-o", "full"], "full has files that are no explanations."),
    ],
)
def test_what_cannot_be_is_one_line_before_the_first_picture(
    pictures: Path, arguments: list[str], message: str
) -> None:
    (pictures / "full").mkdir()
    (pictures / "full" / "manifest.json").write_text('{"mine": 1}', encoding="utf-8")
    done = run("0.png", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert [path.name for path in (pictures / "full").iterdir()] == ["manifest.json"]


def test_no_inputs_are_told_before_a_model_is_looked_for() -> None:
    done = run(model="no/such")
    assert (done.exit_code, "There are no inputs." in done.stderr) == (2, True)


@pytest.mark.usefixtures("quick")
def test_a_second_run_replaces_what_the_first_wrote_and_nothing_else(pictures: Path) -> None:
    run("0.png", "2.png", "-o", "why")
    (pictures / "why" / "2.txt").write_text("mine", encoding="utf-8")
    Image.new("RGB", (9, 9)).save(pictures / "why" / "1.png")
    mine = (pictures / "why" / "1.png").read_bytes()
    done = run("1.png", "-o", "why/")
    assert done.exit_code == 0
    found = content(pictures / "why")
    assert found.keys() == {"2.txt", "1.png", "1-2.png", "1-2.npy", "manifest.json"}
    assert found["1.png"] == mine
    assert manifest("why")["pictures"][0]["files"]["overlay"] == "1-2.png"


@pytest.mark.usefixtures("quick")
def test_a_manifest_that_names_other_files_leads_nobody_to_remove_them(pictures: Path) -> None:
    run("0.png", "-o", "why")
    told = manifest("why")
    told["pictures"] += [{"files": {"a": name}} for name in ("../1.png", str(pictures / "1.png"), "notes.txt", 3)]
    told["pictures"] += [7, {"files": [1]}]
    (pictures / "why" / "manifest.json").write_text(json.dumps(told), encoding="utf-8")
    (pictures / "why" / "notes.txt").write_text("mine", encoding="utf-8")
    assert run("2.png", "-o", "why").exit_code == 0
    assert (pictures / "1.png").exists()
    assert (pictures / "why" / "notes.txt").exists()


@pytest.mark.usefixtures("quick")
def test_explanations_among_the_pictures_are_not_explained(pictures: Path) -> None:
    for _ in range(2):
        assert run(".", "-o", "why").exit_code == 1
        assert len(manifest("why")["pictures"]) == 4
    done = run("why/0.png", "-o", "why")
    assert (done.exit_code, "lies in why, whose content is replaced" in done.stderr) == (2, True)
    assert len(manifest("why")["pictures"]) == 4


@pytest.mark.usefixtures("quick")
def test_strict_stops_at_the_first_bad_picture_with_a_manifest_of_what_was_done(pictures: Path) -> None:
    done = run(".", "--strict", "-o", "why")
    assert done.exit_code == 1
    assert [one["path"] for one in manifest("why")["pictures"]] == ["./0.png", "./1.png", "./1a.png"]


@pytest.mark.usefixtures("quick")
def test_processes_that_decode_give_the_same(pictures: Path) -> None:
    plain, apart = (run(".", *more).stdout for more in ([], ["--isolate"]))
    assert plain == apart


@pytest.mark.usefixtures("quick")
def test_members_of_archives_and_lists_are_explained(pictures: Path) -> None:
    import zipfile

    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.write("0.png", "inner/0.png")
    done = run("-", "-o", "why", stdin=b"a.zip\n2.png\n")
    assert done.exit_code == 0
    told = manifest("why")["pictures"]
    assert [one["path"] for one in told] == ["zip://inner/0.png::a.zip", "2.png"]
    assert [one["files"]["map"] for one in told] == ["0.npy", "2.npy"]


def test_python_gives_an_iterator_of_the_same(pictures: Path) -> None:
    results = list(explain(Reading(inputs=("0.png", "1a.png")), Running(model="tiny"), Asked(label="cat", top_k=1)))
    assert [result.record() for result in results] == records(
        run("0.png", "1a.png", "--label", "cat", "-k", "1").stdout
    )
    assert results[0].explanation is not None
    assert results[0].explanation.drawn().size == (384, 336)


def test_every_method_explains_what_it_can(pictures: Path) -> None:
    for method in set(Method) - {Method.AUTO}:
        (record,) = records(run("0.png", "--method", method).stdout)
        assert record["explanation"]["method"] == method
    done = run("0.png", "--method", "attention", model=str(GOLDENS / "hf-bit"))
    assert (done.exit_code, "no attention" in done.stderr) == (2, True)


def test_characters_show_the_map_beside_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lines = run(CAT, "--graphics", "blocks").stdout.splitlines()
    assert not any(ESCAPE in line for line in lines)
    assert re.search(r"  +.*cat\.png$", lines[0])
    assert any(re.fullmatch(r"[ ·░▒▓█]{9,} +█{5,}.? +\d\d\.\d%  cat", line) for line in lines)
    assert any(re.match(r" *[·░▒▓█]{3,}  ", line) for line in lines)
    assert any(line.endswith(f"map of cat by {AUTO}") for line in lines)
    assert all(_width(line) <= 100 for line in lines)


@pytest.mark.parametrize("columns", [1, 12, 30, 67, 68, 200])
def test_characters_fit_into_any_width(
    monkeypatch: pytest.MonkeyPatch, columns: int, quick: None, pictures: Path
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    lines = run("0.png", "--graphics", "blocks").stdout.splitlines()
    assert any(set(line.strip()[:1]) <= set("·░▒▓█") for line in lines)
    assert max(map(_width, lines)) <= max(columns, 20)  # what is narrower breaks no words


@pytest.mark.usefixtures("quick")
def test_colours_of_the_terminal_show_the_picture_itself(monkeypatch: pytest.MonkeyPatch, pictures: Path) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    shown = run("0.png", "--graphics", "blocks").stdout
    assert "▀" in shown
    assert "38;2;" in shown


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("graphics", "begin"),
    [("kitty", f"{ESCAPE}_Ga=T"), ("iterm", f"{ESCAPE}]1337;File="), ("sixel", f"{ESCAPE}P0;1;0q")],
)
def test_a_protocol_that_is_asked_for_is_used_in_a_pipe_too(pictures: Path, graphics: str, begin: str) -> None:
    done = run("0.png", "1a.png", "--graphics", graphics)
    assert done.stdout.startswith(begin)
    assert done.stdout.count(begin) == 1
    assert "\n0.png\n" in done.stdout
    assert "error: This is no picture" in done.stdout
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("variables", "answer", "begin"),
    [
        pytest.param({"TERM": "xterm-256color"}, b"\x1b[?62;4c", b"\x1bP0;1;0q", id="sixel"),
        pytest.param({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, b"\x1b[?62c", b"\xe2\x96\x80", id="colours"),
        pytest.param({"TERM": "xterm-kitty"}, None, b"\x1b_Ga=T", id="kitty"),
        pytest.param({"TERM": "xterm", "LC_TERMINAL": "iTerm2"}, None, b"\x1b]1337;File=", id="iterm"),
    ],
)
def test_a_terminal_shows_the_picture_as_it_can(
    pictures: Path, variables: dict[str, str], answer: bytes | None, begin: bytes
) -> None:
    outer = {"TERM", "TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "TMUX", "STY", "ZELLIJ", "COLORTERM", "COLUMNS"}
    environment = {name: value for name, value in os.environ.items() if name not in outer} | variables
    program = [sys.executable, "-m", "vithybrid_cli", "explain", "-m", "tiny", "0.png"]
    shell = ["sh", "-c", '"$@"; sleep 100', "sh", *program]  # which keeps the terminal
    terminal = Terminal(shell, environment)
    asked = b"" if answer is None else terminal.read_until(b"\x1b[c")
    terminal.answer(answer or b"")
    shown = terminal.read_until(b" by attention")
    assert begin in shown
    assert (b"\x1b[c" in asked + shown) is (answer is not None)
    assert terminal.left() == b""


@pytest.mark.usefixtures("quick")
def test_a_name_cannot_write_to_the_terminal(pictures: Path) -> None:
    os.rename("0.png", f"{ESCAPE}]0;x.png")  # noqa: PTH104 (as it is)
    shown = run(f"{ESCAPE}]0;x.png", "--graphics", "blocks").stdout
    assert f"{ESCAPE}]" not in shown
    assert "\\x1b]0;x.png" in shown


@pytest.fixture
def slow(pictures: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that explains many pictures into a folder."""
    names = ["0.png", "1.png", "2.png"] * 300
    command = [sys.executable, "-m", "vithybrid_cli", "explain", "-m", "tiny", *names, "-o", "why"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_an_interrupt_leaves_whole_files_and_no_manifest_and_the_next_run_starts_over(
    pictures: Path, slow: subprocess.Popen[bytes]
) -> None:
    end = time.monotonic() + 100
    while len(list(Path("why").glob("*.npy"))) < 3 and time.monotonic() < end:
        time.sleep(0.02)
    slow.send_signal(signal.SIGINT)
    _, told = slow.communicate(timeout=100)
    assert slow.returncode == 130
    assert b"which are in why, without a manifest; the next run into it starts over" in told
    assert not Path("why/manifest.json").exists()
    assert not list(Path("why").glob(".*"))
    for file in Path("why").glob("*.npy"):
        np.load(file, allow_pickle=False)
        Image.open(file.with_suffix(".png")).load()
    assert run("0.png", "-o", "why", "-q").exit_code == 0
    assert {path.name for path in Path("why").iterdir()} == {"0.png", "0.npy", "manifest.json"}


def _width(line: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(character) in "FW") for character in line)
