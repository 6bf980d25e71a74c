"""The networks that are known by name have the published sizes, and are what their checkpoints' own files describe."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vithybrid_cli.checkpoints.layouts import key_maps
from vithybrid_cli.checkpoints.layouts import timm as timm_layout
from vithybrid_cli.checkpoints.layouts.architectures import architecture, config_of, preprocessing_of
from vithybrid_cli.checkpoints.layouts.imagenet import imagenet_labels
from vithybrid_cli.checkpoints.layouts.transformers import read_config, write_config
from vithybrid_cli.checkpoints.load import transformers_map
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub import catalog
from vithybrid_cli.model.build import build
from vithybrid_cli.model.config import BitClassifierConfig, VitConfig
from vithybrid_cli.model.outputs import outputs

# Millions of parameters. All but the base-sized DINO's: the column ``param_count`` of timm's results-imagenet.csv
# and, for vit_small_patch8_224, which it has from DINO and without a head, of its benchmarks
# (https://github.com/huggingface/pytorch-image-models/tree/main/results). Those of the other DINO's are timm's with a
# head (86.57 and 86.58, 22.05) less the head's width × 1000 + 1000. Google's of ImageNet-21k is DINO's with a pooler;
# BEiT's before any labels lacks the head and eleven of the twelve tables of positions, and has a mask token.
PUBLISHED_MILLIONS = {
    "vit_tiny_r_s16_p8_224": "6.34",
    "vit_tiny_r_s16_p8_384": "6.36",
    "vit_small_r26_s32_224": "36.43",
    "vit_small_r26_s32_384": "36.47",
    "vit_base_r50_s16_384": "98.95",
    "vit_large_r50_s32_224": "328.99",
    "vit_large_r50_s32_384": "329.09",
    "vit_tiny_patch16_224": "5.72",
    "vit_tiny_patch16_384": "5.79",
    "vit_small_patch16_224": "22.05",
    "vit_base_patch32_384": "88.30",
    "vit_base_patch16_224": "86.57",
    "vit_base_patch16_384": "86.86",
    "vit_large_patch16_224": "304.33",
    "vit_large_patch16_384": "304.72",
    "deit_tiny_patch16_224": "5.72",
    "deit_small_patch16_224": "22.05",
    "deit_base_patch16_224": "86.57",
    "deit_base_patch16_384": "86.86",
    "deit_base_distilled_patch16_224": "87.34",
    "deit_base_distilled_patch16_384": "87.63",
    "beit_base_patch16_224": "86.53",
    "bit_50": "25.55",
    "vit_base_patch16_224_in21k": "86.39",
    "beit_base_patch16_224_pt22k": "85.67",
    "dino_vits8": "21.67",
    "dino_vits16": "21.67",
    "dino_vitb16": "85.80",
    "dino_vitb8": "85.81",
}
# Of networks that no row of the catalog has to name; the same column.
MORE_MILLIONS = {
    "vit_tiny_patch16_224": "5.72",
    "vit_tiny_patch16_384": "5.79",
    "vit_small_patch16_224": "22.05",
    "vit_small_patch16_384": "22.20",
    "vit_medium_patch16_gap_256": "38.86",
    "vit_base_patch8_224": "86.58",
    "deit_base_distilled_patch16_384": "87.63",
    "deit3_small_patch16_224": "22.06",
    "deit3_small_patch16_384": "22.21",
    "deit3_medium_patch16_224": "38.85",
    "deit3_base_patch16_224": "86.59",
    "deit3_base_patch16_384": "86.88",
    "deit3_large_patch16_224": "304.37",
    "deit3_large_patch16_384": "304.76",
    "deit3_huge_patch14_224": "632.13",
    "beit_base_patch16_384": "86.74",
    "beit_large_patch16_224": "304.43",
    "beit_large_patch16_384": "305.00",
    "beit_large_patch16_512": "305.67",
    "beitv2_base_patch16_224": "86.53",
    "beitv2_large_patch16_224": "304.43",
    "resnetv2_50x1_bit": "25.55",
    "resnetv2_50x3_bit": "217.32",
    "resnetv2_101x1_bit": "44.54",
    "resnetv2_101x3_bit": "387.93",
    "resnetv2_152x2_bit": "236.34",
    "resnetv2_152x4_bit": "936.53",
}

PUBLISHED = [entry for entry in catalog.ENTRIES if entry.architecture is not None]
every_entry = pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.alias) for entry in catalog.ENTRIES])
every_published = pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.alias) for entry in PUBLISHED])
every_transformers = pytest.mark.parametrize(
    "entry", [pytest.param(entry, id=entry.alias) for entry in catalog.ENTRIES if entry.layout == "transformers"]
)


def stored_parameters(config: VitConfig | BitClassifierConfig) -> int:
    """The numbers in a checkpoint of the full network; our own has a bias for BEiT's keys too, which is zero."""
    with torch.device("meta"):
        tensors = build(config).state_dict()
    return sum(tensor.numel() for tensor in transformers_map(config).from_ours(tensors).values())


