"""Archives as inputs: which members are read, in which order, under which names, and what their names give."""

import io
import os
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from archive_files import COMPRESS, again, line, outcome, packed, picture, put, read, said, tar, zipped
from PIL import Image

from vithybrid_cli.errors import RawPhoto
from vithybrid_cli.images.decode import decode
from vithybrid_cli.items import NO_FILE
from vithybrid_cli.sources.archives import Archive
from vithybrid_cli.sources.archives.index import Index, Seen
from vithybrid_cli.sources.archives.tar_headers import Source, TarEntry, entries
from vithybrid_cli.sources.containers import Wanted, kind_of_container
from vithybrid_cli.sources.inputs import Sources

SUFFIXES = [".zip", ".cbz", ".tar", ".cbt", *COMPRESS]
every_kind = pytest.mark.parametrize("suffix", SUFFIXES)
A, B, C = picture(1), picture(2), picture(3)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scheme(suffix: str) -> str:
    return "zip" if suffix in (".zip", ".cbz") else "tar"


def names(*inputs: str, **options: object) -> list[str]:
    return [name for name, _ in read(*inputs, **options)]


@every_kind
def test_members_come_in_their_order_and_their_names_give_them_again(suffix: str) -> None:
    place = put(f"photos{suffix}", packed(suffix, [("b/10.png", A), ("b/2.png", B), ("a.png", C), ("empty.png", b"")]))
    kind = scheme(suffix)
    expected = [
        (f"{kind}://{name}::{place}", content)
        for name, content in (("b/10.png", A), ("b/2.png", B), ("a.png", C), ("empty.png", b""))
    ]
    assert read(place) == expected
    assert again(place) == expected


@every_kind
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a\nb\r.png", id="newlines"),
        pytest.param("a::b.png", id="the mark of a chain"),
        pytest.param("zip://x::y.zip.png", id="a chain itself"),
        pytest.param("é鴯 鶓.png", id="UTF-8"),
        pytest.param("d\\e\\f.png", id="backslashes"),
        pytest.param("x" * 90 + "/" + "y" * 200 + ".png", id="long"),
        pytest.param("[1]{a,b}*?.png", id="wildcards and braces"),
        pytest.param(" .. /a .png", id="spaces"),
    ],
)
def test_odd_names_work(suffix: str, name: str) -> None:
    place = put(f"p{suffix}", packed(suffix, [(name, A), ("z.png", B)]))
    asked = f"{scheme(suffix)}://{name}::{place}"
    assert read(place) == [(asked, A), (f"{scheme(suffix)}://z.png::{place}", B)]
    assert again(place) == read(place)
    assert read(asked) == [(asked, A)]


def test_a_name_that_is_no_utf8_works_in_tar_and_is_of_code_page_437_in_zip() -> None:
    put("p.tar", tar([(os.fsdecode(b"caf\xe9.png"), A)], encoding="utf-8", errors="surrogateescape"))
    assert read("p.tar") == again("p.tar") == [(os.fsdecode(b"tar://caf\xe9.png::p.tar"), A)]
    raw = zipped([("caf_.png", A)]).replace(b"caf_", b"caf\x82")
    put("p.zip", raw)
    assert zipfile.ZipFile("p.zip").namelist() == ["café.png"]
    assert read("p.zip") == again("p.zip") == [("zip://café.png::p.zip", A)]


def test_names_of_macos_are_utf8_though_they_do_not_say_so() -> None:
    put("p.zip", zipped([("caf__.png", A)]).replace(b"caf__", "café".encode()))
    assert names("p.zip") == ["zip://café.png::p.zip"]


def test_a_container_may_lie_in_a_folder_with_the_mark_of_a_chain() -> None:
    place = put("a::b/p.zip", zipped([("c::d.png", A)]))
    assert read(place) == again(place) == [("zip://c::d.png::a::b/p.zip", A)]


@every_kind
def test_which_members_are_pictures_is_told_as_in_folders(suffix: str) -> None:
    put(
        f"p{suffix}",
        packed(
            suffix,
            [
                ("a.JPG", A),
                ("plain", B),
                ("plain.cls", b"3"),
                ("x.json", b"{}"),
                ("x.txt", A),
                (".hidden.png", A),
                (".git/a.png", A),
                ("__MACOSX/._a.png", A),
                ("__MACOSX/b.png", A),
                ("./c.png", C),
                ("n.zip", A),
                ("r.nef", b"raw"),
                ("d/@eaDir/a.png", A),
            ],
        ),
    )
    member = f"{scheme(suffix)}://{{}}::p{suffix}".format
    assert read(f"p{suffix}") == [(member("a.JPG"), A), (member("plain"), B), (member("./c.png"), C)]
    assert line(f"p{suffix}") == (
        "left out: 1 .cls, 1 .json, 1 .nef, 1 .txt, 1 .zip, 2 folders of the system (@eaDir, __MACOSX)"
    )
    assert (member("r.nef"), b"raw") in read(f"p{suffix}", raw=True)


