"""What folders leave out is counted and said; what is a picture is told by its first bytes where its name does not."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from vithybrid_cli.sources.find import find
from vithybrid_cli.sources.inputs import Sources
from vithybrid_cli.sources.survey import Survey

Fill = Callable[..., None]


@pytest.fixture
def fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Makes files in a new current folder: of text, or a picture of a format."""
    monkeypatch.chdir(tmp_path)

    def make(names: str, picture: str | None = None) -> None:
        for name in names.split():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            if picture is None:
                Path(name).write_text("no picture", encoding="utf-8")
            else:
                Image.new("RGB", (4, 3)).save(name, picture)

    return make


def surveyed(*inputs: str, exclude: tuple[str, ...] = (), raw: bool = False) -> tuple[list[str], str | None]:
    survey = Survey()
    return list(find(inputs, exclude, survey, raw=raw)), survey.line()


def test_files_that_are_no_pictures_are_counted_by_suffix_the_most_first(fill: Fill) -> None:
    fill("p/a.dng p/b.DNG p/q/c.dng p/d.jxl p/e.xmp p/f.MOV p/README p/.hidden.txt")
    assert surveyed("p") == ([], "left out: 3 .dng, 1 without a suffix, 1 .jxl, 1 .mov, 1 .xmp")


def test_many_kinds_are_cut_short(fill: Fill) -> None:
    fill(" ".join(f"p/{name}.a{number:02}" for number in range(20) for name in ("xy" if number < 8 else "x")))
    named = ", ".join(f"2 .a{number:02}" for number in range(8))
    assert surveyed("p")[1] == f"left out: {named}, 12 files of 12 more kinds"


def test_large_counts_are_written_with_commas() -> None:
    survey = Survey(left_out=Counter({".xmp": 1200, "": 1}), excluded_files=2000, loops=1)
    said = "left out: 1,200 .xmp, 1 without a suffix, 1 link to a folder around it; excluded: 2,000 files"
    assert survey.line() == said


def test_what_is_hardly_a_suffix_is_none(fill: Fill) -> None:
    Path("p").mkdir()
    Path("p/at 10.15 h").touch()
    Path("p/x.").touch()
    assert surveyed("p")[1] == "left out: 2 without a suffix"


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "DDS"])
@pytest.mark.parametrize("name", ["IMG_1234", "photo.jpg.1", "cat.jpeg_large", "scan.JPG~", "img.tmp", "x.dat"])
def test_a_picture_is_found_whatever_its_suffix(fill: Fill, format_name: str, name: str) -> None:
    fill(f"p/{name}", format_name)
    assert surveyed("p") == ([f"p/{name}"], None)


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"\0\0\0\x18ftypheic\0\0\0\0", id="HEIC"),
        pytest.param(b"\0\0\0\x18ftypmif1\0\0\0\0", id="HEIF"),
        pytest.param(b"8BPS\0\1" + b"\0" * 26, id="PSD"),
        pytest.param(b"qoif" + b"\0" * 10, id="QOI"),
    ],
)
def test_formats_that_are_not_written_here_are_found_too(fill: Fill, beginning: bytes) -> None:
    Path("p").mkdir()
    Path("p/x").write_bytes(beginning)
    assert surveyed("p")[0] == ["p/x"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"BMW is a car, and this is a text about it.", b"P5 is a code", b"RIFF1234AVI LIST"]
)
def test_what_only_resembles_a_picture_is_none(fill: Fill, content: bytes) -> None:
    Path("p").mkdir()
    Path("p/x").write_bytes(content)
    assert surveyed("p") == ([], "left out: 1 without a suffix")


def test_files_of_known_suffixes_are_not_opened(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill("p/a.jpg p/b.xmp p/c.mp4 p/d.dng p/e.THM", "JPEG")
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("a file was opened"))
    assert surveyed("p") == (["p/a.jpg"], "left out: 1 .dng, 1 .mp4, 1 .thm, 1 .xmp")


