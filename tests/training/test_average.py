"""The average of a network's weights over its last steps."""

import torch
from torch import nn

from vithybrid_cli.training.average import Average


def averages(values: list[float], horizon: float) -> list[float]:
    """The average after each step, of a network with one weight that has these ``values``."""
    network = nn.Linear(1, 1, bias=False)
    average, found = Average(network, horizon), []
    for value in values:
        nn.init.constant_(network.weight, value)
        average.update(network)
        found.append(average.weights["weight"].item())
    return found


def test_the_first_steps_are_averaged_plainly_and_the_weights_before_them_do_not_count() -> None:
    assert averages([4.0, 8.0, 0.0, 4.0], horizon=10) == [4.0, 6.0, 4.0, 4.0]


def test_after_as_many_steps_as_it_reaches_back_it_is_an_exponential_average() -> None:
    *_, third, fourth, fifth = averages([0.0, 0.0, 8.0, 8.0, 0.0], horizon=2)
    assert (third, fourth, fifth) == (4.0, 6.0, 3.0)


def test_an_average_that_reaches_back_less_than_a_step_is_the_weight_itself() -> None:
    assert averages([1.0, 5.0, 2.0], horizon=0.2) == [1.0, 5.0, 2.0]


def test_weights_that_do_not_learn_are_not_kept_twice() -> None:
    network = nn.Linear(2, 2)
    network.bias.requires_grad_(False)
    assert list(Average(network, 3).weights) == ["weight"]


def test_the_average_is_no_view_of_the_weights() -> None:
    network = nn.Linear(2, 2)
    average = Average(network, 3)
    average.update(network)
    before = average.weights["weight"].clone()
    nn.init.zeros_(network.weight)
    assert torch.equal(average.weights["weight"], before)
