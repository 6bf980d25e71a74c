"""What a command reads: which lists may still be being written, and what is refused before anything is loaded."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vithybrid_cli.errors import UsageError
from vithybrid_cli.sources.inputs import Sources


@contextmanager
def stdin(reading: int) -> Iterator[None]:
    """Standard input from this file descriptor."""
    before = sys.stdin
    with os.fdopen(reading, encoding="utf-8") as stream:
        sys.stdin = stream
        try:
            yield
        finally:
            sys.stdin = before


def test_pictures_and_a_file_of_paths_are_not_live(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png\nb.png\n")
    sources = Sources(("c.png",), tmp_path / "list.txt")
    assert not sources.live
    counter = sources.counter()
    assert counter is not None
    assert counter() == 3


def test_a_list_on_a_pipe_is_live() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with stdin(reading):
        assert Sources(("-",)).live
        assert Sources((), Path("-")).live
        assert not Sources(("a.png",)).live


def test_a_named_pipe_is_live(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert Sources((), tmp_path / "pipe").live


def test_a_file_on_stdin_is_not_live_but_read_only_once(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png\nb.png\n")
    with stdin(os.open(tmp_path / "list.txt", os.O_RDONLY)):
        sources = Sources(("-",))
        assert not sources.live
        assert sources.counter() is None
        assert [item.name for item in sources.items()] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("sources", "cause"),
    [
        pytest.param(Sources(()), "There are no inputs.", id="nothing"),
        pytest.param(Sources(("-", "-")), "Stdin can be read only once.", id="stdin twice"),
        pytest.param(Sources(("a.png",), null=True), "There is no list of paths to split at NUL bytes.", id="NUL"),
        pytest.param(Sources((), Path("gone.txt")), "The list in gone.txt cannot be read: No such file", id="no list"),
    ],
)
def test_wrong_sources_are_refused_with_cause_and_remedy(
    sources: Sources, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        sources.check()
    assert caught.value.cause.startswith(cause)
    assert caught.value.remedy.endswith(".")


def test_a_list_whose_paths_begin_at_its_own_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.jpg").touch()
    (tmp_path / "lists" / "list.txt").write_text("a.jpg\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    Sources((), Path("lists/list.txt")).check()
    assert caplog.messages == [
        "Paths in lists/list.txt are looked for from the current folder on, but a.jpg lies beside the list."
    ]
    monkeypatch.chdir(tmp_path / "lists")
    caplog.clear()
    Sources((), Path("list.txt")).check()
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("https://example.org/list.txt", "Fetch it first, for example with curl, and give the file."),
        ("~/list.txt", "Write the folder's path."),
        ("gone.txt", "Give a file that lists paths."),
    ],
)
def test_a_list_that_is_not_there_says_what_to_do(name: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        Sources((), Path(name)).check()
    assert caught.value.remedy == remedy
