"""The loss of a batch and its gradient, in parts that threads compute side by side.

The loss is the one of the published ``forward(labels=…)``, with label smoothing (https://arxiv.org/abs/1512.00567).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vithybrid_cli.images.preprocess import Normalization
from vithybrid_cli.training.augment import Pixels
from vithybrid_cli.training.batches import Batch
from vithybrid_cli.training.precision import gains_from_bfloat16

# Of a batch on a CPU. Fixed, so that sums do not depend on the number of cores; with more, each is less efficient.
PARTS = 4


class Loss:
    """What a ``network`` makes of pictures, and how wrong that is; each label's pictures count by its weight [C]."""

    def __init__(
        self,
        network: nn.Module,
        normalization: Normalization,
        label_weights: Tensor,
        smoothing: float,
        device: torch.device,
    ) -> None:
        self._network, self._normalization, self._smoothing = network, normalization, smoothing
        self._label_weights, self._device = label_weights.to(device), device
        self._bfloat16 = gains_from_bfloat16(device)

    def logits(self, pixels: Pixels) -> Tensor:
        """The outputs [N, C] in float32 for pictures uint8 [N, H, W, 3]."""
        return self.forward(normalized(torch.from_numpy(pixels).to(self._device), self._normalization)).float()

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs [N, C] for ``inputs`` [N, 3, H, W], in bfloat16 where the device gains from it."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            outputs: Tensor = self._network(inputs)
        return outputs

    def part(self, batch: Batch, chosen: npt.NDArray[np.intp]) -> Tensor:
        """What the pictures ``chosen`` add to the mean loss of their batch."""
        targets = torch.from_numpy(batch.targets[chosen]).to(self._device)
        logits = self.logits(batch.pixels[chosen])
        losses = F.cross_entropy(logits, targets, label_smoothing=self._smoothing, reduction="none")
        # By the pictures, not by their weights: else one would count the less, the rarer the labels of its batch are.
        return (losses * self._label_weights[targets]).sum() / len(batch.targets)


def set_gradients(
    loss: Loss, batch: Batch, parameters: list[nn.Parameter], parts: int, threads: ThreadPoolExecutor
) -> float:
    """Give the ``parameters`` their gradients of a batch, which is computed in ``parts``; its mean loss."""

    def one(chosen: npt.NDArray[np.intp]) -> tuple[float, tuple[Tensor, ...]]:
        share = loss.part(batch, chosen)
        return share.item(), torch.autograd.grad(share, parameters)

    total = 0.0
    done = threads.map(one, parts_of(np.arange(len(batch.targets)), parts))
    for number, (share, gradients) in enumerate(done):  # in this order, whichever was first
        total += share
        _add(parameters, gradients, first=number == 0)
    return total


def parts_of(whole: npt.NDArray[Any], count: int) -> list[npt.NDArray[Any]]:
    """The parts of what is given for each picture of a batch, as equal as can be, and none of them empty."""
    return [part for part in np.array_split(whole, count) if len(part)]


def _add(parameters: list[nn.Parameter], gradients: tuple[Tensor, ...], *, first: bool) -> None:
    """Add the gradients of a part of a batch to those of the parts before it."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if first:
            # A copy, since two of them may share memory, in the layout of the parameter: the fused AdamW pairs
            # the numbers as they lie in memory, and of a convolution's weight those lie in another order.
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
        else:
            assert parameter.grad is not None
            parameter.grad.add_(gradient)


def normalized(pixels: Tensor, normalization: Normalization) -> Tensor:
    """uint8 [N, H, W, 3] → float32 [N, 3, H, W], which is channels_last already."""
    mean, std = (
        torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (normalization.mean, normalization.std)
    )
    return (pixels.permute(0, 3, 1, 2).float() * normalization.scale - mean) / std
