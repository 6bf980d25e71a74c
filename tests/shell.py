"""Runs lines of shell as a reader of the documentation would, in a folder with the files that it speaks of."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from places import ROOT
from warm import folder_with_program

# What a developer's shell or a CI service says about colours and widths. Typer and rich believe it, in part when they
# are imported, and then write escape codes into pipes and other line breaks into messages.
DISPLAY = {"FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS", "TERMINAL_WIDTH", "TTY_COMPATIBLE"}


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


def environment(folder: Path) -> dict[str, str]:
    """With ``vithybrid``, the program of `warm`, and this environment's programs first, an empty cache, no network."""
    return {
        **{name: value for name, value in os.environ.items() if name not in DISPLAY},
        "PATH": os.pathsep.join([str(folder_with_program()), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(folder),
        "COLUMNS": "80",
        "HF_HOME": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
    }


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in ``folder``, in its `environment`."""
    shell = ["bash", "-o", "pipefail", "-c", text]
    return subprocess.run(shell, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