@every_entry
def test_the_catalog_has_the_parameters_of_the_full_network(entry: catalog.Entry) -> None:
    assert stored_parameters(config_of(entry)) == entry.parameters


@every_published
def test_a_network_has_the_size_that_was_published(entry: catalog.Entry) -> None:
    """A fine-tune has a smaller head, of the same width."""
    assert entry.architecture is not None
    config = config_of(entry)
    width = config.encoder.hidden_size if isinstance(config, VitConfig) else 0
    head = (width + 1) * (1000 - len(entry.labels)) if entry.labels else 0
    assert f"{(entry.parameters + head) / 1e6:.2f}" == PUBLISHED_MILLIONS[entry.architecture]


@pytest.mark.parametrize("name", MORE_MILLIONS)
def test_a_network_beside_the_catalog_has_the_size_that_was_published(name: str) -> None:
    config = architecture(name, 1e-6)
    with torch.device("meta"):
        tensors = key_maps.timm_of(config, ()).from_ours(build(config).state_dict())
    assert f"{sum(tensor.numel() for tensor in tensors.values()) / 1e6:.2f}" == MORE_MILLIONS[name]


def test_base_384_has_each_parameter_of_the_published_file() -> None:
    assert stored_parameters(config_of(catalog.BASE_384)) == 98_950_952


@every_entry
def test_the_work_for_one_picture_is_what_the_network_does(entry: catalog.Entry) -> None:
    """With all tokens of the last layer, which are computed where they are asked for; timm counts a little more."""
    config = config_of(entry)
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        outputs(build(config, "eager"), torch.empty(1, 3, *config.image_size))
    gmacs = counter.get_total_flops() / 2e9  # a multiplication and an addition each
    assert entry.gmacs is not None
    assert gmacs * 0.99 < entry.gmacs < gmacs * 1.04


@every_entry
def test_a_hub_id_leads_to_the_network_without_a_connection(entry: catalog.Entry) -> None:
    found = catalog.resolve(entry.name)
    assert found is not None
    config = config_of(found)
    assert config.image_size == (entry.image_size, entry.image_size)
    match entry.task:
        case catalog.Task.IMAGENET:
            assert config.labels == imagenet_labels()
        case catalog.Task.FEATURES:
            assert config.labels == ()
        case catalog.Task.CIFAR10:
            assert len(config.labels) == 10
        case _:
            assert config.labels == entry.labels


IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
# What ``pretrained_cfg`` of a repository has otherwise than most: timm's ``default_cfgs``.
TIMM_FILES: dict[str, dict[str, Any]] = {
    "deit_tiny_patch16_224.fb_in1k": IMAGENET,
    "deit3_small_patch16_224.fb_in1k": IMAGENET,
    "deit3_base_patch16_384.fb_in1k": IMAGENET,
    "deit3_base_patch16_224.fb_in22k_ft_in1k": {"crop_pct": 1.0, **IMAGENET},
    "deit3_large_patch16_384.fb_in22k_ft_in1k": IMAGENET,
    "deit3_huge_patch14_224.fb_in22k_ft_in1k": {"crop_pct": 1.0, **IMAGENET},
    "beit_base_patch16_224.in22k_ft_in22k_in1k": {},
    "beit_large_patch16_512.in22k_ft_in22k_in1k": {},
    "beitv2_base_patch16_224.in1k_ft_in22k_in1k": IMAGENET,
    "beitv2_large_patch16_224.in1k_ft_in22k_in1k": {"crop_pct": 0.95, **IMAGENET},
    "vit_small_patch16_384.augreg_in21k_ft_in1k": {},
    "vit_medium_patch16_gap_256.sw_in12k_ft_in1k": {"crop_pct": 0.95},
    "vit_base_patch8_224.augreg2_in21k_ft_in1k": {},
    "resnetv2_50x1_bit.goog_distilled_in1k": {"crop_pct": 0.875, "input_size": [3, 224, 224]},
    "resnetv2_50x3_bit.goog_in21k_ft_in1k": {"interpolation": "bilinear", "input_size": [3, 448, 448]},
    "resnetv2_152x4_bit.goog_in21k_ft_in1k": {"interpolation": "bilinear", "input_size": [3, 480, 480]},
}


def unlisted(name: str) -> catalog.Entry:
    """A row for a repository of timm's, with all of it that preprocessing and network follow from."""
    architecture = name.partition(".")[0]
    size = TIMM_FILES[name].get("input_size") or [int(architecture.rpartition("_")[2])]
    row = next(entry for entry in PUBLISHED if entry.layout == "timm")
    return replace(row, hub_id=f"timm/{name}", architecture=architecture, image_size=size[-1])


