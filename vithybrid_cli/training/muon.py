"""Muon, an optimiser for the matrices inside a network: momentum whose singular values are all set to about 1.

K. Jordan and others, "Muon: An optimizer for hidden layers in neural networks" (2024),
https://kellerjordan.github.io/posts/muon/. torch has one since 2.9, for two dimensions alone.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
# The coefficients and the number of Newton–Schulz steps of the article: steep at 0, and not exactly 1 at the end.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5
_EPS = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov's momentum and decoupled weight decay; of a convolution, each output is a row of the matrix.

    All matrices of one shape are orthogonalised together, in ``dtype``.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = MOMENTUM,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.dtype = dtype

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for alike in self.alike():
            self.step_alike(alike)

    def alike(self) -> list[list[nn.Parameter]]:
        """The parameters that have a gradient, those of one shape together."""
        found: defaultdict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    found[parameter.flatten(1).shape].append(parameter)
        return list(found.values())

    @torch.no_grad()
    def step_alike(self, parameters: list[nn.Parameter]) -> None:
        """The step of some parameters of one shape; of different ones it may be done in different threads."""
        group = self.param_groups[0]
        updates = [self._momentum(parameter, group["momentum"]).flatten(1) for parameter in parameters]
        rows, columns = updates[0].shape
        # As the article's code: the more outputs than inputs a matrix has, the longer its steps.
        rate = group["lr"] * max(1.0, rows / columns) ** 0.5
        directions = orthogonalized(torch.stack(updates).to(self.dtype))
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(direction.to(parameter.dtype).view_as(parameter), alpha=-rate)

    def _momentum(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """The gradient after Nesterov's momentum, which it is added to."""
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        buffer.lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum).contiguous()


def orthogonalized(matrices: Tensor) -> Tensor:
    """Matrices [N, rows, columns] with their singular vectors, and singular values between about 0.7 and 1.2."""
    a, b, c = _COEFFICIENTS
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + _EPS)
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT
