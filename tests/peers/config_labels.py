"""The labels that transformers reads in config.json files: config_labels.py CASES_JSON OUT_JSON.

CASES_JSON holds the fields of each file by its name; OUT_JSON gets the class indices and labels, or null where
transformers refuses the file. Runs in the peers' environment.
"""

import json
import sys
from pathlib import Path
from typing import Any

from transformers import ViTConfig


def main(cases: Path, out: Path) -> None:
    fields = json.loads(cases.read_text(encoding="utf-8"))
    out.write_text(json.dumps({name: labels(given) for name, given in fields.items()}), encoding="utf-8")


def labels(fields: dict[str, Any]) -> list[list[Any]] | None:
    try:
        config = ViTConfig.from_dict(fields)
    except (TypeError, ValueError):
        return None
    return [[index, label] for index, label in config.id2label.items()]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
