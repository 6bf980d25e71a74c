"""Pictures go to the folders of their labels, and nothing is ever lost or overwritten."""

import errno
import os
import tempfile
import zipfile
from pathlib import Path

import pytest
from sorting import Told, sort, tree, undo, write_results

from vithybrid_cli.actions import place
from vithybrid_cli.actions.journal import LOCK, Way, journals_in
from vithybrid_cli.actions.resolve import OnConflict
from vithybrid_cli.errors import UsageError
from vithybrid_cli.locks import lock_file

Labels = dict[str, "str | tuple[str, int, float] | None"]


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder has three pictures, one of them below another folder; nobody waits for the disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "deep/c.jpg"):
        make(f"in/{name}", name)
    return tmp_path


def make(name: str, content: str) -> Path:
    """A file that is as old as any."""
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    os.utime(file, ns=(10**18, 10**18 + 7))
    return file


def results(more: Labels | None = None) -> Path:
    labels: Labels = {"in/a.jpg": "cat", "in/b.jpg": ("dog", 3, 0.3), "in/deep/c.jpg": "cat", **(more or {})}
    return write_results(Path("r.jsonl"), labels)


def files(folder: str) -> dict[str, object]:
    """What each file holds."""
    return {name: what[0] for name, what in tree(Path(folder)).items() if what[0] not in ("folder",)}


ALL = {"cat/a.jpg": b"a.jpg", "dog/b.jpg": b"b.jpg", "cat/deep/c.jpg": b"deep/c.jpg"}


def test_copies_have_the_tree_below_the_common_folder_and_times_and_permissions() -> None:
    Path("in/a.jpg").chmod(0o600)
    tally = sort(results(), Path("out"))
    assert files("out") == ALL
    assert tree(Path("out"))["cat/a.jpg"] == tree(Path("in"))["a.jpg"]
    assert (tally.placed, tally.there, tally.failed, tally.journal) == (3, 0, 0, Path("out/.vithybrid-sort-1.jsonl"))


@pytest.mark.parametrize("way", list(Way))
def test_a_second_run_does_nothing(way: Way) -> None:
    sort(results(), Path("out"), way)
    before = tree(Path())
    tally = sort(Path("r.jsonl"), Path("out"), way, told := Told())
    assert (tally.placed, tally.there, told.lines, tree(Path())) == (0, 3, [], before)
    assert len(journals_in(Path("out"))) == 1


def test_moved_pictures_are_the_same_files() -> None:
    numbers = {Path(f"in/{name}").stat().st_ino for name in ("a.jpg", "b.jpg", "deep/c.jpg")}
    sort(results(), Path("out"), Way.MOVE)
    assert files("out") == ALL
    assert files("in") == {}
    assert {Path("out", name).stat().st_ino for name in ALL} == numbers


def test_hard_links_are_the_files_and_symbolic_ones_lead_to_them() -> None:
    sort(results(), Path("out"), Way.HARDLINK)
    assert Path("out/cat/a.jpg").samefile("in/a.jpg")
    sort(results(), Path("links"), Way.SYMLINK)
    assert Path("links/cat/deep/c.jpg").readlink() == Path("in/deep/c.jpg").absolute()


def test_what_is_not_sure_or_could_not_be_read_has_folders_of_its_own() -> None:
    make("in/broken.jpg", "")
    tally = sort(results({"in/broken.jpg": None, "in/gone.jpg": None}), Path("out"), minimum=0.5)
    assert set(files("out")) == {"cat/a.jpg", "unsure/b.jpg", "cat/deep/c.jpg", "unreadable/broken.jpg"}
    assert (tally.placed, tally.unsure, tally.unreadable, tally.gone, tally.failed) == (4, 1, 1, 1, 0)


def test_a_picture_that_is_gone_is_told_and_does_not_keep_the_others() -> None:
    Path("in/b.jpg").unlink()
    tally = sort(results(), Path("out"), told=(told := Told()))
    assert (tally.placed, tally.failed, told.lines) == (2, 1, ["b.jpg: It is not there any more."])


def test_the_folder_whose_tree_is_kept_can_be_given() -> None:
    sort(results(), Path("out"), below=Path())
    assert set(files("out")) == {"cat/in/a.jpg", "dog/in/b.jpg", "cat/in/deep/c.jpg"}
    with pytest.raises(UsageError, match="and 1 more are not below"):
        sort(Path("r.jsonl"), Path("other"), below=Path("in/deep"))
    assert not Path("other").exists()


