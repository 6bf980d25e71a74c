"""The memory of pictures being decoded is estimated, and bounded by bytes however many threads decode."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from places import ROOT

from vithybrid_cli import cores
from vithybrid_cli.images import memory
from vithybrid_cli.images.memory import MemoryBudget, available_memory, decoding_bytes

WAIT = 20.0  # seconds; far above what anything here takes

TURNED = Image.Exif()
TURNED[0x0112] = 6

MEASURED = """
import sys
from pathlib import Path
from PIL import Image
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.memory import decoding_bytes
from vithybrid_cli.settings import Decoding

def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

Image.init()
estimates = []
before = kilobytes("VmRSS")
how = Decoding(background=sys.argv[2] if len(sys.argv) > 2 else None)
blended = how.background is not None
decode(sys.argv[1], how, before_loading=lambda image: estimates.append(decoding_bytes(image, blended=blended)))
print((kilobytes("VmHWM") - before) * 1024 / estimates[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        pytest.param("a.jpg", "RGB", {}, id="JPEG"),
        pytest.param("a.jpg", "RGB", {"exif": TURNED}, id="JPEG to be turned"),
        pytest.param("a.jpg", "RGB", {"progressive": True, "subsampling": 0}, id="progressive JPEG"),
        pytest.param("a.jpg", "CMYK", {}, id="JPEG CMYK"),
        pytest.param("a.png", "RGBA", {"compress_level": 1}, id="PNG with alpha"),
        pytest.param("a.png", "P", {"compress_level": 1}, id="PNG palette"),
        pytest.param("a.tif", "F", {}, id="TIFF of 32 bits"),
        pytest.param("a.webp", "RGBA", {"lossless": True, "method": 0}, id="WebP"),
        pytest.param("a.jp2", "RGB", {}, id="JPEG 2000"),
        pytest.param("a.avif", "RGB", {"speed": 10}, id="AVIF"),
    ],
)
def test_decoding_takes_no_more_than_estimated_and_not_far_less(
    tmp_path: Path, name: str, mode: str, options: dict[str, Any]
) -> None:
    assert 0.5 < peak_by_estimate(tmp_path / name, mode, options) < 1.15


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        pytest.param("a.png", "RGBA", {"compress_level": 1}, id="alpha"),
        pytest.param("a.png", "LA", {"compress_level": 1}, id="grey with alpha"),
        pytest.param("a.png", "P", {"compress_level": 1, "transparency": b"\x00\x7f"}, id="palette"),
        pytest.param("a.png", "RGB", {"compress_level": 1, "transparency": (9, 9, 9)}, id="one colour"),
        pytest.param("a.png", "I;16", {"compress_level": 1, "transparency": 9}, id="one grey of 16 bits"),
        pytest.param("a.png", "RGB", {"compress_level": 1}, id="opaque"),
        pytest.param("a.webp", "RGBA", {"lossless": True, "method": 0}, id="WebP"),
    ],
)
def test_laying_on_a_colour_takes_no_more_than_estimated(
    tmp_path: Path, name: str, mode: str, options: dict[str, Any]
) -> None:
    assert 0.5 < peak_by_estimate(tmp_path / name, mode, options, "red") < 1.15


def peak_by_estimate(path: Path, mode: str, options: dict[str, Any], *background: str) -> float:
    image = Image.linear_gradient("L").resize((2400, 2000))
    (image if mode == "I;16" else image.convert("RGB")).convert(mode).save(path, **options)
    command = [sys.executable, "-c", MEASURED, str(path), *background]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout)


def holding(budget: MemoryBudget, size: int, then: Callable[[], None]) -> threading.Thread:
    """A thread that takes ``size`` of the budget and holds it during ``then``."""

    def work() -> None:
        with budget.part() as take:
            take(size)
            then()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_no_more_is_held_at_a_time_than_the_budget_and_all_are_served() -> None:
    budget = MemoryBudget(100)
    held, most, served = [0], [0], [0]
    lock = threading.Lock()

    def worker(size: int) -> None:
        for _ in range(50):
            with budget.part() as take:
                take(size)
                with lock:
                    held[0] += size
                    most[0] = max(most[0], held[0])
                with lock:
                    held[0] -= size
                    served[0] += 1

    threads = [threading.Thread(target=worker, args=(size,)) for size in (10, 30, 60, 99, 100, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert served == [6 * 50]
    assert most[0] <= 100


def test_a_picture_larger_than_the_budget_goes_alone() -> None:
    budget = MemoryBudget(100)
    go_on, holds = threading.Event(), threading.Event()

    def hold() -> None:
        holds.set()
        go_on.wait(WAIT)

    large = holding(budget, 10_000, hold)
    assert holds.wait(WAIT)
    others = [holding(budget, 1, lambda: None) for _ in range(3)]
    others[0].join(0.05)
    assert all(thread.is_alive() for thread in others)
    go_on.set()
    for thread in (large, *others):
        thread.join(WAIT)
        assert not thread.is_alive()


def test_a_large_picture_is_not_overtaken_forever_by_small_ones() -> None:
    budget = MemoryBudget(100)
    go_on, holds = threading.Event(), threading.Event()
    order: list[str] = []

    def hold() -> None:
        holds.set()
        go_on.wait(WAIT)

    first = holding(budget, 50, hold)
    assert holds.wait(WAIT)
    large = holding(budget, 100, lambda: order.append("large"))
    while not budget.waiting:
        large.join(0.001)
    small = holding(budget, 10, lambda: order.append("small"))
    small.join(0.05)
    go_on.set()
    for thread in (first, large, small):
        thread.join(WAIT)
    assert order == ["large", "small"]


def test_what_is_held_is_given_back_after_an_exception() -> None:
    budget = MemoryBudget(100)

    def fail() -> None:
        with budget.part() as take:
            take(100)
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            fail()
    holding(budget, 100, lambda: None).join(WAIT)
    assert budget.waiting == 0


def test_what_malloc_may_keep_of_earlier_pictures_counts_too() -> None:
    released: list[int] = []
    budget = MemoryBudget(100, lambda: released.append(len(taken)))
    taken: list[int] = []
    for size in (40, 40, 40, 10, 90, 1):
        with budget.part() as take:
            take(size)
            taken.append(size)
    assert released == [2, 4]  # before 40 + 40 + 40 and 40 + 10 + 90 bytes would be used and kept


def test_an_estimate_counts_the_size_that_a_draft_leaves(tmp_path: Path) -> None:
    Image.new("RGB", (800, 600)).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        whole = decoding_bytes(image)
        image.draft(None, (200, 150))
        assert decoding_bytes(image) * 16 == whole


@pytest.mark.parametrize(
    ("limit", "expected"), [("1000000\n", 1_000_000), ("max\n", None), ("", None)], ids=["a limit", "none", "nothing"]
)
def test_a_container_may_grant_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int | None
) -> None:
    group = tmp_path / "cgroup" / "jobs" / "mine"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(limit)
    (tmp_path / "own").write_text("0::/jobs/mine\n")
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "_OWN_CGROUP", tmp_path / "own")
    assert available_memory() == expected if expected else available_memory() > 1_000_000
    assert memory.default_budget() > 0
