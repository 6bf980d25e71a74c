"""Whether a device computes what the CPU does.

Asked of Apple's MPS, which lacks some operations, and where others gave wrong numbers without a word in some versions
of macOS and torch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vithybrid_cli.engines.torch_features import RunnableNetwork
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Normalization

# Of the largest logit: several times what rounding explains, and a small part of what a wrong operation does.
_TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.1}
_REMEDY = "Use --device cpu, or a newer macOS and torch."

Pixels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SelfTest:
    """A fixed picture [1, H, W, 3], and its logits [1, C] as the CPU computes them in float32."""

    pixels: Pixels
    expected: Logits

    @classmethod
    @torch.inference_mode()
    def of(cls, network: RunnableNetwork, normalization: Normalization) -> "SelfTest":
        """For a float32 network that is still on the CPU."""
        pixels = np.random.default_rng(0).integers(0, 256, (1, *network.config.image_size, 3), np.uint8)
        return cls(pixels, network(torch.from_numpy(normalization.apply(pixels))).numpy())

    def require(self, logits: Callable[[Pixels], Logits], dtype: torch.dtype) -> None:
        """Raise UsageError unless ``logits`` gives the same but for the rounding of ``dtype``."""
        try:
            actual = logits(self.pixels)
        except RuntimeError as error:  # NotImplementedError is one
            reason = str(error).strip().split("\n")[0]
            raise UsageError(f"the GPU of this Mac cannot compute this network ({reason}). {_REMEDY}") from error
        difference = float(np.abs(actual - self.expected).max() / np.abs(self.expected).max())
        if not difference <= _TOLERANCE[dtype]:  # what is no number is not within it either
            raise UsageError(
                "the GPU of this Mac computes something else than the CPU: largest difference "
                f"{difference:.2g} of the largest logit, where {_TOLERANCE[dtype]:g} is allowed. {_REMEDY}"
            )
