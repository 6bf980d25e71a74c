"""An undo puts back what nobody has changed since, leaves the rest, and removes nothing that may be the only copy."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sorting import Told, sort, tree, undo, write_results

from vithybrid_cli.actions.journal import LOCK, Way, journals_in, read_journal
from vithybrid_cli.actions.undo import journal_of, undo_sort
from vithybrid_cli.errors import UsageError
from vithybrid_cli.locks import lock_file


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures in the current folder, with results; nobody waits for the disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    Path("in").mkdir()
    for name in ("a", "b"):
        Path(f"in/{name}.jpg").write_text(name)
        os.utime(f"in/{name}.jpg", ns=(10**18, 10**18))
    write_results(Path("r.jsonl"), {"in/a.jpg": "cat", "in/b.jpg": "dog"})
    return tmp_path


def sorted_by(way: Way) -> Path:
    sort(Path("r.jsonl"), Path("out"), way)
    return Path("out")


@pytest.mark.parametrize("way", list(Way))
def test_what_nobody_has_changed_is_put_back_and_nothing_is_left(way: Way) -> None:
    before = tree(Path())
    tally = undo(sorted_by(way))
    assert tree(Path()) == before
    assert (tally.back, tally.removed, tally.kept) == ((2, 0, 0) if way is Way.MOVE else (0, 2, 0))


@pytest.mark.parametrize("way", [Way.COPY, Way.MOVE])
def test_what_was_changed_stays(way: Way) -> None:
    into = sorted_by(way)
    Path("out/cat/a.jpg").write_text("edited")
    tally = undo(into, told := Told())
    assert (tally.kept, told.lines[0].split(" since")[0]) == (1, "a.jpg: It was changed")
    assert Path("out/cat/a.jpg").read_text() == "edited"
    assert not Path("out/dog").exists()
    assert journals_in(into)


def test_a_copy_whose_time_was_changed_stays_as_well() -> None:
    into = sorted_by(Way.COPY)
    os.utime("out/cat/a.jpg")
    assert undo(into).kept == 1
    assert Path("out/cat/a.jpg").exists()


def test_a_copy_of_the_same_size_and_time_but_of_other_content_stays() -> None:
    into = sorted_by(Way.COPY)
    Path("out/cat/a.jpg").write_text("z")
    os.utime("out/cat/a.jpg", ns=(10**18, 10**18))
    assert undo(into).kept == 1
    assert Path("out/cat/a.jpg").read_text() == "z"


@pytest.mark.parametrize("way", [Way.COPY, Way.HARDLINK])
def test_the_only_copy_is_not_removed(way: Way) -> None:
    into = sorted_by(way)
    Path("in/a.jpg").unlink()
    tally = undo(into, told := Told())
    assert (tally.kept, Path("out/cat/a.jpg").read_text(), len(told.lines)) == (1, "a", 1)


@pytest.mark.parametrize("way", [Way.COPY, Way.HARDLINK, Way.MOVE])
def test_what_a_link_leads_to_from_its_old_place_is_not_removed(way: Way) -> None:
    into = sorted_by(way)
    Path("in/a.jpg").unlink(missing_ok=True)
    Path("in/a.jpg").symlink_to(Path("out/cat/a.jpg").absolute())
    Path("in/b.jpg").unlink(missing_ok=True)
    Path("in/a.jpg").rename("a.jpg")
    Path("in").rmdir()
    Path("in").symlink_to("out/dog")
    Path("a.jpg").rename("in/a.jpg")
    undo(into)
    assert (Path("out/cat/a.jpg").read_text(), Path("out/dog/b.jpg").read_text()) == ("a", "b")


def test_a_copy_of_what_has_changed_since_is_not_removed() -> None:
    into = sorted_by(Way.COPY)
    Path("in/a.jpg").write_text("overwritten by mistake")
    assert undo(into).kept == 1
    assert Path("out/cat/a.jpg").read_text() == "a"


def test_a_copy_whose_original_was_touched_only_is_removed() -> None:
    into = sorted_by(Way.COPY)
    os.utime("in/a.jpg")
    assert (undo(into).kept, into.exists()) == (0, False)


def test_nothing_is_overwritten_where_a_moved_file_was() -> None:
    into = sorted_by(Way.MOVE)
    Path("in/a.jpg").write_text("another one")
    tally = undo(into, told := Told())
    assert (tally.back, tally.kept) == (1, 1)
    assert told.lines == [f"a.jpg: Something else is at {Path('in/a.jpg').absolute()}, where it was."]
    assert (Path("in/a.jpg").read_text(), Path("out/cat/a.jpg").read_text()) == ("another one", "a")
    Path("in/a.jpg").unlink()
    assert (undo(into).back, Path("in/a.jpg").read_text(), into.exists()) == (1, "a", False)


def test_a_moved_file_finds_its_folder_gone_and_makes_it() -> None:
    into = sorted_by(Way.MOVE)
    Path("in").rmdir()
    assert undo(into).back == 2
    assert Path("in/a.jpg").read_text() == "a"


def test_a_moved_file_that_is_gone_is_told_and_a_removed_copy_is_not() -> None:
    into = sorted_by(Way.COPY)
    Path("out/cat/a.jpg").unlink()
    assert (undo(into).kept, into.exists()) == (0, False)
    into = sorted_by(Way.MOVE)
    Path("out/cat/a.jpg").unlink()
    assert undo(into, told := Told()).kept == 1
    assert told.lines == ["a.jpg: It is not there any more, and cannot be put back."]


def test_a_link_that_was_replaced_stays() -> None:
    into = sorted_by(Way.SYMLINK)
    Path("out/cat/a.jpg").unlink()
    Path("out/cat/a.jpg").write_text("a picture")
    assert (undo(into).kept, Path("out/cat/a.jpg").read_text()) == (1, "a picture")


def test_files_that_others_have_put_there_stay_with_their_folders() -> None:
    into = sorted_by(Way.MOVE)
    Path("out/cat/notes.txt").write_text("mine")
    assert undo(into).kept == 0
    assert set(tree(into)) == {"cat", "cat/notes.txt"}


def test_folders_that_were_there_before_stay() -> None:
    Path("out/cat").mkdir(parents=True)
    undo(sorted_by(Way.COPY))
    assert set(tree(Path("out"))) == {"cat"}


def test_folders_above_that_were_made_go_as_well() -> None:
    sort(Path("r.jsonl"), Path("x/y/out"))
    undo(Path("x/y/out"))
    assert not Path("x").exists()


def test_the_folder_may_have_been_renamed_meanwhile() -> None:
    before = tree(Path())
    sorted_by(Way.MOVE).rename("elsewhere")
    undo(Path("elsewhere"))
    assert tree(Path()) == before


def test_a_copy_of_the_journal_undoes_the_same() -> None:
    before = tree(Path())
    journal = journals_in(sorted_by(Way.MOVE))[0]
    Path("copy.jsonl").write_bytes(journal.read_bytes())
    undo_sort(journal_of(Path("copy.jsonl")), Told())
    assert tree(Path("in")) == {name[3:]: what for name, what in before.items() if name.startswith("in/")}
    with pytest.raises(UsageError, match="is a copy of a journal"):
        undo_sort(journal_of(Path("copy.jsonl")), Told())


def test_an_undo_waits_for_no_sort() -> None:
    into = sorted_by(Way.COPY)
    with lock_file(into / LOCK), pytest.raises(UsageError, match="is at work in"):
        undo(into)
    assert undo(into).removed == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("no JSON", id="no JSON"),
        pytest.param('{"path": "a.jpg", "predictions": []}', id="results"),
        pytest.param('{"vithybrid_sort": 2, "token": "00000000", "asked": {}, "made": []}', id="another version"),
        pytest.param("[1]", id="a list"),
    ],
)
def test_what_is_no_journal_is_refused(text: str) -> None:
    Path("j.jsonl").write_text(text)
    with pytest.raises(UsageError, match="is no journal of a sort"):
        read_journal(Path("j.jsonl"))


@pytest.mark.parametrize("target", ["../in/a.jpg", "/etc/passwd", "cat//a.jpg", "", "cat/../../in/a.jpg"])
def test_a_journal_that_leads_out_of_its_folder_is_refused(target: str) -> None:
    journal = journals_in(sorted_by(Way.COPY))[0]
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    edited = [line | ({"to": target} if "step" in line else {}) for line in lines]
    journal.write_text("".join(json.dumps(line) + "\n" for line in edited))
    with pytest.raises(UsageError, match="is damaged in line"):
        read_journal(journal)


def test_a_line_that_was_cut_off_says_nothing() -> None:
    before = tree(Path())
    journal = journals_in(sorted_by(Way.MOVE))[0]
    text = journal.read_text()
    journal.write_text(text[: text.rindex('{"done"') + 5])
    assert undo(Path("out")).kept == 0
    assert tree(Path()) == before


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda lines: [*lines[:2], b"garbage\n", *lines[3:]], id="a line in the middle"),
        pytest.param(lambda lines: [*lines[:2], lines[2][:9] + b"\n", *lines[3:]], id="a line cut in the middle"),
        pytest.param(lambda lines: [*lines[:-1], b"garbage\n"], id="the last line"),
        pytest.param(lambda lines: [*lines[:2], b'{"step": "x"}\n', *lines[3:]], id="a step without what it needs"),
        pytest.param(lambda lines: [*lines[:2], b'{"stp": 1}\n', *lines[3:]], id="a line of another kind"),
        pytest.param(lambda lines: [*lines[:2], b"17\n", *lines[3:]], id="no object"),
    ],
)
def test_a_damaged_journal_is_refused_before_anything_is_put_back(damage: Callable[[list[bytes]], list[bytes]]) -> None:
    into = sorted_by(Way.MOVE)
    [journal] = journals_in(into)
    journal.write_bytes(b"".join(damage(journal.read_bytes().splitlines(keepends=True))))
    before = tree(Path())
    with pytest.raises(UsageError, match="is damaged in line"):
        undo(into)
    assert tree(Path()) == before


def test_a_line_that_was_cut_when_its_writer_was_killed_is_passed_over_also_after_another_sort() -> None:
    into = sorted_by(Way.COPY)
    [journal] = journals_in(into)
    journal.write_bytes(journal.read_bytes()[:-5])  # within the end
    sorted_by(Way.COPY)
    assert read_journal(journal).ended
    assert undo(into).kept == 0
    assert not into.exists()
