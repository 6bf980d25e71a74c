"""The network that is trained: its beginnings, its head, and pictures of another size."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from small_trainings import CONFIG
from torch import Tensor, nn

from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.model.interpolate import resized
from vithybrid_cli.model.vit import VisionTransformer
from vithybrid_cli.training.network import raw_weights, take_size, takes_any_size, trainable_network, with_temperature


def test_a_new_beit_begins_with_small_residual_branches_and_no_positions() -> None:
    encoder = replace(CONFIG.encoder, layer_scale=True, relative_positions="shared")
    start = raw_weights(trainable_network(replace(CONFIG, encoder=encoder)))
    assert start["blocks.0.ls1.gamma"].tolist() == pytest.approx([0.1] * 16)
    assert start["blocks.0.ls2.gamma"].tolist() == pytest.approx([0.1] * 16)
    assert not start["relative_position_bias.table"].any()


def positions(network: VisionTransformer) -> Tensor:
    found = network.embeddings.position_embeddings
    assert found is not None
    return found


def with_random_head(config: VitConfig) -> VisionTransformer:
    network = trainable_network(config)
    assert isinstance(network.head, nn.Linear)
    nn.init.normal_(network.head.weight)
    nn.init.normal_(network.head.bias)
    return network


def test_pictures_of_another_size_get_the_positions_that_a_network_of_that_size_would_load() -> None:
    network = trainable_network(CONFIG)
    take_size(network, (32, 48))
    wanted = replace(CONFIG, image_size=(32, 48))
    expected = resized(raw_weights(network), CONFIG, wanted)["embeddings.position_embeddings"]
    assert torch.equal(positions(network), expected)
    trainable = trainable_network(wanted, {**raw_weights(network), "embeddings.position_embeddings": expected})
    pixels = torch.rand(2, 3, 32, 48)
    assert torch.allclose(network(pixels), trainable(pixels), atol=1e-6)


def test_positions_learn_through_their_interpolation() -> None:
    network = with_random_head(CONFIG)
    take_size(network, (32, 32))
    network(torch.rand(2, 3, 32, 32)).sum().backward()
    stored = dict(network.embeddings.named_parameters())["parametrizations.position_embeddings.original"]
    assert stored.grad is not None
    assert stored.grad.shape == (1, 10, 16)
    assert (stored.grad.abs().sum(-1) > 0).all()


def test_the_size_of_the_config_takes_the_positions_as_they_are() -> None:
    network = trainable_network(CONFIG)
    take_size(network, (32, 32))
    take_size(network, CONFIG.image_size)
    assert torch.equal(positions(network), raw_weights(network)["embeddings.position_embeddings"])


@pytest.mark.parametrize("positions", ["shared", "each"])
def test_relative_positions_keep_one_size(positions: Literal["shared", "each"]) -> None:
    encoder = replace(CONFIG.encoder, relative_positions=positions)
    assert not takes_any_size(trainable_network(replace(CONFIG, encoder=encoder)))
    assert takes_any_size(trainable_network(CONFIG))


def test_a_head_with_a_temperature_divides_its_logits_by_it() -> None:
    network = with_random_head(CONFIG)
    pixels = torch.rand(2, 3, 16, 16)
    cooler = trainable_network(CONFIG, with_temperature(raw_weights(network), 2.0))
    assert torch.allclose(cooler(pixels), network(pixels) / 2, atol=1e-6)
