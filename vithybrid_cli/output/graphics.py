"""Pictures in terminals that show them: what kitty, iTerm2 and their kin, and terminals with sixel graphics read."""

import base64
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

_CHUNK = 4096  # characters of base64 in one escape code of kitty's protocol
_COLOURS = 256  # registers that terminals with sixel have
_BAND = 6  # rows of pixels that one row of sixels has


def kitty(picture: "Image.Image", columns: int) -> str:
    """The picture on so many columns, in kitty's graphics protocol, as PNG.

    https://sw.kovidgoyal.net/kitty/graphics-protocol: ``a=T`` transmits and displays it, ``f=100`` is PNG, ``m=1`` says
    that more follows, and ``q=2`` that the terminal shall not answer, since nobody would read that.
    """
    content = base64.standard_b64encode(_png(picture)).decode("ascii")
    chunks = [content[first : first + _CHUNK] for first in range(0, len(content), _CHUNK)]
    codes = []
    for number, chunk in enumerate(chunks):
        first = f"a=T,f=100,q=2,c={columns}," if number == 0 else ""
        codes.append(f"\x1b_G{first}m={int(number < len(chunks) - 1)};{chunk}\x1b\\")
    return "".join(codes)


def iterm(picture: "Image.Image", columns: int) -> str:
    """The picture on so many columns, in iTerm2's inline images protocol, as PNG.

    https://iterm2.com/documentation-images.html
    """
    content = _png(picture)
    text = base64.standard_b64encode(content).decode("ascii")
    size = f"size={len(content)};width={columns};height=auto;preserveAspectRatio=1"
    return f"\x1b]1337;File=inline=1;{size}:{text}\x07"


def sixel(picture: "Image.Image") -> str:
    """The picture in its own pixels as sixel graphics, with at most 256 colours.

    As in DEC's VT330/VT340 Programmer Reference Manual, chapter 14: a band of six rows after another, of which each
    colour is drawn by itself; colours are in per cent.
    """
    import numpy as np

    reduced = picture.convert("RGB").quantize(_COLOURS)
    palette = np.asarray(reduced.getpalette("RGB"), np.uint8).reshape(-1, 3)
    percent = np.rint(palette.astype(np.float64) * 100 / 255).astype(int)
    registers = "".join(f"#{number};2;{red};{green};{blue}" for number, (red, green, blue) in enumerate(percent))
    bands = "-".join(_band(band) for band in _bands(np.asarray(reduced)))
    return f'\x1bP0;1;0q"1;1;{picture.width};{picture.height}{registers}{bands}\x1b\\'


def _bands(indices: "npt.NDArray[np.uint8]") -> "Iterator[npt.NDArray[np.uint8]]":
    for top in range(0, len(indices), _BAND):
        yield indices[top : top + _BAND]


def _band(indices: "npt.NDArray[np.uint8]") -> str:
    """Up to six rows [R, W] of colour numbers; ``$`` goes back to the beginning of the band."""
    import numpy as np

    bits = 1 << np.arange(len(indices))[:, None]
    colours = np.unique(indices).tolist()
    return "$".join(f"#{number}{_runs(((indices == number) * bits).sum(axis=0))}" for number in colours)


def _runs(sixels: "npt.NDArray[np.int64]") -> str:
    """One row of sixels, 0 to 63 each; ``!N`` repeats the next one N times."""
    import numpy as np

    begins = np.flatnonzero(np.diff(sixels, prepend=-1))
    lengths = np.diff(begins, append=len(sixels)).tolist()
    parts = []
    for value, length in zip(sixels[begins].tolist(), lengths, strict=True):
        character = chr(63 + value)
        parts.append(f"!{length}{character}" if length > 3 else character * length)
    return "".join(parts)


def _png(picture: "Image.Image") -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
