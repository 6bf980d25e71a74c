"""Lets Pillow keep the memory of large pictures for the next ones.

By itself Pillow gives it back after each picture, and the system clears and maps new pages for the next one: a fifth of
the time of a photograph of 12 megapixels.
"""

import os
from typing import Any

from PIL import Image

# https://pillow.readthedocs.io/en/stable/reference/block_allocator.html
allocator: Any = Image.core  # type: ignore[attr-defined] # exported without saying so

# Pillow's blocks have 16 MiB: three hold a photograph of 12 megapixels, at four bytes a pixel.
_BLOCKS_PER_THREAD = 4
_CHOSEN = "PILLOW_BLOCKS_MAX"  # the environment variable by which a user chooses


def keep_for(threads: int) -> None:
    """Keep as much as so many threads that decode large photographs use at once. Of small pictures less is kept."""
    blocks = threads * _BLOCKS_PER_THREAD
    if _CHOSEN not in os.environ and allocator.get_blocks_max() < blocks:
        allocator.set_blocks_max(blocks)
