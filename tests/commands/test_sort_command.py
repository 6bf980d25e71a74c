"""`vithybrid sort` and `vithybrid undo` as they are typed."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import ROOT
from sorting import tree, write_results
from typer.testing import CliRunner, Result

from vithybrid_cli.commands.app import app


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three files in the current folder, with results that are none of a run's."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in ("a.jpg", "b.jpg", "broken.jpg"):
        Path("in", name).write_text(name)
    write_results(Path("r.jsonl"), {"in/a.jpg": "cat", "in/b.jpg": ("dog", 3, 0.25), "in/broken.jpg": None})
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


UNKNOWN = "Nothing tells whether these pictures have changed since they were labelled; they were taken as they are."
JOURNAL = "out/.vithybrid-sort-1.jsonl"


def test_sorting_says_what_was_done_and_how_it_is_undone() -> None:
    before = tree(Path())
    done = run("sort", "r.jsonl", "--into", "out", "--min-score", "0.5")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        f"3 copied (1 to unsure/, 1 to unreadable/); undo with `vithybrid undo {JOURNAL}`",
        UNKNOWN,
    ]
    undone = run(*shlex.split(done.stderr.split("`")[1])[1:])
    assert (undone.exit_code, undone.stderr) == (0, "3 copies and links removed\n")
    assert tree(Path()) == before


def test_a_dry_run_prints_the_plan_and_writes_nothing() -> None:
    Path("in/a.xmp").write_text("of a")
    before = tree(Path())
    done = run("sort", "r.jsonl", "--into", "out", "--move", "--dry-run")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    folder = Path("in").absolute()
    assert rows == [
        {"from": str(folder / "a.jpg"), "to": "out/cat/a.jpg", "action": "move"},
        {"from": str(folder / "a.xmp"), "to": "out/cat/a.xmp", "action": "move"},
        {"from": str(folder / "b.jpg"), "to": "out/dog/b.jpg", "action": "move"},
        {"from": str(folder / "broken.jpg"), "to": "out/unreadable/broken.jpg", "action": "move"},
    ]
    assert done.stderr.splitlines()[0] == "3 would be moved (1 to unreadable/), 1 beside them"
    assert (done.exit_code, tree(Path())) == (0, before)


def test_a_dry_run_of_an_undo_prints_what_it_would_do() -> None:
    run("sort", "r.jsonl", "--into", "out", "--move")
    Path("out/cat/a.jpg").write_text("edited")
    before = tree(Path())
    done = run("undo", JOURNAL, "--dry-run")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(Path(row["from"]).name, Path(row["to"]).name, row["action"]) for row in rows] == [
        ("broken.jpg", "broken.jpg", "move"),
        ("b.jpg", "b.jpg", "move"),
    ]
    assert done.stderr == f"{Path('out/cat/a.jpg').absolute()}: It was changed since it was moved.\n"
    assert (done.exit_code, tree(Path())) == (1, before)


def test_what_could_not_be_done_is_told_line_by_line_and_by_the_exit_code() -> None:
    Path("in/a.jpg").unlink()
    done = run("sort", "r.jsonl", "--into", "out", "--move")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[:2] == [
        f"{Path('in/a.jpg').absolute()}: It is not there any more.",
        f"2 moved (1 to unreadable/), 1 failed; undo with `vithybrid undo {JOURNAL}`",
    ]
    Path("out/dog/b.jpg").write_text("edited")
    undone = run("undo", JOURNAL)
    assert (undone.exit_code, undone.stderr.splitlines()[-1]) == (1, "1 moved back, 1 left")


def test_results_of_another_folder_find_their_pictures_below_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    lost = run("sort", "../r.jsonl", "--into", "out")
    assert (lost.exit_code, Path("out").exists()) == (1, False)
    assert lost.stderr.splitlines()[-1].endswith("If it was written in another folder, give that with --root.")
    assert run("sort", "../r.jsonl", "--into", "out", "--root", "..").exit_code == 0
    assert Path("out/cat/a.jpg").read_text() == "a.jpg"


def test_a_second_run_says_that_all_is_there() -> None:
    run("sort", "r.jsonl", "--into", "out")
    done = run("sort", "r.jsonl", "--into", "out")
    assert (done.exit_code, done.stderr.splitlines()[0]) == (0, "0 copied, 3 already there")


def test_pictures_that_have_changed_since_are_left_unless_they_are_wanted() -> None:
    for name in ("a.png", "b.png"):
        Path("in", name).write_bytes((ROOT / "examples" / "cat.png").read_bytes())
    assert run("classify", "in/a.png", "in/b.png", "-m", "tiny", "-o", "labels.jsonl").exit_code == 0
    os.utime("in/a.png")
    done = run("sort", "labels.jsonl", "--into", "out")
    left = "1 changed since they were labelled and left (--changed sorts them, too)"
    assert done.stderr == f"1 copied, {left}; undo with `vithybrid undo {JOURNAL}`\n"
    again = run("sort", "labels.jsonl", "--into", "out", "--changed")
    assert again.stderr.startswith("1 copied, 1 already there;")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["r.jsonl", "--into", "out", "--move", "--symlink"], "in one way only", id="two ways"),
        pytest.param(["gone.jsonl", "--into", "out"], "no file gone.jsonl", id="no results"),
        pytest.param(["in/a.jpg", "--into", "out"], "no file of results", id="a picture"),
        pytest.param(["cut.jsonl", "--into", "out"], "is cut off after 2 results", id="cut off"),
        pytest.param(["r.jsonl", "--into", "in/a.jpg"], "Cannot write to in/a.jpg", id="a file"),
        pytest.param(["r.jsonl", "--into", "out", "--below", "out"], "not below", id="below another folder"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_nothing_is_written(arguments: list[str], message: str) -> None:
    Path("cut.jsonl").write_text(Path("r.jsonl").read_text()[:-20])
    before = tree(Path())
    done = run("sort", *arguments)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert message in done.stderr
    assert tree(Path()) == before


def test_a_sort_that_is_killed_says_nothing_and_goes_on_where_it_ended() -> None:
    labels = {}
    for number in range(400):
        Path("in", f"{number}.jpg").write_text(str(number))
        labels[f"in/{number}.jpg"] = ("cat", "dog")[number % 2]
    write_results(Path("r.jsonl"), dict(labels))
    before = tree(Path("in"))
    command = [sys.executable, "-m", "vithybrid_cli", "sort", "r.jsonl", "--into", "out", "--move", "-q"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(2):
        process = subprocess.Popen(command, env=environment)
        done = len(list(Path().glob("out/*/*.jpg")))
        while len(list(Path().glob("out/*/*.jpg"))) < done + 70 and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert {path.name for path in Path().glob("*/**/*.jpg")} >= {f"{number}.jpg" for number in range(400)}
    done_at_last = run("sort", "r.jsonl", "--into", "out", "--move")
    assert done_at_last.exit_code == 0
    assert {path.name for path in Path("in").iterdir()} == {"a.jpg", "b.jpg", "broken.jpg"}
    assert {path.suffix for path in Path("out").rglob("*") if path.is_file()} == {".jpg", ".jsonl"}
    assert run("undo", JOURNAL).exit_code == 0
    assert (tree(Path("in")), Path("out").exists()) == (before, False)


@pytest.mark.parametrize("command", [["sort", "--into", "out"], ["tag"]])
@pytest.mark.parametrize("score", ["nan", "inf", "50", "-1"])
def test_a_score_that_no_probability_can_be_is_refused_before_anything_is_done(command: list[str], score: str) -> None:
    before = tree(Path())
    done = run(command[0], "r.jsonl", *command[1:], "--min-score", score)
    assert (done.exit_code, tree(Path())) == (2, before)
    assert "Give --min-score" in done.stderr


def test_scores_that_are_no_probabilities_are_compared_as_they_are() -> None:
    write_results(Path("r.jsonl"), {"in/a.jpg": ("cat", 3, 12.5), "in/b.jpg": ("dog", 5, 7.5)})
    assert run("sort", "r.jsonl", "--into", "out", "--min-score", "10").exit_code == 0
    assert Path("out/cat/a.jpg").is_file()
    assert Path("out/unsure/b.jpg").is_file()


@pytest.mark.parametrize("kind", ["a file", "a link to nothing"])
def test_what_has_the_name_of_a_folder_is_named_and_no_journal_is_left_of_nothing(kind: str) -> None:
    Path("out").mkdir()
    Path("out/cat").write_text("mine") if kind == "a file" else Path("out/cat").symlink_to("nowhere")
    done = run("sort", "r.jsonl", "--into", "out", "--move")
    reason = f"out/cat is {kind}, where a folder has to be. Move it away and sort again."
    assert (done.exit_code, done.stderr.splitlines()[0]) == (1, f"{Path('in/a.jpg').absolute()}: {reason}")
    assert f"`vithybrid undo {JOURNAL}`" in done.stderr
    again = run("sort", "r.jsonl", "--into", "out", "--move")
    assert (again.exit_code, "vithybrid undo" in again.stderr) == (1, False)
    assert [path.name for path in Path("out").glob(".*.jsonl")] == [Path(JOURNAL).name]


@pytest.mark.parametrize("root", ["nowhere", "r.jsonl"])
@pytest.mark.parametrize("command", [["sort", "--into", "out"], ["tag"], ["tag", "--remove"], ["report", "-o", "out"]])
def test_a_root_that_is_no_folder_is_refused(command: list[str], root: str) -> None:
    done = run(command[0], "r.jsonl", *command[1:], "--root", root)
    assert (done.exit_code, Path("out").exists()) == (2, False)
    assert done.stderr.startswith(f"vithybrid: {root} ")
    assert "Give --root the folder" in done.stderr


def test_an_empty_name_is_no_folder_to_sort_into() -> None:
    before = tree(Path())
    done = run("sort", "r.jsonl", "--into", "")
    assert (done.exit_code, tree(Path())) == (2, before)
    assert "An empty text is no folder" in done.stderr


def test_the_command_that_undoes_works_for_a_folder_whose_name_begins_with_a_dash() -> None:
    before = tree(Path())
    done = run("sort", "r.jsonl", "--into", "-s")
    undone = run(*shlex.split(done.stderr.split("`")[1])[1:])
    assert (undone.exit_code, tree(Path())) == (0, before)


def test_an_undo_says_which_files_stay_that_no_sort_has_brought() -> None:
    run("sort", "r.jsonl", "--into", "out", "--move")
    Path("out/cat/a.jpg.xmp").write_text("new")
    Path("out/dog/b.jpg.xmp").write_text("new")
    done = run("undo", JOURNAL)
    first = Path("out/cat/a.jpg.xmp").absolute()
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (
        0,
        f"2 files that no sort has brought stay in {Path('out').absolute()}: {first}, …",
    )


def test_an_undo_of_an_older_sort_tells_that_a_later_one_is_there() -> None:
    run("sort", "r.jsonl", "--into", "out")
    write_results(Path("r2.jsonl"), {"in/a.jpg": "lynx", "in/b.jpg": "wolf"})
    run("sort", "r2.jsonl", "--into", "out")
    done = run("undo", JOURNAL)
    assert done.exit_code == 0
    assert "A later sort into the same folder is not undone" in done.stderr.splitlines()[0]
    assert ".vithybrid-sort-2.jsonl" in done.stderr.splitlines()[0]
    assert "stay" not in done.stderr


def test_an_undo_counts_files_and_no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in/a.xmp").write_text("of a")
    run("sort", "r.jsonl", "--into", "out")
    monkeypatch.setattr("vithybrid_cli.commands.progress.WORTH_A_SUMMARY", 0)
    done = run("undo", JOURNAL)
    assert "4 of 4 files" in done.stderr
    assert "pictures" not in done.stderr