def test_pipes_are_not_opened(fill: Fill) -> None:
    Path("p").mkdir()
    os.mkfifo("p/pipe")
    assert surveyed("p") == ([], "left out: 1 without a suffix")


def test_raw_files_are_pictures_only_where_that_is_asked_for(fill: Fill) -> None:
    fill("p/a.dng p/b.CR2 p/c.jpg")
    Path("p/d").write_bytes(b"FUJIFILMCCD-RAW 0201FF")
    assert surveyed("p") == (["p/c.jpg"], "left out: 1 without a suffix, 1 .cr2, 1 .dng")
    assert surveyed("p", raw=True) == (["p/a.dng", "p/b.CR2", "p/c.jpg", "p/d"], None)
    assert surveyed("p/a.dng")[0] == ["p/a.dng"]


@pytest.mark.parametrize(
    "folder",
    [
        *("@eaDir", "__MACOSX", "#recycle", "@Recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"),
        *("@tmp", "Catalog Previews.lrdata", "My.photoslibrary/resources", "appdata_oc1x2/preview"),
    ],
)
def test_folders_of_systems_are_skipped_and_said_but_read_where_they_are_named(fill: Fill, folder: str) -> None:
    Path("p", folder).mkdir(parents=True)
    Image.new("RGB", (4, 3)).save(Path("p", folder, "a.jpg"))
    paths, said = surveyed("p")
    assert (paths, said is not None and said.startswith("left out: 1 folder of the system (")) == ([], True)
    assert surveyed(f"p/{folder}") == ([f"p/{folder}/a.jpg"], None)


def test_hidden_folders_of_systems_are_as_hidden_as_others(fill: Fill) -> None:
    fill("p/.thumbnails/a.jpg p/.Trashes/b.jpg p/.@__thumb/c.jpg p/._d.jpg", "JPEG")
    assert surveyed("p") == ([], None)


def test_originals_in_a_library_of_photos_are_read(fill: Fill) -> None:
    fill("My.photoslibrary/originals/0/a.jpg My.photoslibrary/resources/derivatives/b.jpg", "JPEG")
    assert surveyed("My.photoslibrary")[0] == ["My.photoslibrary/originals/0/a.jpg"]


def test_patterns_pass_over_folders_of_systems_unless_they_name_them(fill: Fill) -> None:
    fill("p/a.jpg p/@eaDir/b.jpg", "JPEG")
    assert surveyed("p/**/*.jpg") == (["p/a.jpg"], "left out: 1 folder of the system (@eaDir)")
    assert surveyed("p/@eaDir/*.jpg")[0] == ["p/@eaDir/b.jpg"]
    assert surveyed("*/@eaDir/*.jpg")[0] == ["p/@eaDir/b.jpg"]


def test_what_is_excluded_is_counted_below_folders_and_patterns_and_read_where_it_is_named(fill: Fill) -> None:
    fill("p/a.jpg p/b.png p/raw/c.jpg p/raw/d.txt p/q/raw/e.jpg", "JPEG")
    said = "excluded: 1 file, 2 folders"
    assert surveyed("p", exclude=("raw", "*.png")) == (["p/a.jpg"], said)
    assert surveyed("p/*", exclude=("raw", "*.png"))[0] == ["p/a.jpg"]
    assert surveyed("p", exclude=("raw/*",)) == (["p/a.jpg", "p/b.png", "p/q/raw/e.jpg"], "excluded: 2 files")
    assert surveyed("p/raw", "p/b.png", exclude=("raw", "*.png"))[0] == ["p/raw/c.jpg", "p/b.png"]
    assert surveyed("p/*.png", exclude=("*.png",)) == ([], "excluded: 1 file")
    assert surveyed("p/r*", exclude=("raw",)) == ([], "excluded: 1 folder")


