"""Runs lines of shell as a reader of the documentation would, in a folder with the files that it speaks of."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from places import ROOT
from warm import folder_with_program


def make_workplace(folder: Path) -> Path:
    """A folder as the documentation supposes it: the examples, a picture and its label, and a few labelled ones."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    Image.open(ROOT / "examples" / "cat.png").save(folder / "cat.jpg")
    (folder / "labels.jsonl").write_text(
        '{"path": "cat.jpg", "predictions": [{"index": 3, "label": "cat", "score": 0.9}]}\n', encoding="utf-8"
    )
    for name, label in (("cat.png", "cat"), ("dog.jpg", "dog")):
        picture = Image.open(ROOT / "examples" / name)
        for index, part in enumerate(["train", "train", "train", "test"]):
            target = folder / "photos" / part / label
            target.mkdir(parents=True, exist_ok=True)
            picture.resize((96 + index, 96)).save(target / f"{index}.png")
    return folder


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in ``folder``, with this environment's programs first, an empty cache and no network.

    ``vithybrid`` is the program of `warm`.
    """
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(folder_with_program()), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(folder),
        "COLUMNS": "80",
        "HF_HOME": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    shell = ["bash", "-o", "pipefail", "-c", text]
    return subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)
