"""Pictures are read ahead, in order, within bounds, and without waiting for paths that are slow to come."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from places import ROOT

from vithybrid_cli.errors import MissingFile, UnreadableImage
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.pipeline import loader
from vithybrid_cli.pipeline.loader import Loaded, Pixels

WAIT = 20.0  # seconds; far above what anything here takes
WORKERS = [pytest.param(1, id="one worker"), pytest.param(4, id="four workers")]


def pixels_of(path: str) -> npt.NDArray[np.uint8]:
    return np.array([[[int(path) % 256] * 3]], np.uint8)


def load(
    paths: Iterable[str], read: Callable[[str], Pixels], workers: int, look_ahead: int
) -> Generator[Loaded, None, None]:
    return loader.load(map(LocalFile, paths), lambda item: read(item.name), workers, look_ahead)


def load_live(
    paths: Iterable[str], read: Callable[[str], Pixels], workers: int, look_ahead: int
) -> Generator[Loaded | None, None, None]:
    return loader.load_live(map(LocalFile, paths), lambda item: read(item.name), workers, look_ahead)


def load_arrived(
    paths: Iterable[str], read: Callable[[str], Pixels], workers: int, look_ahead: int
) -> Generator[Loaded, None, None]:
    """The results of a live list, without the pauses between them."""
    with closing(load_live(paths, read, workers, look_ahead)) as results:
        for result in results:
            if result is not None:
                yield result


class Load(Protocol):
    """`load`, or the same for a live list."""

    def __call__(
        self, paths: Iterable[str], read: Callable[[str], Pixels], workers: int, look_ahead: int
    ) -> Generator[Loaded, None, None]: ...


both_ways = pytest.mark.parametrize(
    "load", [pytest.param(load, id="a list"), pytest.param(load_arrived, id="a live list")]
)


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("look_ahead", [0, 1, 3, 100])
@both_ways
def test_results_come_in_the_order_of_the_paths(load: Load, workers: int, look_ahead: int) -> None:
    results = load([str(number) for number in range(40)], pixels_of, workers, look_ahead)
    assert [(path, int(np.asarray(result).max())) for path, result in results] == [(str(n), n) for n in range(40)]


@pytest.mark.parametrize("workers", WORKERS)
@both_ways
def test_no_paths_give_no_results(load: Load, workers: int) -> None:
    assert list(load([], pixels_of, workers, 4)) == []


@both_ways
def test_the_order_is_kept_when_the_first_takes_longest(load: Load) -> None:
    others = threading.Barrier(3)

    def read(path: str) -> npt.NDArray[np.uint8]:
        others.wait(WAIT)  # nobody ends before all three have begun
        time.sleep(0.05 if path == "0" else 0)
        return pixels_of(path)

    assert [path for path, _ in load(["0", "1", "2"], read, workers=3, look_ahead=3)] == ["0", "1", "2"]


@pytest.mark.parametrize("workers", WORKERS)
@both_ways
def test_a_bad_picture_is_a_value_in_its_place(load: Load, workers: int) -> None:
    errors = {"1": MissingFile("gone"), "2": UnreadableImage("cut off")}

    def read(path: str) -> npt.NDArray[np.uint8]:
        if path in errors:
            raise errors[path]
        return pixels_of(path)

    results = list(load(["0", "1", "2", "3"], read, workers, 2))
    assert [path for path, _ in results] == ["0", "1", "2", "3"]
    assert [errors["1"], errors["2"]] == [results[1][1], results[2][1]]
    assert [int(np.asarray(results[index][1]).max()) for index in (0, 3)] == [0, 3]


@pytest.mark.parametrize("workers", WORKERS)
@both_ways
def test_any_other_exception_of_a_reader_is_raised_in_its_place(load: Load, workers: int) -> None:
    def read(path: str) -> npt.NDArray[np.uint8]:
        if path == "1":
            raise ZeroDivisionError("a bug")
        return pixels_of(path)

    results = load(["0", "1", "2"], read, workers, 2)
    assert next(results)[0] == "0"
    with pytest.raises(ZeroDivisionError, match="a bug"):
        next(results)


@pytest.mark.parametrize("workers", WORKERS)
@both_ways
def test_an_exception_of_the_paths_is_raised_after_the_results_before_it(load: Load, workers: int) -> None:
    def paths() -> Iterator[str]:
        yield "0"
        raise UnicodeError("no list")

    results = load(paths(), pixels_of, workers, 2)
    assert next(results)[0] == "0"
    with pytest.raises(UnicodeError, match="no list"):
        next(results)


@pytest.mark.timeout(60)
def test_results_come_out_while_the_next_path_is_not_known() -> None:
    source: Queue[str | None] = Queue()
    results = load_arrived(iter(source.get, None), pixels_of, workers=2, look_ahead=8)
    for name in ("5", "6"):
        source.put(name)
        assert name == next(results)[0]
    source.put(None)
    assert list(results) == []


@pytest.mark.timeout(60)
def test_closing_does_not_wait_for_the_next_path() -> None:
    source: Queue[str | None] = Queue()
    source.put("5")
    results = load_arrived(iter(source.get, None), pixels_of, workers=2, look_ahead=8)
    next(results)
    results.close()
    assert list(results) == []
    source.put(None)


def test_no_more_paths_are_taken_than_the_look_ahead_allows() -> None:
    taken: list[int] = []

    def paths() -> Iterator[str]:
        for number in range(1000):
            taken.append(number)
            yield str(number)

    results = load(paths(), pixels_of, workers=2, look_ahead=4)
    next(results)
    assert len(taken) == 4
    next(results)
    assert len(taken) == 5
    assert sum(1 for _ in results) == 998


def test_a_list_of_paths_is_iterated_by_the_thread_that_takes_the_results() -> None:
    readers: set[int] = set()

    def paths() -> Iterator[str]:
        for number in range(20):
            readers.add(threading.get_ident())
            yield str(number)

    assert len(list(load(paths(), pixels_of, workers=2, look_ahead=4))) == 20
    assert readers == {threading.get_ident()}


def test_no_more_paths_of_a_live_list_are_taken_than_the_look_ahead_allows() -> None:
    taken: list[int] = []
    full = threading.Event()

    def paths() -> Iterator[str]:
        for number in range(1000):
            taken.append(number)
            if len(taken) == 5:
                full.set()
            yield str(number)

    results = load_arrived(paths(), pixels_of, workers=2, look_ahead=4)
    next(results)
    assert full.wait(WAIT)
    time.sleep(0.05)  # time to take more, if it would
    assert len(taken) == 5
    assert sum(1 for _ in results) == 999


@both_ways
def test_closing_drops_what_has_not_begun(load: Load) -> None:
    begun: list[str] = []
    go_on = threading.Event()

    def read(path: str) -> npt.NDArray[np.uint8]:
        begun.append(path)
        if path != "0":
            go_on.wait(WAIT)
        return pixels_of(path)

    results = load((str(number) for number in range(100)), read, workers=1, look_ahead=50)
    next(results)
    results.close()
    go_on.set()
    deadline = time.monotonic() + WAIT
    while any(thread.name.startswith("decode") for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(begun) <= 2


@both_ways
def test_nothing_is_read_before_the_first_result_is_asked_for(load: Load) -> None:
    before = threading.active_count()
    load(["0"], pixels_of, workers=2, look_ahead=2)
    assert before == threading.active_count()


@both_ways
def test_threads_end_with_the_last_result(load: Load) -> None:
    list(load([str(number) for number in range(20)], pixels_of, workers=3, look_ahead=5))
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if not any(thread.name.startswith(("decode", "paths")) for thread in threading.enumerate()):
            return
        time.sleep(0.01)
    pytest.fail("a thread is left")


def test_a_picture_is_turned_the_same_in_a_list_as_alone(tmp_path: Path) -> None:
    stored = Image.fromarray(np.random.default_rng(5).integers(0, 256, (9, 16, 3), np.uint8))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / f"{orientation}.png", exif=exif)
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    for path, pixels in load(paths, lambda path: np.asarray(decode(path)), workers=3, look_ahead=8):
        np.testing.assert_array_equal(np.asarray(decode(path)), pixels)
        assert np.asarray(pixels).shape == ((9, 16, 3) if int(Path(path).stem) <= 4 else (16, 9, 3))


STOPPED_EARLY = """
import sys, numpy as np
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.sources.lists import read_list
from vithybrid_cli.pipeline.loader import load_live
files = map(LocalFile, read_list(sys.stdin.buffer))
for path, _ in filter(None, load_live(files, lambda file: np.zeros((1, 1, 3), np.uint8), 2, 4)):
    sys.stdout.write(path + "\\n")
    sys.stdout.flush()
    if path == "last.jpg":
        break
