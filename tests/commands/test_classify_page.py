"""``vithybrid classify -o page.html``: the results lie beside the page, so a run goes on by them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from places import EXAMPLES
from read_page import ReadPage
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["classify", "-m", "tiny", *arguments], catch_exceptions=False)


def there() -> list[str]:
    """What is in the current folder."""
    return sorted(file.name for file in Path().iterdir())


def page() -> ReadPage:
    return ReadPage.of(Path("page.html"))


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which three pictures lie in a folder."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy(EXAMPLES / "cat.png", Path("photos") / name)
    return tmp_path


@pytest.mark.parametrize("arguments", [["-o", "page.html"], ["-o", "page.html", "-f", "html"], ["-o", "page.HTM"]])
def test_the_suffix_or_the_format_asks_for_a_page_and_results_lie_beside_it(arguments: list[str]) -> None:
    done = run("photos", *arguments)
    assert (done.exit_code, done.stdout) == (0, "")
    name = arguments[1]
    assert there() == [name, "page.jsonl", "page.jsonl.files.jsonl", "page.jsonl.run.json", "photos"]
    assert ReadPage.of(Path(name)).paths == ["photos/a.png", "photos/b.png", "photos/c.png"]
    assert run("photos", "-o", "other.jsonl").exit_code == 0
    assert Path("page.jsonl").read_bytes() == Path("other.jsonl").read_bytes()
    assert Path("page.jsonl.run.json").read_bytes() == Path("other.jsonl.run.json").read_bytes()


def test_another_format_that_is_asked_for_is_written_whatever_the_suffix_says() -> None:
    assert run("photos", "-o", "labels.html", "-f", "csv").exit_code == 0
    assert Path("labels.html").read_text().startswith("path,")
    assert "labels.jsonl" not in there()


def test_a_page_has_what_could_not_be_labelled_and_the_run_ends_as_any_with_errors() -> None:
    Path("photos/b.png").write_bytes(b"no picture")
    done = run("photos", "-o", "page.html")
    assert done.exit_code == 1
    assert [("error" in entry) for entry in page().entries] == [False, True, False]
    assert "page.html shows 3 pictures" in done.stderr
    assert "cannot be read now" not in done.stderr


def test_a_page_among_the_pictures_is_nothing_left_out() -> None:
    run("photos", "-o", "photos/page.html")
    done = run("photos", "-o", "photos/page.html")
    assert [line for line in done.stderr.splitlines() if "left out" in line] == []
    assert len(ReadPage.of(Path("photos/page.html")).paths) == 3


def test_an_update_labels_what_is_new_and_makes_the_page_anew() -> None:
    run("photos", "-o", "page.html")
    shutil.copy(EXAMPLES / "dog.jpg", "photos/d.jpg")
    done = run("photos", "-o", "page.html", "--update")
    assert "labelled 1 new; kept 3" in done.stderr
    assert len(page().paths) == 4


def test_a_run_that_was_broken_off_goes_on_and_makes_the_page() -> None:
    run("photos", "-o", "page.html")
    whole, lines = Path("page.html").read_bytes(), Path("page.jsonl").read_text().splitlines(keepends=True)
    Path("page.html").unlink()
    Path("page.jsonl").write_text("".join(lines[:2]))
    assert run("photos", "-o", "page.html", "--resume").exit_code == 0
    assert Path("page.jsonl").read_text() == "".join(lines)
    assert Path("page.html").read_bytes() == whole
    Path("page.html").unlink()
    done = run("photos", "-o", "page.html", "--resume")
    assert "page.jsonl has the results of all 3 inputs" in done.stderr
    assert Path("page.html").read_bytes() == whole


def test_results_that_nobody_named_are_not_overwritten() -> None:
    run("photos", "-o", "page.jsonl", "-k", "1")
    before = Path("page.jsonl").read_bytes()
    done = run("photos", "-o", "page.html")
    assert done.exit_code == 2
    assert "page.jsonl is there already" in done.stderr
    assert Path("page.jsonl").read_bytes() == before
    assert run("photos", "-o", "page.html", "-k", "1", "--update").exit_code == 0
    assert len(page().paths) == 3
    assert run("photos", "-o", "page.html").exit_code == 0  # which are those of its own page now
    assert {len(json.loads(line)["predictions"]) for line in Path("page.jsonl").read_text().splitlines()} == {5}


def test_results_beside_a_page_that_is_not_theirs_are_not_overwritten() -> None:
    run("photos/a.png", "-o", "page.jsonl", "-k", "1")
    assert CliRunner().invoke(app, ["report", "page.jsonl", "-o", "page.html"]).exit_code == 0
    before = Path("page.jsonl").read_bytes(), Path("page.html").read_bytes()
    done = run("photos", "-o", "page.html")
    assert done.exit_code == 2
    assert "page.jsonl is there already" in done.stderr
    assert (Path("page.jsonl").read_bytes(), Path("page.html").read_bytes()) == before


def test_results_that_are_younger_than_the_page_are_not_overwritten() -> None:
    run("photos", "-o", "page.html")
    run("photos", "-o", "page.jsonl", "-k", "1")
    later = Path("page.html").stat().st_mtime_ns + 10**9
    os.utime("page.jsonl", ns=(later, later))
    before = Path("page.jsonl").read_bytes()
    assert run("photos", "-o", "page.html").exit_code == 2
    assert Path("page.jsonl").read_bytes() == before


def test_pages_of_figures_and_of_results_do_not_take_each_others_place() -> None:
    shutil.copytree("photos", "labelled/cat")
    evaluate = ["evaluate", "labelled", "-m", "tiny", "-o", "all.html"]
    assert CliRunner().invoke(app, evaluate).exit_code == 0
    assert CliRunner().invoke(app, evaluate).exit_code == 0
    figures = Path("all.html").read_bytes()
    run("photos", "-o", "labels.jsonl")
    for command in (["classify", "photos", "-m", "tiny"], ["report", "labels.jsonl"]):
        done = CliRunner().invoke(app, [*command, "-o", "all.html"])
        assert done.exit_code == 2
        assert "all.html is there already, and is a page that `vithybrid evaluate` has written." in done.stderr
    assert Path("all.html").read_bytes() == figures
    run("photos", "-o", "page.html")
    done = CliRunner().invoke(app, [*evaluate[:-1], "page.html"])
    assert (done.exit_code, "a page that `vithybrid classify` has written" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["-f", "html"], "A page is a file, and none is named. Give its name with --output", id="no file"),
        pytest.param(["-f", "html", "-o", "-"], "A page is a file, and none is named.", id="stdout"),
        pytest.param(["-f", "html", "-o", "page.jsonl"], "The name of a page ends in .html", id="other suffix"),
        pytest.param(["-o", "pipe.html"], "A page is written to a regular file", id="a pipe"),
        pytest.param(["-o", "folder.html"], "Is a directory", id="a folder"),
        pytest.param(["-o", "no/page.html"], "there is no folder", id="no folder"),
        pytest.param(["-o", "mine.html"], "is no page that this program has written", id="another page"),
        pytest.param(["-o", "labels.xml"], "tsv, parquet or html, and not as xml.", id="an unknown suffix"),
    ],
)
def test_a_place_where_no_page_can_be_is_refused_before_the_work(arguments: list[str], message: str) -> None:
    Path("folder.html").mkdir()
    Path("mine.html").write_text("<title>Mine</title>")
    os.mkfifo("pipe.html")
    before = there()
    done = run("photos", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert there() == before


def test_a_page_that_is_an_input_is_not_overwritten() -> None:
    run("photos", "-o", "page.html")
    done = run("photos", "-o", "page.html", "--files-from", "page.html")
    assert done.exit_code == 2
    assert "page.html is an input, which would be overwritten" in done.stderr


@pytest.mark.parametrize("command", ["embed", "bench"])
def test_what_makes_no_page_refuses_one_and_says_what_it_writes(command: str) -> None:
    done = CliRunner().invoke(app, [command, "photos", "-m", "tiny", "-o", "page.html"])
    assert done.exit_code == 2
    assert "and not as html" in done.stderr
    assert "page.html" not in there()


def test_an_interrupt_while_the_page_is_made_says_how_to_go_on() -> None:
    script = (
        "import os, signal\n"
        "from vithybrid_cli.report import page\n"
        "from vithybrid_cli.runs.pages import report\n"
        "report.write_page = lambda *given: os.kill(os.getpid(), signal.SIGINT)\n"
        "from vithybrid_cli.commands.app import app\n"
        "app(['classify', 'photos', '-m', 'tiny', '-o', 'page.html'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert "page.html is not written" in done.stderr
    assert "all labels are in page.jsonl; --resume makes the page of them" in done.stderr
    assert there() == ["page.jsonl", "page.jsonl.files.jsonl", "page.jsonl.run.json", "photos"]


LONG = "a" * 300


@pytest.mark.parametrize(
    "command",
    [
        ["report", f"{LONG}.jsonl", "-o", "page.html"],
        ["report", "labels.jsonl", "-o", f"{LONG}.html"],
        ["classify", "photos", "-m", "tiny", "-o", f"{LONG}.html"],
        ["classify", "photos", "-m", "tiny", "-o", f"{'a' * 245}.html"],
        ["classify", "photos", "-m", "tiny", "-o", f"{'a' * 245}.csv"],
        ["evaluate", "photos", "-m", "tiny", "-o", f"{LONG}.html"],
        ["explain", "photos", "-m", "tiny", "-o", LONG],
        ["sort", "labels.jsonl", "--into", LONG],
    ],
)
def test_a_name_that_no_file_can_have_is_one_sentence_before_the_work(command: list[str]) -> None:
    Path("labels.jsonl").write_text('{"path": "photos/a.png", "predictions": []}\n')
    before = there()
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 2
    assert "is too long" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert there() == before
