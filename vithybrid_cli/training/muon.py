"""Muon, an optimiser for the matrices inside a network: momentum whose singular values are all set to about 1.

K. Jordan and others, "Muon: An optimizer for hidden layers in neural networks" (2024),
https://kellerjordan.github.io/posts/muon/. torch has one since 2.9, for two dimensions alone.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
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

    All matrices of one shape are orthogonalised together, in ``dtype``. The weights of query, key and value are one
    matrix here, as the network stores them, where the article advises three.
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

    def alike(self) -> list["Alike"]:
        """The parameters that have a gradient, those of one group and shape together."""
        found: defaultdict[tuple[int, int, int], list[nn.Parameter]] = defaultdict(list)
        for number, group in enumerate(self.param_groups):
            for parameter in group["params"]:
                if parameter.grad is not None:
                    rows = parameter.shape[0]
                    found[number, rows, parameter.numel() // rows].append(parameter)
        return [Alike(parameters, self.param_groups[number]) for (number, _, _), parameters in found.items()]

    @torch.no_grad()
    def step_alike(self, alike: "Alike") -> None:
        """The step of some parameters of `alike`; those of different ones may be done in different threads."""
        rate, momentum, decay = (alike.group[name] for name in ("lr", "momentum", "weight_decay"))
        updates = torch.stack([self._momentum(parameter, momentum).flatten(1) for parameter in alike.parameters])
        rows, columns = updates.shape[1:]
        # As the article's code: the more outputs than inputs a matrix has, the longer its steps.
        length = rate * max(1.0, rows / columns) ** 0.5
        for parameter, direction in zip(alike.parameters, orthogonalized(updates.to(self.dtype)), strict=True):
            parameter.mul_(1 - rate * decay)
            parameter.add_(direction.to(parameter.dtype).view(parameter.shape), alpha=-length)

    def _momentum(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """The gradient after Nesterov's momentum, which it is added to."""
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        buffer.lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum).contiguous()  # in rows, whatever the layout of a convolution


@dataclass(frozen=True, slots=True)
class Alike:
    """Parameters that are matrices of one shape, and the optimiser's group that they are of."""

    parameters: list[nn.Parameter]
    group: dict[str, Any]


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
