"""timm's DeiT-3, BEiT, BiT and ViTs with other parts: what a folder tells of them, and what is refused by name."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_checkpoints import ENCODER, HYBRID, LABELS, PLAIN, random_weights, write_timm
from torch import Tensor

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.timm import read_config
from vithybrid_cli.checkpoints.load import load_network, read_weights
from vithybrid_cli.choices import Feature
from vithybrid_cli.engines.torch_features import load_for
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.model.config import BitClassifierConfig, BitConfig, EncoderConfig, NetworkConfig, VitConfig

SCALED = replace(ENCODER, layer_scale=True)
DEIT3 = replace(PLAIN, encoder=SCALED, only_patches_have_positions=True)
NO_CLS = replace(PLAIN, class_token=False, mean_pooling=True)
BEIT = replace(
    PLAIN,
    family="beit",
    encoder=replace(SCALED, relative_positions="each"),
    absolute_positions=False,
    mean_pooling=True,
)
BIT = BitClassifierConfig(
    BitConfig(32, (128, 128, 128, 256), (1, 2, 1, 1), preactivation=True, same_padding=False), LABELS, (64, 64)
)


def refused(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> str:
    with pytest.raises(ModelError) as error:
        read_config(config, shapes)
    return error.value.cause


def stored(config: NetworkConfig) -> dict[str, Tensor]:
    """Random weights; BEiT's keys have no bias."""
    weights = random_weights(config)
    if isinstance(config, VitConfig) and config.family == "beit":
        for name in [name for name in weights if name.endswith("qkv.bias")]:
            query, _, value = weights[name].chunk(3)
            weights[name] = torch.cat((query, torch.zeros_like(query), value))
    return weights


