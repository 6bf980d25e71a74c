"""The contract of ``vithybrid report``: what is on the page of which results, what is written, and what is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from archive_files import picture, tar, zipped
from PIL import Image
from places import EXAMPLES
from read_page import ReadPage
from typer.testing import CliRunner
from web_server import web_server

from vithybrid_cli.commands.app import app
from vithybrid_cli.locks import lock_file
from vithybrid_cli.runs.pages import report as report_module

ERROR = {"type": "UnreadableImage", "message": "The file is empty. Copy or download it again."}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["report", *arguments], catch_exceptions=False)


def labelled(*names: str, file: str = "labels.jsonl") -> Path:
    """A file of results as another machine may have written it: nothing lies beside it."""
    lines = [{"path": name, "predictions": [{"index": 1, "label": "cat", "score": 0.75}]} for name in names]
    Path(file).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return Path(file)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which three pictures lie in a folder."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy(EXAMPLES / "cat.png", Path("photos") / name)
    return tmp_path


@pytest.fixture
def results(photos: Path) -> Path:
    """What `classify` has written of the pictures and a broken file."""
    Path("photos/d.png").write_bytes(b"")
    CliRunner().invoke(app, ["classify", "photos", "-m", "tiny", "-o", "labels.jsonl"], catch_exceptions=False)
    return Path("labels.jsonl")


def there() -> list[str]:
    """What is in the current folder."""
    return sorted(file.name for file in Path().iterdir())


def page() -> ReadPage:
    return ReadPage.of(Path("page.html"))


def test_a_page_has_each_picture_in_order_with_its_labels_and_a_thumbnail(results: Path) -> None:
    done = run("labels.jsonl", "-o", "page.html")
    assert (done.exit_code, done.stdout) == (0, "")
    records = [json.loads(line) for line in results.read_text().splitlines()]
    read = page()
    assert read.paths == [record["path"] for record in records]
    for entry, record in zip(read.entries, records, strict=True):
        scored = zip(entry.get("predictions", [])[::2], entry.get("predictions", [])[1::2], strict=True)
        found = [(*read.labels[number], score) for number, score in scored]
        assert found == [(p["index"], p["label"], p["score"]) for p in record.get("predictions", [])]
        assert entry.get("error") == (list(record["error"].values()) if "error" in record else None)
    assert sorted(read.inline) == [0, 1, 2]
    assert [read.thumbnail(number).format for number in range(3)] == ["WEBP"] * 3
    assert read.notes == [[], [], [], []]
    assert (
        done.stderr.splitlines()[-1] == f"page.html shows 4 pictures in {Path('page.html').stat().st_size / 1e6:.1f} MB"
    )


def test_the_heading_says_what_is_shown(results: Path) -> None:
    run("labels.jsonl", "-o", "page.html")
    assert page().title == "labels"
    assert page().facts == {"Results": "labels.jsonl", "Model": "tiny"}
    assert page().left_out is None
    run("labels.jsonl", "-o", "page.html", "--title", "</title><b>Mine</b>")
    assert page().title == "</title><b>Mine</b>"


def test_where_nothing_tells_size_and_time_the_page_says_what_it_assumes(photos: Path) -> None:
    labelled("photos/a.png")
    run("labels.jsonl", "-o", "page.html")
    assert page().facts["Pictures"].startswith("those that are there now")


def test_pictures_that_are_gone_changed_or_broken_now_have_notes_and_are_counted_in_one_line(results: Path) -> None:
    Path("photos/a.png").unlink()
    shutil.copy(EXAMPLES / "dog.jpg", "photos/b.png")
    Path("photos/c.png").write_bytes(b"no picture")
    done = run("labels.jsonl", "-o", "page.html")
    assert page().notes == [
        ["The picture is gone."],
        ["The picture has changed since it was labelled."],
        [
            "The picture has changed since it was labelled.",
            "It cannot be shown. This is no picture in a supported format, but a text file.",
        ],
        [],
    ]
    assert sorted(page().inline) == [1]
    assert "original" not in page().entries[0]
    line = "1 is gone, 2 have changed since they were labelled, 1 cannot be read now"
    assert done.stderr.splitlines()[-1].endswith(line)
    assert done.exit_code == 1


def test_a_picture_that_is_cut_off_now_is_shown_as_far_as_it_goes(photos: Path) -> None:
    content = (EXAMPLES / "dog.jpg").read_bytes()
    Path("photos/a.jpg").write_bytes(content[: len(content) // 2])
    labelled("photos/a.jpg")
    done = run("labels.jsonl", "-o", "page.html")
    assert sorted(page().inline) == [0]
    assert page().notes[0][0].startswith("It is shown in part. The picture is damaged or cut off")
    assert done.exit_code == 0


def test_what_could_not_be_labelled_and_can_be_read_now_is_shown_with_its_error(photos: Path) -> None:
    record = {"path": "photos/a.png", "error": ERROR}
    Path("labels.jsonl").write_text(json.dumps(record) + "\n")
    assert run("labels.jsonl", "-o", "page.html").exit_code == 0
    assert page().entries[0]["error"] == list(ERROR.values())
    assert sorted(page().inline) == [0]


def test_if_no_picture_is_found_the_option_that_finds_them_is_named(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"path": "photos/no.png", "error": {"type": "MissingFile", "message": "There is no file of this name."}}
    with labelled("photos/a.png", "photos/b.png").open("a") as stream:
        stream.write(json.dumps(missing) + "\n")
    Path("elsewhere").mkdir()
    monkeypatch.chdir(photos / "elsewhere")
    done = run("../labels.jsonl", "-o", "page.html")
    assert done.exit_code == 1
    assert "vithybrid: no picture is where the results say" in done.stderr
    assert "--root" in done.stderr
    assert run("../labels.jsonl", "-o", "page.html", "--root", "..").exit_code == 0
    assert sorted(page().inline) == [0, 1]


def test_a_picture_opens_by_a_relative_address_below_the_page_and_by_that_of_its_file_elsewhere(photos: Path) -> None:
    labelled("photos/a.png", "https://example.org/a b.png")
    run("labels.jsonl", "-o", "page.html", "--offline")
    assert [entry.get("original") for entry in page().entries] == ["photos/a.png", "https://example.org/a%20b.png"]
    Path("pages").mkdir()
    run("labels.jsonl", "-o", "pages/page.html", "--offline")
    read = ReadPage.of(Path("pages/page.html"))
    assert read.entries[0]["original"] == (photos / "photos" / "a.png").as_uri()


HOSTILE = [
    "</script><script>alert(1)</script>.png",
    "<!--.png",
    "a'b\"c.png",
    "%41 #?&+.png",
    "javascript:alert(1).png",
    "new\nline.png",
    "\u2028\u2029\u202egnp.png",
    "e\u0301 and \u00e9.png",
    "\ud83d\ude00.png".encode("utf-16", "surrogatepass").decode("utf-16"),
    os.fsdecode(b"undecodable-\xff\xfe.png"),
    " .png",
    "-o.png",
]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have fewer names")
@pytest.mark.parametrize("thumbnails", ["inline", "link"])
def test_a_name_of_any_characters_is_text_and_leads_to_its_picture(photos: Path, thumbnails: str) -> None:
    names = [name.replace("/", "\u2215") for name in HOSTILE]
    for name in names:
        shutil.copy(EXAMPLES / "cat.png", name)
    labelled(*names)
    assert run("labels.jsonl", "-o", "page.html", "--thumbnails", thumbnails).exit_code == 0
    read = page()
    assert read.paths == names
    assert "alert(1)</script>.png" not in read.text
    for name, entry in zip(names, read.entries, strict=True):
        assert entry["original"].isascii()
        assert ":" not in entry["original"]
        assert os.fsdecode(unquote(entry["original"], errors="surrogateescape")) == name


def test_members_of_archives_are_shown_and_rows_of_tables(photos: Path) -> None:
    Path("p.zip").write_bytes(zipped([("in/a.png", picture(10)), ("b.png", b"broken")]))
    Path("p.tar").write_bytes(tar([("a.png", picture(20))]))
    names = ["zip://in/a.png::p.zip", "zip://b.png::p.zip", "tar://a.png::p.tar", "zip://no.png::p.zip"]
    labelled(*names, "zip://a.png::gone.zip")
    done = run("labels.jsonl", "-o", "page.html")
    assert sorted(page().inline) == [0, 2]
    assert page().thumbnail(0).getpixel((0, 0)) == pytest.approx((10, 10, 10), abs=4)
    assert [bool(notes) for notes in page().notes] == [False, True, False, True, True]
    assert all("original" not in entry for entry in page().entries)
    assert done.exit_code == 1


def test_pictures_at_addresses_are_shown_and_none_is_asked_offline(photos: Path) -> None:
    with web_server() as served:
        address, missing = served.gives("/a%20b.png", picture(90)), f"{served.url}/no.png"
        labelled(address, missing)
        assert run("labels.jsonl", "-o", "page.html").exit_code == 1
        assert sorted(page().inline) == [0]
        assert page().entries[0]["original"] == address
        assert page().notes[1][0].startswith("It cannot be shown.")
        assert run("labels.jsonl", "-o", "page.html", "--offline").exit_code == 1
        assert page().inline == {}


def test_rows_of_tables_are_shown_by_the_column_that_was_chosen(photos: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"one": [picture(1), picture(2)], "two": [picture(101), picture(102)]}
    parquet.write_table(pyarrow.table(columns), "t.parquet")
    labelled("parquet://1::t.parquet")
    assert run("labels.jsonl", "-o", "page.html", "--column", "two").exit_code == 0
    assert page().thumbnail(0).getpixel((0, 0)) == pytest.approx((102, 102, 102), abs=4)


@pytest.mark.parametrize("suffix", ["json", "csv", "tsv", "parquet"])
def test_results_are_read_in_every_format(photos: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    file = f"labels.{suffix}"
    assert CliRunner().invoke(app, ["classify", "photos", "-m", "tiny", "-k", "2", "-o", file]).exit_code == 0
    assert run(file, "-o", "page.html").exit_code == 0
    assert page().paths == ["photos/a.png", "photos/b.png", "photos/c.png"]
    assert {len(entry["predictions"]) for entry in page().entries} == {4}
    assert page().facts["Model"] == "tiny"


def test_several_files_are_shown_one_after_the_other(photos: Path) -> None:
    labelled("photos/c.png", "photos/a.png", file="1.jsonl")
    labelled("photos/b.png", file="2.jsonl")
    assert run("1.jsonl", "2.jsonl", "-o", "page.html").exit_code == 0
    assert page().paths == ["photos/c.png", "photos/a.png", "photos/b.png"]
    assert page().facts["Results"] == "1.jsonl, 2.jsonl"


def test_empty_results_give_an_empty_page(photos: Path) -> None:
    labelled()
    done = run("labels.jsonl", "-o", "page.html")
    assert done.exit_code == 0
    assert page().entries == []
    assert "page.html shows 0 pictures" in done.stderr


def test_what_max_pictures_leaves_out_is_said_on_the_page(results: Path) -> None:
    run("labels.jsonl", "-o", "page.html", "--max-pictures", "2")
    assert page().paths == ["photos/a.png", "photos/b.png"]
    assert page().left_out == "Shown are the first 2 of 4 pictures."
    run("labels.jsonl", "-o", "page.html", "--max-pictures", "4")
    assert page().left_out is None


def test_thumbnails_are_as_large_as_was_asked_for(results: Path) -> None:
    run("labels.jsonl", "-o", "page.html", "--thumbnail-size", "50")
    assert max(page().thumbnail(0).size) == 50


def test_without_thumbnails_no_picture_is_opened_and_those_that_are_gone_are_told(results: Path) -> None:
    Path("photos/a.png").write_bytes(b"no picture")
    Path("photos/b.png").unlink()
    done = run("labels.jsonl", "-o", "page.html", "--thumbnails", "none")
    assert page().inline == {}
    assert page().notes == [["The picture has changed since it was labelled."], ["The picture is gone."], [], []]
    assert done.exit_code == 1


def test_the_same_results_and_pictures_give_the_same_bytes(results: Path) -> None:
    run("labels.jsonl", "-o", "page.html", "-j", "1")
    first = Path("page.html").read_bytes()
    run("labels.jsonl", "-o", "page.html", "-j", "4")
    assert Path("page.html").read_bytes() == first


def thumbnail_files() -> set[str]:
    folder = Path("page.html.files")
    return {file.name for file in folder.iterdir()} if folder.exists() else set()


def test_linked_thumbnails_lie_beside_the_page_each_once(results: Path) -> None:
    shutil.copy(EXAMPLES / "dog.jpg", "photos/b.png")
    assert run("labels.jsonl", "-o", "page.html", "--thumbnails", "link").exit_code == 0
    addresses = [entry.get("thumbnail") for entry in page().entries]
    assert page().inline == {}
    assert addresses[0] == addresses[2] != addresses[1]
    assert addresses[3] is None
    assert {Path(address).name for address in addresses if address} == thumbnail_files()
    with page().thumbnail(0, Path("page.html")) as cat, page().thumbnail(1, Path("page.html")) as dog:
        assert max(cat.size) == max(dog.size) == 176


def test_linked_thumbnails_of_the_page_before_go_and_what_others_put_there_stays(results: Path) -> None:
    run("labels.jsonl", "-o", "page.html", "--thumbnails", "link")
    (before,) = thumbnail_files()
    folder = Path("page.html.files")
    shutil.copy(EXAMPLES / "cat.png", folder / "mine.png")
    edited = folder / f"{'0' * 32}.webp"
    edited.write_bytes(b"something else under a name like ours")
    shutil.copytree("photos", folder / "more")
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy(EXAMPLES / "dog.jpg", Path("photos") / name)
    run("labels.jsonl", "-o", "page.html", "--thumbnails", "link")
    assert before not in thumbnail_files()
    assert thumbnail_files() > {"mine.png", "more", edited.name}
    run("labels.jsonl", "-o", "page.html")
    assert thumbnail_files() == {"mine.png", "more", edited.name}


def test_a_folder_of_thumbnails_that_nobody_needs_any_more_goes(results: Path) -> None:
    run("labels.jsonl", "-o", "page.html", "--thumbnails", "link")
    run("labels.jsonl", "-o", "page.html")
    assert not Path("page.html.files").exists()


def test_thumbnails_beside_a_page_are_no_pictures_to_label(results: Path) -> None:
    run("labels.jsonl", "-o", "photos/page.html", "--thumbnails", "link")
    done = CliRunner().invoke(app, ["classify", "photos", "-m", "tiny", "-f", "jsonl"])
    assert len(done.stdout.splitlines()) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have fewer names")
@pytest.mark.parametrize("name", ["a b#?%41.html", os.fsdecode(b"\xff.html"), "\u2028'\".html", "a:b.html"])
def test_a_page_of_any_name_finds_its_thumbnails(results: Path, name: str) -> None:
    assert run("labels.jsonl", "-o", name, "--thumbnails", "link").exit_code == 0
    address = ReadPage.of(Path(name)).entries[0]["thumbnail"]
    assert address.isascii()
    assert ":" not in address
    assert Path(unquote(address, errors="surrogateescape")).is_file()


def test_a_file_in_the_place_of_the_folder_of_thumbnails_is_refused(results: Path) -> None:
    Path("page.html.files").touch()
    assert "Cannot write to page.html.files: File exists." in refused(
        "labels.jsonl", "-o", "page.html", "--thumbnails", "link"
    )
    assert run("labels.jsonl", "-o", "page.html").exit_code == 0
    assert Path("page.html.files").is_file()


@pytest.mark.parametrize("kind", ["DecoderCrashed", "DecodeTimeout", "WorkerCrashed"])
def test_a_picture_that_has_crashed_its_decoder_or_hung_is_not_opened_again(photos: Path, kind: str) -> None:
    record = {"path": "photos/a.png", "error": {"type": kind, "message": "It took too long."}}
    Path("labels.jsonl").write_text(json.dumps(record) + "\n")
    assert run("labels.jsonl", "-o", "page.html").exit_code == 0
    assert page().entries[0]["error"] == [kind, "It took too long."]
    assert page().inline == {}
    assert page().notes == [[]]


def test_only_one_run_at_a_time_writes_the_thumbnails_of_a_page(results: Path) -> None:
    Path("page.html.files").mkdir()
    with lock_file(Path("page.html.files/.lock")):
        assert "Another run is writing page.html." in refused("labels.jsonl", "-o", "page.html", "--thumbnails", "link")


def test_a_link_to_a_page_stays_one(results: Path) -> None:
    Path("pages").mkdir()
    Path("page.html").symlink_to("pages/page.html")
    assert run("labels.jsonl", "-o", "page.html").exit_code == 0
    assert Path("page.html").is_symlink()
    assert Path("pages/page.html").is_file()


def refused(*arguments: str) -> str:
    """The one line on stderr of a run that writes nothing."""
    before = there()
    done = run(*arguments)
    assert done.exit_code == 2
    assert there() == before
    (line,) = done.stderr.splitlines()
    return str(line)


def test_what_is_there_and_is_no_page_of_ours_is_not_overwritten(results: Path) -> None:
    Path("page.html").write_text("<!DOCTYPE html><title>My own</title>")
    assert "page.html is there already, and is no page that this program has written" in refused(
        "labels.jsonl", "-o", "page.html"
    )
    assert Path("page.html").read_text() == "<!DOCTYPE html><title>My own</title>"


def test_a_page_does_not_overwrite_the_results_that_it_is_made_of(results: Path) -> None:
    shutil.copy(results, "labels.html")
    assert "is what the page is made of" in refused("labels.html", "-o", "labels.html")
    Path("same.html").hardlink_to("labels.html")
    assert "is what the page is made of" in refused("labels.html", "-o", "same.html")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        pytest.param("labels.jsonl", "The name of a page ends in .html", id="the results"),
        pytest.param("photos/a.png", "The name of a page ends in .html", id="a picture"),
        pytest.param("folder.html", "Is a directory", id="a folder"),
        pytest.param("no/page.html", "there is no folder", id="no folder"),
        pytest.param("page", "The name of a page ends in .html", id="no suffix"),
        pytest.param("-", "The name of a page ends in .html", id="stdout"),
        pytest.param("pipe.html", "A page is written to a regular file", id="a pipe"),
    ],
)
def test_a_place_where_no_page_can_be_is_refused_before_the_work(results: Path, output: str, message: str) -> None:
    Path("folder.html").mkdir()
    os.mkfifo("pipe.html")
    assert message in refused("labels.jsonl", "-o", output)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            '{"path": "photos/a.png", "predictions": []}\n{"path": "ph', "is cut off after 1 result.", id="cut off"
        ),
        pytest.param("hello", "is no file of results", id="something else"),
        pytest.param('{"path": "a.png", "embedding": [0.5]}\n', "it holds features, and no labels", id="features"),
        pytest.param('{"path": "a.png", "predictions": []}\n{}\n', "is damaged", id="damaged"),
    ],
)
def test_results_that_cannot_be_read_leave_the_page_before_as_it_was(photos: Path, content: str, message: str) -> None:
    labelled("photos/a.png", file="before.jsonl")
    run("before.jsonl", "-o", "page.html")
    before = Path("page.html").read_bytes()
    Path("labels.jsonl").write_text(content)
    assert message in refused("labels.jsonl", "-o", "page.html")
    assert Path("page.html").read_bytes() == before


def test_results_from_a_pipe_are_refused_and_not_waited_for(photos: Path) -> None:
    os.mkfifo("labels.jsonl")
    assert "Write them to a file first" in refused("labels.jsonl", "-o", "page.html")


def test_a_large_page_is_told_early_with_what_makes_it_smaller(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "COMFORTABLE", 1000)
    done = run("labels.jsonl", "-o", "page.html")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("vithybrid:")]
    assert "--thumbnails link of `vithybrid report`" in line
    assert "--max-pictures" in line
    assert Path("page.html").exists()
    done = run("labels.jsonl", "-o", "page.html", "-q", "--thumbnails", "link")
    assert "--thumbnails" not in done.stderr
    assert "--max-pictures" in done.stderr


def test_how_large_a_page_becomes_is_told_while_it_is_written(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.effect_noise((8, 8), 60).save("n.png")
    labelled(*["n.png"] * 1200)
    monkeypatch.setattr(report_module, "COMFORTABLE", 200_000)
    done = run("labels.jsonl", "-o", "page.html")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("vithybrid:")]
    said = float(line.split(" will have about ")[1].split(" MB")[0])
    assert said == pytest.approx(Path("page.html").stat().st_size / 1e6, abs=0.06)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("thumbnails", ["inline", "link"])
def test_an_interrupted_run_leaves_nothing_half(photos: Path, number: int, thumbnails: str) -> None:
    Image.effect_noise((1500, 1500), 60).save("n.png", compress_level=1)
    labelled(*["n.png"] * 300)
    arguments = ["report", "labels.jsonl", "-o", "page.html", "--thumbnails", thumbnails, "-j", "1"]
    program = subprocess.Popen([sys.executable, "-m", "vithybrid_cli", *arguments], stderr=subprocess.PIPE, text=True)
    while not list(Path().glob(".page.html.*")):
        time.sleep(0.02)
    program.send_signal(number)
    _, stderr = program.communicate(timeout=60)
    assert program.returncode == 128 + number
    assert "page.html is not written" in stderr
    assert there() == ["labels.jsonl", "n.png", "photos"]
