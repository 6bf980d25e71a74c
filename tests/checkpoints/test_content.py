"""Weights are known by their content; what was hashed once is noted, and the note is believed only while it holds."""

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import GOLDENS

from vithybrid_cli.checkpoints import content
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.content import file_sha256, weights_sha256
from vithybrid_cli.errors import ModelError
from vithybrid_cli.user_cache import cache_folder

SMALL = GOLDENS / "hf-hybrid-small"
FIRST, SECOND = b"first content", b"other content"  # of one length


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file; its times count as settled at once."""
    monkeypatch.setattr(content, "_SETTLED", -1)
    (tmp_path / "weights").write_bytes(FIRST)
    return tmp_path / "weights"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def forbid_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashlib, "file_digest", None)


def test_the_digest_is_that_of_the_content(cache: Path, file: Path) -> None:
    assert file_sha256(file) == sha256(FIRST)


def test_the_second_time_the_file_is_not_read(cache: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = file_sha256(file)
    forbid_hashing(monkeypatch)
    assert file_sha256(file) == first


def test_a_link_is_what_it_leads_to(cache: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file_sha256(file)
    link = file.with_name("link")
    link.symlink_to(file)
    forbid_hashing(monkeypatch)
    assert file_sha256(link) == sha256(FIRST)


def test_new_content_of_the_same_length_and_date_is_noticed(cache: Path, file: Path) -> None:
    file_sha256(file)
    before = file.stat()
    time.sleep(0.05)  # a clock tick of the file system
    file.write_bytes(SECOND)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_sha256(file) == sha256(SECOND)


def test_another_file_under_the_same_name_is_noticed(cache: Path, file: Path) -> None:
    file_sha256(file)
    other = file.with_name("other")
    other.write_bytes(SECOND)
    other.replace(file)
    assert file_sha256(file) == sha256(SECOND)


def test_what_was_written_just_now_is_not_noted(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(FIRST)
    file_sha256(tmp_path / "new")
    assert not cache.exists()


@pytest.mark.parametrize("broken", [b"", b"0" * 63, b"g" * 64, b"\xff" * 64, b"0" * 64 + b"\n"])
def test_a_broken_note_is_not_believed(cache: Path, file: Path, broken: bytes) -> None:
    file_sha256(file)
    (note,) = (cache / "sha256").iterdir()
    note.write_bytes(broken)
    assert file_sha256(file) == sha256(FIRST)
    assert note.read_text() == sha256(FIRST)


def test_without_a_cache_it_is_hashed_each_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITHYBRID_CACHE", str(file / "below a file"))
    assert file_sha256(file) == file_sha256(file) == sha256(FIRST)


@pytest.fixture
def another_user() -> Iterator[None]:
    """Within the test this process may only do what a user without rights may, if it is one who has them."""
    if os.name == "nt":
        pytest.skip("Windows has no such users")
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user reaches; pytest's own are for one alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("mode", [0o000, 0o555], ids=["unreadable", "read-only"])
def test_the_cache_of_another_user_costs_time_alone(
    mode: int, shared: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(content, "_SETTLED", -1)
    monkeypatch.setenv("VITHYBRID_CACHE", str(shared / "cache"))
    file = shared / "weights"
    file.write_bytes(FIRST)
    file_sha256(file)
    (note,) = (shared / "cache" / "sha256").iterdir()
    note.chmod(0o000)
    note.parent.chmod(mode)
    request.getfixturevalue("another_user")
    assert file_sha256(file) == sha256(FIRST)


def test_a_note_that_cannot_be_replaced_costs_time_alone(cache: Path, file: Path) -> None:
    file_sha256(file)
    (note,) = (cache / "sha256").iterdir()
    note.unlink()
    note.mkdir()
    assert file_sha256(file) == sha256(FIRST)
    assert list(note.parent.iterdir()) == [note]


def test_a_file_that_cannot_be_read_is_a_model_error(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing cannot be read \(No such file"):
        file_sha256(tmp_path / "nothing")


def test_a_checkpoint_has_one_digest_for_each_weights_file(cache: Path) -> None:
    expected = sha256((SMALL / "model.safetensors").read_bytes())
    assert weights_sha256(Checkpoint.read(SMALL)) == (expected,)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({"VITHYBRID_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own", id="its own variable"),
        pytest.param({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/vithybrid", id="the desktop's variable"),
        pytest.param({"HOME": "/home/me"}, "/home/me/.cache/vithybrid", id="neither"),
        pytest.param({"VITHYBRID_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/a"}, "/a/.cache/vithybrid", id="empty"),
        pytest.param({"XDG_CACHE_HOME": "relative", "HOME": "/a"}, "/a/.cache/vithybrid", id="a relative path"),
    ],
)
def test_the_cache_is_where_the_environment_says(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VITHYBRID_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_without_a_home_there_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("VITHYBRID_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(OSError, match="VITHYBRID_CACHE is not set"):
        cache_folder()
