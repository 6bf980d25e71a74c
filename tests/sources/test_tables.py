"""Tables as sources: which rows become which items, and what is wrong with tables and rows."""

import base64
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vithybrid_cli.errors import (
    DamagedArchive,
    FetchFailed,
    FileTooLarge,
    ImageError,
    MissingFile,
    UnreadableMember,
    UsageError,
)
from vithybrid_cli.items import Item
from vithybrid_cli.sources.containers import Wanted
from vithybrid_cli.sources.inputs import Sources
from vithybrid_cli.sources.named import Named
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.tables.labels import labelled_rows
from vithybrid_cli.sources.tables.table import Table

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

HUGGING_FACE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLOURS = ("red", "green", "blue", "black", "white")


def png(colour: str) -> bytes:
    """A small picture."""
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(stream, "PNG")
    return stream.getvalue()


def rows(colours: Sequence[str] = COLOURS) -> list[dict[str, Any]]:
    """Values in Hugging Face's form."""
    return [{"bytes": png(colour), "path": f"{colour}.png"} for colour in colours]


def write(file: Path, columns: dict[str, Any], features: dict[str, Any] | None = None, **how: Any) -> Path:
    """A Parquet table, with Hugging Face's metadata where there are ``features``."""
    table = pa.table(columns)
    if features is not None:
        described = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": described})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, **how)
    return file


def pictures(values: Sequence[Any]) -> Any:
    """A column in Hugging Face's form."""
    return pa.array(values, HUGGING_FACE)


def read(item: Item) -> bytes | str:
    """What an item gives: its bytes, or the name of its error."""
    try:
        with item.open() as stream:
            return stream.read()
    except ImageError as error:
        return type(error).__name__


def all_of(*inputs: str | Path, **how: Any) -> Iterator[tuple[str, bytes | str]]:
    """Name and bytes of all that these inputs give."""
    for item in Sources(tuple(map(str, inputs)), **how).items():
        yield item.name, read(item)


@pytest.fixture(autouse=True)
def _in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


