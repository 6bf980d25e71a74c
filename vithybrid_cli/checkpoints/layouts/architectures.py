"""The published networks by name: their parts and preprocessing, known without their files. No torch.

Names are timm's, except that DINO's and BiT's are those of their checkpoints. Sizes are those of the ViT paper
(https://arxiv.org/abs/2010.11929) and, for the smaller ones and the hybrids, of "How to train your ViT?"
(https://arxiv.org/abs/2106.10270).
"""

import re
from dataclasses import replace
from typing import Final, Literal

from PIL import Image

from vithybrid_cli.checkpoints.layouts.imagenet import imagenet_labels
from vithybrid_cli.checkpoints.layouts.timm import IMAGENET_STATISTICS
from vithybrid_cli.checkpoints.layouts.transformers import read_config
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.catalog import CatalogFamily, Entry
from vithybrid_cli.hub.files import CONFIG, read_checkpoint_json
from vithybrid_cli.hub.locate import built_in_folder
from vithybrid_cli.images.preprocess import Preprocessing, timm_preprocessing
from vithybrid_cli.model.config import (
    BitClassifierConfig,
    BitConfig,
    EncoderConfig,
    NetworkConfig,
    VitConfig,
)

# From the configs of transformers' checkpoints, and from timm's constructors.
_LAYER_NORM_EPS = {"transformers": 1e-12, "timm": 1e-6}


def _encoder(hidden_size: int, layers: int, heads: int) -> EncoderConfig:
    return EncoderConfig(
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden_size,
    )


_TINY, _SMALL, _BASE, _LARGE = _encoder(192, 12, 3), _encoder(384, 12, 6), _encoder(768, 12, 12), _encoder(1024, 24, 16)
_MEDIUM, _HUGE = _encoder(512, 12, 8), _encoder(1280, 32, 16)


def _vit(encoder: EncoderConfig, image_size: int, patch_size: int = 16) -> VitConfig:
    return VitConfig(encoder, image_size=(image_size, image_size), patch_size=(patch_size, patch_size))


def _hybrid(encoder: EncoderConfig, depths: tuple[int, ...], image_size: int, patch_size: int = 1) -> VitConfig:
    """A ViT on the feature map of the last stage of a BiT, or of its stem where there are no stages."""
    backbone = BitConfig(
        hidden_sizes=BitConfig().hidden_sizes[: len(depths)],
        depths=depths,
        embedding_dynamic_padding=True,
        out_stage=len(depths),
    )
    return replace(_vit(encoder, image_size, patch_size), backbone=backbone, family="hybrid")


_R_TI16, _R26, _R50_B16, _R50 = (), (2, 2, 2, 2), (3, 4, 9), (3, 4, 6, 3)
_DISTILLED = replace(_vit(_BASE, 224), family="deit", distillation_token=True, distillation_head=True)


def _deit3(encoder: EncoderConfig, image_size: int, patch_size: int = 16) -> VitConfig:
    """https://arxiv.org/abs/2204.07118"""
    network = _vit(replace(encoder, layer_scale=True), image_size, patch_size)
    return replace(network, only_patches_have_positions=True)


def _beit(encoder: EncoderConfig, image_size: int, relative: Literal["each", "shared"] = "each") -> VitConfig:
    network = _vit(replace(encoder, layer_scale=True, relative_positions=relative), image_size)
    return replace(network, family="beit", absolute_positions=False, mean_pooling=True)


def _gap(encoder: EncoderConfig, image_size: int) -> VitConfig:
    """timm's own, whose heads read the mean of the patches and which have no CLS token."""
    network = _vit(replace(encoder, layer_scale=True, qkv_bias=False), image_size)
    return replace(network, class_token=False, mean_pooling=True, norm_before_pooling=True)


def _bit(depths: tuple[int, ...], width_factor: int = 1) -> BitClassifierConfig:
    """It takes pictures of any size; 448 pixels are what most were fine-tuned with."""
    narrow = BitConfig(depths=depths, preactivation=True, same_padding=False)
    backbone = replace(
        narrow,
        embedding_size=width_factor * narrow.embedding_size,
        hidden_sizes=tuple(width_factor * channels for channels in narrow.hidden_sizes),
    )
    return BitClassifierConfig(backbone, image_size=(448, 448))


