"""Lists of paths: encodings, separators, and what is no list at all."""

import io
import os
import threading
from pathlib import Path

import pytest

from vithybrid_cli.errors import MissingFile, NotAFile, UsageError
from vithybrid_cli.images.decode import decode
from vithybrid_cli.sources.lists import MAX_PATH_BYTES, read_list, require_list


@pytest.mark.parametrize(
    ("data", "null", "expected"),
    [
        pytest.param(b"a.jpg\nb c.jpg\n", False, ["a.jpg", "b c.jpg"], id="lines"),
        pytest.param(b"a.jpg\nb.jpg", False, ["a.jpg", "b.jpg"], id="no newline at the end"),
        pytest.param(b"a.jpg\r\n\r\n\nb.jpg\r\n", False, ["a.jpg", "b.jpg"], id="CRLF and empty lines"),
        pytest.param(b"\xef\xbb\xbfa.jpg\n", False, ["a.jpg"], id="byte order mark"),
        pytest.param(b" a.jpg \n", False, [" a.jpg "], id="spaces belong to the name"),
        pytest.param(b"a\nb.jpg\0\0c.jpg\r\0", True, ["a\nb.jpg", "c.jpg\r"], id="NUL"),
        pytest.param(b"a.jpg\0b.jpg", True, ["a.jpg", "b.jpg"], id="no NUL at the end"),
        pytest.param(b"*.jpg\n", False, ["*.jpg"], id="a pattern is a name"),
        pytest.param(b"\xff\xfe.jpg\n", False, ["\udcff\udcfe.jpg"], id="bytes that are no UTF-8"),
        pytest.param(b"", False, [], id="nothing"),
        pytest.param(b"\xef\xbb\xbfa.jpg\0b.jpg", True, ["a.jpg", "b.jpg"], id="byte order mark before NUL"),
        pytest.param("a.jpg\r\nñ/写真.jpg\r\n".encode("utf-16"), False, ["a.jpg", "ñ/写真.jpg"], id="PowerShell"),
        pytest.param("上/a.jpg\n😀.png".encode("utf-16"), False, ["上/a.jpg", "😀.png"], id="UTF-16 of other letters"),
        pytest.param(b"\xfe\xff" + "a.jpg\nb.jpg".encode("utf-16-be"), False, ["a.jpg", "b.jpg"], id="big endian"),
        pytest.param("photos/a.jpg\r\nb.jpg".encode("utf-16-le"), False, ["photos/a.jpg", "b.jpg"], id="no mark"),
        pytest.param("photos/a.jpg\nb.jpg".encode("utf-16-be"), False, ["photos/a.jpg", "b.jpg"], id="big, no mark"),
        pytest.param("a.jpg\0b.jpg\0".encode("utf-16"), True, ["a.jpg", "b.jpg"], id="UTF-16 and NUL"),
        pytest.param("\r\n\r\n".encode("utf-16"), False, [], id="UTF-16 without a path"),
        pytest.param(b"\xff\xfe", False, [], id="a mark alone"),
        pytest.param(b"\xfe\xff", True, [], id="a mark alone, big endian"),
        pytest.param(b"\xef\xbb\xbf", False, [], id="a mark of UTF-8 alone"),
        pytest.param(b"a.jpg\n  \n\t\r\n \x0c\nb.jpg\n ", False, ["a.jpg", "b.jpg"], id="lines of white space"),
        pytest.param("a.jpg\r\n  \r\n".encode("utf-16"), False, ["a.jpg"], id="UTF-16 and white space"),
        pytest.param(b"a.jpg\0 \0", True, ["a.jpg", " "], id="white space between NUL is a name"),
        pytest.param("ä.jpg\n".encode("latin-1"), False, ["\udce4.jpg"], id="Latin-1"),
    ],
)
def test_lists(data: bytes, null: bool, expected: list[str]) -> None:
    assert expected == list(read_list(io.BytesIO(data), null))


def test_a_name_that_is_no_utf8_reaches_its_file(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe.jpg"
    Path(os.fsdecode(name)).touch()
    (path,) = read_list(io.BytesIO(name + b"\n"))
    assert Path(path).exists()


def test_a_folder_in_a_list_is_no_file(tmp_path: Path) -> None:
    (path,) = read_list(io.BytesIO(os.fsencode(tmp_path) + b"\n"))
    with pytest.raises(NotAFile, match="give the folder as an argument"):
        decode(path)


def test_a_line_with_nul_bytes_names_the_option(tmp_path: Path) -> None:
    (path,) = read_list(io.BytesIO(b"a.jpg\0b.jpg\0"))
    with pytest.raises(MissingFile, match="null=True"):
        decode(path)


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("buffering", [0, -1], ids=["raw", "buffered"])
def test_a_path_comes_as_soon_as_its_line_has_arrived(null: bool, buffering: int) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=buffering) as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        paths = read_list(stream, null)
        separator = b"\0" if null else b"\n"
        for name in ("a.jpg", "b.jpg"):
            pipe.write(name.encode() + separator + b"half of the n")
            assert name == next(paths).removeprefix("half of the n")


