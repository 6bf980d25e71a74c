"""Memory that pictures leave behind."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.memory import allocator, keep_for


@pytest.fixture(autouse=True)
def pillow() -> Iterator[None]:
    """Pillow as it comes, and again as it was."""
    before = allocator.get_blocks_max()
    allocator.set_blocks_max(0)
    yield
    allocator.set_blocks_max(before)


def test_the_next_picture_takes_the_memory_of_the_last(tmp_path: Path) -> None:
    for value in (1, 2):
        Image.new("RGB", (4000, 3000), (value, 0, 0)).save(tmp_path / f"{value}.bmp")
    keep_for(1)
    assert np.asarray(decode(tmp_path / "1.bmp")).max() == 1
    allocator.reset_stats()
    assert np.asarray(decode(tmp_path / "2.bmp")).max() == 2
    used = allocator.get_stats()
    assert used["reused_blocks"] >= 3
    assert used["allocated_blocks"] == 0


def test_more_threads_keep_more_and_fewer_do_not_take_it_away() -> None:
    for threads in (1, 3, 2):
        keep_for(threads)
    assert allocator.get_blocks_max() == 12


def test_what_the_user_has_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILLOW_BLOCKS_MAX", "0")
    keep_for(8)
    assert allocator.get_blocks_max() == 0