def test_a_picture_that_is_twice_among_the_results_is_sorted_once() -> None:
    write_results(Path("r.jsonl"), {"in/a.jpg": "cat", "./in/a.jpg": "dog", str(Path("in/a.jpg").absolute()): "cat"})
    assert sort(Path("r.jsonl"), Path("out")).placed == 1
    assert set(files("out")) == {"cat/a.jpg"}


@pytest.mark.parametrize("way", list(Way))
def test_what_is_there_is_never_overwritten(way: Way) -> None:
    make("out/cat/a.jpg", "somebody's")
    make("out/cat/a (2).jpg", "somebody else's")
    sort(results(), Path("out"), way)
    found = {name: Path("out", name).read_bytes() for name in ("cat/a.jpg", "cat/a (2).jpg", "cat/a (3).jpg")}
    assert list(found.values()) == [b"somebody's", b"somebody else's", b"a.jpg"]


def test_what_has_no_room_can_stay() -> None:
    make("out/cat/a.jpg", "somebody's")
    tally = sort(results(), Path("out"), Way.MOVE, told := Told(), OnConflict.SKIP)
    assert (tally.placed, tally.skipped, tally.failed) == (2, 1, 0)
    assert told.lines == ["a.jpg: It stays, as something else is at out/cat/a.jpg."]
    assert files("in") == {"a.jpg": b"a.jpg"}


def test_nothing_at_all_is_done_if_that_is_wanted_where_something_has_no_room() -> None:
    make("out/cat/deep/c.jpg", "somebody's")
    before = tree(Path())
    results()
    with pytest.raises(UsageError, match="Something else has the place of 1 files"):
        sort(Path("r.jsonl"), Path("out"), on_conflict=OnConflict.FAIL)
    Path("r.jsonl").unlink()
    assert tree(Path()) == before


@pytest.mark.parametrize("mode", list(OnConflict))
def test_the_same_content_is_there_already_whatever_is_wanted_of_other(mode: OnConflict) -> None:
    make("out/cat/a.jpg", "a.jpg")
    tally = sort(results(), Path("out"), Way.MOVE, on_conflict=mode)
    assert (tally.placed, tally.there) == (2, 1)
    assert files("in") == {"a.jpg": b"a.jpg"}
    undo(Path("out"))
    assert files("out") == {"cat/a.jpg": b"a.jpg"}


def test_what_comes_to_the_place_at_the_last_moment_is_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    def link_late(source: str, target: str) -> None:
        if target.endswith("cat/a.jpg") and not os.path.exists(target):  # noqa: PTH110
            make(target, "another program's")
        link(source, target)

    link = os.link
    monkeypatch.setattr(os, "link", link_late)
    for way in (Way.COPY, Way.HARDLINK, Way.MOVE):
        tally = sort(results(), Path(way.value), way, told := Told())
        assert (tally.placed, tally.failed) == (2, 1)
        assert "Something else has come to" in told.lines[0]
        assert Path(way.value, "cat/a.jpg").read_text() == "another program's"
        assert Path("in/a.jpg").read_text() == "a.jpg"


def test_a_disk_without_links_does_not_overwrite_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: str) -> None:
        if target.endswith("cat/a.jpg"):
            monkeypatch.setattr(os.path, "lexists", lambda path: False)  # it comes after the last look
            make(target, "another program's")
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)

    monkeypatch.setattr(os, "link", refuse)
    sort(write_results(Path("r.jsonl"), {"in/a.jpg": "cat"}), Path("out"), told=(told := Told()))
    assert "Something else has come to" in told.lines[0]
    assert files("out") == {"cat/a.jpg": b"another program's"}


def test_a_source_that_is_replaced_while_it_is_moved_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def link_and_replace(source: str, target: str) -> None:
        link(source, target)
        if source.endswith("a.jpg"):
            Path("new").write_text("edited meanwhile")
            Path("new").replace(source)

    link = os.link
    monkeypatch.setattr(os, "link", link_and_replace)
    tally = sort(results(), Path("out"), Way.MOVE, told := Told())
    assert (tally.failed, files("in")) == (1, {"a.jpg": b"edited meanwhile"})
    assert "It was changed while it was moved" in told.lines[0]
    assert files("out") == ALL