@every_kind
def test_patterns_exclude_members_and_their_folders(suffix: str) -> None:
    put(f"p{suffix}", packed(suffix, [("a_edit.png", A), ("raw/a.png", A), ("raw/b/c.png", A), ("x/y/d.png", A)]))
    options = {"exclude": ("*_edit.png", "raw/")}
    assert names(f"p{suffix}", **options) == [f"{scheme(suffix)}://x/y/d.png::p{suffix}"]
    assert line(f"p{suffix}", **options) == "excluded: 1 file, 1 folder"
    assert names(f"p{suffix}", exclude=("x/*/d.png",)) == names(f"p{suffix}")[:3]


def test_archives_in_folders_are_left_out_and_counted_or_read_in_their_place() -> None:
    for name in ("f/p2.zip", "f/p10.tar", "f/q/r.tar.gz"):
        put(name, packed(name[name.index(".") :], [("a.png", A)]))
    put("f/p3.png", B)
    assert names("f") == ["f/p3.png"]
    assert line("f") == "left out: 1 .tar, 1 .tar.gz, 1 .zip"
    assert names("f", archives=True) == [
        "zip://a.png::f/p2.zip",
        "f/p3.png",
        "tar://a.png::f/p10.tar",
        "tar://a.png::f/q/r.tar.gz",
    ]
    assert names("f/*.zip", "f/p3.png") == ["zip://a.png::f/p2.zip", "f/p3.png"]
    put("list.txt", b"f/p2.zip\nzip://a.png::f/p2.zip\nf/p3.png\n")
    assert names(files_from=Path("list.txt")) == ["zip://a.png::f/p2.zip", "zip://a.png::f/p2.zip", "f/p3.png"]


@every_kind
def test_what_is_not_there_is_one_record(suffix: str) -> None:
    put(f"p{suffix}", packed(suffix, [("a.png", A)]))
    kind = scheme(suffix)
    gone, member, other = f"gone{suffix}", f"{kind}://b.png::p{suffix}", f"{kind}://a.png::gone{suffix}"
    assert read(gone, member, other) == [(gone, "MissingFile"), (member, "MissingFile"), (other, "MissingFile")]
    assert [item.stamp() for item in Sources((gone, member, other)).items()] == [NO_FILE] * 3


@every_kind
def test_an_archive_that_is_named_otherwise_is_told(suffix: str) -> None:
    named = Sources(()).named()
    for content, what in (
        (b"<html></html>" * 99, "an HTML page"),
        (picture(), "beginning is damaged" if suffix not in (".zip", ".cbz") else "cut off"),
        (b"\0" * 2000 if scheme(suffix) == "zip" else zipped([("a.png", A)]), "but a"),
        (tar([("a.png", A)]) if scheme(suffix) == "zip" else b"%PDF-1.4" + bytes(600), "but a"),
    ):
        place = put(f"p{suffix}", content)
        assert read(place) == [(place, "DamagedArchive")]
        assert what in said(named.item(place))
    place = put(f"p{suffix}", b"")
    assert read(place) == [(place, "UnreadableImage")]
    Path(f"p{suffix}").unlink()
    Path(f"p{suffix}").mkdir()
    put("list", f"p{suffix}\n".encode())
    assert read(files_from=Path("list")) == [(f"p{suffix}", "NotAFile")]


def test_compression_is_told_by_the_bytes_and_not_by_the_name() -> None:
    for suffix, compress in COMPRESS.items():
        put("p.tar", compress(tar([("a.png", A)])))
        assert read("p.tar") == again("p.tar") == [("tar://a.png::p.tar", A)], suffix
    put("p.tar.gz", tar([("a.png", A)]))
    assert read("p.tar.gz") == [("tar://a.png::p.tar.gz", A)]


@every_kind
def test_an_empty_archive_holds_nothing(suffix: str) -> None:
    assert read(put(f"p{suffix}", packed(suffix, []))) == []


def test_a_container_is_no_picture_itself() -> None:
    put("p.zip", zipped([("a.png", A)]))
    item = Sources(()).named().item("p.zip")
    assert outcome(item) == "NotAFile"


@every_kind
def test_a_stamp_tells_a_member_that_was_replaced(suffix: str) -> None:
    place = f"p{suffix}"

    def stamps(*members: tuple[str, bytes]) -> dict[str, object]:
        put(place, packed(suffix, members))
        return {item.name: item.stamp() for item in Sources((place,)).items()}

    before = stamps(("a.png", A), ("b.png", B))
    after = stamps(("b.png", B), ("a.png", picture(9, side=30)), ("c.png", C))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"{scheme(suffix)}://a.png::{place}"}


def test_a_tar_member_without_a_time_is_as_old_as_its_archive() -> None:
    put("p.tar", tar([("a.png", A)]).replace(b"00000000012\0", b"00000000000\0", 1))
    raw = bytearray(Path("p.tar").read_bytes())
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    put("p.tar", bytes(raw))
    (item,) = Sources(("p.tar",)).items()
    assert item.stamp().mtime_ns == Path("p.tar").stat().st_mtime_ns


