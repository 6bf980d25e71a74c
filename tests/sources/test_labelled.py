"""Labelled folders: which folders are labels, what lies beside them, and roots of data sets."""

from pathlib import Path

import pytest

from vithybrid_cli.errors import UsageError
from vithybrid_cli.sources.labelled import DataSetRoot
from vithybrid_cli.sources.labelled.folders import label_folders, labelled_pictures
from vithybrid_cli.sources.survey import Survey


def make(root: Path, names: str) -> Path:
    for name in names.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).mkdir() if name.endswith("/") else (root / name).touch()
    return root


def test_hidden_and_system_folders_and_excluded_ones_are_no_labels(tmp_path: Path) -> None:
    make(tmp_path, "dog/1.jpg cat10/1.jpg cat2/1.jpg @eaDir/1.jpg __MACOSX/1.jpg .git/1.jpg junk/1.jpg")
    assert label_folders(tmp_path, ["junk"]) == ("cat2", "cat10", "dog")


def test_a_label_whose_folder_is_not_there_now_is_refused_unless_it_is_excluded(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.jpg dog/1.jpg")
    for name in (".hidden", "notes.txt", "loose.jpg", "fox"):
        (tmp_path / name).symlink_to("../not-mounted")
    with pytest.raises(UsageError, match=r"fox is a link to \.\./not-mounted, where there is nothing"):
        label_folders(tmp_path)
    assert label_folders(tmp_path, ["fox"]) == ("cat", "dog")
    (tmp_path / "fox").unlink()
    assert label_folders(tmp_path) == ("cat", "dog")


def test_a_link_to_another_label_is_followed_and_one_within_the_label_is_not(tmp_path: Path) -> None:
    make(tmp_path, "cat/orig/1.jpg dog/2.jpg")
    for name, target in (("cat/a", "orig"), ("cat/more", "../dog"), ("feline", "cat")):
        (tmp_path / name).symlink_to(target, target_is_directory=True)
    assert label_folders(tmp_path) == ("cat", "dog", "feline")
    found = [item.name for item, _ in labelled_pictures(tmp_path, ["cat", "feline"])]
    names = ("cat/more/2.jpg", "cat/orig/1.jpg", "feline/more/2.jpg", "feline/orig/1.jpg")
    assert found == [str(tmp_path / name) for name in names]


def test_what_lies_beside_the_label_folders_is_counted(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.jpg cat/notes.txt loose.jpg README.md @eaDir/1.jpg cat/@eaDir/1.jpg cat/raw/2.jpg dog/3.jpg")
    survey = Survey()
    found = [(item.name, label) for item, label in labelled_pictures(tmp_path, ["cat"], ["cat/raw", "dog"], survey)]
    assert found == [(str(tmp_path / "cat" / "1.jpg"), "cat")]
    assert survey.line() == (
        "left out: 1 .md, 1 .txt, 1 picture in no label's folder, 2 folders of the system (@eaDir); excluded: 2 folders"
    )


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        pytest.param("train/cat/1.jpg train/dog/1.jpg val/cat/1.jpg", ["train", "val"], id="train and val"),
        pytest.param("Train/cat/1.jpg Test/cat/1.jpg validation/cat/1.jpg", ["Test", "Train", "validation"], id="case"),
        pytest.param("training/cat/1.jpg", ["training"], id="one part"),
        pytest.param("train/cat/1.jpg train/loose.jpg test/cat/1.jpg", ["test", "train"], id="loose pictures"),
        pytest.param("train/cat/1.jpg test/1.jpg", ["train"], id="a part without labels"),
        pytest.param("train/cat/1.jpg valid/cat/1.jpg docs/x.md", ["train", "valid"], id="another folder beside"),
    ],
)
def test_the_root_of_a_data_set_is_refused_with_the_folders_to_give(
    tmp_path: Path, files: str, parts: list[str]
) -> None:
    make(tmp_path, files)
    with pytest.raises(DataSetRoot) as caught:
        label_folders(tmp_path)
    named = ", ".join(str(tmp_path / part) for part in parts)
    assert caught.value.cause == (
        f"{tmp_path} is the root of a data set, and the labels are within its parts: {named}."
    )


@pytest.mark.parametrize(
    "files", ["train/1.jpg car/1.jpg", "train/2019/1.jpg car/1.jpg", "train/1.jpg", "test/a/b.jpg x/"]
)
def test_a_label_may_be_called_as_a_part_of_a_data_set(tmp_path: Path, files: str) -> None:
    assert len(label_folders(make(tmp_path, files))) == len(files.split())


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        pytest.param("train/1.jpg test/2.jpg", "whose parts hold no folders of labels: test, train", id="flat parts"),
        pytest.param("1.jpg 2.jpg", "holds pictures, and no folders of them", id="one level too few"),
        pytest.param("notes.txt @eaDir/1.jpg", "holds no folders", id="nothing"),
    ],
)
def test_a_folder_without_label_folders_is_refused_with_what_it_holds(tmp_path: Path, files: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        label_folders(make(tmp_path, files))
