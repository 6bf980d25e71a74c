"""What an epoch sees: which pictures, in which batches, read by whichever thread."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_trainings import pictures

from vithybrid_cli.training.augment import Pixels, RandomCrop
from vithybrid_cli.training.batches import Batch, all_batches, steps_of, training_batches
from vithybrid_cli.training.data import LabelledPictures, read_labelled


@pytest.fixture
def gradients(tmp_path: Path) -> LabelledPictures:
    """Twelve pictures whose crops tell where they were cut."""
    columns = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    image = Image.fromarray(np.stack([columns, columns.T, np.zeros_like(columns)], axis=-1))
    for number in range(12):
        file = tmp_path / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        image.rotate(number).save(file)
    return read_labelled(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> LabelledPictures:
    """Two labels with four and three pictures."""
    return pictures(tmp_path, (4, 3))


def cropped(image: Image.Image, index: int) -> Pixels:
    return RandomCrop(0.5)(image, (8, 8), np.random.default_rng(index), flipped=False)


def epoch_of(data: LabelledPictures, batch_size: int = 2, workers: int = 2) -> list[Batch]:
    order = np.random.default_rng(0).permutation(len(data.items))
    return list(training_batches(data, cropped, batch_size, order, workers))


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [
        pytest.param(3, [3, 2, 2], id="a rest that would be small"),
        pytest.param(4, [4, 3], id="a rest that is almost full"),
        pytest.param(6, [4, 3], id="a rest of one"),
        pytest.param(7, [7], id="no rest"),
        pytest.param(1, [1] * 7, id="single pictures"),
    ],
)
def test_an_epoch_has_each_picture_once_in_batches_as_equal_as_can_be(
    folder: LabelledPictures, batch_size: int, sizes: list[int]
) -> None:
    seen: list[int] = []

    def noting(image: Image.Image, index: int) -> Pixels:
        seen.append(index)
        return cropped(image, index)

    batches = list(training_batches(folder, noting, batch_size, np.arange(7)[::-1], workers=1))
    assert [len(batch.targets) for batch in batches] == sizes
    assert len(batches) == steps_of(7, batch_size)
    assert seen == [6, 5, 4, 3, 2, 1, 0]


def test_a_folder_smaller_than_a_batch_is_one_batch(folder: LabelledPictures) -> None:
    (batch,) = epoch_of(folder, batch_size=100)
    assert sorted(batch.targets.tolist()) == [0, 0, 0, 0, 1, 1, 1]


def test_an_epoch_is_the_same_for_any_number_of_threads(gradients: LabelledPictures) -> None:
    one, many = epoch_of(gradients, workers=1), epoch_of(gradients, workers=5)
    for first, second in zip(one, many, strict=True):
        assert (first.pixels == second.pixels).all()
        assert (first.targets == second.targets).all()


def test_a_picture_is_cropped_alike_in_whatever_batch_it_comes(gradients: LabelledPictures) -> None:
    small, large = epoch_of(gradients, batch_size=1), epoch_of(gradients, batch_size=12)
    assert (np.concatenate([batch.pixels for batch in small]) == large[0].pixels).all()


def test_unreadable_pictures_are_left_out_of_their_batch_and_named(folder: LabelledPictures) -> None:
    bad = folder.items[2].name
    Path(bad).write_bytes(b"no picture")
    (batch,) = epoch_of(folder, batch_size=7)
    (one,) = batch.unreadable
    assert (one.path, one.error_type) == (bad, "UnreadableImage")
    assert one.message.startswith("This is no picture in a supported format, but a text file.")
    assert sorted(batch.targets.tolist()) == [0, 0, 0, 1, 1, 1]
    assert batch.pixels.shape == (6, 8, 8, 3)


def test_a_batch_of_unreadable_pictures_is_empty(folder: LabelledPictures) -> None:
    for item in folder.items:
        Path(item.name).write_bytes(b"no picture")
    batches = epoch_of(folder)
    assert [batch.pixels.shape for batch in batches] == [(0, 0, 0, 3)] * 4
    assert [len(batch.unreadable) for batch in batches] == [2, 2, 2, 1]


def test_all_pictures_come_in_their_own_order_and_the_last_batch_may_be_smaller(folder: LabelledPictures) -> None:
    batches = list(all_batches(folder, cropped, 3, workers=2))
    assert [batch.targets.tolist() for batch in batches] == [[0, 0, 0], [0, 1, 1], [1]]


def test_closing_an_epoch_early_stops_what_is_being_read_ahead(folder: LabelledPictures) -> None:
    calls: list[int] = []

    def slowly(image: Image.Image, index: int) -> Pixels:
        calls.append(index)
        time.sleep(0.01)
        return cropped(image, index)

    data = LabelledPictures(folder.labels, folder.items[:1] * 400, folder.targets[:1].repeat(400))
    batches = training_batches(data, slowly, 40, np.arange(400), workers=2)
    next(batches)
    begun = len(calls)
    batches.close()
    assert len(calls) <= begun + 8  # the four batches read ahead hold 160
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")] == []


def test_what_goes_wrong_in_a_thread_goes_wrong_in_the_training(folder: LabelledPictures) -> None:
    def broken(image: Image.Image, index: int) -> Pixels:
        raise MemoryError

    with pytest.raises(MemoryError):
        list(training_batches(folder, broken, 2, np.arange(7), workers=2))
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")] == []
