"""Locks: one holder at a time, whoever else opens the file, and none once the holder is gone."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vithybrid_cli.locks import AlreadyLocked, lock, lock_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")

HOLDER = """
import sys
from pathlib import Path
from vithybrid_cli.locks import lock_file
with lock_file(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def holder(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its stdin is closed."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_file_that_is_open_and_locked_is_not_locked_again_until_it_is_closed(path: Path) -> None:
    with path.open("w") as first, path.open("w") as second:
        lock(first)
        with pytest.raises(AlreadyLocked):
            lock(second)
        first.close()
        lock(second)


def test_the_file_of_a_lock_is_there_only_while_it_is_held(path: Path) -> None:
    with lock_file(path):
        assert path.is_file()
    assert not path.exists()


def test_a_second_holder_is_refused_and_the_first_keeps_its_file(path: Path) -> None:
    with lock_file(path):
        with pytest.raises(AlreadyLocked), lock_file(path):
            pass
        assert path.is_file()


def test_another_process_holds_the_lock_until_it_ends_in_an_orderly_way(path: Path) -> None:
    with holder(path) as process:
        with pytest.raises(AlreadyLocked), lock_file(path):
            pass
        process.communicate()
    with lock_file(path):
        pass


def test_what_a_killed_process_leaves_behind_locks_nothing(path: Path) -> None:
    with holder(path) as process:
        process.kill()
    assert path.is_file()
    with lock_file(path):
        pass
    assert not path.exists()


def test_of_many_threads_that_lock_and_release_no_two_are_ever_inside(path: Path) -> None:
    inside, entered, meetings = [0], [0], []

    def work() -> None:
        for _ in range(200):
            try:
                with lock_file(path):
                    inside[0] += 1
                    meetings.append(inside[0])
                    entered[0] += 1
                    inside[0] -= 1
            except AlreadyLocked:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(meetings) == {1}
    assert entered[0] > 0


def test_a_place_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), lock_file(tmp_path / "nowhere" / ".lock"):
        pass
