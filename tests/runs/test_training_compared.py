"""What is tested on or chooses the epoch is found among what is trained on, by where it lies and by what it holds."""

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.runs.training.compared import compare
from vithybrid_cli.runs.training.overlap import Overlap
from vithybrid_cli.training.data import LabelledPictures, read_labelled

COUNT = 4  # pictures of each label


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabelledPictures:
    """Pictures of two labels in ``train``; what they hold is no picture, which is all the same here."""
    monkeypatch.chdir(tmp_path)
    for label in ("cat", "dog"):
        for number in range(COUNT):
            written(f"train/{label}/{number}.png", f"{label} {number}".encode())
    return read_labelled("train")


def written(name: str, content: bytes) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content)


def overlap_of(data: LabelledPictures, where: str, chooser: LabelledPictures | None = None) -> Overlap:
    return compare(data, chooser, read_labelled(where, data.labels)).overlap


def test_a_copy_of_the_folder_is_no_clean_test(data: LabelledPictures) -> None:
    shutil.copytree("train", "test")
    assert overlap_of(data, "test") == Overlap(trained_on=8)
    written("test/cat/0.png", b"new 0")
    written("test/dog/1.png", b"cat 1")  # under another label, and trained on all the same
    assert overlap_of(data, "test") == Overlap(trained_on=7)


def test_other_pictures_are_a_clean_test(data: LabelledPictures) -> None:
    written("test/cat/0.png", b"new 0")
    written("test/dog/0.png", b"longer than all others")
    assert overlap_of(data, "test") == Overlap()


def test_a_copy_in_an_archive_is_no_clean_test(data: LabelledPictures) -> None:
    with zipfile.ZipFile("test.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for item in data.items:
            archive.write(item.name)
    assert overlap_of(data, "test.zip") == Overlap(trained_on=8)


def test_what_is_trained_on_in_an_archive_is_found_in_a_folder(data: LabelledPictures) -> None:
    with tarfile.open("train.tar.gz", "w:gz") as archive:
        for item in data.items:
            content = Path(item.name).read_bytes()
            member = tarfile.TarInfo(item.name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert overlap_of(read_labelled("train.tar.gz"), "train") == Overlap(trained_on=8)


def test_what_chooses_the_epoch_is_told_apart_from_what_is_trained_on(data: LabelledPictures) -> None:
    kept, chooser = data.split(0.25, seed=0)
    shutil.copytree("train", "test")
    assert overlap_of(kept, "test", chooser) == overlap_of(kept, "train", chooser) == Overlap(trained_on=6, choosing=2)


def test_a_picture_that_a_test_has_twice_counts_twice_but_a_link_once(data: LabelledPictures) -> None:
    for name in ("test/cat/0.png", "test/cat/copy.png"):
        written(name, b"cat 0")
    Path("test/dog").mkdir()
    Path("test/dog/link.png").symlink_to(Path("test/cat/0.png").resolve())
    assert overlap_of(data, "test") == Overlap(trained_on=2)


def test_each_file_is_opened_at_most_twice_whatever_it_is_for(
    data: LabelledPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree("train", "test")
    opened, plain = [], LocalFile.open

    def noted(self: LocalFile) -> object:
        opened.append(self.name)
        return plain(self)

    monkeypatch.setattr(LocalFile, "open", noted)
    kept, chooser = data.split(0.25, seed=0)
    assert overlap_of(kept, "test", chooser) == Overlap(trained_on=6, choosing=2)
    assert max(map(opened.count, opened)) == 2


def test_a_single_copy_on_both_sides_of_a_split_is_told(data: LabelledPictures) -> None:
    kept, chooser = data.split(0.25, seed=0)
    assert list(compare(kept, chooser).copies.notes()) == []
    copy, original = chooser.items[0].name, kept.items[0].name
    Path(copy).write_bytes(Path(original).read_bytes())
    copies = compare(kept, chooser).copies
    assert copies.learnt == ((copy, original),)
    assert list(copies.notes())[-1] == (
        f"of the pictures that choose the epoch 1 is trained on, too, as {copy}, which is also {original}: on these it "
        "seems better than on others; keep one of each"
    )


def test_a_link_on_the_other_side_of_a_split_is_told_and_another_label_is_not(data: LabelledPictures) -> None:
    kept, chooser = data.split(0.25, seed=0)
    cat, dog = (Path(item.name) for item in chooser.items)
    cat.unlink()
    cat.symlink_to(Path(kept.items[0].name).resolve())
    dog.write_bytes(Path(kept.items[0].name).read_bytes())
    copies = compare(kept, chooser).copies
    assert copies.learnt == ((str(cat), kept.items[0].name),)
    assert [other.name for _, (other, _) in copies.contradicting] == [str(dog)]
