"""What a training run sees: which pictures with which labels, in which order, and how they are cropped and flipped."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vithybrid_cli.errors import UsageError
from vithybrid_cli.training.data import Augmentation, Batch, LabelledPictures, Pixels, read_labelled, training_batches

AUGMENTATION = Augmentation((8, 8), min_area=0.5)


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


def gradient() -> Image.Image:
    """A picture whose red is the column and whose green is the row."""
    columns, rows = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    return Image.fromarray(np.stack([columns, rows, np.zeros_like(rows)], axis=-1))


def crops(count: int, min_area: float, size: tuple[int, int] = (64, 64)) -> list[Pixels]:
    augmentation, image = Augmentation(size, min_area), gradient()
    return [augmentation(image, np.random.default_rng(seed)) for seed in range(count)]


def epoch_of(
    data: LabelledPictures, batch_size: int = 2, seed: int = 0, epoch: int = 0, workers: int = 2
) -> list[Batch]:
    return list(training_batches(data, AUGMENTATION, batch_size, seed, epoch, workers))


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
            ["cat/1.png", "elk/1.png"], ("cat", "dog"), r"are not labels: elk \(the labels are cat, dog\)", id="unknown"
        ),
        pytest.param(["cat/"], ("cat", "dog"), "holds no pictures", id="empty held-out folder"),
        pytest.param(
            [f"{n}/1.png" for n in range(9)], ("x",), r"labels: 0, 1, 2, 3, 4 and 4 more \(", id="many unknown"
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


def test_crops_have_at_least_the_smallest_area_and_stay_within_the_bounds_of_aspect() -> None:
    for crop in crops(200, min_area=0.5):
        width, height = (float(np.ptp(crop[..., channel].astype(int))) / 255 for channel in (0, 1))
        assert 0.47 <= width * height <= 1.0
        assert 0.73 <= width / height <= 1.37


def test_crops_are_of_all_sizes_and_in_all_places() -> None:
    boxes = np.array([[c[..., 0].min(), c[..., 0].max(), c[..., 1].min(), c[..., 1].max()] for c in crops(200, 0.25)])
    assert boxes[:, [0, 2]].min() <= 3
    assert boxes[:, [1, 3]].max() >= 252
    assert boxes[:, [0, 2]].max() >= 80
    assert boxes[:, [1, 3]].min() <= 175


def test_half_of_the_crops_are_flipped() -> None:
    flipped = sum(int(crop[0, 0, 0]) > int(crop[0, -1, 0]) for crop in crops(400, 0.5))
    assert 160 <= flipped <= 240


def test_nothing_is_flipped_where_that_is_switched_off() -> None:
    augmentation = Augmentation((64, 64), 0.5, flip=False)
    found = [augmentation(gradient(), np.random.default_rng(seed)) for seed in range(50)]
    assert all(int(crop[0, 0, 0]) < int(crop[0, -1, 0]) for crop in found)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 3)])
def test_crops_have_the_size_that_was_asked_for_whatever_the_picture(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "blue")
    for seed in range(50):
        crop = Augmentation((6, 10), 0.01)(image, np.random.default_rng(seed))
        assert crop.shape == (6, 10, 3)
        assert crop.dtype == np.uint8
        assert (crop == (0, 0, 255)).all()


def test_an_epoch_has_whole_batches_and_no_picture_twice(folder: Path) -> None:
    data = read_labelled(folder)
    batches = epoch_of(data, batch_size=3)
    assert [batch.pixels.shape for batch in batches] == [(3, 8, 8, 3), (3, 8, 8, 3)]
    targets = np.concatenate([batch.targets for batch in batches])
    assert len(targets) == 6
    assert (np.bincount(targets) <= [4, 3]).all()


def test_a_folder_smaller_than_a_batch_is_one_batch(folder: Path) -> None:
    (batch,) = epoch_of(read_labelled(folder), batch_size=100)
    assert sorted(batch.targets.tolist()) == [0, 0, 0, 0, 1, 1, 1]


@pytest.fixture
def gradients(tmp_path: Path) -> LabelledPictures:
    """Twelve pictures whose crops tell where they were cut."""
    for number in range(12):
        file = tmp_path / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        gradient().rotate(number).save(file)
    return read_labelled(tmp_path)


def test_an_epoch_is_the_same_for_any_number_of_threads(gradients: LabelledPictures) -> None:
    one, many = epoch_of(gradients, workers=1), epoch_of(gradients, workers=5)
    for first, second in zip(one, many, strict=True):
        assert (first.pixels == second.pixels).all()
        assert (first.targets == second.targets).all()


@pytest.mark.parametrize("other", [pytest.param({"seed": 1}, id="seed"), pytest.param({"epoch": 1}, id="epoch")])
def test_another_seed_or_epoch_is_another_order_and_other_crops(
    gradients: LabelledPictures, other: dict[str, int]
) -> None:
    one, another = epoch_of(gradients), epoch_of(gradients, **other)
    seen, seen_then = ({crop.tobytes() for batch in batches for crop in batch.pixels} for batches in (one, another))
    assert seen & seen_then == set()


def test_a_picture_is_cropped_alike_in_whatever_batch_it_comes(gradients: LabelledPictures) -> None:
    small, large = epoch_of(gradients, batch_size=1), epoch_of(gradients, batch_size=12)
    assert (np.concatenate([batch.pixels for batch in small]) == large[0].pixels).all()


def test_unreadable_pictures_are_left_out_of_their_batch_and_named(folder: Path) -> None:
    bad = folder / "cat" / "2.png"
    bad.write_bytes(b"no picture")
    (batch,) = epoch_of(read_labelled(folder), batch_size=7)
    assert batch.unreadable == (str(bad),)
    assert sorted(batch.targets.tolist()) == [0, 0, 0, 1, 1, 1]
    assert batch.pixels.shape == (6, 8, 8, 3)


def test_a_batch_of_unreadable_pictures_is_empty(folder: Path) -> None:
    for file in folder.glob("*/*.png"):
        file.write_bytes(b"no picture")
    batches = epoch_of(read_labelled(folder))
    assert [batch.pixels.shape for batch in batches] == [(0, 8, 8, 3)] * 3
    assert [len(batch.unreadable) for batch in batches] == [2, 2, 2]


def test_closing_an_epoch_early_stops_what_is_being_read_ahead(folder: Path) -> None:
    calls: list[int] = []

    class Slow(Augmentation):
        def __call__(self, image: Image.Image, rng: np.random.Generator) -> Pixels:
            calls.append(1)
            time.sleep(0.01)
            return super().__call__(image, rng)

    found = read_labelled(folder)
    data = LabelledPictures(found.labels, found.items[:1] * 400, found.targets[:1].repeat(400))
    batches = training_batches(data, Slow((8, 8), 0.5), 40, 0, 0, 2)
    next(batches)
    begun = len(calls)
    batches.close()
    assert len(calls) <= begun + 8  # the four batches read ahead hold 160
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")] == []
