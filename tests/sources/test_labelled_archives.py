"""Labelled pictures in archives: what their labels are, whatever lies around them, and what has none."""

import json
from pathlib import Path

import pytest
from packing import pack

from vithybrid_cli.errors import UsageError
from vithybrid_cli.settings import Reading
from vithybrid_cli.sources.labelled import DataSetRoot, Labelled
from vithybrid_cli.sources.labelled.inputs import open_labelled
from vithybrid_cli.sources.survey import Survey

AS_USUAL = Reading()


def packed(archive: Path, names: str) -> str:
    """An archive of pictures, and of what else is written as ``name=content``."""
    pairs = (name.partition("=") for name in names.split())
    return str(pack(archive, [(name, (content or "picture").encode()) for name, _, content in pairs]))


def found(source: Labelled, survey: Survey | None = None) -> list[tuple[str, str | None]]:
    """The pictures without their archive, and their labels."""
    pairs = source.pictures(survey or Survey())
    return [(item.name.split("://", 1)[-1].rpartition("::")[0], label) for item, label in pairs]


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.xz"])
@pytest.mark.parametrize("around", ["", "photos/", "./", "./photos/"])
def test_the_folder_of_a_member_is_its_label_whatever_one_folder_lies_around_all(
    tmp_path: Path, suffix: str, around: str
) -> None:
    names = [f"{around}{name}" for name in ("dog/1.jpg", "cat10/2.jpg", "cat2/deep/er/3.jpg")]
    source = open_labelled([packed(tmp_path / f"a.{suffix}", " ".join(names))], AS_USUAL)
    assert (source.names, source.count()) == (("cat2", "cat10", "dog"), 3)
    assert found(source) == list(zip(names, ["dog", "cat10", "cat2"], strict=True))


def test_what_lies_beside_the_folders_or_is_hidden_or_excluded_is_no_label(tmp_path: Path) -> None:
    names = "cat/1.jpg cat/notes.txt loose.jpg __MACOSX/cat/1.jpg .hidden/2.jpg junk/3.jpg dog/4.jpg"
    source = open_labelled([packed(tmp_path / "a.zip", names)], Reading(exclude=("junk",)))
    survey = Survey()
    assert (source.names, found(source, survey)) == (("cat", "dog"), [("cat/1.jpg", "cat"), ("dog/4.jpg", "dog")])
    assert survey.line() == (
        "left out: 1 .txt, 1 picture in no label's folder, 1 folder of the system (__MACOSX), "
        "1 hidden folder (.hidden); excluded: 1 folder"
    )


def test_a_folder_around_all_is_that_of_all_archives_together(tmp_path: Path) -> None:
    first = packed(tmp_path / "0.tar", "cat/old/1.jpg cat/new/2.jpg")
    second = packed(tmp_path / "1.tar", "dog/old/1.jpg")
    assert open_labelled([first], AS_USUAL).names == ("new", "old")
    assert open_labelled([first, second], AS_USUAL).names == ("cat", "dog")


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
def test_a_file_beside_a_picture_says_its_label(tmp_path: Path, suffix: str) -> None:
    packed(tmp_path / f"s-0.{suffix}", "000.cls=3 000.jpg 001.cls=émeu\n 001.jpg 002.jpg a/003.cls=7 a/003.png")
    packed(tmp_path / f"s-1.{suffix}", "000.seg.png 000.jpg 000.cls=0")
    source = open_labelled([str(tmp_path / f"s-{{0..1}}.{suffix}")], AS_USUAL)
    survey = Survey()
    assert source.names == ("0", "3", "7", "émeu")
    pairs = [("000.jpg", "3"), ("001.jpg", "émeu"), ("a/003.png", "7"), ("000.jpg", "0")]
    assert found(source, survey) == pairs
    assert survey.line() == "left out: 2 pictures without a label"


def test_a_json_beside_a_picture_says_its_label_where_there_is_no_cls(tmp_path: Path) -> None:
    members = [("0.jpg", b"-"), ("0.json", json.dumps({"label": 5, "width": 3}).encode())]
    members += [("1.jpg", b"-"), ("1.json", b'{"label": 5}'), ("1.cls", b"6")]
    members += [("2.jpg", b"-"), ("2.json", b"[1"), ("3.jpg", b"-"), ("3.json", b'{"label": {"a": 1}}')]
    source = open_labelled([str(pack(tmp_path / "s.tar", members))], AS_USUAL)
    assert found(source) == [("0.jpg", "5"), ("1.jpg", "6")]


def test_shards_in_a_folder_are_read_and_a_folder_with_label_folders_stays_one(tmp_path: Path) -> None:
    packed(tmp_path / "000.tar", "0.jpg 0.cls=1")
    packed(tmp_path / "001.tar", "0.jpg 0.cls=2")
    assert open_labelled([str(tmp_path)], AS_USUAL).names == ("1", "2")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.jpg").touch()
    assert open_labelled([str(tmp_path)], AS_USUAL).names == ("cat",)


def test_the_parts_of_a_data_set_in_an_archive_are_told_and_each_can_be_named(tmp_path: Path) -> None:
    names = "data/train/cat/1.jpg data/val/cat/2.jpg data/val/dog/3.jpg"
    archive = packed(tmp_path / "a.zip", names)
    with pytest.raises(DataSetRoot) as caught:
        open_labelled([archive], AS_USUAL)
    parts = [f"zip://data/{part}::{archive}" for part in ("train", "val")]
    assert caught.value.cause == (
        f"{archive} holds the parts of a data set, and the labels are within them: {', '.join(parts)}."
    )
    assert open_labelled(parts[1:], AS_USUAL).names == ("cat", "dog")
    assert [label for _, label in found(open_labelled(parts[1:], AS_USUAL))] == ["cat", "dog"]


def test_the_parts_of_a_data_set_in_files_are_told_with_their_patterns(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("train-0", "train-1", "val-0"):
        packed(tmp_path / "data" / f"{name}.tar", "0.jpg 0.cls=1")
    with pytest.raises(DataSetRoot) as caught:
        open_labelled([str(tmp_path)], AS_USUAL)
    patterns = [f"{tmp_path}/data/train*.tar", f"{tmp_path}/data/val*.tar"]
    assert caught.value.cause == f"{tmp_path} holds the parts of a data set: {', '.join(patterns)}."
    assert open_labelled(patterns[:1], AS_USUAL).count() == 2


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        pytest.param("1.jpg 2.jpg", "holds pictures, and neither folders of them nor files that say", id="no labels"),
        pytest.param("notes.txt", "holds no pictures", id="no pictures"),
    ],
)
def test_an_archive_without_labels_is_refused_with_the_cause(tmp_path: Path, names: str, cause: str) -> None:
    archive = packed(tmp_path / "a.zip", names)
    with pytest.raises(UsageError, match=cause):
        open_labelled([archive], AS_USUAL)


@pytest.mark.parametrize("name", ["nowhere.zip", "nowhere", "photo.jpg"])
def test_what_is_no_source_of_labels_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UsageError, match=name):
        open_labelled([str(tmp_path / name)], AS_USUAL)


def test_what_is_missing_of_a_damaged_archive_comes_last_and_without_a_label(tmp_path: Path) -> None:
    archive = Path(packed(tmp_path / "a.tar", "cat/1.jpg dog/2.jpg dog/3.jpg"))
    archive.write_bytes(archive.read_bytes()[: 4 * 512 + 100])
    items = list(open_labelled([str(archive)], AS_USUAL).pictures(Survey()))
    assert [label for _, label in items] == ["cat", "dog", None]
    assert items[-1][0].name == str(archive)
