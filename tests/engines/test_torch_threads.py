"""Threads that share the cores."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from places import GOLDENS

from vithybrid_cli.engines.torch_threads import Streams, compute_threads, on_cores

WAIT = 20.0  # seconds until a test that waits for another thread gives up


@pytest.fixture(autouse=True)
def seven_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(7)
    yield
    torch.set_num_threads(before)


def used() -> int:
    """How many threads an operation of this thread uses."""
    torch.ones(100, 100) @ torch.ones(100, 100)
    return torch.get_num_threads()


@pytest.mark.parametrize(("count", "cores"), [(4, 1), (3, 2), (1, 3)])
def test_each_thread_has_its_cores_and_all_others_what_they_had(count: int, cores: int) -> None:
    with ThreadPoolExecutor(1) as early:
        assert early.submit(used).result() == 7
        with compute_threads(count, cores) as threads:
            found = list(threads.map(lambda _: used(), range(4 * count)))
            assert found == [cores] * (4 * count)
            assert used() == 7
            assert early.submit(used).result() == 7
            with ThreadPoolExecutor(1) as late:
                assert late.submit(used).result() == 7
        assert used() == 7


def test_threads_that_begin_at_once_in_several_places_do_not_mix() -> None:
    def found(cores: int) -> set[int]:
        with compute_threads(2, cores) as threads:
            return {threads.submit(used).result() for _ in range(4)}

    with ThreadPoolExecutor(4) as callers:
        assert list(callers.map(found, (1, 2, 3, 4) * 5)) == [{1}, {2}, {3}, {4}] * 5
    assert used() == 7


def test_an_interrupt_while_they_begin_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = threading.Barrier.wait

    def interrupted(self: threading.Barrier, timeout: float | None = None) -> int:
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return wait(self, timeout)

    monkeypatch.setattr(threading.Barrier, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compute_threads(3, 2)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("torch")] == []
    with ThreadPoolExecutor(1) as late:
        assert late.submit(used).result() == 7


@pytest.mark.parametrize(
    ("cores", "count", "each"),
    [
        pytest.param(1, 1, 1, id="one"),
        pytest.param(7, 7, 1, id="one each"),
        pytest.param(16, 8, 2, id="two each, since more than eight streams would take too much memory"),
        pytest.param(20, 6, 3, id="equal shares, though two are left"),
    ],
)
def test_cores_are_shared_out_equally(cores: int, count: int, each: int) -> None:
    streams = Streams(cores)
    assert (streams.count, streams.each) == (count, each)
    assert streams.in_one(torch.get_num_threads) == each
    assert streams.on_all(torch.get_num_threads) == cores


def test_no_more_than_one_at_a_time_is_on_all_cores() -> None:
    streams, inside, most = Streams(2), [], []

    def compute() -> None:
        inside.append(1)
        most.append(len(inside))
        used()
        inside.pop()

    with ThreadPoolExecutor(4) as callers:
        list(callers.map(lambda _: streams.on_all(compute), range(20)))
    assert most == [1] * 20


def test_what_a_thread_raises_reaches_the_caller() -> None:
    def fail() -> None:
        raise ValueError("as it was raised")

    for run in (Streams(2).in_one, Streams(2).on_all, lambda compute: on_cores(1, compute)):
        with pytest.raises(ValueError, match="as it was raised"):
            run(fail)


COUNTED = """
import os, sys, time
import numpy as np
import torch
from vithybrid_cli.pipeline.classifier import Classifier
torch.set_num_threads(2)  # for operations that are not used here, it starts a thread
ours = os.listdir("/proc/self/task")
def wait_for(count):
    while len(set(os.listdir("/proc/self/task")).difference(ours)) != count:
        time.sleep(0.01)
classifier = Classifier.from_pretrained(sys.argv[1], engine="torch", device="cpu", threads=2)
wait_for(2)  # one for each stream
for count in (classifier.engine.batch_size, 1):
    classifier.engine.run(np.zeros((count, *classifier.engine.image_size, 3), np.uint8))
    wait_for(2)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the threads of a process are counted on Linux")
def test_after_loading_and_after_each_batch_no_thread_has_helpers() -> None:
    command = [sys.executable, "-c", COUNTED, str(GOLDENS / "hf-hybrid-small")]
    subprocess.run(command, check=True, timeout=120)  # it waits for ever where one has
