"""Results that were written earlier find their pictures again, and tell those that were replaced."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from places import ROOT
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app
from vithybrid_cli.runs.pictured import name_below, pictured
from vithybrid_cli.sources.containers import Wanted


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three pictures, which is the current one."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy(ROOT / "examples" / "cat.png", Path("photos") / name)
    return tmp_path


def label(output: str) -> Path:
    assert CliRunner().invoke(app, ["classify", "photos", "-m", "tiny", "-o", output]).exit_code == 0
    return Path(output)


@pytest.mark.parametrize("output", ["labels.jsonl", "labels.json", "labels.csv", "labels.tsv"])
def test_a_picture_that_was_replaced_gone_or_left_as_it_was_is_told(photos: Path, output: str) -> None:
    results = label(output)
    shutil.copy(ROOT / "examples" / "dog.jpg", "photos/a.png")
    Path("photos/b.png").unlink()
    assert [one.changed for one in pictured(results, Wanted())] == [True, True, False]


def test_of_results_alone_nothing_tells_whether_pictures_have_changed(photos: Path) -> None:
    results = label("labels.jsonl").rename("elsewhere.jsonl")
    assert [one.changed for one in pictured(results, Wanted())] == [None, None, None]


def test_the_stamp_of_another_result_says_nothing(photos: Path) -> None:
    results = label("labels.jsonl")
    results.write_text(results.read_text().replace("0.", "0.0"))
    assert {one.changed for one in pictured(results, Wanted())} == {None}


def test_pictures_are_found_below_the_root_from_any_folder(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = label("labels.jsonl").resolve()
    (photos / "elsewhere").mkdir()
    monkeypatch.chdir(photos / "elsewhere")
    assert [one.changed for one in pictured(results, Wanted())] == [True, True, True]
    found = list(pictured(results, Wanted(), photos))
    assert [one.changed for one in found] == [False, False, False]
    assert [one.result.path for one in found] == ["photos/a.png", "photos/b.png", "photos/c.png"]


@pytest.mark.parametrize(
    ("name", "below"),
    [
        pytest.param("a.jpg", os.path.join("/r", "a.jpg"), id="a relative path"),  # noqa: PTH118
        pytest.param("/b/a.jpg", "/b/a.jpg", id="an absolute path"),
        pytest.param("zip://x/a.jpg::p.zip", "zip://x/a.jpg::/r/p.zip", id="a member"),
        pytest.param("zip://a.jpg::https://h/p.zip", "zip://a.jpg::https://h/p.zip", id="a member at an address"),
        pytest.param("https://h/a.jpg", "https://h/a.jpg", id="an address"),
    ],
)
def test_only_paths_of_files_begin_at_the_root(name: str, below: str) -> None:
    assert name_below(Path("/r"), name) == below


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are Unicode there")
@pytest.mark.parametrize("output", ["labels.jsonl", "labels.csv", "labels.tsv"])
def test_a_picture_whose_name_is_no_unicode_is_found_whatever_the_format(photos: Path, output: str) -> None:
    name = os.fsdecode(b"photos/caf\xe9.png")
    Path("photos/a.png").rename(name)
    found = [one.item for one in pictured(label(output), Wanted())]
    assert name in [item.name for item in found]
    for item in found:
        item.open().close()