@pytest.mark.parametrize(
    ("config", "architecture", "fields"),
    [
        pytest.param(DEIT3, "deit3_small_patch16_224.fb_in22k_ft_in1k", {}, id="DeiT-3"),
        pytest.param(DEIT3, "deit3_base_patch16_224_in21ft1k", {}, id="DeiT-3 by an old name"),
        pytest.param(replace(PLAIN, encoder=SCALED), "vit_small_patch14_dinov2", {}, id="LayerScale"),
        pytest.param(replace(PLAIN, only_patches_have_positions=True), "flexivit_small", {}, id="CLS without position"),
        pytest.param(NO_CLS, "vit_base_patch16_224", {"global_pool": "avg"}, id="no CLS"),
        pytest.param(replace(NO_CLS, norm_before_pooling=True), "vit_medium_patch16_gap_256", {}, id="mean of norms"),
        pytest.param(
            replace(PLAIN, mean_pooling=True, norm_before_pooling=True),
            "vit_base_patch16_224",
            {"model_args": {"global_pool": "avg", "fc_norm": False}},
            id="mean of norms, with CLS",
        ),
        pytest.param(
            replace(NO_CLS, encoder=replace(ENCODER, hidden_act="gelu_new"), norm_before_pooling=True),
            "vit_base_patch32_siglip_gap_256",
            {},
            id="activation by name",
        ),
        pytest.param(
            replace(PLAIN, encoder=replace(ENCODER, hidden_act="gelu_new")),
            "vit_base_patch16_224",
            {"model_args": {"act_layer": "gelu_tanh"}},
            id="activation by argument",
        ),
        pytest.param(replace(PLAIN, absolute_positions=False), "vit_base_patch16_224", {}, id="no positions"),
        pytest.param(
            replace(HYBRID, class_token=False, mean_pooling=True, encoder=SCALED),
            "vit_small_r26_s32_224",
            {"global_pool": "avg"},
            id="hybrid",
        ),
        pytest.param(replace(NO_CLS, labels=()), "vit_base_patch16_224", {"global_pool": ""}, id="no head to read CLS"),
        pytest.param(BEIT, "beit_base_patch16_224.in22k_ft_in22k_in1k", {}, id="BEiT"),
        pytest.param(
            replace(BEIT, encoder=replace(SCALED, relative_positions="shared")),
            "beitv2_base_patch16_224",
            {},
            id="BEiT with one table",
        ),
        pytest.param(
            replace(BEIT, encoder=ENCODER, absolute_positions=True, mean_pooling=False),
            "beit_large_patch16_512",
            {"model_args": {"global_pool": "token", "use_rel_pos_bias": False, "use_abs_pos_emb": True}},
            id="BEiT with positions, that reads CLS",
        ),
        pytest.param(replace(BEIT, labels=()), "beit_base_patch16_224", {}, id="BEiT without a head"),
        pytest.param(
            replace(BEIT, norm_before_pooling=True, labels=()),
            "beit_base_patch16_224",
            {"model_args": {"use_fc_norm": False}},
            id="BEiT without a head, mean of norms",
        ),
        pytest.param(HYBRID, "vit_base_resnet50_384", {}, id="hybrid by an old name"),
        pytest.param(BIT, "resnetv2_50x1_bit.goog_in21k_ft_in1k", {}, id="BiT"),
        pytest.param(BIT, "resnetv2_152x4_bitm", {"global_pool": "avg"}, id="BiT by an old name"),
        pytest.param(replace(BIT, labels=()), "resnetv2_50x1_bit", {"label_names": None}, id="BiT without a head"),
    ],
)
def test_a_folder_tells_its_network_and_its_weights(
    config: NetworkConfig, architecture: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    checkpoint = Checkpoint.read(write_timm(tmp_path, config, architecture, **fields))
    assert checkpoint.config == config
    found, expected = read_weights(checkpoint), stored(config)
    assert found.keys() == expected.keys()
    assert [name for name, tensor in expected.items() if not torch.equal(found[name], tensor)] == []
    logits = load_network(checkpoint)(torch.zeros(1, 3, *config.image_size))
    assert logits.isfinite().all()


# Names and shapes as timm 1.0.31 writes them, of a width of 8 and one layer.
ENCODED = {
    "patch_embed.proj.weight": (8, 3, 16, 16),
    "patch_embed.proj.bias": (8,),
    "blocks.0.norm1.weight": (8,),
    "blocks.0.norm1.bias": (8,),
    "blocks.0.attn.qkv.weight": (24, 8),
    "blocks.0.attn.proj.weight": (8, 8),
    "blocks.0.attn.proj.bias": (8,),
    "blocks.0.norm2.weight": (8,),
    "blocks.0.norm2.bias": (8,),
    "blocks.0.mlp.fc1.weight": (32, 8),
    "blocks.0.mlp.fc1.bias": (32,),
    "blocks.0.mlp.fc2.weight": (8, 32),
    "blocks.0.mlp.fc2.bias": (8,),
    "head.weight": (2, 8),
    "head.bias": (2,),
}
DEIT3_SHAPES = {
    **ENCODED,
    "cls_token": (1, 1, 8),
    "pos_embed": (1, 4, 8),
    "blocks.0.attn.qkv.bias": (24,),
    "blocks.0.ls1.gamma": (8,),
    "blocks.0.ls2.gamma": (8,),
    "norm.weight": (8,),
    "norm.bias": (8,),
}
BEIT_SHAPES = {
    **ENCODED,
    "cls_token": (1, 1, 8),
    "blocks.0.gamma_1": (8,),
    "blocks.0.gamma_2": (8,),
    "blocks.0.attn.q_bias": (8,),
    "blocks.0.attn.v_bias": (8,),
    "blocks.0.attn.relative_position_bias_table": (12, 2),
    "fc_norm.weight": (8,),
    "fc_norm.bias": (8,),
}
BIT_SHAPES = {
    "stem.conv.weight": (32, 3, 7, 7),
    **{
        f"stages.0.blocks.{block}.norm1.{kind}": (channels,)
        for block, channels in ((0, 32), (1, 128))
        for kind in ("weight", "bias")
    },
    "stages.0.blocks.0.downsample.conv.weight": (128, 32, 1, 1),
    "stages.0.blocks.0.conv1.weight": (32, 32, 1, 1),
    "stages.0.blocks.1.conv1.weight": (32, 128, 1, 1),
    **{f"stages.0.blocks.{block}.conv2.weight": (32, 32, 3, 3) for block in (0, 1)},
    **{f"stages.0.blocks.{block}.conv3.weight": (128, 32, 1, 1) for block in (0, 1)},
    **{
        f"stages.0.blocks.{block}.norm{part}.{kind}": (32,)
        for block in (0, 1)
        for part in (2, 3)
        for kind in ("weight", "bias")
    },
    "norm.weight": (128,),
    "norm.bias": (128,),
    "head.fc.weight": (2, 128, 1, 1),
    "head.fc.bias": (2,),
}
SMALL = {"label_names": ["cat", "dog"], "pretrained_cfg": {"input_size": [3, 32, 32]}}


@pytest.mark.parametrize(
    ("architecture", "shapes", "expected"),
    [
        pytest.param(
            "deit3_base_patch16_224",
            DEIT3_SHAPES,
            VitConfig(
                EncoderConfig(8, 1, 1, 32, layer_norm_eps=1e-6, layer_scale=True),
                ("cat", "dog"),
                (32, 32),
                only_patches_have_positions=True,
            ),
            id="DeiT-3",
        ),
        pytest.param(
            "beitv2_base_patch16_224",
            BEIT_SHAPES,
            VitConfig(
                EncoderConfig(8, 1, 2, 32, layer_norm_eps=1e-6, layer_scale=True, relative_positions="each"),
                ("cat", "dog"),
                (32, 32),
                family="beit",
                absolute_positions=False,
                mean_pooling=True,
            ),
            id="BEiT",
        ),
        pytest.param(
            "resnetv2_50x1_bit",
            BIT_SHAPES,
            BitClassifierConfig(
                BitConfig(32, (128,), (2,), preactivation=True, same_padding=False, out_stage=1),
                ("cat", "dog"),
                (32, 32),
            ),
            id="BiT",
        ),
    ],
)
def test_tensors_as_timm_names_them_are_the_network_and_all_of_it(
    architecture: str, shapes: dict[str, tuple[int, ...]], expected: NetworkConfig, tmp_path: Path
) -> None:
    save_file({name: torch.rand(shape) for name, shape in shapes.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": architecture, **SMALL}), encoding="utf-8")
    checkpoint = Checkpoint.read(tmp_path)
    assert checkpoint.config == expected
    assert load_network(checkpoint)(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


def test_deit_3_with_its_authors_names_of_the_scales_loads(tmp_path: Path) -> None:
    new, old = (write_timm(tmp_path / age, DEIT3, "deit3_small_patch16_224") for age in ("new", "old"))
    tensors = load_file(new / "model.safetensors")
    renamed = {name.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): tensors[name] for name in tensors}
    save_file(renamed, old / "model.safetensors")
    expected = load_network(Checkpoint.read(new)).state_dict()
    found = load_network(Checkpoint.read(old)).named_parameters()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found)


def test_the_norm_of_the_pooled_cls_token_is_its_norm(tmp_path: Path) -> None:
    folder = write_timm(tmp_path, PLAIN, "vit_tiny_patch16_224", model_args={"fc_norm": True})
    expected = load_network(Checkpoint.read(folder))(torch.ones(1, 3, 32, 32))
    tensors = load_file(folder / "model.safetensors")
    renamed = {
        name.replace("norm.", "fc_norm.") if name.startswith("norm.") else name: tensors[name] for name in tensors
    }
    save_file(renamed, folder / "model.safetensors")
    assert torch.equal(load_network(Checkpoint.read(folder))(torch.ones(1, 3, 32, 32)), expected)


@pytest.mark.parametrize(
    ("architecture", "width", "arguments", "heads"),
    [
        pytest.param("vit_base_patch16_224", 768, {}, 12, id="64 to a head"),
        pytest.param("vit_huge_patch14_224", 1280, {}, 16, id="80"),
        pytest.param("deit3_huge_patch14_224", 1280, {}, 16, id="80, DeiT-3"),
        pytest.param("vit_giant_patch14_224", 1408, {}, 16, id="88"),
        pytest.param("vit_gigantic_patch14_224", 1664, {}, 16, id="104"),
        pytest.param("vit_base_patch16_gap_224", 768, {}, 16, id="48, unlike others of its size"),
        pytest.param("vit_base_patch16_plus_240", 896, {}, 14, id="more heads"),
        pytest.param("vit_so400m_patch14_siglip_gap_224", 1152, {}, 16, id="72"),
        pytest.param("vit_giantopt_patch16_siglip_gap_256", 1536, {}, 16, id="96"),
        pytest.param("test_vit", 64, {}, 2, id="32"),
        pytest.param("vit_large_patch16_224", 64, {"embed_dim": 64}, 16, id="those of the name for another width"),
        pytest.param("vit_huge_patch14_224", 64, {"embed_dim": 64, "num_heads": 4}, 4, id="as given"),
    ],
)
def test_the_name_tells_how_many_heads_there_are(
    architecture: str, width: int, arguments: dict[str, Any], heads: int
) -> None:
    shapes = {
        "patch_embed.proj.weight": (width, 3, 16, 16),
        "blocks.0.mlp.fc1.weight": (4 * width, width),
        "cls_token": (1, 1, width),
        "pos_embed": (1, 197, width),
    }
    config = read_config({"architecture": architecture, "model_args": arguments}, shapes)
    assert isinstance(config, VitConfig)
    assert config.encoder.num_attention_heads == heads


@pytest.mark.parametrize(
    ("architecture", "because"),
    [
        pytest.param("vit_base_patch16_clip_224.openai_ft_in1k", "CLIP's pre_norm", id="CLIP"),
        pytest.param("vit_large_patch14_clip_quickgelu_336", "CLIP's pre_norm", id="CLIP's activation"),
        pytest.param("vit_base_patch14_reg4_dinov2", "register tokens", id="registers"),
        pytest.param("vit_medium_patch16_reg1_gap_256", "register tokens", id="registers, no CLS"),
        pytest.param("vit_giant_patch14_dinov2", "SwiGLU", id="SwiGLU"),
        pytest.param("vit_base_patch16_siglip_224", "pooling by attention", id="attention pooling"),
        pytest.param("vit_relpos_base_patch16_224", "relative", id="relative positions"),
        pytest.param("vit_srelpos_small_patch16_224", "relative", id="shared relative positions"),
        pytest.param("vit_base_patch16_rope_224", "rotations", id="rotations"),
        pytest.param("vit_base_patch16_dinov3", "rotations", id="DINOv3"),
        pytest.param("vit_base_patch16_rpn_224", "norms come after each branch", id="norms after branches"),
        pytest.param("vit_small_patch16_18x2_224", "in parallel", id="parallel layers"),
        pytest.param("vit_intern300m_patch14_448", "norms are others", id="no last norm"),
        pytest.param("beit3_base_patch16_224", "norms are others", id="BEiT-3"),
        pytest.param("vit_base_resnet50d_224", "convolutions are others", id="another backbone"),
        pytest.param("resnetv2_50", "convolutions are others", id="ResNet-v2 with batch norm"),
    ],
)
def test_what_is_not_computed_is_refused_by_its_name(architecture: str, because: str) -> None:
    cause = refused({"architecture": architecture, **SMALL}, DEIT3_SHAPES)
    assert f"architecture '{architecture}' is not supported: " in cause
    assert because in cause
    assert "; known are timm's vit_*_patch*" in cause


@pytest.mark.parametrize(
    ("tensor", "part"),
    [
        pytest.param("reg_token", "register tokens (reg_tokens)", id="registers"),
        pytest.param("norm_pre.weight", "(pre_norm)", id="norm before the first layer"),
        pytest.param("blocks.0.attn.q_norm.weight", "(qk_norm)", id="norm of queries"),
        pytest.param("blocks.0.mlp.norm.weight", "(scale_mlp_norm)", id="norm inside MLPs"),
        pytest.param("blocks.0.mlp.fc1_g.weight", "(swiglu_mlp)", id="gates"),
        pytest.param("attn_pool.latent", "(global_pool 'map')", id="attention pooling"),
    ],
)
def test_parts_that_are_not_computed_are_found_among_the_tensors(tensor: str, part: str) -> None:
    config = {"architecture": "vit_base_patch16_224", **SMALL}
    cause = refused(config, {**DEIT3_SHAPES, tensor: (8,)})
    assert cause.startswith("config.json: the weights have ")
    assert part in cause


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param({"qk_norm": True}, "qk_norm = true is not supported", id="norm of queries"),
        pytest.param({"reg_tokens": 4}, "reg_tokens = 4 is not supported", id="registers"),
        pytest.param({"pre_norm": True}, "pre_norm = true is not supported", id="norm before the first layer"),
        pytest.param({"final_norm": False}, "final_norm = false is not supported", id="no last norm"),
        pytest.param({"pool_include_prefix": True}, "pool_include_prefix = true is not", id="mean with CLS"),
        pytest.param({"norm_layer": "rmsnorm"}, "norm_layer = 'rmsnorm' is not supported", id="norm"),
        pytest.param({"act_layer": "silu"}, "act_layer = 'silu' is not supported", id="activation"),
        pytest.param({"attn_layer": "diff"}, "attn_layer = 'diff' is not supported", id="attention"),
        pytest.param({"features_only": True}, "features_only = true is not supported", id="features of timm"),
        pytest.param({"new": {"a": None}}, 'new = {"a": null} is not supported', id="unknown"),
        pytest.param({"global_pool": "avgmax"}, "global_pool 'avgmax' is not supported", id="pooling"),
        pytest.param({"dynamic_img_pad": True, "img_size": 40}, "dynamic_img_pad", id="padding"),
        pytest.param({"embed_dim": 8}, "12 heads do not divide a width of 8", id="heads of the name"),
    ],
)
def test_arguments_that_change_what_is_computed_are_refused(arguments: dict[str, Any], says: str) -> None:
    assert says in refused({"architecture": "vit_base_patch16_224", **SMALL, "model_args": arguments}, DEIT3_SHAPES)


