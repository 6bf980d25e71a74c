"""Draw the sheet of explained pictures that the README shows: `python scripts/sheet.py FOLDER`.

The command is run here and now, with the examples whose labels the built-in model knows.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

ROOT = Path(__file__).parent.parent
EXAMPLES = ("bird", "deer", "dog", "frog")
SCALE, COLOURS = 0.9, 200  # a quarter of the bytes, and hardly a difference to be seen


def drawn() -> Image.Image:
    """The sheet as the command leaves it in its folder."""
    with TemporaryDirectory() as name:
        out = Path(name) / "why"
        pictures = [f"examples/{example}.jpg" for example in EXAMPLES]
        program = [sys.executable, "-m", "vithybrid_cli", "explain", *pictures, "-m", "tiny", "-o", str(out), "--quiet"]
        subprocess.run(program, cwd=ROOT, check=True)
        return Image.open(out / "sheet.png").convert("RGB")


def main() -> None:
    """Draw it into the folder that the argument names."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    sheet = drawn()
    small = sheet.resize((round(sheet.width * SCALE), round(sheet.height * SCALE)), Image.Resampling.LANCZOS)
    small.quantize(COLOURS).save(Path(sys.argv[1], "explain.png"), optimize=True)


if __name__ == "__main__":
    main()
