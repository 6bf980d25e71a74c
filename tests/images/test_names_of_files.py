"""Names and files that are no pictures say what they look like, and what to do."""

from pathlib import Path

import pytest
from PIL import Image

from vithybrid_cli.errors import MissingFile, UnreadableImage
from vithybrid_cli.images.decode import decode

ANNEX_KEY = "SHA256E-s31390--f0a1b2c3.jpg"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a few pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    for name in ("p/a.jpg", "p/b c.jpg", "p/ü.PNG", "p/x y.jpg"):
        Image.new("RGB", (3, 2)).save(tmp_path / name)
    (tmp_path / "p" / "link.jpg").symlink_to("gone.jpg")
    (tmp_path / "p" / "annex.jpg").symlink_to(f"../.git/annex/objects/x9/Qz/{ANNEX_KEY}/{ANNEX_KEY}")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("https://example.org/a.jpg", "This is a URL.*Fetch it first", id="https"),
        pytest.param("HTTP://example.org/a.jpg?size=1", "This is a URL", id="http in capitals"),
        pytest.param("s3://bucket/a.jpg", "This is a URL.*Copy what it names", id="a store"),
        pytest.param("file:///p/a%20b.jpg", "This is a URL of /p/a b.jpg", id="a file"),
        pytest.param("data:image/png;base64," + "A" * 9000, "This is a data URL", id="data"),
        pytest.param("~/a.jpg", "A ~ stands for a home folder only where a shell", id="home"),
        pytest.param("~", "A ~ stands", id="home alone"),
        pytest.param("$HOME/a.jpg", "A variable stands for its value only", id="a variable"),
        pytest.param("%USERPROFILE%\\a.jpg", "A variable stands", id="a variable of Windows"),
        pytest.param("C:\\photos\\a.jpg", "This is a path of Windows", id="a drive"),
        pytest.param("\\\\nas\\photos\\a.jpg", "This is a path of Windows", id="a share"),
        pytest.param("p\\a.jpg", "one with / for each", id="backslashes between folders"),
        pytest.param("p/b\\ c.jpg", "one without the backslashes", id="a name escaped for a shell"),
        pytest.param('"p/a.jpg"', "has these quotes. Leave out the quotes", id="quotes"),
        pytest.param("“p/a.jpg”", "has these quotes", id="curly quotes"),
        pytest.param("p/a.jpg ", "without the white space around it", id="a space at the end"),
        pytest.param("p/a.jpg\r", "without the white space around it", id="a carriage return"),
        pytest.param("p/a.jpg\rp/b.jpg", "a carriage return", id="lines that end with a carriage return"),
        pytest.param("p/a.jpg,cat", "This line has more than the name of p/a.jpg", id="a row"),
        pytest.param('1;"p/a.jpg";cat', "more than the name of p/a.jpg", id="a row with quotes"),
        pytest.param("p/b c.jpg 281", "more than the name of p/b c.jpg", id="a path and its label"),
        pytest.param("-rw-r--r-- 1 me us 9 Jan 1 10:00 p/x y.jpg", "more than the name of p/x y.jpg", id="ls -l"),
        pytest.param("d41d8cd98f00b204  p/a.jpg", "more than the name of p/a.jpg", id="a checksum"),
        pytest.param('{"path": "p/a.jpg"}', "This is JSON", id="JSON"),
        pytest.param("# photos", "a list has no comments", id="a comment"),
        pytest.param("p/*.jpg", "This is a pattern, and a list holds paths", id="a pattern"),
        pytest.param("p/*.bmp", "as a pattern it matches none.*case counts; if it is from a list", id="no match"),
        pytest.param("p/a.JPG", "but there is p/a.jpg", id="capitals"),
        pytest.param("p/u\u0308.PNG", "but there is p/ü.PNG", id="accents"),
        pytest.param("p/\udcfc.PNG", "but there is p/ü.PNG", id="Latin-1"),
        pytest.param("p/x%20y.jpg", "but there is p/x y.jpg", id="percents"),
        pytest.param("p/link.jpg", "This is a link to gone.jpg, where there is nothing", id="a broken link"),
        pytest.param("p/annex.jpg", "a link of git-annex.* Fetch it with `git annex get`", id="git-annex"),
        pytest.param("–k", "a dash that is no hyphen", id="a dash"),
        pytest.param("-", "it stands for stdin only as an argument", id="stdin"),
        pytest.param("p/gone.jpg", "There is no file of this name. Check the spelling", id="any other"),
        pytest.param("p/a.jpg/b.jpg", "There is no file of this name", id="below a file"),
    ],
)
def test_a_name_without_a_file_says_what_it_looks_like(name: str, says: str) -> None:
    with pytest.raises(MissingFile, match=says):
        decode(name)


