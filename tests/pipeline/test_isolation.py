"""A picture that hangs or crashes its decoder costs its own record alone, and no process is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from fake_program import FakeEngine
from fake_readers import FakeReader
from PIL import Image
from places import EXAMPLES, ROOT
from raw_files import dng, jpeg

from vithybrid_cli import Classifier, DecoderCrashed, DecodeTimeout, ImageTooLarge, UsageError
from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.images.memory import MemoryBudget
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.images.read import PixelReader
from vithybrid_cli.items import Content, Item
from vithybrid_cli.pipeline import loader
from vithybrid_cli.pipeline.isolation import DecodingProcesses, Reader
from vithybrid_cli.pipeline.loader import Loaded, Pixels

WAIT = 60.0  # seconds; far above what anything here takes
SLOW = 3.0  # seconds that a picture may take where one hangs

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


def processes(reader: Reader | None = None, timeout: float = WAIT, memory: int = 0) -> DecodingProcesses:
    return DecodingProcesses(reader or FakeReader(), MemoryBudget(2**30), timeout=timeout, memory=memory)


def load(
    paths: Iterable[str], read: Callable[[Item], Pixels], workers: int, look_ahead: int
) -> Generator[Loaded, None, None]:
    return loader.load(map(LocalFile, paths), read, workers, look_ahead)


def decoded(paths: Iterable[str], timeout: float = WAIT, workers: int = 2) -> list[Loaded]:
    with processes(timeout=timeout) as read:
        return list(load(paths, read, workers, 8))


def told(results: Iterable[Loaded]) -> list[int | str]:
    """The value of each picture, or the name of its error."""
    return [int(found.max()) if isinstance(found, np.ndarray) else type(found).__name__ for _, found in results]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] + [
        int(child)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        if thread.name != str(pid)
        for child in (thread / "children").read_text().split()
    ]


def started_since(others: list[int]) -> list[int]:
    """Without the processes that were there, such as those that torch keeps once it has compiled something."""
    return [child for child in children(os.getpid()) if child not in others]


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers", [1, 3])
def test_pictures_come_in_their_order(workers: int) -> None:
    assert told(decoded([str(number) for number in range(30)], workers=workers)) == list(range(30))


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        pytest.param("crash", "The decoder crashed on this picture (SIGSEGV).", id="a crash"),
        pytest.param("exit", "The decoder crashed on this picture (status 7).", id="an exit"),
    ],
)
def test_a_crash_is_one_record_in_its_place(path: str, cause: str) -> None:
    results = decoded(["0", "1", path, "3", path, path, "6"])
    assert told(results) == [0, 1, "DecoderCrashed", 3, "DecoderCrashed", "DecoderCrashed", 6]
    error = results[2][1]
    assert isinstance(error, DecoderCrashed)
    assert error.cause == cause


@pytest.mark.parametrize("path", ["hang", "hang with the lock"])
def test_what_takes_too_long_is_one_record_in_its_place(path: str) -> None:
    results = decoded(["0", path, "2", "3"], timeout=SLOW)
    assert told(results) == [0, "DecodeTimeout", 2, 3]
    error = results[1][1]
    assert isinstance(error, DecodeTimeout)
    assert error.cause == "The picture was not decoded within 3 seconds."


def test_a_bug_is_raised_and_no_record() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)A bug while 'bug' was decoded.*ZeroDivisionError: a bug"):
        decoded(["0", "bug"])


def test_errors_of_pictures_keep_cause_and_remedy_and_the_process_does_without_torch() -> None:
    ((_, error),) = decoded(["modules"])
    assert isinstance(error, UnreadableImage)
    assert (error.cause, error.remedy) == ("torch is not there.", "Look {there}.")


def test_a_large_picture_waits_for_its_part_of_the_budget() -> None:
    budget = MemoryBudget(100)  # less than one picture wants: each goes alone
    with DecodingProcesses(FakeReader(), budget, timeout=WAIT, memory=0) as read:
        assert told(load(["much"] * 6, read, 3, 8)) == [1] * 6


def test_a_picture_that_takes_too_much_memory_is_an_error_and_the_next_one_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (5000, 4000)).save(tmp_path / "large.png")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "small.png")
    reader = PixelReader(Preprocessing.default((64, 64)), (64, 64))
    with processes(reader, memory=40 * 2**20) as read:
        results = list(load([str(tmp_path / name) for name in ("large.png", "small.png")], read, 1, 2))
    assert isinstance(results[0][1], ImageTooLarge)
    assert "not enough memory" in str(results[0][1])
    assert told(results[1:]) == [255]


def test_what_is_no_file_goes_to_the_process_as_it_is(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    items = [Content("zip://a.png::b.zip", content), Content("zip://b.png::b.zip", content[:50])]
    with processes(PixelReader(Preprocessing.default((64, 64)), (64, 64))) as read:
        results = list(loader.load(items, read, 2, 2))
    assert [name for name, _ in results] == ["zip://a.png::b.zip", "zip://b.png::b.zip"]
    assert told(results) == [255, "UnreadableImage"]


@needs_proc
def test_a_process_that_ends_between_two_pictures_costs_no_record() -> None:
    killed: list[int] = []
    others = children(os.getpid())

    def paths() -> Iterator[str]:
        for number in range(6):
            if number == 3:
                killed.extend(started_since(others))
                os.kill(killed[0], signal.SIGKILL)
                wait_until(lambda: not runs(killed[0]))
            yield str(number)

    with processes() as read:
        assert told(load(paths(), read, workers=1, look_ahead=1)) == list(range(6))
    assert len(killed) == 1


@needs_proc
def test_closing_ends_the_processes_whatever_they_do(tmp_path: Path) -> None:
    others = children(os.getpid())
    with processes(FakeReader(notes=str(tmp_path))) as read, closing(load(["0", "hang"], read, 2, 8)) as results:
        assert told([next(results)]) == [0]
        wait_until((tmp_path / "hang").exists)
        began = started_since(others)
        assert began
    wait_until(lambda: not any(runs(process) for process in began))


PROGRAM = """
import sys
from fake_readers import FakeReader
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.images.memory import MemoryBudget
from vithybrid_cli.pipeline.isolation import DecodingProcesses
from vithybrid_cli.pipeline.loader import load

