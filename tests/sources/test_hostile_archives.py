"""Archives that are damaged, cut off or made to do harm: a record for what is wrong, and all the rest is read."""

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archive_files import COMPRESS, again, line, outcome, packed, picture, put, read, said, tar, zipped

from vithybrid_cli.errors import DamagedArchive
from vithybrid_cli.sources.archives import streams, tar_headers, zip_members
from vithybrid_cli.sources.inputs import Sources

A, B = picture(1), picture(2)
RANDOM = bytes(range(256)) * 8
TARS = [".tar", *COMPRESS]
every_tar = pytest.mark.parametrize("suffix", TARS)
every_kind = pytest.mark.parametrize("suffix", [".zip", *TARS])


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mtime = kind, target, 10
    return found


def outcomes(place: str, **options: Any) -> list[bytes | str]:
    return [found for _, found in read(place, **options)]


@every_kind
@pytest.mark.parametrize("name", ["../a.png", "x/../../a.png", "/etc/a.png", "..\\a.png", "C:\\a.png", "C:/a.png"])
def test_a_name_that_leads_out_of_the_archive_is_a_record(suffix: str, name: str) -> None:
    place = put(f"p{suffix}", packed(suffix, [(name, A), ("b.png", B)]))
    assert outcomes(place) == ["UnreadableMember", B]
    assert again(place) == read(place)


@every_kind
def test_the_second_of_two_members_of_one_name_is_a_record(suffix: str) -> None:
    with pytest.warns(UserWarning, match="Duplicate") if suffix == ".zip" else pytest.MonkeyPatch.context():
        place = put(f"p{suffix}", packed(suffix, [("a.png", A), ("b.png", B), ("a.png", B), ("x.txt", A)]))
    assert outcomes(place) == [A, B, "UnreadableMember"]


@every_tar
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(tarfile.SYMTYPE, id="symbolic link"),
        pytest.param(tarfile.LNKTYPE, id="hard link"),
        pytest.param(tarfile.CHRTYPE, id="character device"),
        pytest.param(tarfile.BLKTYPE, id="block device"),
        pytest.param(tarfile.FIFOTYPE, id="pipe"),
        pytest.param(tarfile.GNUTYPE_SPARSE, id="sparse"),
        pytest.param(b"M", id="the rest of a file in another archive"),
    ],
)
def test_what_is_no_plain_file_is_a_record_if_it_is_named_as_a_picture(suffix: str, kind: bytes) -> None:
    members: list[tuple[str | tarfile.TarInfo, bytes]] = [
        (member("a.png", kind, "/etc/passwd"), b""),
        (member("b", kind, "x"), b""),
        ("c.png", B),
    ]
    place = put(f"p{suffix}", packed(suffix, members))
    assert outcomes(place) == ["UnreadableMember", B]
    assert line(place) == "left out: 1 without a suffix"
    assert again(place) == read(place)


def test_a_sparse_file_of_pax_is_a_record() -> None:
    sparse = tarfile.TarInfo("GNUSparseFile.0/a.png")
    sparse.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "a.png",
        "GNU.sparse.realsize": "100000",
    }
    put("p.tar", tar([(sparse, b"1\n0\n5\n".ljust(512, b"\0") + b"abcde"), ("b.png", B)]))
    assert read("p.tar") == [("tar://a.png::p.tar", "UnreadableMember"), ("tar://b.png::p.tar", B)]


def test_links_and_encrypted_members_of_a_zip_are_records() -> None:
    link = zipfile.ZipInfo("a.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    pipe = zipfile.ZipInfo("pipe.png")
    pipe.create_system, pipe.external_attr = 3, 0o010644 << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr(pipe, A)
        archive.writestr("b.png", B)
        archive.writestr("secret.png", A)
        archive.writestr("secret", A)
    raw = bytearray(stream.getvalue())
    for at, offset in (
        (raw.rfind(b"PK\1\2", 0, raw.rfind(b"secret.png")), 8),
        (raw.rfind(b"PK\1\2", 0, raw.rfind(b"secret")), 8),
    ):
        raw[at + offset] |= 1
    put("p.zip", bytes(raw))
    assert outcomes("p.zip") == ["UnreadableMember", "UnreadableMember", B, "UnreadableMember"]
    assert line("p.zip") == "left out: 1 without a suffix"
    assert "encrypted" in said(Sources(()).named().item("zip://secret.png::p.zip"))


@every_kind
def test_a_member_of_more_bytes_than_the_limit_is_a_record_and_what_follows_is_read(suffix: str) -> None:
    place = put(f"p{suffix}", packed(suffix, [("a.png", RANDOM), ("b.png", B)]))
    assert outcomes(place, max_bytes=1000) == ["FileTooLarge", B]
    assert outcomes(place, max_bytes=len(RANDOM)) == [RANDOM, B]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_zip_is_limited_as_it_unpacks_whatever_its_header_says(method: int) -> None:
    raw = zipped([("a.png", bytes(5000)), ("b.png", B)], method)
    place = put("p.zip", raw)
    assert outcomes(place) == [bytes(5000), B]
    packed_size = len(zipfile.ZipFile(io.BytesIO(raw)).read("a.png"))
    lying = raw.replace(struct.pack("<L", packed_size), struct.pack("<L", 10))
    put("p.zip", lying)
    expected = "UnreadableMember" if method == zipfile.ZIP_STORED else "FileTooLarge"
    assert outcomes(place, max_bytes=1000)[0] == expected


def test_a_member_that_grows_as_no_photograph_does_is_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_members, "GROWS_FREELY", 10_000)
    place = put("p.zip", zipped([("a.png", bytes(100_000)), ("b.png", bytes(9000))]))
    assert outcomes(place) == ["FileTooLarge", bytes(9000)]


