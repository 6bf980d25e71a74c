"""The average of a network's weights over its last steps, which labels better than the weights of any one of them."""

import torch
from torch import nn

from vithybrid_cli.training.network import learning


class Average:
    """An exponential moving average that reaches ``horizon`` steps back; the plain mean before that many steps.

    Of the weights that learn: the others stay what they are.
    """

    def __init__(self, network: nn.Module, horizon: float) -> None:
        self.horizon = max(horizon, 1.0)
        self.steps = 0
        self.weights = {name: parameter.detach().clone() for name, parameter in learning(network)}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after one more step."""
        self.steps += 1
        share = 1 / min(self.steps, self.horizon)
        for name, parameter in learning(network):
            self.weights[name].lerp_(parameter, share)
