"""What each method gives: how much each part of a picture speaks for a label."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vithybrid_cli.choices import Method


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """``values`` float32 [h, w] on the method's own grid, which covers the network's whole input evenly.

    A larger value is more evidence; values of different pictures, labels or methods do not compare. In a ``signed`` map
    0 is neutral and less than 0 speaks against the label; others have nothing below 0.
    """

    values: npt.NDArray[np.float32]
    method: Method
    signed: bool
