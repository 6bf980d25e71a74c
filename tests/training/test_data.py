"""Which pictures with which labels a training run sees, and which it holds out."""

import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.training.data import LabelledPictures, read_labelled


def picture(file: Path, colour: str = "red") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), colour).save(file)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two labels with four and three pictures."""
    for number in range(4):
        picture(tmp_path / "cat" / f"{number}.png")
    for number in range(3):
        picture(tmp_path / "dog" / f"{number}.png")
    return tmp_path


def test_labels_and_pictures_come_in_natural_order_from_any_depth(tmp_path: Path) -> None:
    picture(tmp_path / "class10" / "1.png")
    picture(tmp_path / "class2" / "deep" / "er" / "img10.png")
    picture(tmp_path / "class2" / "deep" / "er" / "img2.jpg")
    picture(tmp_path / ".cache" / "1.png")
    picture(tmp_path / "class2" / ".hidden.png")
    (tmp_path / "class2" / "notes.txt").write_text("no picture", encoding="utf-8")
    (tmp_path / "README.md").write_text("no label", encoding="utf-8")
    data = read_labelled(tmp_path)
    assert data.labels == ("class2", "class10")
    assert [Path(item.name).name for item in data.items] == ["img2.jpg", "img10.png", "1.png"]
    assert data.targets.tolist() == [0, 0, 1]


def test_folders_within_a_label_are_no_labels_and_that_is_said(tmp_path: Path) -> None:
    for place in ("flat/text", "round/circle", "round/square", "round/square/big", "round/2", "round/1"):
        picture(tmp_path / place / "1.png")
    picture(tmp_path / "plain" / "1.png")
    (note,) = read_labelled(tmp_path).notes
    assert note == (
        "flat has a folder of its own, text; all pictures in it count as flat; the same goes for 1 other label"
    )
    (tmp_path / "flat" / "text" / "1.png").rename(tmp_path / "flat" / "1.png")
    (note,) = read_labelled(tmp_path).notes
    assert note == "round has folders of its own, 1, 2, circle and 1 more; all pictures in it count as round"
    assert read_labelled(tmp_path / "round").notes == (
        "square has a folder of its own, big; all pictures in it count as square",
    )


def test_folders_of_systems_are_no_labels_and_what_is_left_out_is_said(folder: Path) -> None:
    picture(folder / "@eaDir" / "1.png")
    picture(folder / "cat" / "@eaDir" / "1.png")
    picture(folder / "loose.png")
    (folder / "cat" / "1.xmp").touch()
    data = read_labelled(folder)
    assert (data.labels, len(data.items)) == (("cat", "dog"), 7)
    assert data.left_out == "left out: 1 .xmp, 1 picture in no label's folder, 2 folders of the system (@eaDir)"


def test_a_summary_counts_the_pictures_of_each_label(folder: Path) -> None:
    assert read_labelled(folder).summary() == "7 pictures of 2 labels: cat 4, dog 3"
    (folder / "held" / "cat").mkdir(parents=True)
    picture(folder / "held" / "dog" / "1.png")
    held_out = read_labelled(folder / "held", ("cat", "dog"))
    assert held_out.summary() == "1 picture of 2 labels: cat 0, dog 1"


def test_a_summary_of_many_labels_names_the_fewest_and_the_most(tmp_path: Path) -> None:
    for label in range(23):
        for number in range(3 + (label == 21) - (label == 22)):
            picture(tmp_path / f"l{label}" / f"{number}.png")
    named = ", ".join(f"l{label} 3" for label in range(20))
    assert read_labelled(tmp_path).summary() == (
        f"69 pictures of 23 labels: {named} and 3 more (fewest: l22 2, most: l21 4)"
    )


def test_a_link_to_a_folder_is_a_label(folder: Path) -> None:
    (folder / "wolf").symlink_to(folder / "dog", target_is_directory=True)
    data = read_labelled(folder)
    assert data.labels == ("cat", "dog", "wolf")
    assert data.targets.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_held_out_folder_takes_the_indices_of_the_training_folder(folder: Path) -> None:
    picture(folder / "held" / "dog" / "1.png")
    (folder / "held" / "cat").mkdir()
    held_out = read_labelled(folder / "held", ("cat", "dog"))
    assert (held_out.labels, held_out.targets.tolist()) == (("cat", "dog"), [1])


@pytest.mark.parametrize(
    ("folders", "labels", "says"),
    [
        pytest.param([], None, "holds no folders", id="no labels"),
        pytest.param(["cat/", "dog/"], None, "holds no pictures", id="no pictures"),
        pytest.param(["cat/1.png"], None, "holds only one label, cat", id="one label"),
        pytest.param(
            ["all/cat/1.png", "all/dog/1.png"], None, "holds only one folder, and .*/all. Give", id="a level too many"
        ),
        pytest.param(["1.png", "2.png"], None, "holds pictures, and no folders of them", id="a level too few"),
        pytest.param(
            ["train/cat/1.png", "val/cat/1.png"], None, "root of a data set.*part to train on.*held_out", id="a root"
        ),
        pytest.param(["train/cat/1.png", "val/cat/1.png"], ("cat",), "root of a data set", id="a held-out root"),
        pytest.param(["cat/1.png", "dog/"], None, "holds labels without pictures: dog", id="a label without pictures"),
        pytest.param(
            ["elk/1.png", "fox/1.png"],
            ("cat", "dog"),
            r"pictures of other labels alone: elk, fox \(the labels are cat, dog\)\. Give pictures of",
            id="unknown",
        ),
        pytest.param(
            ["cat/1.png", "Hot-dog/1.png"],
            ("cat", "hot_dog"),
            "Hot-dog, which is not trained, while hot_dog",
            id="case",
        ),
        pytest.param(["cat/"], ("cat", "dog"), "holds no pictures", id="empty held-out folder"),
        pytest.param(
            [f"{n}/1.png" for n in range(9)], ("x",), r"alone: 0, 1, 2, 3, 4 and 4 more \(", id="many unknown"
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, folders: list[str], labels: tuple[str, ...] | None, says: str
) -> None:
    for name in folders:
        (tmp_path / name).mkdir(parents=True) if name.endswith("/") else picture(tmp_path / name)
    with pytest.raises(UsageError, match=says):
        read_labelled(tmp_path, labels)


def test_pictures_to_measure_on_of_labels_that_are_not_trained_are_left_out_and_counted(folder: Path) -> None:
    for name in ("elk/1.png", "elk/2.png", "fox/1.png"):
        picture(folder / name)
    (folder / "gnu").mkdir()
    held_out = read_labelled(folder, ("dog", "cat"))
    assert held_out.summary() == "7 pictures of 2 labels: dog 3, cat 4"
    assert held_out.left_out == "left out: 3 pictures of labels that are not trained (elk, fox)"
    assert held_out.notes == (f"of {folder} what has a label that is not trained is left out, 3 pictures: elk, fox",)


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "émeu") for form in ("NFC", "NFD"))


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS takes both for one folder")
def test_names_that_look_the_same_are_one_label_and_that_is_said(tmp_path: Path) -> None:
    for name in (
        f"{COMPOSED}/1.png",
        f"{DECOMPOSED}/1.png",
        f"{DECOMPOSED}/2.png",
        "gnu /1.png",
        "gnu/2.png",
        "Gnu/1.png",
    ):
        picture(tmp_path / name)
    data = read_labelled(tmp_path)
    assert dict(zip(data.labels, data.counts, strict=True)) == {COMPOSED: 3, "Gnu": 1, "gnu": 2}
    assert sorted(data.notes) == [
        "labels that differ only in case, blanks or hyphens stay apart: Gnu, gnu",
        f"names that differ only in blanks around them, or in how accents are stored, are one label: {COMPOSED}, gnu",
    ]


def test_a_label_is_the_same_however_its_accents_are_stored(tmp_path: Path) -> None:
    for name in (f"train/{DECOMPOSED}/1.png", "train/gnu/1.png", f"test/{COMPOSED}/1.png"):
        picture(tmp_path / name)
    data = read_labelled(tmp_path / "train")
    assert (data.labels, data.notes) == (("gnu", COMPOSED), ())
    assert read_labelled(tmp_path / "test", data.labels).counts == [0, 1]


@pytest.mark.parametrize("link", ["cat/up", "cat/deep/up", "up"])
@pytest.mark.parametrize("above", [0, 1])
def test_a_link_to_a_folder_around_it_gives_no_picture_twice(tmp_path: Path, link: str, above: int) -> None:
    folder = tmp_path / "all"
    for name in ("cat/1.png", "cat/deep/2.png", "dog/1.png"):
        picture(folder / name)
    (folder / link).symlink_to(folder.parents[0] if above else folder, target_is_directory=True)
    data = read_labelled(folder)
    assert (data.labels, data.counts) == (("cat", "dog"), [2, 1])
    assert data.left_out == "left out: 1 link to a folder around it"


@pytest.mark.parametrize("link", ["cat/2.png", "cat/more", "wolf"])
def test_pictures_that_links_put_into_several_labels_are_counted(tmp_path: Path, link: str) -> None:
    for name in ("cat/1.png", "dog/1.png"):
        picture(tmp_path / name)
    (tmp_path / link).symlink_to(tmp_path / ("dog/1.png" if link.endswith("png") else "dog"))
    note, *_ = read_labelled(tmp_path).notes
    assert note.startswith("1 picture is in several labels by a link, which contradict each other then: ")
    assert str(tmp_path / "dog" / "1.png") in note


def test_hidden_folders_are_no_labels_and_that_is_said(folder: Path) -> None:
    picture(folder / ".elk" / "1.png")
    picture(folder / "cat" / ".old" / "1.png")
    data = read_labelled(folder)
    assert (data.labels, len(data.items)) == (("cat", "dog"), 7)
    assert data.left_out == "left out: 2 hidden folders (.elk, .old)"


def test_a_folder_of_hidden_folders_alone_says_so(tmp_path: Path) -> None:
    picture(tmp_path / ".cat" / "1.png")
    with pytest.raises(UsageError, match=r"holds no folders but hidden ones\. Rename those that are labels"):
        read_labelled(tmp_path)


def test_no_folder_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        read_labelled(tmp_path / "nowhere")


def test_a_label_that_no_config_could_hold_is_refused_before_the_training(folder: Path) -> None:
    picture(folder / os.fsdecode(b"el\xff") / "0.png")
    with pytest.raises(UsageError, match="not valid UTF-8"):
        read_labelled(folder)


def test_the_same_labels_in_another_order_take_the_indices_of_that_order(folder: Path) -> None:
    data = read_labelled(folder).with_indices_of(("dog", "cat"))
    assert (data.labels, data.targets.tolist()) == (("dog", "cat"), [1, 1, 1, 1, 0, 0, 0])


@pytest.mark.parametrize("labels", [("dog", "cat", "elk"), ("dog",), ("dog", "dog"), ("Cat", "dog")])
def test_other_labels_leave_the_indices_alone(folder: Path, labels: tuple[str, ...]) -> None:
    data = read_labelled(folder).with_indices_of(labels)
    assert (data.labels, data.targets.tolist()) == (("cat", "dog"), [0, 0, 0, 0, 1, 1, 1])


def test_the_fingerprint_changes_with_names_and_labels_but_not_with_the_place(folder: Path) -> None:
    before = read_labelled(folder).fingerprint()
    moved = folder.rename(folder.with_name("moved"))
    assert read_labelled(moved).fingerprint() == before
    (moved / "cat" / "3.png").rename(moved / "cat" / "4.png")
    renamed = read_labelled(moved).fingerprint()
    (moved / "cat" / "4.png").rename(moved / "dog" / "4.png")
    assert len({before, renamed, read_labelled(moved).fingerprint()}) == 3


def of_counts(*counts: int) -> LabelledPictures:
    """As many pictures of each label; no split looks at them."""
    labels = tuple("abcdefgh"[: len(counts)])
    items = tuple(
        LocalFile(f"{label}/{n}.png") for label, count in zip(labels, counts, strict=True) for n in range(count)
    )
    return LabelledPictures(labels, items, np.repeat(np.arange(len(counts)), counts), "left out: 1 .xmp")


def counts_of(data: LabelledPictures) -> list[int]:
    return [int((data.targets == number).sum()) for number in range(len(data.labels))]


@pytest.mark.parametrize(
    ("counts", "share", "held_out"),
    [
        pytest.param((100, 20), 0.1, [10, 2], id="a share of each label"),
        pytest.param((100, 4), 0.1, [10, 1], id="at least one"),
        pytest.param((10, 3), 0.9, [9, 2], id="and never all"),
        pytest.param((10, 2), 0.9, [9, 1], id="one of two"),
        pytest.param((10, 1), 0.5, [5, 0], id="not the only one"),
    ],
)
def test_a_split_holds_out_a_share_of_each_label_at_least_one_and_not_all(
    counts: tuple[int, ...], share: float, held_out: list[int]
) -> None:
    kept, out = of_counts(*counts).split(share, seed=0)
    assert counts_of(out) == held_out
    assert counts_of(kept) == [count - less for count, less in zip(counts, held_out, strict=True)]
    assert kept.labels == out.labels


def test_the_parts_of_a_split_are_the_whole_in_its_order_with_its_labels() -> None:
    whole = of_counts(30, 20)
    parts = whole.split(0.3, seed=4)
    pairs = [pair for part in parts for pair in zip(part.items, part.targets.tolist(), strict=True)]
    assert sorted(pairs, key=lambda pair: whole.items.index(pair[0])) == list(
        zip(whole.items, whole.targets.tolist(), strict=True)
    )
    for part in parts:
        assert [whole.items.index(item) for item in part.items] == sorted(
            whole.items.index(item) for item in part.items
        )
    assert [part.left_out for part in parts] == [whole.left_out, None]


def test_a_split_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    whole = of_counts(30, 20)
    assert whole.split(0.3, seed=4)[1].items == whole.split(0.3, seed=4)[1].items
    assert whole.split(0.3, seed=4)[1].items != whole.split(0.3, seed=5)[1].items


def test_where_each_label_has_one_picture_none_can_be_held_out() -> None:
    with pytest.raises(
        UsageError, match=r"only one picture, so that none can be held out\. Add pictures, or leave out"
    ):
        of_counts(1, 1, 1).split(0.5, seed=0)