@pytest.mark.parametrize(
    ("exclude", "idle"),
    [
        pytest.param((), [], id="none"),
        pytest.param(("*.png", "raw"), [], id="each fits"),
        pytest.param(("*.png", "b*"), [], id="two fit the same"),
        pytest.param(("b.*", "*.PNG", "cache/"), ["*.PNG", "cache/"], id="two that fit nothing"),
        pytest.param(("a*/b.png", "a*/b.png"), ["a*/b.png"], id="the same twice"),
        pytest.param(("raw", "raw/*"), ["raw/*"], id="what is excluded with its folder"),
    ],
)
@pytest.mark.parametrize("where", ["p", "p/*"])
def test_patterns_that_exclude_nothing_are_known(
    fill: Fill, where: str, exclude: tuple[str, ...], idle: list[str]
) -> None:
    fill("p/a.jpg p/b.png p/raw/c.jpg p/raw/d.jpg", "JPEG")
    survey = Survey()
    assert list(Sources((where,), exclude=exclude).items(survey))
    assert [one for one in survey.excluding if one not in survey.fitted] == [one for one in exclude if one in idle]
    assert (survey.excluded_nothing() or "").count("exclude=") == len(idle)


def test_a_pattern_that_matches_a_folder_without_pictures_gives_nothing_and_counts(fill: Fill) -> None:
    fill("2019/a.dng")
    assert surveyed("20*") == ([], "left out: 1 .dng")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("photos [2019]/*.jpg", ["photos [2019]/a.jpg"]),
        ("photos [2019]/q?/*.jpg", ["photos [2019]/q1/b.jpg"]),
        ("what?/*.jpg", ["what?/c.jpg"]),
        ("*star*/*.jpg", ["*star*/d.jpg"]),
        ("*/photos [2019]/*.jpg", ["in/photos [2019]/e.jpg"]),
    ],
)
def test_a_part_of_a_pattern_that_exists_is_itself(fill: Fill, pattern: str, expected: list[str]) -> None:
    files = ["photos [2019]/a.jpg", "photos [2019]/q1/b.jpg", "what?/c.jpg", "*star*/d.jpg", "in/photos [2019]/e.jpg"]
    for name in [*files, "photos 2/f.jpg", "whats/g.jpg"]:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert surveyed(pattern)[0] == expected


def test_the_files_of_a_run_itself_are_not_left_out(fill: Fill) -> None:
    fill("p/out.jsonl p/out.jsonl.run.json p/outer.jsonl p/list.txt q/out.jsonl")
    survey = Survey()
    sources = Sources(("p", "q"), Path("p/list.txt"), output=Path("p/out.jsonl"))
    Path("p/list.txt").write_text("", encoding="utf-8")
    assert list(sources.items(survey)) == []
    assert survey.line() == "left out: 2 .jsonl"
    assert [item.name for item in Sources(("p/*.jsonl",), output=Path("p/out.jsonl")).items()] == ["p/outer.jsonl"]


@pytest.mark.parametrize(
    ("inputs", "listed", "said"),
    [
        (("p",), None, "p holds no pictures that are read; left out: 1 .dng"),
        (("empty",), None, "empty holds no pictures that are read"),
        (("p", "empty"), None, "p and empty hold no pictures that are read; left out: 1 .dng"),
        (("p", "a*", "b", "c"), None, None),
        ((), Path("blank.txt"), "the list in blank.txt is empty"),
        (("empty",), Path("blank.txt"), "empty and the list in blank.txt hold no pictures that are read"),
    ],
)
def test_nothing_is_said_with_where_it_was_looked_for(
    fill: Fill, inputs: tuple[str, ...], listed: Path | None, said: str | None
) -> None:
    fill("p/a.dng")
    Path("empty").mkdir()
    Path("blank.txt").write_text("\n\r\n", encoding="utf-8")
    survey = Survey()
    paths = list(Sources(inputs, listed).items(survey))
    assert (None if paths else survey.nothing()) == said
    assert survey.found == len(paths)