@pytest.mark.parametrize("buffering", [0, -1], ids=["raw", "buffered"])
def test_a_list_on_a_pipe_that_does_not_block_is_read_to_its_end(buffering: int) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", buffering=buffering) as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(b"a.jpg\nb.")
        paths = read_list(stream)
        assert next(paths) == "a.jpg"

        def write_on() -> None:
            pipe.write(b"jpg\nc.jpg\nd.jpg")
            pipe.close()

        later = threading.Timer(0.05, write_on)
        later.start()
        assert list(paths) == ["b.jpg", "c.jpg", "d.jpg"]
        later.join()


def test_an_endless_line_is_refused_and_not_collected() -> None:
    reading, writing = os.pipe()

    def write_on() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            try:
                while True:
                    pipe.write(b"x" * 65536)
            except BrokenPipeError:
                return

    writer = threading.Thread(target=write_on)
    writer.start()
    with os.fdopen(reading, "rb") as stream, pytest.raises(UsageError, match=str(MAX_PATH_BYTES)):
        next(read_list(stream))
    writer.join(10)
    assert not writer.is_alive()


@pytest.mark.parametrize(("first", "then"), [("utf-8-sig", "utf-8"), ("utf-16", "utf-16-le"), ("utf-16-le",) * 2])
def test_a_list_may_arrive_byte_by_byte_and_its_paths_come_at_once(first: str, then: str) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        paths = read_list(stream)
        for number, name in enumerate(("Baum/ä.jpg", "b.jpg", "上.jpg")):
            data = f"{name}\r\n".encode(first if number == 0 else then)
            for at in range(len(data)):
                pipe.write(data[at : at + 1])
            assert next(paths) == name


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1", "is a picture, not a list of paths", id="JPEG"),
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a picture, not a list of paths", id="PNG"),
        pytest.param(b"PK\3\4\x14\0\0\0\x08\0", "is no list of paths, but a ZIP archive", id="ZIP"),
        pytest.param(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "is no list of paths, but a PDF document", id="PDF"),
        pytest.param(b'[\n{"path": "a.jpg"}]', "is no list of paths, but JSON", id="JSON"),
        pytest.param(b'{"path": "a.jpg"}\n', "is no list of paths, but JSON", id="JSON lines"),
        pytest.param('{"path": "a.jpg"}\n'.encode("utf-16"), "is no list of paths, but JSON", id="JSON in UTF-16"),
        pytest.param(b"path,rank,index,label\na.jpg,1,2,x\n", "but a table of results", id="CSV"),
        pytest.param(b"path\trank\tindex\n", "but a table of results", id="TSV"),
        pytest.param(bytes(range(1, 32)) * 9, "has bytes that no text has", id="anything"),
    ],
)
def test_what_is_no_list_is_refused_as_a_file_and_on_a_pipe(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "list"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=says):
        require_list(file, null=False)
    with pytest.raises(UsageError, match=says):
        list(read_list(io.BytesIO(content)))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[2019]/a.jpg\n", id="brackets"),
        pytest.param(b"{a}.jpg\n", id="braces"),
        pytest.param(b"GIF89a.jpg\n", id="GIF"),
        pytest.param(b"BZh91AY.jpg\n", id="bzip2"),
        pytest.param(b"ID3/a.jpg\n", id="MP3"),
        pytest.param(b"\xff\xfe.jpg\n", id="mark"),
        pytest.param(b"a\x01.jpg\n", id="a control character"),
        pytest.param(b"path.jpg\n", id="a header"),
        pytest.param(b"<3.jpg\n", id="XML"),
    ],
)
def test_odd_names_make_a_list_all_the_same(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "list"
    file.write_bytes(content)
    require_list(file, null=False)
    assert list(read_list(io.BytesIO(content))) == [os.fsdecode(line) for line in content.splitlines()]


@pytest.mark.parametrize("header", ["path,label", '"Image","Class"', "id;file_name;split", "label\tfilepath"])
def test_a_table_given_as_a_list_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels.CSV").write_text(f"{header}\np/a.jpg,cat\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"labels\.CSV is no list of paths, but a table with the header"):
        require_list(Path("labels.CSV"), null=False)
    Path("labels.CSV").rename("labels.txt")
    require_list(Path("labels.txt"), null=False)


@pytest.mark.parametrize("first", ["photos/a,b.jpg", "path.jpg", "path", "a,b", "path,b"])
def test_a_list_may_be_called_as_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("path,b").touch()
    Path("list.csv").write_text(f"{first}\n", encoding="utf-8")
    require_list(Path("list.csv"), null=False)
    with Path("list.csv").open("rb") as stream:
        assert list(read_list(stream)) == [first]


def test_a_list_with_nul_bytes_is_refused_unless_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_bytes(b"a.jpg\0b.jpg\0")
    require_list(file, null=True)
    with pytest.raises(UsageError, match=r"has NUL bytes between its paths.*null=True"):
        require_list(file, null=False)