def test_an_archive_that_is_replaced_while_it_is_read_is_noticed() -> None:
    put("p.tar", tar([("a.png", A)]))
    (item,) = Sources(("p.tar",)).items()
    assert outcome(item) == A
    Path("p.tar").unlink()
    put("p.tar", tar([("a.png", B), ("b.png", B)]))
    assert outcome(item) == "UnreadableMember"
    Path("p.tar").unlink()
    assert outcome(item) == "UnreadableMember"


@pytest.mark.parametrize("suffix", list(COMPRESS))
def test_names_of_a_compressed_archive_in_its_order_are_one_pass(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = put(f"p{suffix}", packed(suffix, [(f"{number}.png", picture(number)) for number in range(40)]))
    asked = [*(f"tar://{number}.png::{place}" for number in range(40)), f"tar://none.png::{place}"]
    passes = []

    def counted(source: Source, place: str) -> Iterator[TarEntry]:
        passes.append(place)
        return entries(source, place)

    monkeypatch.setattr("vithybrid_cli.sources.archives.tar.entries", counted)
    named = Sources(()).named()
    assert [outcome(named.item(name)) for name in asked] == [*(picture(number) for number in range(40)), "MissingFile"]
    assert [outcome(named.item(asked[-1] + "x")) for _ in range(3)] == ["MissingFile"] * 3
    assert len(passes) == 1
    assert outcome(named.item(asked[5])) == picture(5)
    assert outcome(named.item(asked[5])) == picture(5)
    assert outcome(named.item(asked[7])) == picture(7)
    assert len(passes) == 2


@every_kind
def test_labels_beside_pictures_are_given_to_who_asks_for_them(suffix: str) -> None:
    place = put(f"p{suffix}", packed(suffix, [("0.png", A), ("0.cls", b"3"), ("0.json", b"{}"), ("1.png", B)]))
    kind = kind_of_container(place)
    assert kind is not None
    container = kind.open(place, Wanted())
    assert isinstance(container, Archive)
    member = f"{scheme(suffix)}://{{}}::{place}".format
    assert [(item.name, outcome(item)) for item in container.items(frozenset({".cls"}))] == [
        (member("0.png"), A),
        (member("0.cls"), b"3"),
        (member("1.png"), B),
    ]


@every_kind
def test_a_photograph_of_a_camera_is_told_by_the_suffix_of_the_member(suffix: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "TIFF")
    place = put(f"p{suffix}", packed(suffix, [("a.nef", stream.getvalue()), ("b.tiff", stream.getvalue())]))
    raw, tiff = Sources((place,), raw=True).items()
    with pytest.raises(RawPhoto):
        decode(raw)
    assert decode(tiff).size == (8, 8)


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_systems_without_reads_at_a_place_read_one_after_the_other(
    suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pread")
    place = put(f"p{suffix}", packed(suffix, [("a.png", A), ("b.png", B)]))
    assert [content for _, content in read(place)] == [A, B]


def test_a_large_member_of_a_plain_archive_is_no_copy_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vithybrid_cli.sources.archives.tar._AT_ONCE", 100)
    stream = io.BytesIO()
    Image.effect_noise((90, 80), 50).save(stream, "PNG")
    place = put("p.tar", tar([("a.png", stream.getvalue()), ("b.png", B)]))
    large, small = Sources((place,)).items()
    assert (outcome(large), outcome(small)) == (stream.getvalue(), B)
    assert decode(large).size == (90, 80)
    with large.open() as opened:
        assert opened.seek(-4, io.SEEK_END) == len(stream.getvalue()) - 4
        assert (opened.read(), opened.read()) == (stream.getvalue()[-4:], b"")


@every_kind
def test_several_threads_read_one_archive_at_once(suffix: str) -> None:
    members = [(f"{number}.png", picture(number % 256, side=1 + number % 60)) for number in range(300)]
    place = put(f"p{suffix}", packed(suffix, members))
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            found = list(threads.map(outcome, Sources((place,)).items()))
            assert found == [content for _, content in members]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no list of open files")
def test_many_archives_do_not_stay_open_while_their_members_wait_to_be_read() -> None:
    for number in range(80):
        suffix = (".zip", ".tar")[number % 2]
        put(f"{number}{suffix}", packed(suffix, [("a.png", picture(number))]))
    before = len(list(Path("/proc/self/fd").iterdir()))
    items = list(Sources(("{0..79}.*",)).items())
    assert len(list(Path("/proc/self/fd").iterdir())) < before + 20
    assert [outcome(item) for item in items] == [picture(number) for number in range(80)]


def test_an_index_finds_what_was_added_and_knows_what_came_before() -> None:
    index, seen = Index(), Seen()
    for number in range(5000):
        index.add(f"n{number}", 3 * number)
        assert seen.add(f"n{number}")
    index.add("n7", 1)
    assert [index.find(f"n{number}") for number in (0, 7, 4999)] == [[0], [21, 1], [14997]]
    assert index.find("m") == []
    assert not any(seen.add(f"n{number}") for number in range(5000))
