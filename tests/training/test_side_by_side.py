"""Threads that share the cores."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vithybrid_cli.training.side_by_side import side_by_side


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


@pytest.mark.parametrize(
    ("count", "cores", "each"),
    [
        pytest.param(4, 4, 1, id="one each"),
        pytest.param(3, 8, 2, id="two each, and two left"),
        pytest.param(2, 1, 1, id="fewer than threads"),
    ],
)
def test_each_thread_has_its_share_and_all_others_what_they_had(count: int, cores: int, each: int) -> None:
    with ThreadPoolExecutor(1) as early:
        assert early.submit(used).result() == 7
        with side_by_side(count, cores) as threads:
            found = list(threads.map(lambda _: used(), range(4 * count)))
            assert found == [each] * (4 * count)
            assert used() == 7
            assert early.submit(used).result() == 7
            with ThreadPoolExecutor(1) as late:
                assert late.submit(used).result() == 7
        assert used() == 7


def test_all_threads_end_also_after_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), side_by_side(3, 3):
        raise KeyboardInterrupt
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("parts")] == []