def test_a_source_that_is_changed_while_it_is_copied_is_not_taken_for_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_and_change(*arguments: object, **named: object) -> str:
        found = write(*arguments, **named)  # type: ignore[arg-type]
        Path("in/a.jpg").write_text("it goes on")
        return found

    write = place._write
    monkeypatch.setattr(place, "_write", read_and_change)
    tally = sort(write_results(Path("r.jsonl"), {"in/a.jpg": "cat"}), Path("out"), told=(told := Told()))
    assert (tally.failed, files("out")) == (1, {})
    assert told.lines == ["a.jpg: It was changed while it was copied. Sort again."]


def test_a_source_that_cannot_be_removed_stays_and_so_does_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, **named: object) -> None:
        if os.fspath(path).endswith("in/a.jpg"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        unlink(path)

    unlink = os.unlink
    make("in/a.jpg.xmp", "of a")
    monkeypatch.setattr(os, "unlink", refuse)
    tally = sort(results(), Path("out"), Way.MOVE, told := Told())
    assert told.lines == ["a.jpg: It cannot be moved away, and stays: Read-only file system."]
    assert files("in") == {"a.jpg": b"a.jpg", "a.jpg.xmp": b"of a"}
    assert set(files("out")) == {"dog/b.jpg", "cat/deep/c.jpg"}
    assert tally.placed == 2


def test_a_full_disk_ends_it_with_nothing_half_and_it_goes_on_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".2.part"):  # noqa: PTH115
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    results()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UsageError, match=r"There is no room left for .*b.jpg: No space left on device"):
            sort(Path("r.jsonl"), Path("out"))
    assert files("out") == {"cat/a.jpg": b"a.jpg"}
    assert sort(Path("r.jsonl"), Path("out")).placed == 2
    undo(Path("out"))
    assert not Path("out").exists()


