"""Which optimiser trains which parameter, and how fast."""

from dataclasses import replace

import pytest
import torch
from small_trainings import CONFIG, FULL_RECIPE, PLAIN_RECIPE

from vithybrid_cli.choices import Freeze
from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.model.vit import VisionTransformer
from vithybrid_cli.training import optimizers as module
from vithybrid_cli.training.muon import Muon
from vithybrid_cli.training.network import freeze, raw_name, trainable_network
from vithybrid_cli.training.optimizers import optimizers


def small(config: VitConfig = CONFIG) -> VisionTransformer:
    return trainable_network(config)


def names(network: VisionTransformer, parameters: list[torch.nn.Parameter]) -> set[str]:
    identities = {id(parameter) for parameter in parameters}
    return {raw_name(name) for name, parameter in network.named_parameters() if id(parameter) in identities}


def those_of(
    kind: type[torch.optim.Optimizer], network: VisionTransformer, made: list[torch.optim.Optimizer]
) -> set[str]:
    return {
        name
        for optimizer in made
        if isinstance(optimizer, kind)
        for group in optimizer.param_groups
        for name in names(network, group["params"])
    }


MATRICES = {
    "blocks.0.attn.qkv.weight",
    "blocks.0.attn.proj.weight",
    "blocks.0.mlp.fc1.weight",
    "blocks.0.mlp.fc2.weight",
}


def test_vectors_tokens_and_positions_do_not_decay() -> None:
    encoder = replace(CONFIG.encoder, layer_scale=True, relative_positions="each")
    network = small(replace(CONFIG, encoder=encoder, backbone=None, distillation_token=True))
    (adam,) = optimizers(network, PLAIN_RECIPE)
    decayed = [group for group in adam.param_groups if group["weight_decay"] == PLAIN_RECIPE.weight_decay]
    kept = [group for group in adam.param_groups if group["weight_decay"] == 0.0]
    assert len(decayed) + len(kept) == len(adam.param_groups)
    found = {name for group in decayed for name in names(network, group["params"])}
    assert found == MATRICES | {"embeddings.projection.weight", "head.weight"}


def test_each_parameter_that_learns_has_one_optimiser() -> None:
    network = small()
    parameters = [
        id(parameter)
        for optimizer in optimizers(network, FULL_RECIPE)
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    assert sorted(parameters) == sorted(id(parameter) for parameter in network.parameters())


def test_matrices_and_convolutions_within_are_muons_and_what_reads_pixels_or_makes_logits_is_not() -> None:
    network = small()
    muon = those_of(Muon, network, optimizers(network, FULL_RECIPE))
    convolutions = {f"embeddings.backbone.stages.0.0.{name}.weight" for name in ("conv1", "conv2", "conv3")}
    assert muon == MATRICES | convolutions | {
        "embeddings.projection.weight",
        "embeddings.backbone.stages.0.0.downsample.conv.weight",
    }


def test_patches_of_pixels_are_not_muons() -> None:
    network = small(replace(CONFIG, backbone=None, patch_size=(8, 8), family="vit"))
    assert those_of(Muon, network, optimizers(network, FULL_RECIPE)) == MATRICES


@pytest.mark.parametrize("freezing", list(Freeze))
def test_what_is_frozen_has_no_optimiser(freezing: Freeze) -> None:
    network = small()
    freeze(network, freezing)
    made = optimizers(network, FULL_RECIPE)
    learning = those_of(torch.optim.Optimizer, network, made)
    assert learning == {raw_name(name) for name, one in network.named_parameters() if one.requires_grad}
    assert not any(name.startswith("embeddings.backbone.") for name in learning)
    assert (learning == {"head.weight", "head.bias"}) is (freezing is Freeze.ENCODER)


def test_each_layer_learns_more_slowly_than_the_next_one_towards_the_head() -> None:
    network = small(replace(CONFIG, encoder=replace(CONFIG.encoder, num_hidden_layers=2)))
    recipe = replace(FULL_RECIPE, layer_decay=0.5)
    rates = {
        name: group["highest"] / (recipe.learning_rate if isinstance(optimizer, torch.optim.AdamW) else 0.02)
        for optimizer in optimizers(network, recipe)
        for group in optimizer.param_groups
        for name in names(network, group["params"])
    }
    assert rates["head.weight"] == rates["norm.weight"] == 1.0
    assert rates["blocks.1.attn.qkv.weight"] == rates["blocks.1.norm1.bias"] == 0.5
    assert rates["blocks.0.mlp.fc1.weight"] == 0.25
    assert rates["embeddings.projection.weight"] == rates["embeddings.cls_token"] == 0.125
    assert rates["embeddings.backbone.stem.conv.weight"] == 0.125


@pytest.mark.parametrize("hardware", [True, False])
def test_matrices_are_orthogonalised_in_bfloat16_only_where_the_machine_computes_it(
    monkeypatch: pytest.MonkeyPatch, hardware: bool
) -> None:
    monkeypatch.setattr(module, "gains_from_bfloat16", lambda device: hardware)
    (muon,) = (one for one in optimizers(small(), FULL_RECIPE) if isinstance(one, Muon))
    assert muon.dtype is (torch.bfloat16 if hardware else torch.float32)