def test_arguments_that_change_nothing_or_that_the_tensors_tell_are_passed_over() -> None:
    arguments = {
        "init_values": 1e-6,
        "no_embed_class": True,
        "class_token": True,
        "fc_norm": None,
        "pos_embed": "learn",
        "drop_path_rate": 0.1,
        "proj_drop_rate": 0.0,
        "dynamic_img_size": True,
        "weight_init": "skip",
        "qk_norm": False,
        "reg_tokens": 0,
        "pre_norm": False,
        "final_norm": True,
        "act_layer": None,
        "norm_layer": None,
        "dynamic_img_pad": True,
        "img_size": None,
        "global_pool": None,
        "in_chans": 3,
    }
    plain = {"architecture": "deit3_base_patch16_224", **SMALL}
    assert read_config({**plain, "model_args": arguments}, DEIT3_SHAPES) == read_config(plain, DEIT3_SHAPES)


def test_a_head_that_would_read_a_token_that_is_not_there_is_refused() -> None:
    shapes = {name: shape for name, shape in DEIT3_SHAPES.items() if name != "cls_token"}
    assert "without a CLS token" in refused({"architecture": "vit_base_patch16_224", **SMALL}, shapes)


def test_a_distilled_deit_whose_head_would_read_the_mean_is_refused() -> None:
    config = {"architecture": "deit_base_distilled_patch16_224", **SMALL, "global_pool": "avg"}
    shapes = {**DEIT3_SHAPES, "dist_token": (1, 1, 8), "pos_embed": (1, 6, 8), "head_dist.weight": (2, 8)}
    assert "global_pool 'avg' with a distillation token is not supported" in refused(config, shapes)