if __name__ == "__main__":
    path, notes = sys.argv[1:]
    with DecodingProcesses(FakeReader(notes=notes), MemoryBudget(1000), timeout=10_000, memory=0) as read:
        try:
            list(load(map(LocalFile, ["0", path]), read, 2, 8))
        except KeyboardInterrupt:
            print("interrupted")
"""


@needs_proc
@pytest.mark.parametrize("path", ["hang", "hang with the lock"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_no_process_outlives_the_program(tmp_path: Path, path: str, number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", PROGRAM, path, str(tmp_path)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as program:
        wait_until((tmp_path / path).exists)
        began = children(program.pid)
        assert began
        os.killpg(program.pid, number)  # as a terminal does for Ctrl-C
        wait_until(lambda: not any(runs(process) for process in began))
        said, complaint = program.communicate(timeout=WAIT)
    assert (said, complaint) == (b"" if number == signal.SIGKILL else b"interrupted\n", b"")


def test_a_process_that_cannot_be_started_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UsageError, match=r"No process to decode pictures in can be started\. Leave out isolate\."):
        decoded(["0"])


# Through the Python interface


class Brightness(FakeEngine):
    """An engine whose two logits are the mean of the pixels and 0."""

    image_size = (64, 64)

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        means = pixels.mean(axis=(1, 2, 3), dtype=np.float64)
        return np.stack([means / 100, means * 0], 1).astype(np.float32)


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(Brightness(), Preprocessing.default((64, 64)), ("bright", "dark"))


def test_processes_give_what_threads_give(classifier: Classifier, tmp_path: Path) -> None:
    whole = sorted(EXAMPLES.iterdir())
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (tmp_path / "caf\udce9.png").write_bytes(whole[0].read_bytes())
    paths: list[str | Path] = [*whole, tmp_path / "cut.jpg", tmp_path / "caf\udce9.png", tmp_path, "gone \n{x}.png", ""]
    for max_pixels, fast_jpeg in ((10**8, False), (1000, False), (10**8, True)):
        there, here = (
            [
                result.record()
                for result in classifier.classify(paths, isolate=isolate, max_pixels=max_pixels, fast_jpeg=fast_jpeg)
            ]
            for isolate in (True, False)
        )
        assert there == here


def test_processes_decode_by_the_settings_that_threads_decode_by(classifier: Classifier, tmp_path: Path) -> None:
    noise = Image.effect_noise((2600, 2400), 90).convert("RGB")  # so large that a process reserves memory for it
    noise.save(tmp_path / "cut.jpg", quality=60)
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    Image.new("RGBA", (64, 64), (255, 255, 255, 30)).save(tmp_path / "clear.png")
    (tmp_path / "raw.dng").write_bytes(dng(jpeg(1600, 1066), (1600, 1066)))
    paths = [tmp_path / name for name in ("cut.jpg", "clear.png", "raw.dng", "cut.jpg")]
    kinds: list[list[str]] = []
    scores: list[float] = []
    for wanted in (False, True):
        there, here = (
            list(
                classifier.classify(
                    paths,
                    isolate=isolate,
                    allow_truncated=wanted,
                    raw_preview=wanted,
                    background="black" if wanted else None,
                )
            )
            for isolate in (True, False)
        )
        assert [result.record() for result in there] == [result.record() for result in here]
        kinds.append([type(result.error).__name__ for result in there])
        scores.append({found.label: found.score for found in there[1].predictions}["bright"])
    shown = "NoneType" if find_spec("rawpy") else "RawPhoto"
    assert kinds == [
        ["UnreadableImage", "NoneType", "RawPhoto", "UnreadableImage"],
        ["NoneType", "NoneType", shown, "NoneType"],
    ]
    assert scores[0] > scores[1]  # white without its transparency, nearly black with it


def test_a_picture_that_takes_longer_than_its_limit_is_a_record(classifier: Classifier) -> None:
    results = list(classifier.classify([EXAMPLES / "cat.png"] * 3, isolate=True, decode_timeout=1e-6))
    assert [type(result.error) for result in results] == [DecodeTimeout] * 3


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_no_time_is_refused_at_the_call(classifier: Classifier, timeout: float) -> None:
    with pytest.raises(UsageError, match="decode_timeout"):
        classifier.classify(["a.png"], isolate=True, decode_timeout=timeout)


def test_any_long_time_is_a_limit(classifier: Classifier) -> None:
    (result,) = classifier.classify(EXAMPLES / "cat.png", isolate=True, decode_timeout=float("inf"))
    assert result.error is None


@needs_proc
def test_no_process_is_left_when_the_results_are_taken_or_given_up(classifier: Classifier) -> None:
    paths = [EXAMPLES / "cat.png"] * 20
    others = children(os.getpid())
    list(classifier.classify(paths, isolate=True))
    results = classifier.classify(paths, isolate=True)
    next(results)
    began = started_since(others)
    assert began
    results.close()
    wait_until(lambda: not any(runs(process) for process in began))


def test_a_time_limit_without_processes_is_refused(classifier: Classifier) -> None:
    with pytest.raises(UsageError, match="Give isolate=True with the limit"):
        classifier.classify("picture.png", decode_timeout=5)
