"""Pictures made of characters: two pixels in each, or shades where a terminal has no colours."""

from typing import TYPE_CHECKING

from rich.color import Color
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

_SHADES, _ASCII_SHADES = "·░▒▓█", ".-+*#"  # from weak to strong


def half_blocks(picture: "Image.Image", columns: int, rows: int) -> list[Text]:
    """The picture on so many columns and rows: each character's upper half in one colour and its lower in another."""
    import numpy as np
    from PIL import Image

    pixels = np.asarray(picture.convert("RGB").resize((columns, 2 * rows), Image.Resampling.BOX)).tolist()
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        line = Text()
        for above, below in zip(upper, lower, strict=True):
            line.append("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        lines.append(line)
    return lines


def shades(strength: "npt.NDArray[np.float32]", *, ascii_only: bool = False) -> list[Text]:
    """Values from 0 to 1 [rows, columns] as characters; what is no number is blank."""
    marks = _ASCII_SHADES if ascii_only else _SHADES
    return [
        Text("".join(" " if value != value else marks[min(int(value * len(marks)), len(marks) - 1)] for value in row))
        for row in strength.tolist()
    ]
