"""The tables of names: each is a way there and back, for whole networks of every layout."""

from dataclasses import replace

import pytest
import torch
from small_checkpoints import ENCODER, HYBRID, LABELS, PLAIN, STEM_ONLY, random_weights

from vithybrid_cli.checkpoints.layouts import key_maps
from vithybrid_cli.checkpoints.layouts.key_maps import ZEROS, KeyMap
from vithybrid_cli.checkpoints.load import transformers_map
from vithybrid_cli.model.config import BitClassifierConfig, BitConfig, NetworkConfig

DEIT = replace(PLAIN, family="deit", distillation_token=True, distillation_head=True)
BEIT = replace(
    PLAIN,
    family="beit",
    encoder=replace(ENCODER, layer_scale=True, relative_positions="each"),
    absolute_positions=False,
    mean_pooling=True,
    mask_token=True,
)
SCALED = replace(PLAIN, encoder=replace(ENCODER, layer_scale=True), only_patches_have_positions=True)
BIT = BitClassifierConfig(BitConfig(32, (128,), (2,), preactivation=True, same_padding=False, out_stage=1), LABELS)
POOLED = replace(PLAIN, labels=(), pooler=True)


@pytest.mark.parametrize(
    ("key_map", "config"),
    [
        pytest.param(transformers_map(PLAIN), PLAIN, id="transformers, ViT"),
        pytest.param(transformers_map(HYBRID), HYBRID, id="transformers, hybrid"),
        pytest.param(transformers_map(DEIT), DEIT, id="transformers, DeiT"),
        pytest.param(transformers_map(POOLED, nested=False), POOLED, id="transformers, not nested"),
        pytest.param(key_maps.timm(stem_only=False), HYBRID, id="timm, hybrid"),
        pytest.param(key_maps.timm(stem_only=True), STEM_ONLY, id="timm, stem alone"),
        pytest.param(key_maps.timm(stem_only=False), DEIT, id="timm, DeiT"),
        pytest.param(key_maps.timm(norm="fc_norm"), PLAIN, id="timm, norm of the pooled token"),
        pytest.param(key_maps.timm_of(SCALED, ()), SCALED, id="timm, LayerScale"),
        pytest.param(key_maps.timm_of(SCALED, {"blocks.0.gamma_1"}), SCALED, id="timm, LayerScale by its old name"),
        pytest.param(key_maps.timm_of(BIT, ()), BIT, id="timm, BiT"),
        pytest.param(key_maps.JAX, HYBRID, id="JAX, hybrid"),
        pytest.param(key_maps.JAX, STEM_ONLY, id="JAX, stem alone"),
        pytest.param(key_maps.JAX, replace(PLAIN, pooler=True), id="JAX, pre-logits"),
    ],
)
def test_renaming_a_whole_network_there_and_back_changes_nothing(key_map: KeyMap, config: NetworkConfig) -> None:
    ours = random_weights(config)
    back = key_map.to_ours(key_map.from_ours(ours))
    assert back.keys() == ours.keys()
    assert [name for name in ours if not torch.equal(back[name], ours[name])] == []


def test_beit_has_no_bias_of_the_keys_and_gets_zeros_for_it() -> None:
    key_map, ours = transformers_map(BEIT), random_weights(BEIT)
    theirs = key_map.from_ours(ours)
    assert not any(name.endswith("key.bias") or name == ZEROS for name in theirs)
    width = BEIT.encoder.hidden_size
    bias = key_map.to_ours(theirs)["blocks.0.attn.qkv.bias"]
    assert torch.equal(bias[width : 2 * width], torch.zeros(width))
    assert torch.equal(bias[:width], ours["blocks.0.attn.qkv.bias"][:width])


def test_the_head_of_timms_bit_is_a_convolution() -> None:
    ours = random_weights(BIT)
    theirs = key_maps.timm_bit().from_ours(ours)
    assert theirs["head.fc.weight"].shape == (3, 128, 1, 1)
    assert theirs["head.fc.bias"].shape == (3,)


def test_timms_beit_has_a_bias_for_queries_and_one_for_values() -> None:
    key_map, ours = key_maps.timm_of(BEIT, {"blocks.0.gamma_1"}), random_weights(replace(BEIT, mask_token=False))
    theirs = key_map.from_ours(ours)
    query, _, value = ours["blocks.0.attn.qkv.bias"].chunk(3)
    assert torch.equal(theirs["blocks.0.attn.q_bias"], query)
    assert torch.equal(theirs["blocks.0.attn.v_bias"], value)
    assert not any(name.endswith("k_bias") for name in theirs)
    assert torch.equal(key_map.to_ours(theirs)["blocks.0.attn.qkv.bias"], torch.cat((query, 0 * query, value)))


def test_jax_counts_blocks_and_units_from_1() -> None:
    names = key_maps.JAX.from_ours(random_weights(HYBRID))
    assert "block1/unit1/conv1/kernel" in names
    assert "block2/unit2/gn3/scale" in names
    assert not any("0" in name for name in names if name.startswith("block"))


@pytest.mark.parametrize(
    ("key_map", "name"),
    [
        pytest.param(transformers_map(PLAIN), "norm.weight", id="our own name"),
        pytest.param(transformers_map(PLAIN), "vit.encoder.layer.x.layernorm_before.weight", id="no index"),
        pytest.param(transformers_map(PLAIN), "vit.layernorm.weight.more", id="more after the name"),
        pytest.param(key_maps.JAX, "block0/unit1/conv1/kernel", id="JAX's blocks have no 0"),
        pytest.param(key_maps.timm(), "norm_pre.weight", id="what timm's ViTs here lack"),
    ],
)
def test_a_name_that_no_row_knows_is_a_key_error(key_map: KeyMap, name: str) -> None:
    with pytest.raises(KeyError):
        key_map.to_ours({name: torch.zeros(1)})


def test_a_part_of_a_stack_that_is_missing_is_a_key_error() -> None:
    key_map = transformers_map(PLAIN)
    theirs = key_map.from_ours(random_weights(PLAIN))
    del theirs["vit.encoder.layer.0.attention.attention.key.weight"]
    with pytest.raises(KeyError, match=r"key\.weight"):
        key_map.to_ours(theirs)