@pytest.mark.parametrize(
    "entry",
    [
        *(pytest.param(entry, id=entry.alias) for entry in PUBLISHED if entry.layout == "timm"),
        *(pytest.param(unlisted(name), id=name) for name in TIMM_FILES),
    ],
)
def test_a_timm_checkpoint_is_read_as_the_network_of_its_name(entry: catalog.Entry) -> None:
    config = config_of(entry)
    with torch.device("meta"):
        tensors = key_maps.timm_of(config, ()).from_ours(build(config).state_dict())
    file = {
        "architecture": entry.architecture,
        "num_classes": len(config.labels),
        **({"label_names": list(entry.labels)} if entry.labels else {}),
        "pretrained_cfg": {
            "input_size": [3, entry.image_size, entry.image_size],
            "interpolation": "bicubic",
            "crop_pct": 0.9 if entry.image_size == 224 else 1.0,
            "crop_mode": "center",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            **TIMM_FILES.get((entry.hub_id or "").removeprefix("timm/"), {}),
        },
    }
    assert timm_layout.read_config(file, {name: tuple(tensor.shape) for name, tensor in tensors.items()}) == config
    assert timm_layout.read_preprocessing(file, config.image_size) == preprocessing_of(entry)


@every_transformers
def test_a_config_in_the_layout_of_transformers_is_read_as_the_network_of_its_name(entry: catalog.Entry) -> None:
    config = config_of(entry)
    with torch.device("meta"):
        names = set(transformers_map(config).from_ours(build(config).state_dict()))
    read = read_config(write_config(config), lambda: names)
    if isinstance(read, BitClassifierConfig):  # takes pictures of any size, so its config.json names none
        read = replace(read, image_size=config.image_size)
    assert read == config


def test_base_384_is_what_a_hybrids_config_means_that_leaves_all_details_open() -> None:
    bare = read_config({"model_type": "vit-hybrid", "image_size": 384, "num_labels": 1000})
    assert config_of(catalog.BASE_384) == replace(bare, labels=imagenet_labels())


@pytest.mark.parametrize(
    ("config", "family"),
    [
        pytest.param({"model_type": "vit", "num_labels": 1000}, "vit-base-224", id="vit"),
        pytest.param({"model_type": "vit", "num_labels": 1000}, "deit-base", id="deit without distillation"),
        pytest.param(
            {"model_type": "deit", "num_labels": 1000, "architectures": ["DeiTForImageClassificationWithTeacher"]},
            "deit-base-distilled",
            id="distilled deit",
        ),
        pytest.param(
            {"model_type": "beit", "num_labels": 1000, "use_relative_position_bias": True}, "beit-base", id="beit"
        ),
    ],
)
def test_a_base_sized_network_is_what_transformers_own_defaults_describe(
    config: dict[str, object], family: str
) -> None:
    entry = catalog.resolve(family)
    assert entry is not None
    assert config_of(entry) == replace(read_config(config), labels=imagenet_labels())


def test_bit_50_is_what_transformers_own_defaults_describe() -> None:
    entry = catalog.resolve("bit-50")
    assert entry is not None
    bare = read_config({"model_type": "bit", "num_labels": 1000})
    assert config_of(entry) == replace(bare, labels=imagenet_labels(), image_size=(448, 448))


# Of the preprocessor_config.json of each; ``resample`` 2 is bilinear, 3 bicubic.
@pytest.mark.parametrize(
    ("alias", "size", "crop", "resample", "mean"),
    [
        pytest.param("base-384", 384, True, 3, 0.5, id="hybrid"),
        pytest.param("r26-s32-224", 248, True, 3, 0.5, id="timm at 224"),
        pytest.param("vit-base-224", (224, 224), False, 2, 0.5, id="vit"),
        pytest.param("deit-base", (224, 224), False, 2, 0.5, id="deit, which has the files of a vit"),
        pytest.param("deit-base-384", (384, 384), False, 2, 0.5, id="deit at 384"),
        pytest.param("deit-base-distilled", (256, 256), True, 3, 0.485, id="distilled deit"),
        pytest.param("deit-base-distilled-384", (438, 438), True, 3, 0.485, id="distilled deit at 384"),
        pytest.param("nsfw", (224, 224), False, 2, 0.5, id="a fine-tune"),
        pytest.param("nsfw-tiny-384", 384, True, 3, 0.5, id="a fine-tune with timm"),
        pytest.param("dino-vitb8", (224, 224), False, 2, 0.485, id="dino"),
        pytest.param("beit-base", (224, 224), False, 2, 0.5, id="beit"),
        pytest.param("bit-50", 448, True, 2, 0.5, id="bit"),
    ],
)
def test_pictures_are_prepared_as_the_published_files_say(
    alias: str, size: int | tuple[int, int], crop: bool, resample: int, mean: float
) -> None:
    entry = catalog.resolve(alias)
    assert entry is not None
    done = preprocessing_of(entry)
    assert (done.size, done.do_center_crop, done.resample, done.image_mean[0]) == (size, crop, resample, mean)
    assert done.output_size == (entry.image_size, entry.image_size)


def test_a_name_that_is_not_known_is_answered_with_those_that_are() -> None:
    with pytest.raises(ModelError, match=r"'vit_huge'. Name one of these: vit_tiny_r_s16_p8_224, .*dino_vitb8"):
        architecture("vit_huge", 1e-6)
