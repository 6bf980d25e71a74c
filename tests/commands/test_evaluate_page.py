"""``vithybrid evaluate … -o page.html``: figures become a page, from folders and from archives."""

import json
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from places import GOLDENS
from typer.testing import CliRunner

from vithybrid_cli import Classifier
from vithybrid_cli.commands.app import app
from vithybrid_cli.evaluation.figures import Metrics
from vithybrid_cli.evaluation.matrix import ConfusionMatrix, confusion_matrix

MODEL = str(GOLDENS / "hf-hybrid-small")


def run(*arguments: str) -> Any:
    command = ["evaluate", "-m", MODEL, "--device", "cpu", "--no-progress", *arguments]
    return CliRunner().invoke(app, command, catch_exceptions=False)


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six pictures in two label folders of ``labelled`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for number in range(6):
        folder = Path("labelled", "tench" if number % 2 else "3")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (70, 80, 3), np.uint8)).save(folder / f"{number}.png")
    return Path("labelled")


def shown(page: str = "page.html") -> Any:
    """What the page's script reads."""
    text = Path(page).read_text(encoding="utf-8")
    (block,) = re.findall(r'<script type="application/json" id="evaluation">(.*?)</script>', text)
    return json.loads(block)


def test_the_suffix_makes_a_page_with_thumbnails_of_the_pictures(labelled: Path) -> None:
    done = run("labelled", "-o", "page.html")
    assert (done.exit_code, done.stdout) == (0, "")
    assert re.fullmatch(r"page\.html shows 6 pictures in 0\.\d MB\n", done.stderr)
    pictures = shown()["pictures"]
    assert {Path(picture["path"]) for picture in pictures} == set(labelled.rglob("*.png"))
    assert {picture["original"] for picture in pictures} == {str(path) for path in labelled.rglob("*.png")}
    assert [picture["thumbnail"] for picture in pictures] == [[80, 70]] * 6


def test_the_page_has_the_figures_of_the_other_formats(labelled: Path) -> None:
    report = json.loads(run("labelled").stdout)
    run("labelled", "-o", "page.html")
    page, found = Path("page.html").read_text(encoding="utf-8"), shown()
    assert f'<p class="large-number">{report["top1"]:.1%}</p>' in page
    assert f'<p class="large-number">{report["calibration"]["error"]:.1%}</p>' in page
    cells = {tuple(map(int, name.split("-"))): cell["count"] for name, cell in found["cells"].items()}
    assert {pair: count for pair, count in cells.items() if pair[0] != pair[1]} == {
        (pair["true_index"], pair["predicted_index"]): pair["count"] for pair in report["confusions"]
    }


@pytest.mark.usefixtures("labelled")
def test_the_format_makes_a_page_too() -> None:
    assert run("labelled", "-f", "html", "-o", "page.htm").exit_code == 0
    assert len(shown("page.htm")["pictures"]) == 6


@pytest.mark.usefixtures("labelled")
def test_the_same_evaluation_gives_the_same_page() -> None:
    run("labelled", "-o", "page.html")
    before = Path("page.html").read_bytes()
    run("labelled", "-o", "page.html")
    assert Path("page.html").read_bytes() == before


def test_pictures_in_an_archive_are_shown(labelled: Path) -> None:
    with ZipFile("held out.zip", "w") as archive:
        for path in sorted(labelled.rglob("*.png")):
            archive.write(path, path.relative_to(labelled))
    assert run("held out.zip", "-o", "page.html").exit_code == 0
    pictures = shown()["pictures"]
    assert all(picture["path"].startswith("zip://") and picture["thumbnail"] for picture in pictures)
    assert {picture["original"] for picture in pictures} == {None}


def test_what_could_not_be_read_is_named_on_the_page(labelled: Path) -> None:
    (labelled / "tench" / "bad.png").write_bytes(b"no picture")
    assert run("labelled", "-o", "page.html").exit_code == 1
    page = Path("page.html").read_text(encoding="utf-8")
    assert str(Path("labelled", "tench", "bad.png")) in page
    assert "1 more could not be read" in page


@pytest.mark.usefixtures("labelled")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["-f", "html"], "A page is a file, and none is named. Give its name with --output", id="no file"),
        pytest.param(["-f", "html", "-o", "page.csv"], "The name of a page ends in .html", id="another suffix"),
        pytest.param(["-o", "no/such/page.html"], "there is no folder", id="no folder"),
        pytest.param(["-o", "mine.html"], "is no page that this program has written", id="another's page"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_before_the_model_is_read(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.html").write_text("<!DOCTYPE html><title>Mine</title>", encoding="utf-8")
    monkeypatch.setattr(Classifier, "open", None)
    done = run("labelled", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
    assert Path("mine.html").read_text(encoding="utf-8") == "<!DOCTYPE html><title>Mine</title>"


@pytest.mark.usefixtures("labelled")
def test_an_evaluation_that_fails_leaves_the_page_before_it() -> None:
    run("labelled", "-o", "page.html")
    before = Path("page.html").read_bytes()
    for path in Path("labelled").rglob("*.png"):
        path.unlink()
    assert run("labelled", "-o", "page.html").exit_code == 2
    assert Path("page.html").read_bytes() == before


def test_how_many_pictures_have_no_thumbnail_is_said(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vithybrid_cli.runs.pages.evaluation.MOST_THUMBNAILS", 2)
    done = run("labelled", "-o", "page.html")
    assert "page.html shows 2 pictures" in done.stderr
    page = Path("page.html").read_text(encoding="utf-8")
    assert "Of 6 pictures here, 2 have a thumbnail, and the others only their name." in page
    assert [picture["thumbnail"] is None for picture in shown()["pictures"]].count(True) == 4


@pytest.mark.usefixtures("labelled")
def test_a_picture_that_is_gone_before_the_page_is_made_is_there_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(metrics: Metrics) -> ConfusionMatrix:
        Path("labelled", "3", "0.png").unlink()
        return confusion_matrix(metrics)

    monkeypatch.setattr("vithybrid_cli.runs.pages.evaluation.confusion_matrix", meanwhile)
    done = run("labelled", "-o", "page.html")
    assert re.search(r"page\.html shows 5 pictures in 0\.\d MB; 1 cannot be read any more\n", done.stderr)
    [gone] = [picture for picture in shown()["pictures"] if picture["path"].endswith("0.png")]
    assert (gone["thumbnail"], gone["original"]) == (None, None)
