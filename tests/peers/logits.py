"""The logits of a peer's network: logits.py PEER FOLDER PIXELS_NPY BATCH OUT_NPY; runs in the peers' environment."""

import sys
from pathlib import Path

import numpy as np
import torch
from networks import open_network


def main(peer: str, folder: Path, pixels: Path, batch: int, out: Path) -> None:
    network = open_network(peer, folder)
    values = torch.from_numpy(np.load(pixels))
    np.save(out, torch.cat([network(part) for part in values.split(batch)]).numpy())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