@pytest.mark.parametrize("name", ["~", "# a.jpg", "-", '"q"', "a.jpg ", "*.jpg", "$x", "C:\\a", "{}"])
def test_an_odd_name_that_exists_is_read(name: str) -> None:
    Image.new("RGB", (3, 2)).save(name, "PNG")
    assert decode(name).size == (3, 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"p/a.jpg\np/gone.jpg\n", "a list of paths. Give it to files_from", id="a list"),
        pytest.param("p/a.jpg\r\n".encode("utf-16"), "a list of paths", id="a list in UTF-16"),
        pytest.param(b"once upon a time\n" * 90, "a text file", id="text"),
        pytest.param(b'[{"path": "a.jpg"}]', "JSON", id="JSON"),
        pytest.param(b"path,rank,index,label\n", "a table of results", id="CSV"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git-LFS pointer", id="LFS"),
        pytest.param(f"/annex/objects/{ANNEX_KEY}\n".encode(), "a git-annex pointer.*`git annex get`", id="git-annex"),
        pytest.param(b"<!DOCTYPE html>\n<html>", "an HTML page", id="HTML"),
        pytest.param(b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="x">', "an SVG drawing", id="SVG"),
        pytest.param(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>", "an XML file", id="XMP"),
        pytest.param(b"PK\3\4\x14\0\0\0", "a ZIP archive. Give it the suffix .zip", id="ZIP"),
        pytest.param(b"\x1f\x8b\x08\0\0\0\0\0", "a compressed file", id="gzip"),
        pytest.param(
            b"a.jpg" + b"\0" * 252 + b"ustar\x0000" + b"\0" * 248, "a tar archive. Give it the suffix .tar", id="tar"
        ),
        pytest.param(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF document", id="PDF"),
        pytest.param(b"\0\0\0\x18ftypisom\0\0\2\0", "a video", id="MP4"),
        pytest.param(b"\0\0\0\x14ftypqt  \0\0\0\0", "a video", id="QuickTime"),
        pytest.param(b"\0\0\1\xb3" + b"\x10" * 60, "a video", id="MPEG"),
        pytest.param(b"\x1aE\xdf\xa3\x01\0\0\0", "a video", id="Matroska"),
        pytest.param(b"PAR1\x15\x04\x15\x10", "a Parquet table", id="Parquet"),
        pytest.param(b"\x89HDF\r\n\x1a\n" + b"\0" * 60, "an HDF5 file", id="HDF5"),
        pytest.param(b"\xff\x0a\xfa\x7f\x01", "a JPEG XL picture. Convert it", id="JPEG XL"),
        pytest.param(b"\x93NUMPY\1\0", "a NumPy array", id="NumPy"),
    ],
)
def test_a_file_that_is_no_picture_says_what_it_is(content: bytes, says: str) -> None:
    Path("x.jpg").write_bytes(content)
    with pytest.raises(UnreadableImage, match=says) as caught:
        decode("x.jpg")
    assert caught.value.cause.startswith("This is no picture in a supported format, but ")


def test_what_is_not_known_may_be_damaged() -> None:
    Path("x.jpg").write_bytes(b"\x01\x02\x03\x99" * 9)
    with pytest.raises(UnreadableImage, match="or its beginning is damaged"):
        decode("x.jpg")