@pytest.mark.parametrize("suffix", list(COMPRESS))
def test_a_compressed_archive_that_grows_without_end_is_damaged(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_GROWS_FREELY", 1000)
    monkeypatch.setattr(streams, "_TIMES", 3)
    place = put(f"p{suffix}", packed(suffix, [("a.png", A), ("x.txt", bytes(10**7)), ("b.png", B)]))
    assert read(place) == [(f"tar://a.png::{place}", A), (place, "DamagedArchive")]


def test_wrong_checksums_wrong_headers_and_unknown_methods_are_records_of_their_members() -> None:
    raw = zipped([("a.png", A), ("b.png", B), ("c.png", A)], zipfile.ZIP_STORED)
    at = raw.index(B)
    put("p.zip", raw[: at + 20] + bytes([raw[at + 20] ^ 1]) + raw[at + 21 :])
    assert outcomes("p.zip") == [A, "UnreadableMember", A]
    put("p.zip", raw.replace(b"b.png", b"x.png", 1))
    assert outcomes("p.zip") == [A, "UnreadableMember", A]
    at = raw.rfind(b"PK\1\2", 0, raw.rfind(b"b.png"))
    for method in (9, 1, 97):
        put("p.zip", raw[: at + 10] + bytes([method, 0]) + raw[at + 12 :])
        assert outcomes("p.zip") == [A, "UnreadableMember", A]
        assert "is compressed by" in said(Sources(()).named().item("zip://b.png::p.zip"))


def test_members_that_overlap_are_records() -> None:
    raw = zipped([("a.png", A), ("b.png", B)], zipfile.ZIP_STORED)
    at = raw.index(b"PK\1\2")
    put("p.zip", raw[: at + 20] + struct.pack("<LL", len(A) + 60, len(A) + 60) + raw[at + 28 :])
    assert outcomes("p.zip") == ["UnreadableMember", B]
    second = raw.index(b"PK\1\2", at + 4)
    put("p.zip", raw[: second + 42] + struct.pack("<L", 0) + raw[second + 46 :])
    assert outcomes("p.zip") == [A, "UnreadableMember"]


def test_data_before_and_after_a_zip_archive_do_no_harm() -> None:
    raw = zipped([("a.png", A), ("b.png", B)])
    for content in (b"#!/bin/sh\nexit 0\n" + raw, raw + b"\n\0garbage" * 99, b"x" * 70_000 + raw):
        put("p.zip", content)
        assert outcomes("p.zip") == [A, B]
        assert again("p.zip") == read("p.zip")


def test_a_comment_may_look_like_an_end() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.png", A)
        archive.comment = b"PK\5\6" + bytes(30)
    put("p.zip", stream.getvalue())
    assert outcomes("p.zip") == [A]


def test_zip64_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    raw = zipped([("a.png", A), ("b.png", RANDOM), ("c.png", B)], zipfile.ZIP_STORED)
    assert b"PK\6\6" in raw
    for content in (raw, b"before" + raw):
        put("p.zip", content)
        assert outcomes("p.zip") == [A, RANDOM, B]


def test_a_part_of_several_is_told() -> None:
    raw = zipped([("a.png", A)])
    at = raw.index(b"PK\5\6")
    put("p.zip", raw[: at + 4] + b"\1\0\1\0" + raw[at + 8 :])
    assert read("p.zip") == [("p.zip", "DamagedArchive")]
    assert "several" in said(Sources(()).named().item("p.zip"))


@pytest.mark.parametrize("streamed", [False, True], ids=["sizes before the data", "sizes behind the data"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_archive_that_is_cut_off_gives_what_is_whole_and_one_record(method: int, streamed: bool) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return not streamed

        def tell(self) -> int:
            if streamed:
                raise OSError
            return super().tell()

        def seek(self, *arguments: int) -> int:
            if streamed:
                raise OSError
            return super().seek(*arguments)

    stream = Pipe()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in (("a.png", A), ("x.txt", b"x"), ("b.png", RANDOM), ("c.png", B)):
            archive.writestr(name, content)
    raw = stream.getvalue()
    last = raw.rindex(b"PK\3\4")
    if streamed and method == zipfile.ZIP_STORED:
        expected: list[Any] = []
    else:
        expected = [("zip://a.png::p.zip", A), ("zip://b.png::p.zip", RANDOM)]
    put("p.zip", raw[: last + 50])
    assert read("p.zip") == again("p.zip") == [*expected, ("p.zip", "DamagedArchive")]
    assert read("zip://c.png::p.zip")[0][1] == "DamagedArchive"


def test_a_damaged_directory_gives_what_came_before_and_one_record() -> None:
    raw = zipped([("a.png", A), ("b.png", B), ("c.png", A)])
    at = raw.rfind(b"PK\1\2")
    put("p.zip", raw[:at] + b"XX" + raw[at + 2 :])
    assert read("p.zip") == again("p.zip")
    assert outcomes("p.zip") == [A, B, "DamagedArchive"]


@every_tar
def test_a_tar_archive_that_is_cut_off_anywhere_gives_what_is_whole_and_one_record(suffix: str) -> None:
    raw = tar([("a.png", A), ("x.txt", b"x" * 700), ("b.png", RANDOM), ("c.png", B)])
    wholes = [512 + len(A), 1024 + 512 + 1024 + 512 + len(RANDOM), len(raw)]
    for end in (*range(0, 5000, 97), 512, 1024, 1536, 2560, 3072, 5120):
        place = put(f"p{suffix}", COMPRESS.get(suffix, bytes)(raw[:end]) or b"\1")
        whole = [A, RANDOM][: sum(end >= whole for whole in wholes)]
        assert outcomes(place) == [*whole, "DamagedArchive"], end


@pytest.mark.parametrize("suffix", list(COMPRESS))
def test_a_compressed_archive_that_is_cut_off_or_damaged_gives_one_record_for_the_rest(suffix: str) -> None:
    import random

    members = [(f"{number}.png", random.Random(number).randbytes(20_000)) for number in range(20)]
    raw = packed(suffix, members)
    damaged = raw[: len(raw) // 2] + bytes(100) + raw[len(raw) // 2 + 100 :]
    for content in (
        raw[: len(raw) // 2],
        raw[:-6],
        *([] if suffix == ".tar.zst" else [damaged]),
    ):  # zstd has no checksum
        place = put(f"p{suffix}", content)
        found = outcomes(place)
        assert found[-1] == "DamagedArchive"
        assert found[:-1] == [content for _, content in members][: len(found) - 1] or content is damaged
        assert again(place) == read(place)


def test_a_wrong_checksum_of_gzip_is_a_record() -> None:
    raw = packed(".tar.gz", [("a.png", A)])
    put("p.tar.gz", raw[:-8] + bytes(4) + raw[-4:])
    assert outcomes("p.tar.gz") == [A, "DamagedArchive"]


@every_tar
def test_damage_in_the_middle_of_a_tar_archive_ends_it(suffix: str) -> None:
    raw = tar([("a.png", A), ("b.png", B), ("c.png", A)])
    place = put(f"p{suffix}", COMPRESS.get(suffix, bytes)(raw[:1024] + b"\xff" * 512 + raw[1536:]))
    assert read(place) == [(f"tar://a.png::{place}", A), (place, "DamagedArchive")]
    assert again(place) == read(place)


@every_tar
def test_what_follows_the_end_of_a_tar_archive_is_another_one_or_nothing(suffix: str) -> None:
    first, second = tar([("a.png", A)]), tar([("b.png", B)])
    for content, expected in (
        (first + second, [A, B]),
        (first + b"garbage" * 999, [A]),
        (first + bytes(10**6), [A]),
        (first[:1024] + bytes(512) + second, [A, B]),
    ):
        place = put(f"p{suffix}", COMPRESS.get(suffix, bytes)(content))
        assert outcomes(place) == expected
        assert again(place) == read(place)


@pytest.mark.parametrize("suffix", list(COMPRESS))
def test_streams_that_follow_each_other_are_one_and_what_follows_them_is_nothing(suffix: str) -> None:
    raw, compress = tar([("a.png", A), ("b.png", B)]), COMPRESS[suffix]
    for content in (
        compress(raw[:700]) + compress(raw[700:]),
        compress(raw) + bytes(1000),
        compress(raw) + b"garbage",
        compress(tar([("a.png", A)])) + compress(tar([("b.png", B)])),
    ):
        place = put(f"p{suffix}", content)
        assert outcomes(place) == [A, B]
    if suffix == ".tar.zst":  # as pzstd writes it
        put(f"p{suffix}", b"\x50\x2a\x4d\x18\4\0\0\0abcd" + compress(raw))
        assert outcomes(f"p{suffix}") == [A, B]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_read_as_tarfile_reads_it(form: int) -> None:
    names = ["a.png", "x" * 90 + "/" + "y" * 90 + ".png"]
    if form != tarfile.USTAR_FORMAT:
        names += ["é" * 150 + ".png", "z" * 3000 + ".png"]
    put("p.tar", tar([(name, A) for name in names], format=form))
    with tarfile.open("p.tar") as archive:
        assert archive.getnames() == names
    assert read("p.tar") == [(f"tar://{name}::p.tar", A) for name in names]


def test_a_tar_archive_of_unix_v7_is_read() -> None:
    raw = bytearray(tar([("free.png", A), ("d/", b""), ("d/b.png", B)], format=tarfile.USTAR_FORMAT))
    for at in (0, 1024, 1536):
        raw[at + 156 : at + 157] = b"\0"
        raw[at + 257 : at + 512] = bytes(255)
        raw[at + 148 : at + 156] = b" " * 8
        raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])
    put("p.tar", bytes(raw))
    assert outcomes("p.tar") == [A, B]


@every_tar
def test_a_header_longer_than_any_path_needs_is_passed_over(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_headers, "MOST_EXTENDED", 4096)
    big = tarfile.TarInfo("big.png")
    big.pax_headers = {"comment": "x" * 10_000}
    place = put(f"p{suffix}", packed(suffix, [(big, A), ("y" * 8000 + ".png", A), ("b.png", B)]))
    assert outcomes(place)[0] == "UnreadableMember"
    assert outcomes(place)[-1] == B
    assert all(found == "UnreadableMember" for found in outcomes(place)[:-1])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda raw: raw[:124] + b"\xff" * 12 + raw[136:], id="a size below zero"),
        pytest.param(lambda raw: raw[:124] + b"\x80" + b"\x7f" * 11 + raw[136:], id="a size beyond all disks"),
        pytest.param(lambda raw: raw[:124] + b"77777777777\0" + raw[136:], id="eight gigabytes"),
        pytest.param(lambda raw: raw[:124] + b"hello, you!\0" + raw[136:], id="a size that is no number"),
    ],
)
@every_tar
def test_sizes_that_cannot_be_are_damage(suffix: str, change: Callable[[bytes], bytes]) -> None:
    raw = bytearray(change(tar([("a.png", A)])))
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    first = tar([("b.png", B)])[:1024]
    place = put(f"p{suffix}", COMPRESS.get(suffix, bytes)(first + bytes(raw)))
    tracemalloc.start()
    found = outcomes(place)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found[0], found[-1], len(found) <= 3) == (B, "DamagedArchive", True)
    assert peak < 20 * 2**20


