"""Files that hold the same are found before a training: under several labels, and in large numbers under one."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.runs.training.compared import compare
from vithybrid_cli.runs.training.copies import Copies
from vithybrid_cli.training.data import read_labelled

LONG = bytes(range(256)) * 64  # 16 KiB


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(files: Mapping[str, bytes]) -> None:
    """Files with these contents below the folder ``p``; what they hold is no picture, which is all the same here."""
    for name, content in files.items():
        file = Path("p", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def found(where: str = "p") -> Copies:
    return compare(read_labelled(where)).copies


def numbered(label: str, count: int) -> dict[str, bytes]:
    return {f"{label}/{number}.png": f"{label} {number}".encode() for number in range(count)}


def test_the_same_content_under_two_labels_is_told_with_names_labels_and_what_to_do() -> None:
    made({"cat/1.png": b"one", "cat/2.png": b"two", "dog/7.png": b"one", "dog/deep/8.png": b"other"})
    assert list(found().notes()) == [
        "1 picture is under several labels with the same content, which contradict each other: p/cat/1.png (cat) is "
        "also p/dog/7.png (dog); remove what is under a wrong label"
    ]


def test_of_many_contradictions_two_are_named_and_the_rest_counted() -> None:
    made({f"{label}/{number}.png": f"{number}".encode() for label in ("cat", "dog", "elk") for number in range(5)})
    (note,) = found().notes()
    assert note.startswith("5 pictures are under several labels with the same content, which contradict each other: ")
    assert "p/cat/0.png (cat) is also p/dog/0.png (dog), p/cat/1.png (cat) is also p/dog/1.png (dog) and 3 more" in note


def test_what_is_alike_in_size_or_at_its_end_alone_is_no_copy() -> None:
    made({"cat/1.png": b"a" + LONG, "dog/1.png": b"b" + LONG, "dog/2.png": LONG + b"a", "dog/3.png": LONG})
    assert found() == Copies(4)


def test_files_that_have_a_size_of_their_own_are_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    made({"cat/1.png": b"a", "cat/2.png": b"bb", "dog/1.png": b"ccc"})
    data = read_labelled("p")
    monkeypatch.setattr(LocalFile, "open", lambda _: pytest.fail("a file was opened"))
    assert compare(data).copies == Copies(3)


def test_only_files_that_end_alike_are_read_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    made({"cat/1.png": LONG + b"a", "cat/2.png": LONG + b"b", "dog/1.png": LONG + b"b", "dog/2.png": LONG + b"c"})
    data, opened, plain = read_labelled("p"), [], LocalFile.open

    def noted(self: LocalFile) -> object:
        opened.append(self.name)
        return plain(self)

    monkeypatch.setattr(LocalFile, "open", noted)
    assert len(compare(data).copies.contradicting) == 1
    names = [f"p/{name}.png" for name in ("cat/1", "cat/2", "dog/1", "dog/2")]
    assert sorted(opened) == sorted([*names, "p/cat/2.png", "p/dog/1.png"])


def test_copies_within_a_label_are_told_only_where_they_are_more_than_a_tenth() -> None:
    made({**numbered("cat", 10), **numbered("dog", 9), "dog/a.png": b"dog 0"})
    assert list(found().notes()) == []
    made({"dog/b.png": b"dog 0", "dog/c.png": b"dog 1"})
    assert list(found().notes()) == [
        "3 of 22 pictures are copies of others of their label, as p/dog/a.png of p/dog/0.png: these count several "
        "times; keep one of each"
    ]


def test_a_picture_that_is_held_out_contradicts_one_to_train_on() -> None:
    made({**numbered("cat", 2), "dog/1.png": b"cat 0", "dog/2.png": b"cat 1"})
    data, chooser = read_labelled("p").split(0.5, seed=0)
    assert len(compare(data, chooser).copies.contradicting) == 2
    assert compare(data, None).copies.pictures == 2


def test_what_a_link_leads_to_is_there_once() -> None:
    made({"cat/1.png": b"one", "dog/1.png": b"two"})
    Path("p/cat/2.png").symlink_to(Path("p/dog/1.png").resolve())
    Path("p/cat/more").symlink_to(Path("p/cat").resolve(), target_is_directory=True)
    assert found() == Copies(2)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_no_copy() -> None:
    made({"cat/1.png": b"one", "dog/1.png": b"one"})
    Path("p/cat/1.png").chmod(0)
    assert found() == Copies(2)


def test_what_is_gone_or_empty_is_no_copy() -> None:
    made({"cat/1.png": b"", "dog/1.png": b"", "cat/2.png": b"one", "dog/2.png": b"one"})
    data = read_labelled("p")
    Path("p/cat/2.png").unlink()
    assert compare(data).copies == Copies(4)


def test_members_of_an_archive_are_compared_too() -> None:
    with zipfile.ZipFile("p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("cat/1.png", "dog/1.png"):
            archive.writestr(name, LONG)
        archive.writestr("dog/2.png", b"a" + LONG[1:])
    (note,) = found("p.zip").notes()
    assert "zip://cat/1.png::p.zip (cat) is also zip://dog/1.png::p.zip (dog); remove" in note