def test_two_kinds_of_relative_positions_at_once_are_refused() -> None:
    shapes = {**BEIT_SHAPES, "rel_pos_bias.relative_position_bias_table": (12, 2)}
    assert "both for each layer and shared" in refused({"architecture": "beit_base_patch16_224", **SMALL}, shapes)


@pytest.mark.parametrize("pool", ["max", "catavgmax", ""])
def test_a_bit_whose_head_reads_something_else_is_refused(pool: str) -> None:
    config = {"architecture": "resnetv2_50x1_bit", **SMALL, "global_pool": pool}
    assert f"global_pool '{pool}' is not supported; known: 'avg'" in refused(config, BIT_SHAPES)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param({"stem_type": "same"}, "stem_type = 'same'", id="stem"),
        pytest.param({"output_stride": 16}, "output_stride = 16", id="dilation"),
        pytest.param({"preact": False}, "preact = false", id="blocks"),
        pytest.param({"bottle_ratio": 0.5}, "bottle_ratio = 0.5", id="width of blocks"),
    ],
)
def test_another_resnet_than_a_bit_is_refused(arguments: dict[str, Any], says: str) -> None:
    config = {"architecture": "resnetv2_50x1_bit", **SMALL, "model_args": arguments}
    assert f"{says} is not supported" in refused(config, BIT_SHAPES)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        pytest.param({"0": "cat", "1": "dog"}, ("cat", "dog"), id="by index"),
        pytest.param({"1": "dog"}, ("LABEL_0", "dog"), id="by index, with a gap"),
        pytest.param([None, "dog"], ("LABEL_0", "dog"), id="null"),
    ],
)
def test_labels_in_timms_other_forms(names: object, labels: tuple[str, ...]) -> None:
    config = {"architecture": "deit3_base_patch16_224", **SMALL, "label_names": names}
    assert read_config(config, DEIT3_SHAPES).labels == labels


