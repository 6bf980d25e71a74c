"""Photograph the pages that commands write, for the documentation: `python scripts/screenshots.py docs [LABELLED]`.

The commands are run here and now, from the root of the repository; the pages are opened in the system's Chromium.
LABELLED is a folder of CIFAR-10's test pictures, 30 or more in the folder of each label, of which a page of an
evaluation is made; without it that picture stays as it is.
"""

import io
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
SIZE = (1040, 612)  # of the window, in CSS pixels
COLOURS = 128


@dataclass(frozen=True)
class Picture:
    """A file of the documentation: the commands, the last of which writes ``page.html``, and what is chosen in it.

    ``labelled``: they need the folder of labelled pictures.
    """

    name: str
    commands: tuple[str, ...]
    chosen: str = ""
    labelled: bool = False
    height: int = SIZE[1]
    colours: int = COLOURS


PICTURES = (
    Picture(
        "report.png",
        (
            "classify examples -m tiny --unsure 0.5 --quiet --output results.jsonl",
            "report results.jsonl --quiet --output page.html",
        ),
        "#sort=highest",
    ),
    Picture(
        "evaluate.png",
        ("evaluate labelled -m tiny --quiet --output page.html",),
        labelled=True,
        height=900,
        colours=256,
    ),
)


def write_page(picture: Picture, folder: Path, labelled: Path | None) -> Path:
    """Run the commands in ``folder``, beside the pictures; gives the page."""
    (folder / "examples").symlink_to(ROOT / "examples")
    if labelled is not None:
        (folder / "labelled").symlink_to(labelled.resolve())
    for command in picture.commands:
        program = [sys.executable, "-m", "vithybrid_cli", *command.split()]
        subprocess.run(program, cwd=folder, check=True)
    return folder / "page.html"


def photograph(browser: Browser, page: Path, picture: Picture) -> bytes:
    """The page in a window, as PNG with few colours: a third of the bytes, and hardly a difference to be seen."""
    window = browser.new_page(viewport={"width": SIZE[0], "height": picture.height}, reduced_motion="reduce")
    window.goto(page.as_uri() + picture.chosen)
    window.wait_for_load_state("networkidle")
    window.wait_for_timeout(500)  # until thumbnails are decoded
    photo = Image.open(io.BytesIO(window.screenshot())).convert("RGB")
    window.close()
    content = io.BytesIO()
    palette = photo.quantize(picture.colours)
    photo.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(content, "PNG", optimize=True)
    return content.getvalue()


def main(folder: Path, labelled: Path | None = None) -> None:
    """Write all pictures into ``folder`` that can be made."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for picture in PICTURES:
            if picture.labelled and labelled is None:
                continue
            with TemporaryDirectory() as work:
                page = write_page(picture, Path(work), labelled)
                (folder / picture.name).write_bytes(photograph(browser, page, picture))
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
