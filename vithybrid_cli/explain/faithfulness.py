"""How faithful a map is: what the label's score does as the parts that the map names are added or taken away.

Insertion and deletion of https://arxiv.org/abs/1806.07421, with what is missing as there. Insertion begins with the
picture blurred, since a grey one with a few sharp islands has edges that the picture has not; deletion ends with one
colour, since a blurred part may still show what it was. Here that colour is the picture's own mean.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

STEPS = 20  # in which all of the picture is added or taken away
BLUR = 1 / 10  # the radius (standard deviation) as a share of the picture's side

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]
Scores = Callable[[Pixels], npt.NDArray[np.floating]]  # pictures [N, H, W, 3] → the score of the label for each [N]


@dataclass(frozen=True, slots=True)
class Areas:
    """The areas under both curves: the label's mean score as parts are added, and as they are taken away.

    A faithful map has a large ``insertion`` and a small ``deletion``.
    """

    insertion: float
    deletion: float

    @property
    def difference(self) -> float:
        """Insertion − deletion: one number in which more is better."""
        return self.insertion - self.deletion


def areas(scores: Scores, pixels: Pixels, values: Values) -> Areas:
    """Both areas for a map ``values`` [h, w] of uint8 pixels [H, W, 3], from 2 (STEPS + 1) pictures."""
    ranks = removal_ranks(values, pixels.shape[:2])
    found = scores(np.stack([*steps(blurred(pixels), pixels, ranks), *steps(pixels, mean_colour(pixels), ranks)]))
    return Areas(_area(found[: STEPS + 1]), _area(found[STEPS + 1 :]))


def removal_ranks(values: Values, size: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """The place of each pixel [H, W] in the order of the map, 0 for the highest.

    The map is brought to the picture's size bilinearly. Equal pixels come in an order that is random, and always the
    same: one by rows would favour the upper edge.
    """
    height, width = size
    large = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR)).ravel()
    chance = np.random.default_rng(0).permutation(large.size)
    ranks = np.empty(large.size, np.intp)
    ranks[np.lexsort((chance, -large))] = np.arange(large.size)
    return ranks.reshape(height, width)


def steps(start: Pixels, end: Pixels, ranks: npt.NDArray[np.intp]) -> Iterator[Pixels]:
    """STEPS + 1 pictures: ``start``, whose pixels are replaced by those of ``end`` by their ranks."""
    for step in range(STEPS + 1):
        yield np.where((ranks < step * ranks.size // STEPS)[..., None], end, start)


def blurred(pixels: Pixels) -> Pixels:
    """The picture so blurred that hardly anything can be told."""
    radius = BLUR * min(pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def mean_colour(pixels: Pixels) -> Pixels:
    """A picture of one colour, the mean of all pixels."""
    return np.broadcast_to(pixels.mean((0, 1)).round().astype(np.uint8), pixels.shape)


def random_map(grid: tuple[int, int], seed: int) -> Values:
    """What a map has to be better than: chance, on a grid of rows and columns."""
    return np.random.default_rng(seed).random(grid, np.float32)


def centred_blob(grid: tuple[int, int]) -> Values:
    """What a map should be better than, too: photographers put things into the middle."""
    row, column = (np.linspace(-1, 1, length, dtype=np.float32) for length in grid)
    return np.asarray(np.exp(-(row[:, None] ** 2 + column**2)), np.float32)


def _area(scores: npt.NDArray[np.floating]) -> float:
    return float(np.trapezoid(scores, dx=1 / STEPS))
