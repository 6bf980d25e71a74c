"""Unpack CIFAR-10 into folders of labelled pictures: `python examples/cifar10.py cifar-10-binary.tar.gz data/cifar10`.

Takes the binary version from https://www.cs.toronto.edu/~kriz/cifar.html, where a picture is one byte for its label and
3072 for its pixels: the 32×32 red values in row-major order, then the green, then the blue.
"""

# ruff: noqa: T201 (a script prints)

import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

TOP = "cifar-10-batches-bin"
PARTS = {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]}


def read(archive: tarfile.TarFile, name: str) -> bytes:
    """The bytes of one file of the archive; nothing is extracted to the disk."""
    stream = archive.extractfile(f"{TOP}/{name}")
    if stream is None:
        raise SystemExit(f"{TOP}/{name} is no file")
    return stream.read()


def unpack(archive: tarfile.TarFile, part: str, labels: list[str], out: Path) -> None:
    """Write one part as ``out/<label>/<number>.png``, numbered within each label."""
    seen: Counter[str] = Counter()
    for name in PARTS[part]:
        for record in np.frombuffer(read(archive, name), np.uint8).reshape(-1, 1 + 3 * 32 * 32):
            label = labels[record[0]]
            folder = out / label
            folder.mkdir(parents=True, exist_ok=True)
            pixels = record[1:].reshape(3, 32, 32).transpose(1, 2, 0)
            Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{seen[label]:04}.png")
            seen[label] += 1
    print(f"{out}: {seen.total()} pictures of {len(seen)} labels")


def main() -> None:
    """Unpack both parts of the archive that the arguments name."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    with tarfile.open(sys.argv[1]) as archive:
        labels = read(archive, "batches.meta.txt").decode().split()
        for part in PARTS:
            unpack(archive, part, labels, Path(sys.argv[2]) / part)


if __name__ == "__main__":
    main()