BYTES = [png(colour) for colour in COLOURS]


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(pictures(rows()), id="struct"),
        pytest.param(pa.array(BYTES, pa.binary()), id="binary"),
        pytest.param(pa.array(BYTES, pa.large_binary()), id="large binary"),
        pytest.param(pa.array(BYTES, pa.binary_view()), id="binary view"),
        pytest.param(pa.array(BYTES, pa.binary()).dictionary_encode(), id="dictionary"),
        pytest.param(
            pa.StructArray.from_arrays(
                [pa.array(BYTES, pa.large_binary()), pa.nulls(5, pa.large_string())], ["bytes", "path"]
            ),
            id="large struct",
        ),
        pytest.param(pa.StructArray.from_arrays([pa.array(BYTES)], ["bytes"]), id="struct without a path"),
        pytest.param(
            pa.StructArray.from_arrays([pa.array(BYTES), pa.nulls(5)], ["bytes", "path"]),
            id="struct of paths that no row has",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
def test_each_row_is_a_picture_with_a_name_of_its_own(column: Any, suffix: str) -> None:
    table = pa.table({"image": column, "label": list(range(5))})
    if suffix == "parquet":
        pq.write_table(table, "t.parquet", row_group_size=2)
    elif suffix == "arrow":
        with pa.OSFile("t.arrow", "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table, max_chunksize=2)
    else:
        with pa.OSFile("t.feather", "wb") as file, pa.ipc.new_file(file, table.schema) as whole:
            whole.write_table(table, max_chunksize=2)
    scheme = "parquet" if suffix == "parquet" else "arrow"
    expected = [(f"{scheme}://{row}::t.{suffix}", content) for row, content in enumerate(BYTES)]
    assert list(all_of(f"t.{suffix}")) == expected
    named = Named(Wanted())
    for name, content in [*expected, *reversed(expected)]:
        assert (named.item(name).name, read(named.item(name))) == (name, content)
    assert list(all_of(expected[3][0])) == [expected[3]]


def test_a_column_of_lists_gives_each_picture_a_number() -> None:
    one, two, three = rows(COLOURS[:3])
    column = pa.array([[one, two], [], None, [three, None]], pa.list_(HUGGING_FACE))
    write(Path("t.parquet"), {"images": column})
    assert list(all_of("t.parquet")) == [
        ("parquet://0/0::t.parquet", BYTES[0]),
        ("parquet://0/1::t.parquet", BYTES[1]),
        ("parquet://1::t.parquet", "UnreadableMember"),
        ("parquet://2::t.parquet", "UnreadableMember"),
        ("parquet://3/0::t.parquet", BYTES[2]),
        ("parquet://3/1::t.parquet", "UnreadableMember"),
    ]
    assert read(Named(Wanted()).item("parquet://0/1::t.parquet")) == BYTES[1]
    assert read(Named(Wanted()).item("parquet://0/2::t.parquet")) == "UnreadableMember"


def test_rows_that_hold_paths_are_the_pictures_there(tmp_path: Path) -> None:
    clone = tmp_path / "sets" / "clone"
    (clone / "data").mkdir(parents=True)
    (clone / "README.md").touch()
    (clone / "images").mkdir()
    for place, colour in [("data/red.png", 0), ("images/green.png", 1), ("../outside.png", 2)]:
        (clone / place).write_bytes(BYTES[colour])
    Path("here.png").write_bytes(BYTES[3])
    paths = ["red.png", "images/green.png", "outside.png", "here.png", str(clone / "data/red.png"), None, ""]
    write(clone / "data" / "t.parquet", {"image": paths})
    table = "sets/clone/data/t.parquet"
    expected = [
        ("sets/clone/data/red.png", BYTES[0]),
        ("sets/clone/images/green.png", BYTES[1]),
        ("sets/clone/data/outside.png", "MissingFile"),  # above the root of the repository nothing is looked for
        ("here.png", BYTES[3]),
        (str(clone / "data/red.png"), BYTES[0]),
        (f"parquet://5::{table}", "UnreadableMember"),
        (f"parquet://6::{table}", "UnreadableMember"),
    ]
    assert list(all_of(table)) == expected
    write(clone / "data" / "t.parquet", {"image": pictures([{"bytes": None, "path": path} for path in paths])})
    assert list(all_of(table)) == expected
    assert Named(Wanted()).item(f"parquet://1::{table}").name == "sets/clone/images/green.png"


def test_an_address_in_a_row_is_the_picture_at_it_and_a_row_that_leads_to_a_row_is_not_followed() -> None:
    write(Path("t.parquet"), {"url": ["https://example.org/cat.jpg", "parquet://1::t.parquet", "a" * 5000]})
    first, *others = Sources(("t.parquet",)).items()
    assert first.name == "https://example.org/cat.jpg"
    assert [(item.name, read(item)) for item in others] == [
        ("parquet://1::t.parquet", "UnreadableMember"),
        ("parquet://2::t.parquet", "UnreadableMember"),
    ]


def test_rows_without_a_usable_picture_are_records_of_their_own() -> None:
    first, second = rows(COLOURS[:2])
    large = {"bytes": b"x" * 2000, "path": None}
    values = [first, None, {"bytes": b"", "path": None}, {"bytes": None, "path": None}, large, second]
    write(Path("t.parquet"), {"image": pictures(values)})
    items = list(Sources(("t.parquet",), max_bytes=1999).items())
    assert [item.name for item in items] == [f"parquet://{row}::t.parquet" for row in range(6)]
    missing = UnreadableMember.__name__
    assert [read(item) for item in items] == [BYTES[0], missing, missing, missing, FileTooLarge.__name__, BYTES[1]]


def test_a_table_without_rows_gives_nothing() -> None:
    write(Path("t.parquet"), {"image": pictures([])})
    assert list(all_of("t.parquet")) == []


@pytest.mark.parametrize("member", ["5", "17", "-1", "1.0", "x", "", "0/1", "1" * 30])
def test_a_row_that_is_not_there_is_a_record(member: str) -> None:
    write(Path("t.parquet"), {"image": pictures(rows())})
    item = Named(Wanted()).item(f"parquet://{member}::t.parquet")
    assert item.name == f"parquet://{member}::t.parquet"
    with pytest.raises(UnreadableMember, match="has no row"):
        item.open()


def test_a_row_of_a_table_that_is_not_there_is_a_record() -> None:
    with pytest.raises(ImageError, match=r"no table at gone\.parquet"):
        Named(Wanted()).item("parquet://0::gone.parquet").open()


def test_a_list_of_many_rows_reads_each_row_group_once(monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("t.parquet"), {"image": pictures(rows() * 4)}, row_group_size=5)
    begun: list[int] = []
    iter_batches = pq.ParquetFile.iter_batches

    def counted(self: Any, *arguments: Any, row_groups: list[int], **how: Any) -> Any:
        begun.extend(row_groups)
        return iter_batches(self, *arguments, row_groups=row_groups, **how)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    names = "".join(f"parquet://{row}::t.parquet\n" for row in range(20))
    Path("list.txt").write_text(names)
    assert [content for _, content in all_of(files_from=Path("list.txt"))] == BYTES * 4
    assert begun == [0, 1, 2, 3]
    begun.clear()
    named = Named(Wanted())
    assert read(named.item("parquet://18::t.parquet")) == BYTES[3]
    assert begun == [3]


def test_the_stamp_of_a_row_tells_other_bytes() -> None:
    def stamps() -> list[Any]:
        return [item.stamp() for item in Sources(("t.parquet",)).items()]

    write(Path("t.parquet"), {"image": pictures(rows(["red", "green"]))})
    before = stamps()
    write(Path("t.parquet"), {"image": pictures(rows(["red", "blue"])), "more": [1, 2]})
    assert [old == new for old, new in zip(before, stamps(), strict=True)] == [True, False]


def columns(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, pa.array(BYTES))


@pytest.mark.parametrize(
    ("table", "features"),
    [
        pytest.param({"mask": BYTES, "scan": pictures(rows())}, {"scan": {"_type": "Image"}}, id="metadata"),
        pytest.param({"scan": BYTES, "code": pa.array(BYTES)}, {"scan": {"_type": "Image"}}, id="metadata and bytes"),
        pytest.param({"scan": pictures(rows()), "image": BYTES}, None, id="struct before bytes"),
        pytest.param(
            {"thumbnail": pictures(rows(["red"] * 5)), "image": pictures(rows())}, None, id="name of two structs"
        ),
        pytest.param({"hash": [b"x"] * 5, "jpg": BYTES}, None, id="name of two of bytes"),
        pytest.param({"caption": ["cat"] * 5, "scan": BYTES}, None, id="the only one of bytes"),
        pytest.param({"hash": [b"x"] * 5, "image": BYTES, "url": ["https://x"] * 5}, None, id="bytes before addresses"),
    ],
)
def test_the_column_of_pictures_is_found(table: dict[str, Any], features: dict[str, Any] | None) -> None:
    write(Path("t.parquet"), table, features)
    assert [content for _, content in all_of("t.parquet")] == BYTES


def test_a_column_of_addresses_is_found_by_its_name() -> None:
    write(Path("t.parquet"), {"hash": [b"x"], "caption": ["a cat"], "URL": ["https://example.org/cat.jpg"]})
    assert [item.name for item in Sources(("t.parquet",)).items()] == ["https://example.org/cat.jpg"]


@pytest.mark.parametrize("name", ["second", "nested.inner", "dot.ted"])
def test_a_column_can_be_named(name: str) -> None:
    nested = pa.StructArray.from_arrays([pictures(rows()), pa.array(["x"] * 5)], ["inner", "other"])
    wrong = pictures(rows(["red"] * 5))
    right = pictures(rows())
    write(Path("t.parquet"), {"first": wrong, "second": right, "nested": nested, "dot.ted": right})
    assert [content for _, content in all_of("t.parquet", column=name)] == BYTES


@pytest.mark.parametrize(
    ("table", "column", "message"),
    [
        pytest.param(
            {"a": [1], "b": [2.5]}, None, "no column that is known to hold pictures.*a .int64.*{column}", id="none"
        ),
        pytest.param(columns("a", "b"), None, "more than one column .*a and b: .*a .bytes.*{column}", id="several"),
        pytest.param(columns("a"), "c", "no column c: its columns are a .bytes", id="wrong name"),
        pytest.param({"a": [{"b": 1}]}, "a.c", "no column a.c", id="wrong nested name"),
        pytest.param({"a": [1]}, "a", "is int64, which holds no pictures", id="wrong type"),
        pytest.param({"a": [[1.5]]}, "a", "is a list of double, which holds no pictures", id="list of numbers"),
        pytest.param({"a": [{"b": 1}]}, "a", "is a struct of b, which holds no pictures", id="struct"),
    ],
)
def test_a_column_that_is_none_is_refused_by_name_before_anything_is_loaded(
    table: dict[str, Any], column: str | None, message: str
) -> None:
    write(Path("t.parquet"), table)
    with pytest.raises(UsageError) as caught:
        Sources(("t.parquet",), column=column).check()
    import re

    assert re.search(message, f"{caught.value.cause} {caught.value.remedy}"), caught.value


def test_a_damaged_page_costs_what_follows_it_one_record() -> None:
    noise = [os.urandom(3000) for _ in range(200)]
    write(
        Path("t.parquet"),
        {"image": noise},
        use_dictionary=False,
        compression="none",
        write_batch_size=1,
        data_page_size=30_000,
        write_page_checksum=True,
        write_statistics=False,  # in which the bytes would be once more
    )
    content = bytearray(Path("t.parquet").read_bytes())
    place = content.index(noise[100])
    content[place] ^= 1
    Path("t.parquet").write_bytes(content)
    *before, last = Sources(("t.parquet",)).items()
    assert [read(item) for item in before] == noise[: len(before)]
    assert 85 < len(before) <= 100
    assert last.name == f"parquet://{len(before)}::t.parquet"
    with pytest.raises(DamagedArchive):
        last.open()
    assert read(Named(Wanted()).item(last.name)) == DamagedArchive.__name__


def test_a_table_that_is_cut_off_is_one_record() -> None:
    content = write(Path("t.parquet"), {"image": pictures(rows())}).read_bytes()
    Path("t.parquet").write_bytes(content[:-9])
    (item,) = Sources(("t.parquet",)).items()
    assert item.name == "t.parquet"
    with pytest.raises(DamagedArchive, match="cut off"):
        item.open()
    Sources(("t.parquet",)).check()


def test_a_stream_that_is_cut_off_gives_what_came_before() -> None:
    table = pa.table({"image": pictures(rows())})
    with pa.OSFile("t.arrow", "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)
    content = Path("t.arrow").read_bytes()
    Path("t.arrow").write_bytes(content[: len(content) * 2 // 3])
    *before, last = all_of("t.arrow")
    assert [content for _, content in before] == BYTES[: len(before)]
    assert (len(before), last) == (2, ("arrow://2::t.arrow", "DamagedArchive"))


def test_an_arrow_file_whose_rows_lie_beyond_its_end_is_a_record() -> None:
    table = pa.table({"image": pa.array(BYTES)})
    with pa.OSFile("t.arrow", "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    content = Path("t.arrow").read_bytes()
    end = sum(map(len, BYTES)).to_bytes(4, "little")
    Path("t.arrow").write_bytes(content.replace(end, b"\xff\xff\xff\x7f"))
    assert list(all_of("t.arrow")) == [("arrow://0::t.arrow", "DamagedArchive")]


def test_an_encrypted_table_says_so() -> None:
    Path("t.parquet").write_bytes(b"PARE" + b"\0" * 100 + b"\x10\0\0\0PARE")
    (item,) = Sources(("t.parquet",)).items()
    with pytest.raises(DamagedArchive, match="encrypted"):
        item.open()


def test_an_encrypted_column_costs_one_record() -> None:
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    wrapped = {"wrap_key": lambda _, key, name: base64.b64encode(key)}
    keys = type("Keys", (encryption.KmsClient,), wrapped)
    factory = encryption.CryptoFactory(lambda _: keys())
    how = encryption.EncryptionConfiguration("a", column_keys={"b": ["secret"]}, plaintext_footer=True)
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
    write(Path("t.parquet"), {"secret": BYTES, "image": BYTES}, encryption_properties=properties)
    assert [content for _, content in all_of("t.parquet", column="image")] == BYTES
    (item,) = Sources(("t.parquet",), column="secret").items()
    with pytest.raises(DamagedArchive, match="encrypted"):
        item.open()


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_table_that_is_no_local_file_is_read_and_its_failures_are_records(suffix: str) -> None:
    table, stream = pa.table({"image": pa.array(BYTES)}), io.BytesIO()
    if suffix == "parquet":
        pq.write_table(table, stream)
    else:
        with pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
    address = f"https://example.org/t.{suffix}"
    items = Table(address, suffix, source=lambda: io.BytesIO(stream.getvalue())).items()
    assert [(item.name, read(item)) for item in items] == [
        (f"{suffix}://{row}::{address}", content) for row, content in enumerate(BYTES)
    ]

    def unreachable() -> io.BytesIO:
        raise FetchFailed("The server says 404.", "Check the address.")

    assert [read(item) for item in Table(address, suffix, source=unreachable).items()] == ["FetchFailed"]


@pytest.mark.parametrize(
    ("content", "result"),
    [
        pytest.param(BYTES[0], BYTES[0], id="a picture"),
        pytest.param(b"", "UnreadableImage", id="empty"),
        pytest.param(
            b"version https://git-lfs.github.com/spec/v1\n", b"version https://git-lfs.github.com/spec/v1\n", id="LFS"
        ),
    ],
)
def test_what_is_called_like_a_table_and_is_none_is_read_as_a_picture(content: bytes, result: bytes | str) -> None:
    Path("t.parquet").write_bytes(content)
    assert list(all_of("t.parquet")) == [("t.parquet", result)]


def test_a_table_that_is_not_there_is_a_missing_file() -> None:
    assert list(all_of("gone.parquet")) == [("gone.parquet", MissingFile.__name__)]


def test_a_clone_of_a_data_set_repository_is_read_as_it_is(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    (clone / ".git").mkdir(parents=True)
    (clone / "README.md").write_text("---\nlicense: mit\n---\n")
    (clone / "assets").mkdir()
    (clone / "assets" / "logo.png").write_bytes(BYTES[4])
    write(clone / "data" / "train-00000-of-00002.parquet", {"image": pictures(rows(["red"]))})
    write(clone / "data" / "train-00001-of-00002.parquet", {"image": pictures(rows(["green"]))})
    write(clone / "default" / "train" / "0000.parquet", {"image": pictures(rows(["blue"]))})
    write(clone / "index" / "paths.parquet", {"path": ["assets/logo.png"]})
    write(clone / ".git" / "x.parquet", {"image": pictures(rows(["red"]))})
    expected = [
        ("clone/assets/logo.png", BYTES[4]),
        ("parquet://0::clone/data/train-00000-of-00002.parquet", BYTES[0]),
        ("parquet://0::clone/data/train-00001-of-00002.parquet", BYTES[1]),
        ("parquet://0::clone/default/train/0000.parquet", BYTES[2]),
    ]
    assert list(all_of("clone")) == expected
    assert list(all_of("clone/**")) == expected
    assert [name for name, _ in all_of("clone/data/*.parquet")] == [name for name, _ in expected[1:3]]
    assert list(all_of("clone", archives=True))[4:] == [("clone/assets/logo.png", BYTES[4])]


def test_tables_beside_pictures_and_tables_of_results_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(BYTES[0])
    write(tmp_path / "photos" / "beside.parquet", {"image": pictures(rows())})
    write(tmp_path / "photos" / "results" / "r.parquet", {"path": ["photos/a.png"], "predictions": [[1]]})
    survey = Survey()
    assert [item.name for item in Sources(("photos",)).items(survey)] == ["photos/a.png"]
    assert survey.line() == "left out: 2 .parquet"
    names = [item.name for item in Sources(("photos",), archives=True).items()]
    assert names[:2] == ["photos/a.png", "parquet://0::photos/beside.parquet"]


def test_a_folder_of_tables_of_addresses_is_read_where_the_column_is_named(tmp_path: Path) -> None:
    write(tmp_path / "laion" / "0.parquet", {"link": ["https://example.org/cat.jpg"]})
    assert list(Sources(("laion",)).items()) == []
    assert [item.name for item in Sources(("laion",), column="link").items()] == ["https://example.org/cat.jpg"]


def test_a_damaged_table_in_a_folder_of_tables_is_a_record(tmp_path: Path) -> None:
    good = write(tmp_path / "data" / "1.parquet", {"image": pictures(rows(["red"]))})
    (tmp_path / "data" / "0.parquet").write_bytes(good.read_bytes()[:-8])
    (tmp_path / "data" / "2.parquet").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert [name for name, _ in all_of("data")] == ["data/0.parquet", "parquet://0::data/1.parquet", "data/2.parquet"]


CLASSES = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}


@pytest.mark.parametrize(
    ("labels", "features", "column", "names", "classes"),
    [
        pytest.param([1, 0, -1, None], CLASSES, None, ("cat", "dog"), ["dog", "cat", None, None], id="ClassLabel"),
        pytest.param(["b", "a10", "a2", None], None, None, ("a2", "a10", "b"), ["b", "a10", "a2", None], id="text"),
        pytest.param([3, 0, 1, 7], None, "label", (), [3, 0, 1, 7], id="numbers"),
    ],
)
def test_rows_are_labelled_by_a_column(
    labels: list[Any],
    features: dict[str, Any] | None,
    column: str | None,
    names: tuple[str, ...],
    classes: list[Any],
) -> None:
    write(Path("t.parquet"), {"image": pictures(rows(COLOURS[:4])), "label": labels}, features, row_group_size=3)
    found, labelled = labelled_rows("t.parquet", Wanted(), column)
    assert found == names
    read_rows = [(item.name, read(item), of) for item, of in labelled]
    assert read_rows == [(f"parquet://{row}::t.parquet", BYTES[row], classes[row]) for row in range(4)]


@pytest.mark.parametrize("column", [None, "gone", "image", "score"])
def test_a_column_of_labels_that_is_none_is_refused(column: str | None) -> None:
    write(Path("t.parquet"), {"image": pictures(rows()), "score": [0.5] * 5})
    with pytest.raises(UsageError, match=r"t\.parquet"):
        labelled_rows("t.parquet", Wanted(), column)