_R101, _R152 = (3, 4, 23, 3), (3, 8, 36, 3)

_CLASSIFIERS: Final[dict[str, NetworkConfig]] = {
    "vit_tiny_r_s16_p8_224": _hybrid(_TINY, _R_TI16, 224, patch_size=8),
    "vit_tiny_r_s16_p8_384": _hybrid(_TINY, _R_TI16, 384, patch_size=8),
    "vit_small_r26_s32_224": _hybrid(_SMALL, _R26, 224),
    "vit_small_r26_s32_384": _hybrid(_SMALL, _R26, 384),
    "vit_base_r50_s16_384": _hybrid(_BASE, _R50_B16, 384),
    "vit_large_r50_s32_224": _hybrid(_LARGE, _R50, 224),
    "vit_large_r50_s32_384": _hybrid(_LARGE, _R50, 384),
    "vit_tiny_patch16_224": _vit(_TINY, 224),
    "vit_tiny_patch16_384": _vit(_TINY, 384),
    "vit_small_patch16_224": _vit(_SMALL, 224),
    "vit_small_patch16_384": _vit(_SMALL, 384),
    "vit_medium_patch16_gap_256": _gap(_MEDIUM, 256),
    "vit_base_patch8_224": _vit(_BASE, 224, patch_size=8),
    "vit_base_patch32_384": _vit(_BASE, 384, patch_size=32),
    "vit_base_patch16_224": _vit(_BASE, 224),
    "vit_base_patch16_384": _vit(_BASE, 384),
    "vit_large_patch16_224": _vit(_LARGE, 224),
    "vit_large_patch16_384": _vit(_LARGE, 384),
    # DeiT without distillation is a ViT that was trained in another way.
    "deit_tiny_patch16_224": _vit(_TINY, 224),
    "deit_small_patch16_224": _vit(_SMALL, 224),
    "deit_base_patch16_224": _vit(_BASE, 224),
    "deit_base_patch16_384": _vit(_BASE, 384),
    "deit_base_distilled_patch16_224": _DISTILLED,
    "deit_base_distilled_patch16_384": replace(_DISTILLED, image_size=(384, 384)),
    "deit3_small_patch16_224": _deit3(_SMALL, 224),
    "deit3_small_patch16_384": _deit3(_SMALL, 384),
    "deit3_medium_patch16_224": _deit3(_MEDIUM, 224),
    "deit3_base_patch16_224": _deit3(_BASE, 224),
    "deit3_base_patch16_384": _deit3(_BASE, 384),
    "deit3_large_patch16_224": _deit3(_LARGE, 224),
    "deit3_large_patch16_384": _deit3(_LARGE, 384),
    "deit3_huge_patch14_224": _deit3(_HUGE, 224, patch_size=14),
    "beit_base_patch16_224": _beit(_BASE, 224),
    "beit_base_patch16_384": _beit(_BASE, 384),
    "beit_large_patch16_224": _beit(_LARGE, 224),
    "beit_large_patch16_384": _beit(_LARGE, 384),
    "beit_large_patch16_512": _beit(_LARGE, 512),
    "beitv2_base_patch16_224": _beit(_BASE, 224),
    "beitv2_large_patch16_224": _beit(_LARGE, 224),
    "bit_50": _bit(_R50),
    "resnetv2_50x1_bit": _bit(_R50),
    "resnetv2_50x3_bit": _bit(_R50, 3),
    "resnetv2_101x1_bit": _bit(_R101),
    "resnetv2_101x3_bit": _bit(_R101, 3),
    "resnetv2_152x2_bit": _bit(_R152, 2),
    "resnetv2_152x4_bit": _bit(_R152, 4),
}
# ``default_cfgs`` of timm 1.0.31, where they differ from most.
_IMAGENET_NORMALIZED = re.compile(r"timm/(deit|beitv2_)")
_BILINEAR = re.compile(r"timm/resnetv2_\w+_bit\.goog_in21k")
_CROPS = (
    (re.compile(r"timm/deit3_\w+\.fb_in22k_ft_in1k"), 1.0),
    (re.compile(r"timm/(beitv2_large|vit_medium_patch16_gap)_"), 0.95),
    (re.compile(r"timm/resnetv2_\w+_bit\.(goog_distilled_in1k|goog_teacher_in21k_ft_in1k|goog_in21k)$"), 0.875),
)