def test_a_label_for_a_class_that_the_head_lacks_is_named() -> None:
    config = {"architecture": "deit3_base_patch16_224", **SMALL, "label_names": {"0": "cat", "7": "dog"}}
    assert "label_names names a class '7', but the head has 2 classes" in refused(config, DEIT3_SHAPES)


def test_what_transformers_wrapper_adds_changes_nothing() -> None:
    added = {
        "model_type": "timm_wrapper",
        "architectures": ["TimmWrapperForImageClassification"],
        "do_pooling": False,
        "model_args": None,
        "initializer_range": 0.02,
        "dtype": "float32",
        "transformers_version": "5.24.0",
    }
    plain = {"architecture": "beit_base_patch16_224", **SMALL}
    assert read_config({**plain, **added}, BEIT_SHAPES) == read_config(plain, BEIT_SHAPES)


@pytest.mark.parametrize("feature", [Feature.AUTO, Feature.MEAN])
def test_a_network_without_cls_gives_the_mean_of_its_patches(feature: Feature, tmp_path: Path) -> None:
    checkpoint = Checkpoint.read(write_timm(tmp_path, NO_CLS, "vit_tiny_patch16_224", global_pool="avg"))
    assert load_for(checkpoint, "sdpa", feature)(torch.zeros(1, 3, 32, 32)).shape == (1, 64)


def test_cls_of_a_network_without_it_is_wrong_usage(tmp_path: Path) -> None:
    checkpoint = Checkpoint.read(write_timm(tmp_path, NO_CLS, "vit_tiny_patch16_224", global_pool="avg"))
    with pytest.raises(UsageError, match=r"no CLS token, only the mean of its patches\. Give feature='auto' or"):
        load_for(checkpoint, "sdpa", Feature.CLS)
