"""The average of a network's weights over its last steps, which labels better than the weights of any one of them."""

import torch
from torch import nn


class Average:
    """An exponential moving average that reaches ``horizon`` steps back; the plain mean before that many steps."""

    def __init__(self, network: nn.Module, horizon: float) -> None:
        self.horizon = max(horizon, 1.0)
        self.steps = 0
        self.weights = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after one more step."""
        self.steps += 1
        share = 1 / min(self.steps, self.horizon)
        for name, parameter in network.named_parameters():
            self.weights[name].lerp_(parameter, share)