# Published without a head.
_BACKBONES: Final[dict[str, NetworkConfig]] = {
    "vit_base_patch16_224_in21k": replace(_vit(_BASE, 224), pooler=True),
    "beit_base_patch16_224_pt22k": replace(_beit(_BASE, 224, "shared"), mask_token=True),
    "dino_vits16": _vit(_SMALL, 224),
    "dino_vits8": _vit(_SMALL, 224, patch_size=8),
    "dino_vitb16": _vit(_BASE, 224),
    "dino_vitb8": _vit(_BASE, 224, patch_size=8),
}


def architecture(name: str, layer_norm_eps: float) -> NetworkConfig:
    """The network of that name; classifiers have ImageNet's labels. Raises ModelError for a name that is not known.

    ``layer_norm_eps`` differs from library to library for the same network.
    """
    if name in _BACKBONES:
        return _with_eps(_BACKBONES[name], layer_norm_eps)
    if name in _CLASSIFIERS:
        return replace(_with_eps(_CLASSIFIERS[name], layer_norm_eps), labels=imagenet_labels())
    known = ", ".join([*_CLASSIFIERS, *_BACKBONES])
    raise ModelError(f"There is no network {name!r}.", f"Name one of these: {known}.")


def _with_eps(config: NetworkConfig, layer_norm_eps: float) -> NetworkConfig:
    if isinstance(config, BitClassifierConfig):  # has no LayerNorm
        return config
    return replace(config, encoder=replace(config.encoder, layer_norm_eps=layer_norm_eps))


def config_of(entry: Entry) -> NetworkConfig:
    """The network of a row of the catalog; only for the built-in model from a file."""
    if entry.architecture is None:
        return read_config(read_checkpoint_json(built_in_folder(entry) / CONFIG))
    network = architecture(entry.architecture, _LAYER_NORM_EPS[entry.layout])
    if entry.labels:
        network = replace(network, labels=entry.labels)
    if isinstance(network, VitConfig):
        return network
    return replace(network, image_size=(entry.image_size, entry.image_size))


def preprocessing_of(entry: Entry) -> Preprocessing:
    """How the files of a published row ask for pictures to be prepared, known without them.

    The files are ``pretrained_cfg`` of timm's checkpoints and ``preprocessor_config.json`` of the others. Those of DeiT
    without distillation are a ViT's, so pictures are squashed to the network's size. Their authors measured them on a
    centre crop of 224 from 256 pixels, with ImageNet's mean and standard deviation.
    """
    size = (entry.image_size, entry.image_size)
    if entry.layout == "timm":
        return _of_timm(entry.hub_id or "", size)
    match entry.family:
        case CatalogFamily.HYBRID:
            return Preprocessing.default(size)
        case CatalogFamily.BIT:
            return replace(Preprocessing.default(size), resample=Image.Resampling.BILINEAR.value)
        case CatalogFamily.DEIT if isinstance(config := config_of(entry), VitConfig) and config.distillation_head:
            edge = int(256 / 224 * entry.image_size)  # as transformers converted them
            return Preprocessing(
                size=(edge, edge),
                crop_size=size,
                image_mean=IMAGENET_STATISTICS["mean"],
                image_std=IMAGENET_STATISTICS["std"],
            )
    squashed = Preprocessing(size=size, crop_size=size, do_center_crop=False, resample=Image.Resampling.BILINEAR.value)
    if entry.family is not CatalogFamily.DINO:
        return squashed
    return replace(squashed, image_mean=IMAGENET_STATISTICS["mean"], image_std=IMAGENET_STATISTICS["std"])


def _of_timm(hub_id: str, size: tuple[int, int]) -> Preprocessing:
    halves = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    statistics = IMAGENET_STATISTICS if _IMAGENET_NORMALIZED.match(hub_id) else halves
    return timm_preprocessing(
        size,
        crop_pct=next((pct for name, pct in _CROPS if name.match(hub_id)), 0.9 if size == (224, 224) else 1.0),
        interpolation="bilinear" if _BILINEAR.match(hub_id) else "bicubic",
        mean=statistics["mean"],
        std=statistics["std"],
    )
