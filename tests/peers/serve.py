"""Times a peer's network when asked to: serve.py PEER FOLDER PIXELS_NPY; runs in the peers' environment.

Writes ``ready``, then for every line on stdin the seconds that one pass over the pixels [N, 3, H, W] took.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from networks import open_network


def main(peer: str, folder: Path, pixels: Path) -> None:
    network = open_network(peer, folder)
    values = torch.from_numpy(np.load(pixels))
    network(values)
    answer("ready")
    for _ in sys.stdin:
        start = time.perf_counter()
        network(values)
        answer(str(time.perf_counter() - start))


def answer(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