"""


@pytest.mark.timeout(60)
def test_a_program_ends_cleanly_while_standard_input_is_still_open() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"a.jpg\nlast.jpg\n")
        run = subprocess.run(
            [sys.executable, "-c", STOPPED_EARLY],
            stdin=reading,
            capture_output=True,
            text=True,
            timeout=WAIT,
            cwd=ROOT,
            check=False,
        )
    finally:
        os.close(writing)
        os.close(reading)
    assert (run.returncode, run.stdout, run.stderr) == (0, "a.jpg\nlast.jpg\n", "")


@both_ways
def test_memory_is_bounded_by_the_look_ahead(load: Load) -> None:
    alive = 0
    most = 0
    lock = threading.Lock()

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            with lock:
                alive -= 1

    def read(path: str) -> npt.NDArray[np.uint8]:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return np.zeros((1, 1, 3), np.uint8).view(Counted)

    for _ in load((str(number) for number in range(300)), read, workers=4, look_ahead=6):
        pass
    assert most <= 6 + 2  # and the one that is handed over, and the one that the loop still holds


def test_a_pause_of_the_paths_is_told_after_all_that_came_before_it() -> None:
    arrived: Queue[str | None] = Queue()
    arrived.put("0")
    arrived.put("1")
    with closing(load_live(iter(arrived.get, None), pixels_of, 2, 8)) as results:
        assert [item and item[0] for item in (next(results), next(results), next(results))] == ["0", "1", None]
        arrived.put("2")
        assert next(item for item in results if item is not None)[0] == "2"
        arrived.put(None)
        assert [item for item in results if item is not None] == []


MANY_AT_ONCE = """
import sys
from pathlib import Path
from vithybrid_cli.images.memory import MemoryBudget, release_free_memory
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.images.read import PixelReader
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.pipeline.loader import load

def bytes_of(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))

budget = MemoryBudget(int(sys.argv[1]), release_free_memory)
reader = PixelReader(Preprocessing.default((64, 64)), (64, 64))

def read(item):
    with budget.part() as reserve:
        return reader.read(item, reserve)

before = bytes_of("VmRSS")
assert sum(1 for _ in load([LocalFile(sys.argv[2])] * 24, read, workers=8, look_ahead=24)) == 24
print((bytes_of("VmHWM") - before) / int(sys.argv[1]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_many_workers_share_the_budget_for_large_pictures(tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((4000, 3000)).convert("RGB").save(tmp_path / "a.png")  # 48 MB in Pillow
    command = [sys.executable, "-c", MANY_AT_ONCE, str(200 * 2**20), str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert float(done.stdout) < 1.3
