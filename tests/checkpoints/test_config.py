"""Configs from ``config.json``: what may be absent, what is refused, and the way back."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from vithybrid_cli.checkpoints.layouts.labels import read_labels
from vithybrid_cli.checkpoints.layouts.transformers import class_of, read_config, write_config
from vithybrid_cli.errors import ModelError
from vithybrid_cli.model.config import BitClassifierConfig, BitConfig, EncoderConfig, NetworkConfig, VitConfig

BACKBONE = {
    "model_type": "bit",
    "layer_type": "bottleneck",
    "global_padding": "same",
    "depths": [3, 4, 9],
    "out_features": ["stage3"],
    "embedding_dynamic_padding": True,
}
PUBLISHED = {"model_type": "vit-hybrid", "image_size": 384, "backbone_config": BACKBONE}


def config(**changes: Any) -> dict[str, Any]:
    """The published config with some fields changed."""
    return {**PUBLISHED, **changes}


def backbone(**changes: Any) -> dict[str, Any]:
    """The same with some fields of the backbone changed."""
    return config(backbone_config={**BACKBONE, **changes})


def test_absent_fields_mean_the_published_network() -> None:
    hybrid = read_config(config())
    assert isinstance(hybrid, VitConfig)
    backbone = BitConfig(64, (256, 512, 1024), (3, 4, 9), 32, "relu", embedding_dynamic_padding=True, out_stage=3)
    assert hybrid.backbone == backbone
    assert hybrid.encoder == EncoderConfig(768, 12, 12, 3072, "gelu", 1e-12, True)
    assert (hybrid.image_size, hybrid.patch_size, hybrid.grid_size) == ((384, 384), (1, 1), (24, 24))


@pytest.mark.parametrize("model_type", ["vit-hybrid", "vit_hybrid"])
def test_both_spellings_of_the_model_type_are_known(model_type: str) -> None:
    assert read_config(config(model_type=model_type)) == read_config(PUBLISHED)


def test_null_means_absent_where_transformers_writes_null() -> None:
    names = ("backbone", "backbone_kwargs", "backbone_featmap_shape", "id2label")
    given = backbone(out_indices=None) | dict.fromkeys(names)
    assert read_config(given) == read_config(PUBLISHED)


@pytest.mark.parametrize("given", [None, BACKBONE], ids=["absent", "spelled out"])
def test_a_missing_backbone_is_the_one_that_transformers_assumes(given: dict[str, Any] | None) -> None:
    assert read_config(config(backbone_config=given)) == read_config(PUBLISHED)


def test_a_backbone_expanded_with_every_inherited_default_is_read_alike() -> None:
    expanded = {
        "_name_or_path": "",
        "add_cross_attention": False,
        "chunk_size_feed_forward": 0,
        "embedding_size": 64,
        "hidden_sizes": [256, 512, 1024, 2048],
        "num_channels": 3,
        "num_groups": 32,
        "output_stride": 32,
        "width_factor": 1,
        "drop_path_rate": 0.0,
        "hidden_act": "relu",
        "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
        "out_indices": [3],
        "stage_names": ["stem", "stage1", "stage2", "stage3"],
        "torch_dtype": None,
    }
    assert read_config(backbone(**expanded)) == read_config(PUBLISHED)


@pytest.mark.parametrize(
    ("outputs", "stage"),
    [
        pytest.param({"out_features": ["stage2"]}, 2, id="by name"),
        pytest.param({"out_features": None, "out_indices": [2]}, 2, id="by index"),
        pytest.param({"out_features": None, "out_indices": [-1]}, 3, id="by index from the end"),
        pytest.param({"out_features": ["stage1", "stage3"]}, 3, id="the last of several"),
        pytest.param({"out_features": None}, 3, id="the last stage by default"),
    ],
)
def test_the_feature_map_is_taken_from_the_named_stage(outputs: dict[str, Any], stage: int) -> None:
    hybrid = read_config(backbone(**outputs))
    assert isinstance(hybrid, VitConfig)
    assert hybrid.backbone is not None
    assert hybrid.backbone.out_stage == stage


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        pytest.param(config(model_type="swin"), "model_type 'swin'", id="another family"),
        pytest.param({"image_size": 384}, "config.json: neither a model_type", id="no model type"),
        pytest.param(config(hidden_act="silu"), "hidden_act 'silu'", id="activation"),
        pytest.param(config(num_channels=4), "num_channels 4", id="channels"),
        pytest.param(config(hidden_size=100), "hidden_size 100", id="heads do not divide the width"),
        pytest.param(config(hidden_size="768"), "hidden_size", id="a number as text"),
        pytest.param(config(image_size=[384, 384, 3]), "image_size", id="three image sides"),
        pytest.param(config(image_size=0), "image_size", id="no image"),
        pytest.param(
            {"model_type": "beit", "image_size": [224, 448], "use_relative_position_bias": True},
            r"image_size \[224, 448\] with relative positions is not supported",
            id="what transformers mixes up in BEiT",
        ),
        pytest.param(config(use_timm_backbone=True), "use_timm_backbone", id="timm backbone"),
        pytest.param(config(backbone="resnet50"), "resnet50", id="named backbone"),
        pytest.param(config(backbone_featmap_shape=[1, 1024, 14, 14]), "backbone_featmap_shape", id="feature map"),
        pytest.param(config(id2label={"0": "a", "2": "c"}), "id2label", id="a gap in the labels"),
        pytest.param(config(id2label=["a", "b"]), "id2label must be an object", id="labels as a list"),
        pytest.param(config(id2label=5), "id2label must be an object", id="labels as a number"),
        pytest.param(config(num_labels="many"), "num_labels must be a positive integer", id="labels as text"),
        pytest.param(config(hidden_size=None), "hidden_size must be a positive integer", id="null width"),
        pytest.param(config(image_size=None), "image_size must be a positive integer", id="null image"),
        pytest.param(config(layer_norm_eps=None), "layer_norm_eps must be a number", id="null epsilon"),
        pytest.param(config(layer_norm_eps="1e-12"), "layer_norm_eps must be a number", id="epsilon as text"),
        pytest.param(config(layer_norm_eps=float("nan")), "layer_norm_eps must be a number", id="epsilon NaN"),
        pytest.param(config(qkv_bias="false"), "qkv_bias must be true or false", id="bias as text"),
        pytest.param(config(qkv_bias=None), "qkv_bias must be true or false", id="null bias"),
        pytest.param(config(backbone_config="bit"), "backbone_config must be an object", id="backbone as text"),
        pytest.param(config(backbone_featmap_shape=5), "backbone_featmap_shape must be a list", id="shape as number"),
        pytest.param(config(backbone_featmap_shape=[{}]), "backbone_featmap_shape", id="shape of objects"),
        pytest.param(backbone(embedding_dynamic_padding="yes"), "embedding_dynamic_padding must be", id="padding text"),
        pytest.param(backbone(depths=None), "depths must be a list", id="null depths"),
        pytest.param(backbone(out_features="stage3"), "out_features must be a list", id="output as text"),
        pytest.param(backbone(out_features=None, out_indices=3), "out_indices must be a list", id="output as number"),
        pytest.param(backbone(out_features=None, out_indices=["3"]), "'index 3'", id="index as text"),
        pytest.param(backbone(model_type="resnet"), "'resnet'", id="backbone family"),
        pytest.param(backbone(layer_type="preactivation"), "preactivation", id="pre-activation"),
        pytest.param(backbone(global_padding=None), "global_padding", id="padding"),
        pytest.param(backbone(width_factor=2), "width_factor", id="width factor"),
        pytest.param(backbone(output_stride=8), "output_stride", id="dilation"),
        pytest.param(backbone(out_features=["stem"]), "'stem'", id="output of the stem"),
        pytest.param(backbone(hidden_sizes=[256]), "hidden_sizes", id="too few stages"),
        pytest.param(backbone(depths=[]), "'stage3'", id="no stages"),
        pytest.param(backbone(num_groups=48), "num_groups 48", id="groups that do not divide the channels"),
    ],
)
def test_what_is_not_supported_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        read_config(wrong)


def test_a_written_config_reads_back_the_same(golden: Path) -> None:
    original = read_config(json.loads((golden / "config.json").read_text(encoding="utf-8")))
    assert read_config(write_config(original)) == original


def test_a_backbone_without_stages_reads_back_the_same() -> None:
    stem = BitConfig(hidden_sizes=(), depths=(), embedding_dynamic_padding=True, out_stage=0)
    hybrid = VitConfig(EncoderConfig(), ("a",), patch_size=(8, 8), backbone=stem, family="hybrid")
    written = write_config(hybrid)
    assert written["backbone_config"]["out_features"] == ["stem"]
    assert read_config(written) == hybrid


@pytest.mark.parametrize(
    ("network", "name"),
    [
        pytest.param(VitConfig(EncoderConfig(), ("a",)), "ViTForImageClassification", id="ViT"),
        pytest.param(VitConfig(EncoderConfig(), pooler=True), "ViTModel", id="no head"),
        pytest.param(
            VitConfig(EncoderConfig(), ("a",), family="deit", distillation_head=True),
            "DeiTForImageClassificationWithTeacher",
            id="two heads",
        ),
        pytest.param(
            VitConfig(EncoderConfig(), ("a",), family="beit", mean_pooling=True),
            "BeitForImageClassification",
            id="BEiT",
        ),
        pytest.param(BitClassifierConfig(BitConfig(), ("a",)), "BitForImageClassification", id="BiT"),
        pytest.param(BitClassifierConfig(BitConfig()), "BitModel", id="BiT without a head"),
    ],
)
def test_transformers_has_a_class_for_each_network(network: NetworkConfig, name: str) -> None:
    assert class_of(network) == name


@pytest.mark.parametrize(
    ("network", "says"),
    [
        pytest.param(VitConfig(EncoderConfig(), ("a",), pooler=True), "no ViT with a layer", id="pre-logits"),
        pytest.param(VitConfig(EncoderConfig(), ("a",), mean_pooling=True), "mean of the patches", id="mean"),
        pytest.param(VitConfig(EncoderConfig(), mean_pooling=True), "mean of the patches", id="mean without a head"),
        pytest.param(VitConfig(EncoderConfig(layer_scale=True)), r"no ViT with scaled .*LayerScale", id="LayerScale"),
        pytest.param(VitConfig(EncoderConfig(), only_patches_have_positions=True), "no position", id="CLS's position"),
        pytest.param(VitConfig(EncoderConfig(), absolute_positions=False), "without positions", id="no positions"),
        pytest.param(
            VitConfig(EncoderConfig(), class_token=False, mean_pooling=True), "without a CLS token", id="no CLS"
        ),
        pytest.param(
            VitConfig(EncoderConfig(), family="beit", mean_pooling=True, norm_before_pooling=True),
            "no Beit whose last norm comes before the mean",
            id="BEiT, mean of norms",
        ),
        pytest.param(
            VitConfig(EncoderConfig(qkv_bias=False), family="beit"), "no Beit without biases", id="BEiT without biases"
        ),
        pytest.param(
            VitConfig(EncoderConfig(relative_positions="each"), family="beit", image_size=(32, 64)),
            "a grid that is not square",
            id="BEiT, not square",
        ),
    ],
)
def test_a_network_that_transformers_has_no_class_for_is_not_written(network: NetworkConfig, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        write_config(network)


def test_labels_keep_commas_quotes_accents_and_duplicates(golden: Path) -> None:
    labels = read_labels(json.loads((golden / "config.json").read_text(encoding="utf-8")))
    assert labels == (
        "tench, Tinca tinca",
        "crane",
        "crane",
        "tabby, tabby cat",
        "maillot, tank suit",
        "émeu",
        'a"quoted"',
        "a,comma",
    )


def test_labels_are_numbered_where_the_file_has_none() -> None:
    assert read_labels({"num_labels": 3}) == ("LABEL_0", "LABEL_1", "LABEL_2")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(config(hidden_act=None), id="null for a name"),
        pytest.param(config(hidden_act={"name": None}), id="an object for a name"),
        pytest.param(config(hidden_size=True), id="a truth value for a number"),
        pytest.param(config(hidden_size=None), id="null for a number"),
        pytest.param(config(image_size=[None, 384]), id="null in a list"),
        pytest.param(config(image_size={"height": None}), id="an object for a size"),
        pytest.param(config(qkv_bias=None), id="null for a truth value"),
        pytest.param(config(backbone_kwargs={"pretrained": True}), id="an object that is not supported"),
        pytest.param(config(model_type=[None]), id="a list for a name"),
        pytest.param(config(id2label=[None, True]), id="a list for an object"),
        pytest.param(backbone(hidden_sizes=[]), id="no sizes"),
        pytest.param(backbone(global_padding=[None]), id="a list for padding"),
        pytest.param(backbone(out_features=[None]), id="null for a feature"),
    ],
)
def test_no_error_of_a_config_shows_a_python_object(given: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as raised:
        read_config(given)
    assert not re.search(r"None|True|False|\{'|\['|\(\)", str(raised.value))