def test_without_its_library_an_archive_of_zstd_is_one_clear_record(monkeypatch: pytest.MonkeyPatch) -> None:
    place = put("p.tar.zst", packed(".tar.zst", [("a.png", A)]))

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(streams, "import_module", missing)
    item, *others = Sources((place,)).items()
    assert (item.name, others) == (place, [])
    assert said(item) == (
        "Archives of zstd need one more library. Install it with `pip install 'vithybrid-cli[zstd]'`."
    )


def test_a_dictionary_of_xz_beyond_the_limit_is_refused_before_it_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MEMORY_LIMIT", 2**20)
    place = put("p.tar.xz", packed(".tar.xz", [("a.png", A)]))
    assert read(place) == [(place, "DamagedArchive")]


@every_kind
def test_random_damage_never_raises_and_gives_each_member_once(suffix: str) -> None:
    import random

    contents = {f"{number}.png": picture(number) for number in range(8)}
    raw = packed(suffix, list(contents.items()))
    for seed in range(60):
        chance = random.Random(seed)
        damaged = bytearray(raw)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        place = put(f"p{suffix}", bytes(damaged[: chance.randint(len(damaged) // 2, len(damaged))]))
        found = read(place)
        if suffix == ".zip":  # others have no checksum of each member
            assert all(what in contents.values() for _, what in found if isinstance(what, bytes))


def test_a_truncated_gzip_trailer_and_an_unpacking_error_are_of_the_archive() -> None:
    put("p.tar.gz", gzip.compress(tar([("a.png", A)]))[:-3])
    assert outcomes("p.tar.gz") == [A, "DamagedArchive"]
    item = Sources(()).named().item("p.tar.gz")
    assert outcome(item) == DamagedArchive.__name__


def test_a_stored_checksum_is_that_of_the_content() -> None:
    put("p.zip", zipped([("a.png", A)]))
    (item,) = Sources(("p.zip",)).items()
    assert item.stamp() == (len(A), zlib.crc32(A))
