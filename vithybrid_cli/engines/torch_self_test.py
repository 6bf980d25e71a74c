"""Checks that a device computes what the CPU does.

For Apple's MPS, which lacks some operations and, in some versions of macOS and torch, silently gives wrong numbers for
others.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vithybrid_cli.engines.torch_features import RunnableNetwork
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Normalization

# Relative to the largest logit: several times what rounding explains, far less than what a wrong operation does.
_TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.1}
_REMEDY = "Give {device=cpu}, or a newer macOS and torch."

Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SelfTest:
    """A fixed picture [1, H, W, 3], and its rows [1, C] as the CPU computes them in float32."""

    pixels: Pixels
    expected: Rows

    @classmethod
    @torch.inference_mode()
    def of(cls, network: RunnableNetwork, normalization: Normalization) -> "SelfTest":
        """For a float32 network on the CPU."""
        pixels = np.random.default_rng(0).integers(0, 256, (1, *network.config.image_size, 3), np.uint8)
        return cls(pixels, network(torch.from_numpy(normalization.apply(pixels))).numpy())

    def require(self, run: Callable[[Pixels], Rows], dtype: torch.dtype) -> None:
        """Raise UsageError unless ``run`` gives the same within the rounding of ``dtype``."""
        try:
            actual = run(self.pixels)
        except RuntimeError as error:  # NotImplementedError is one
            reason = str(error).strip().split("\n")[0].rstrip(".")
            raise UsageError(f"The GPU of this Mac cannot compute this network ({reason}).", _REMEDY) from error
        difference = float(np.abs(actual - self.expected).max() / np.abs(self.expected).max())
        if not difference <= _TOLERANCE[dtype]:  # nor if it is not finite
            raise UsageError(
                f"The GPU of this Mac does not compute what the CPU does: the largest difference is {difference:.2g} "
                f"of the largest logit, where {_TOLERANCE[dtype]:g} is allowed.",
                _REMEDY,
            )
