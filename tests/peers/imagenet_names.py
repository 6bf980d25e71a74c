"""What timm calls the classes of each list of ImageNet's: imagenet_names.py FILE.

Writes the WordNet ids and the labels of each by the number of its classes. Runs in the peers' environment.
"""

import json
import sys
from pathlib import Path

from networks import import_timm

import_timm()

from timm.data import ImageNetInfo  # noqa: E402 (after what lets it be imported without torchvision)
from timm.data.imagenet_info import _NUM_CLASSES_TO_SUBSET  # noqa: E402


def main(file: Path) -> None:
    lists = {count: ImageNetInfo(name) for count, name in _NUM_CLASSES_TO_SUBSET.items()}
    found = {count: [info.label_names(), info.label_descriptions()] for count, info in lists.items()}
    file.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
