"""Braces stand for many names, as in a shell."""

from itertools import islice
from pathlib import Path

import pytest
from archive_files import line, picture, put, read, tar, zipped

from vithybrid_cli.errors import UsageError
from vithybrid_cli.sources.braces import expanded, has_braces
from vithybrid_cli.sources.inputs import Sources

A = picture()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p-{000000..000002}.tar", "p-000000.tar p-000001.tar p-000002.tar"),
        ("p-{8..11}", "p-8 p-9 p-10 p-11"),
        ("p-{08..11}", "p-08 p-09 p-10 p-11"),
        ("p-{3..1}", "p-3 p-2 p-1"),
        ("p-{0..6..3}", "p-0 p-3 p-6"),
        ("p-{-1..1}", "p--1 p-0 p-1"),
        ("{a..c}x", "ax bx cx"),
        ("{train,val}/{0..1}.tar", "train/0.tar train/1.tar val/0.tar val/1.tar"),
        ("{a{1,2},b}", "a1 a2 b"),
        ("{,x}.tar", ".tar x.tar"),
        ("a{}b{c}d{e", "a{}b{c}d{e"),
        ("{x}{1..2}", "{x}1 {x}2"),
        ("{1..a}", "{1..a}"),
        ("plain", "plain"),
    ],
)
def test_braces_are_expanded_as_bash_does(text: str, expected: str) -> None:
    assert " ".join(expanded(text)) == expected
    assert has_braces(text) == (text != expected)


def test_a_long_range_is_lazy() -> None:
    assert list(islice(expanded("{0..999999999999999}{a,b}"), 3)) == ["0a", "0b", "1a"]


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards 0, 1 and 3 of four."""
    monkeypatch.chdir(tmp_path)
    for number in (0, 1, 3):
        put(f"s-{number:03}.tar", tar([("a.png", A), ("a.cls", b"1")]))


@pytest.mark.usefixtures("shards")
@pytest.mark.parametrize("option", ["inputs", "shards"])
def test_a_range_of_shards_is_read_in_order_and_a_missing_one_is_one_record(option: str) -> None:
    given = {"inputs": (), option: ("s-{000..003}.tar",)}
    found = read(*given.pop("inputs"), **given)
    assert found == [
        ("tar://a.png::s-000.tar", A),
        ("tar://a.png::s-001.tar", A),
        ("s-002.tar", "MissingFile"),
        ("tar://a.png::s-003.tar", A),
    ]


@pytest.mark.usefixtures("shards")
def test_shards_come_after_the_inputs_and_may_be_a_pattern() -> None:
    put("z.png", A)
    put("s-notes.txt", b"x")
    found = [name for name, _ in read("z.png", shards=("s-*",))]
    assert found == ["z.png", *(f"tar://a.png::s-{number}.tar" for number in ("000", "001", "003"))]
    assert line("z.png", shards=("s-*",)) == "left out: 3 .cls, 1 .txt"


@pytest.mark.usefixtures("shards")
@pytest.mark.parametrize("shard", ["z.png", "folder", "s-{000,z}", "list.txt"])
def test_shards_are_archives_alone(shard: str) -> None:
    Path("folder").mkdir()
    with pytest.raises(UsageError, match="archive"):
        Sources((), shards=(shard,)).check()
    Sources((), shards=("s-{000..127}.tar", "s-*", "x.zip")).check()


@pytest.mark.usefixtures("shards")
def test_a_file_whose_name_has_braces_is_itself() -> None:
    put("{a,b}.png", A)
    put("x{1..2}.zip", zipped([("a.png", A)]))
    assert [name for name, _ in read("{a,b}.png", "x{1..2}.zip")] == ["{a,b}.png", "zip://a.png::x{1..2}.zip"]


@pytest.mark.usefixtures("shards")
def test_pictures_are_counted_where_that_takes_no_unpacking() -> None:
    count = Sources(("s-{000..003}.tar",)).counter()
    assert count is not None
    assert count() == 4
    put("s.tar.gz", b"")
    count = Sources(("s-000.tar", "s.tar.gz")).counter()
    assert count is not None
    assert count() is None


@pytest.mark.usefixtures("shards")
def test_an_output_that_is_a_shard_is_refused() -> None:
    with pytest.raises(UsageError, match="overwritten"):
        Sources(("s-{000..001}.tar",)).require_apart(Path("s-001.tar"))
