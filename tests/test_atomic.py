import os
import stat
import threading
from pathlib import Path

import pytest

from vithybrid_cli import atomic


def test_a_file_takes_the_place_of_another_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text("old")
    with atomic.replacing(file) as part:
        part.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_what_was_there_stays_when_writing_fails(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text("old")
    with pytest.raises(OSError, match="full"), atomic.replacing(file) as part:  # noqa: PT012
        part.write_text("half")
        raise OSError("the disk is full")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_has_the_permissions_of_the_umask_whatever_wrote_it(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic.replacing(tmp_path / "weights") as part:
            part.chmod(0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "weights").stat().st_mode) == 0o640


def test_two_writers_of_one_file_do_not_write_into_each_other_s(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    met = threading.Barrier(2)

    def write(text: str) -> None:
        with atomic.replacing(file) as part:
            part.write_text(text)
            met.wait()
            assert part.read_text() == text

    writers = [threading.Thread(target=write, args=(letter * 1000,)) for letter in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert file.read_text() in ("a" * 1000, "b" * 1000)
    assert list(tmp_path.iterdir()) == [file]


def test_text_is_utf_8_with_the_newlines_it_has(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "text", "é\r\n")
    assert (tmp_path / "text").read_bytes() == b"\xc3\xa9\r\n"


def test_a_name_of_the_greatest_length_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / ("n" * 255)
    atomic.write_text(file, "content")
    assert file.read_text() == "content"


def test_a_folder_appears_with_all_that_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    with atomic.replacing_folder(folder) as part:
        (part / "below").mkdir()
        (part / "below" / "weights").write_text("w")
        assert not folder.exists()
        assert atomic.is_unfinished(part)
    assert (folder / "below" / "weights").read_text() == "w"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_another_writer_has_filled_first_stays(tmp_path: Path) -> None:
    folder = tmp_path / "entry"
    with pytest.raises(FileExistsError), atomic.replacing_folder(folder) as part:  # noqa: PT012
        (part / "mine").touch()
        folder.mkdir()
        (folder / "theirs").touch()
    assert [path.name for path in folder.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [folder]