@pytest.mark.parametrize("step", ["link", "unlink"])
def test_an_interrupt_ends_it_with_each_picture_in_one_place(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def interrupted(source: str, *target: str, **named: object) -> None:
        call(source, *target)
        if os.fspath(source).endswith("in/b.jpg") and not pressed:
            pressed.append(True)
            raise KeyboardInterrupt

    pressed: list[bool] = []
    call = getattr(os, step)
    results()
    monkeypatch.setattr(os, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        sort(Path("r.jsonl"), Path("out"), Way.MOVE)
    assert pressed
    assert (Path("in/a.jpg").exists(), Path("out/cat/a.jpg").exists()) == (False, True)
    sort(Path("r.jsonl"), Path("out"), Way.MOVE)
    assert (files("out"), files("in")) == (ALL, {})
    undo(Path("out"))
    assert not Path("out").exists()


def test_two_sorts_do_not_work_in_one_folder_at_a_time() -> None:
    results()
    Path("out").mkdir()
    with lock_file(Path("out") / LOCK), pytest.raises(UsageError, match="Another sort or undo is at work in out"):
        sort(Path("r.jsonl"), Path("out"))
    assert sort(Path("r.jsonl"), Path("out")).placed == 3


def test_sidecars_go_along_and_shared_ones_are_copied_to_each() -> None:
    for name in ("a.jpg.xmp", "a.MOV", "p.png", "p.jpg", "p.xmp"):
        make(f"in/{name}", name)
    tally = sort(results({"in/p.png": "dog", "in/p.jpg": "cat"}), Path("out"), Way.MOVE)
    assert files("in") == {"p.xmp": b"p.xmp"}
    beside = {"cat/a.jpg.xmp", "cat/a.MOV", "cat/p.xmp", "dog/p.xmp"}
    assert set(files("out")) == {*ALL, "cat/p.jpg", "dog/p.png", *beside}
    assert (tally.placed, tally.beside) == (5, 4)


def test_a_sidecar_that_was_changed_where_it_was_sorted_to_stays_and_so_does_the_other() -> None:
    make("in/a.jpg.xmp", "of a")
    sort(results(), Path("out"))
    make("out/cat/a.jpg.xmp", "with a title")
    tally = sort(Path("r.jsonl"), Path("out"), told=(told := Told()))
    assert (tally.placed, tally.there, told.lines) == (
        0,
        3,
        ["a.jpg.xmp: It stays, as something else is at out/cat/a.jpg.xmp."],
    )
    assert Path("out/cat/a.jpg.xmp").read_text() == "with a title"


def test_a_picture_is_renamed_with_its_sidecar_where_that_has_no_room() -> None:
    make("in/a.jpg.xmp", "of a")
    make("out/cat/a.jpg.xmp", "of another")
    sort(results(), Path("out"))
    assert files("out") == {
        **{name: content for name, content in ALL.items() if name != "cat/a.jpg"},
        "cat/a.jpg.xmp": b"of another",
        "cat/a (2).jpg": b"a.jpg",
        "cat/a (2).jpg.xmp": b"of a",
    }


def test_pictures_can_be_sorted_within_their_own_folder_and_sorted_again() -> None:
    original = tree(Path("in"))
    sort(results(), Path("in"), Way.MOVE)
    assert files("in") == ALL
    again = write_results(Path("again.jsonl"), {f"in/{name}": "bird" for name in ALL})
    sort(again, Path("in"), Way.MOVE)
    assert set(files("in")) == {"bird/a.jpg", "bird/b.jpg", "bird/deep/c.jpg"}
    undo(Path("in"))
    assert files("in") == ALL
    undo(Path("in"))
    assert tree(Path("in")) == original


def test_copies_of_an_earlier_sort_are_not_copied_again() -> None:
    sort(results(), Path("in/sorted"))
    more = results({f"in/sorted/{name}": "bird" for name in ALL})
    tally = sort(more, Path("in/sorted"))
    assert (tally.placed, tally.there, tally.lying) == (0, 3, 3)
    assert files("in/sorted") == ALL


def test_links_are_copied_as_what_they_lead_to_and_are_not_moved() -> None:
    Path("in/l.jpg").symlink_to("a.jpg")
    write_results(Path("r.jsonl"), {"in/l.jpg": "cat"})
    tally = sort(Path("r.jsonl"), Path("moved"), Way.MOVE, told := Told())
    assert (tally.failed, Path("in/l.jpg").is_symlink(), files("moved")) == (1, True, {})
    assert "It is a link" in told.lines[0]
    sort(Path("r.jsonl"), Path("out"))
    assert files("out") == {"cat/l.jpg": b"a.jpg"}


def test_members_of_an_archive_are_copied_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile("in/p.zip", "w") as archive:
        for name in ("x/1.png", "2.png", "CON.png"):
            archive.writestr(name, name)
    labels: Labels = {f"zip://{name}::in/p.zip": "cat" for name in ("x/1.png", "2.png", "CON.png")}
    write_results(Path("r.jsonl"), labels)
    assert sort(Path("r.jsonl"), Path("out")).placed == 3
    assert files("out") == {"cat/p/x/1.png": b"x/1.png", "cat/p/2.png": b"2.png", "cat/p/_CON.png": b"CON.png"}
    assert sort(Path("r.jsonl"), Path("out")).there == 3
    assert sort(Path("r.jsonl"), Path("moved"), Way.MOVE).failed == 3
    assert not Path("moved").exists()
    out = Path("out").absolute()
    monkeypatch.chdir("in")
    undo(out)
    assert not out.exists()


def test_a_name_that_is_no_unicode_stays_as_it_is() -> None:
    name = os.fsdecode(b"in/\xff.jpg")
    Path(name).write_text("odd")
    sort(write_results(Path("r.jsonl"), {name: "cat"}), Path("out"), Way.MOVE)
    assert os.listdir(b"out/cat") == [b"\xff.jpg"]  # noqa: PTH208
    undo(Path("out"))
    assert Path(name).read_text() == "odd"


def test_a_folder_that_cannot_be_made_is_told() -> None:
    make("out/cat", "a file where a folder has to be")
    tally = sort(results(), Path("out"), told=(told := Told()))
    assert (tally.placed, tally.failed) == (1, 2)
    assert all("out/cat" in line for line in told.lines)
    with pytest.raises(UsageError, match="Cannot write to r"):
        sort(Path("r.jsonl"), Path("r.jsonl"))


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no second file system")
def test_pictures_get_to_another_file_system_and_back(photos: Path) -> None:
    original = tree(Path("in"))
    results()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if os.stat(other).st_dev == photos.stat().st_dev:  # noqa: PTH116
            pytest.skip("there is no second file system")
        into = Path(other, "out")
        with pytest.raises(UsageError, match="is on another file system"):
            sort(Path("r.jsonl"), into, Way.HARDLINK)
        sort(Path("r.jsonl"), into, Way.MOVE)
        assert (files(str(into)), files("in")) == (ALL, {})
        undo(into)
        assert (files(str(into)), tree(Path("in"))) == ({}, original)
