"""Killed at any step, a sort and an undo are run again, and end as if nothing had happened."""

import errno
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sorting import Told, killed_at, sort, tree, undo, write_results

from vithybrid_cli.actions.journal import Way, journals_in

# A child only sorts and ends; it needs none of the threads that a parallel run of the tests may have.
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]
Link = Callable[[str, str], None]


def _across(link: Link) -> Link:
    """A link fails between two folders of the test's, as if each was a file system of its own."""

    def between(source: str, target: str) -> None:
        if ("/photos/" in os.fspath(source)) != ("/photos/" in os.fspath(target)):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)
        link(source, target)

    return between


def _without_links(link: Link) -> Link:
    def refused(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)

    return refused


# How a file gets to another folder: by which way, and on which disks.
CASES = [
    *(pytest.param((way, None), id=way.value) for way in Way),
    pytest.param((Way.MOVE, _across), id="move to another disk"),
    pytest.param((Way.COPY, _without_links), id="copy on a disk without links"),
    pytest.param((Way.MOVE, _without_links), id="move on a disk without links"),
]


@pytest.fixture(params=CASES)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """The disk is as it is in this case; nobody waits for it."""
    way, links = request.param
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    if links is not None:
        monkeypatch.setattr(os, "link", links(os.link))
    assert isinstance(way, Way)
    return way


@pytest.fixture(
    params=[pytest.param(1, id="each step", marks=pytest.mark.thorough), pytest.param(8, id="each eighth step")]
)
def steps(request: pytest.FixtureRequest, way: Way) -> Iterator[int]:
    """The numbers of the steps before which it is killed; those of a way that are left out come in another one."""
    first = 1 + request.node.callspec.indices["way"] % request.param
    return itertools.count(first, request.param)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures with sidecars, two that share one, two that want the same name, and one whose place is taken."""
    files = {"a.jpg": "a", "a.jpg.xmp": "of a", "deep/p.jpg": "p", "deep/p.png": "q", "deep/p.xmp": "of both"}
    for index, (name, content) in enumerate({**files, "taken.jpg": "t"}.items()):
        file = tmp_path / "photos" / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(content * 3)
        file.chmod(0o640)
        os.utime(file, ns=(10**18, 10**18 + index * 10**9))
    (tmp_path / "sorted" / "cat").mkdir(parents=True)
    (tmp_path / "sorted" / "cat" / "taken.jpg").write_text("somebody's")
    labels = {"a.jpg": "cat", "deep/p.jpg": "cat", "deep/p.png": "dog", "taken.jpg": "cat"}
    write_results(tmp_path / "r.jsonl", {str(tmp_path / "photos" / name): label for name, label in labels.items()})
    return tmp_path


def again(folder: Path, before: Path) -> None:
    """Everything as it was."""
    shutil.rmtree(folder)
    subprocess.run(["cp", "-a", before, folder], check=True)  # which keeps what are two names of one file


def each_kill(folder: Path, act: Callable[[], object], steps: Iterator[int]) -> Iterator[int]:
    """Kill what is done in the folder before each of these steps in turn, and restore the folder each time."""
    before = folder.with_name("before")
    subprocess.run(["cp", "-a", folder, before], check=True)
    for number in steps:
        if not killed_at(number, act):
            break
        yield number
        again(folder, before)
    shutil.rmtree(before)
    assert number > 10


def test_a_sort_that_is_killed_anywhere_is_run_again_and_undone(photos: Path, way: Way, steps: Iterator[int]) -> None:
    into, results, original = photos / "sorted", photos / "r.jsonl", tree(photos)
    sort(results, into, way)
    whole = tree(photos)
    undo(into)
    assert tree(photos) == original
    for number in each_kill(photos, lambda: sort(results, into, way), steps):
        told = Told()
        sort(results, into, way, told)
        assert (number, told.lines, tree(photos)) == (number, [], whole)
        while journals_in(into):
            undo(into, told)
        assert (number, told.lines, tree(photos)) == (number, [], original)


def test_a_sort_that_is_killed_anywhere_is_undone_as_it_is(photos: Path, way: Way, steps: Iterator[int]) -> None:
    into, results, original = photos / "sorted", photos / "r.jsonl", tree(photos)
    for number in each_kill(photos, lambda: sort(results, into, way), steps):
        told = Told()
        if journals_in(into) and journals_in(into)[0].read_bytes().endswith(b"\n"):
            undo(into, told)
        assert (number, told.lines, tree(photos)) == (number, [], original)


def test_an_undo_that_is_killed_anywhere_is_run_again(photos: Path, way: Way, steps: Iterator[int]) -> None:
    into, results, original = photos / "sorted", photos / "r.jsonl", tree(photos)
    sort(results, into, way)
    for number in each_kill(photos, lambda: undo(into), steps):
        told = Told()
        if journals_in(into):
            undo(into, told)
        assert (number, told.lines, tree(photos)) == (number, [], original)
