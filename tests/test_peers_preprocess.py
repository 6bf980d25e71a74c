"""Each published kind of ``preprocessor_config.json`` gives the pixels that transformers 4.57.6 makes of it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Peers
from places import GOLDENS
from safetensors.numpy import load_file

from vithybrid_cli.errors import ModelError
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.preprocess import Preprocessing, timm_preprocessing

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

PICTURES = sorted((GOLDENS / "preprocess").glob("*.png"))
HALVES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
EARLY = {"do_normalize": True, "do_resize": True}  # before `do_rescale` was an option of its own
NOW = {**EARLY, "do_rescale": True, "rescale_factor": 0.00392156862745098}
CROPPED = {"do_center_crop": True, "crop_size": {"height": 64, "width": 64}}
SQUARE = {"size": {"height": 64, "width": 64}}
# As the published files have them, with 64 in the place of 224 and the rest in proportion.
PUBLISHED: dict[str, Mapping[str, Any]] = {
    "vit": {**NOW, **HALVES, **SQUARE, "image_processor_type": "ViTImageProcessor", "resample": 2},
    "vit-early": {**EARLY, **HALVES, "feature_extractor_type": "ViTFeatureExtractor", "resample": 2, "size": 64},
    "dino": {**EARLY, **IMAGENET, "feature_extractor_type": "ViTFeatureExtractor", "resample": 3, "size": 64},
    "deit": {
        **NOW,
        **IMAGENET,
        **CROPPED,
        "size": {"height": 73, "width": 73},
        "image_processor_type": "DeiTImageProcessor",
        "resample": 3,
    },
    "deit-early": {
        **EARLY,
        **IMAGENET,
        "do_center_crop": True,
        "crop_size": 64,
        "size": 73,
        "feature_extractor_type": "DeiTFeatureExtractor",
        "resample": 3,
    },
    "deit-384-early": {
        **EARLY,
        **IMAGENET,
        "do_center_crop": True,
        "crop_size": 109,
        "size": 125,
        "feature_extractor_type": "DeiTFeatureExtractor",
        "resample": 3,
    },
    "beit": {
        **NOW,
        **HALVES,
        **SQUARE,
        **CROPPED,
        "do_center_crop": False,
        "do_reduce_labels": False,
        "image_processor_type": "BeitImageProcessor",
        "resample": 2,
    },
    "beit-early": {
        **EARLY,
        **HALVES,
        "do_center_crop": False,
        "crop_size": 64,
        "size": 64,
        "feature_extractor_type": "BeitFeatureExtractor",
        "reduce_labels": False,
        "resample": 2,
    },
    "bit": {
        **NOW,
        **HALVES,
        "do_center_crop": True,
        "do_convert_rgb": True,
        "size": {"shortest_edge": 128},
        "crop_size": {"height": 128, "width": 128},
        "image_processor_type": "BitImageProcessor",
        "resample": 3,
    },
    "bit-int": {**NOW, **HALVES, **CROPPED, "size": 70, "image_processor_type": "BitImageProcessor", "resample": 3},
    "hybrid": {
        **NOW,
        **HALVES,
        **CROPPED,
        "size": {"shortest_edge": 64},
        "image_processor_type": "ViTHybridImageProcessor",
        "resample": 3,
    },
    "filter-left-open-vit": {**EARLY, **HALVES, "image_processor_type": "ViTImageProcessor", "size": 64},
    "filter-left-open-deit": {
        **EARLY,
        **HALVES,
        **CROPPED,
        "image_processor_type": "DeiTImageProcessor",
        "size": 73,
    },
    "filter-left-open-beit": {
        **EARLY,
        **HALVES,
        "crop_size": 64,
        "image_processor_type": "BeitImageProcessor",
        "size": 73,
    },
    "steps-off": {
        **HALVES,
        "do_resize": False,
        "do_center_crop": True,
        "crop_size": {"height": 50, "width": 90},
        "do_rescale": False,
        "do_normalize": False,
        "image_processor_type": "BitImageProcessor",
    },
}
# A file that names no processor is read by the one of its family.
UNNAMED: dict[str, tuple[str, str, Mapping[str, Any]]] = {
    "vit-unnamed": ("vit", "ViTImageProcessor", {**EARLY, **HALVES, "size": 64}),
    "deit-unnamed": ("deit", "DeiTImageProcessor", {**EARLY, **IMAGENET, "size": 73, "crop_size": 64}),
    "beit-unnamed": ("beit", "BeitImageProcessor", {**EARLY, **HALVES, "size": 73, "crop_size": 64}),
    "bit-unnamed": ("bit", "BitImageProcessor", {**EARLY, **HALVES, "size": 73, "crop_size": 64}),
    "vit-empty": ("vit", "ViTImageProcessor", {}),
    "deit-empty": ("deit", "DeiTImageProcessor", {}),
    "beit-empty": ("beit", "BeitImageProcessor", {}),
    "bit-empty": ("bit", "BitImageProcessor", {}),
    "hybrid-empty": ("vit_hybrid", "ViTHybridImageProcessor", {}),
    "vit-copy-of-config": ("vit", "ViTImageProcessor", {"model_type": "vit", "image_size": 64, "architectures": ["A"]}),
}
SMALL = {"size": 64}
EDGE = {"size": {"shortest_edge": 64}}
# Processors of other families, some with all left open, and forms of options that other files have.
OTHERS: dict[str, Mapping[str, Any]] = {
    **{
        f"{name}-left-open": {"image_processor_type": f"{name}ImageProcessor"}
        for name in ("ViT", "DeiT", "Beit", "Bit", "ViTHybrid", "CLIP", "Siglip", "ConvNext", "MobileNetV1")
    },
    **{
        f"{name}-left-open": {"image_processor_type": f"{name}ImageProcessor"}
        for name in ("MobileNetV2", "EfficientNet", "Levit", "PoolFormer", "Pvt", "EfficientFormer", "Blip")
    },
    "segformer": {"image_processor_type": "SegformerImageProcessor", "do_reduce_labels": False, **SMALL},
    "clip": {**NOW, **EDGE, **CROPPED, "image_processor_type": "CLIPImageProcessor", "resample": 3},
    "clip-early": {**EARLY, "feature_extractor_type": "CLIPFeatureExtractor", "size": 64, "crop_size": 64},
    "clip-squared": {"image_processor_type": "CLIPImageProcessor", "use_square_size": True, **EDGE, "crop_size": 60},
    "clip-left-open-squared": {"image_processor_type": "CLIPImageProcessor", "use_square_size": True},
    "siglip": {**NOW, **HALVES, **SQUARE, "image_processor_type": "SiglipImageProcessor", "resample": 2},
    "siglip-pair": {"image_processor_type": "SiglipImageProcessor", "size": [64, 48]},
    "convnext": {"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.9, **EDGE, "resample": 3},
    "convnext-early": {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 64, **IMAGENET},
    "convnext-383": {"image_processor_type": "ConvNextImageProcessor", "size": 383, "crop_pct": None},
    "convnext-not-resized": {"image_processor_type": "ConvNextImageProcessor", "do_resize": False, **EDGE},
    "mobilenet": {"image_processor_type": "MobileNetV2ImageProcessor", "size": {"shortest_edge": 73}, **CROPPED},
    "mobilenet-pair": {"image_processor_type": "MobileNetV1ImageProcessor", "size": [73, 90], **CROPPED},
    "efficientnet": {
        **NOW,
        **IMAGENET,
        **SQUARE,
        "image_processor_type": "EfficientNetImageProcessor",
        "include_top": False,
        "rescale_offset": False,
        "resample": 2,
    },
    "efficientnet-twice": {**IMAGENET, **SQUARE, "image_processor_type": "EfficientNetImageProcessor"},
    "efficientnet-offset": {
        **SQUARE,
        **CROPPED,
        "image_processor_type": "EfficientNetImageProcessor",
        "rescale_factor": 1 / 127.5,
        "rescale_offset": True,
        "do_normalize": False,
        "image_std": [0.4, 0.5, 0.6],
    },
    "efficientnet-raw": {
        **SQUARE,
        "image_processor_type": "EfficientNetImageProcessor",
        "do_rescale": False,
        "rescale_offset": True,
    },
    "levit": {"feature_extractor_type": "LevitFeatureExtractor", "size": 64, "crop_size": 64},
    "levit-pair": {"image_processor_type": "LevitImageProcessor", "size": {"height": 70, "width": 80}, **CROPPED},
    "poolformer": {"image_processor_type": "PoolFormerImageProcessor", "crop_pct": 0.95, **EDGE, **CROPPED},
    "poolformer-whole": {"image_processor_type": "PoolFormerImageProcessor", "crop_pct": None, **EDGE, **CROPPED},
    "poolformer-square": {"image_processor_type": "PoolFormerImageProcessor", **SQUARE, **CROPPED},
    "poolformer-pair": {"image_processor_type": "PoolFormerImageProcessor", "size": [64, 80], **CROPPED},
    "efficientformer": {"image_processor_type": "EfficientFormerImageProcessor", "size": 73, "crop_size": 64},
    "efficientformer-edge": {"image_processor_type": "EfficientFormerImageProcessor", **EDGE, **CROPPED},
    "vit-with-a-crop": {"image_processor_type": "ViTImageProcessor", **SMALL, "do_center_crop": True, "crop_size": 32},
    "vit-of-no-size": {"image_processor_type": "ViTImageProcessor", "do_resize": False, **EDGE},
    "vit-fast": {**NOW, **SQUARE, "image_processor_type": "ViTImageProcessorFast", "resample": 3, "do_pad": None},
    "bit-fast": {**EDGE, **CROPPED, "image_processor_type": "BitImageProcessorFast", "default_to_square": False},
    "longest-edge": {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 64, "longest_edge": 70}},
    "list-of-three": {"image_processor_type": "ViTImageProcessor", "size": [64, 48, 3]},
    "to-be-squared": {"image_processor_type": "BitImageProcessor", "default_to_square": True, "size": 64},
    "one-mean": {"image_processor_type": "ViTImageProcessor", **SMALL, "image_mean": 0.4, "image_std": 0.3},
    "nulls": {
        "image_processor_type": "BitImageProcessor",
        "do_center_crop": None,
        "do_convert_rgb": None,
        "do_normalize": None,
        "do_rescale": None,
        "do_resize": None,
        "image_mean": None,
        "resample": None,
        "rescale_factor": None,
        "size": None,
    },
    "numbers-for-switches": {"image_processor_type": "DeiTImageProcessor", **SMALL, "do_center_crop": 0},
    "with-unknown-keys": {"image_processor_type": "ViTImageProcessor", **SMALL, "do_pad": True, "crop_pct": 0.5},
    "one-level-deeper": {"image_processor": {"image_processor_type": "ViTImageProcessor", **SMALL}, "size": 32},
    "lanczos": {"image_processor_type": "BitImageProcessor", **EDGE, "resample": 1},
    "box": {"image_processor_type": "ViTImageProcessor", **SMALL, "resample": 4},
    "hamming": {"image_processor_type": "ViTImageProcessor", **SMALL, "resample": 5},
    "another-factor": {"image_processor_type": "ViTImageProcessor", **SMALL, "rescale_factor": 0.0078},
}
# Each of these transformers refuses too, at the latest when it is given a picture.
REFUSED: dict[str, Mapping[str, Any]] = {
    "vit-edge": {"image_processor_type": "ViTImageProcessor", **EDGE},
    "deit-edge": {"image_processor_type": "DeiTImageProcessor", **EDGE},
    "siglip-number": {"image_processor_type": "SiglipImageProcessor", "size": 64},
    "siglip-edge": {"image_processor_type": "SiglipImageProcessor", **EDGE},
    "convnext-pair": {"image_processor_type": "ConvNextImageProcessor", **SQUARE},
    "longest-edge-alone": {"image_processor_type": "BitImageProcessor", "size": {"longest_edge": 64}},
    "crop-to-an-edge": {"image_processor_type": "BitImageProcessor", "crop_size": {"shortest_edge": 64}},
    "filter-by-name": {"image_processor_type": "ViTImageProcessor", "resample": "bicubic"},
    "no-filter": {"image_processor_type": "ViTImageProcessor", "resample": None},
    "no-such-filter": {"image_processor_type": "ViTImageProcessor", "resample": 9},
    "no-factor": {"image_processor_type": "ViTImageProcessor", "rescale_factor": None},
    "size-in-words": {"image_processor_type": "ViTImageProcessor", "size": "64"},
    "two-means": {"image_processor_type": "ViTImageProcessor", "image_mean": [0.5, 0.5]},
    "no-such-class": {"image_processor_type": "ViTPicturePreparer"},
    "code-of-its-own": {"auto_map": {"AutoImageProcessor": "mine.Mine"}},
}
# What this package writes for timm's checkpoints, where transformers has an option for each step.
TIMM = {
    "timm-center": timm_preprocessing((64, 64), crop_pct=1.0),
    "timm-squash": timm_preprocessing((64, 64), crop_pct=0.9, crop_mode="squash", interpolation="bilinear"),
}

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def expected(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Floats]:
    """What transformers makes of each picture, [3, H, W], by ``config/index of the picture``."""
    folder = tmp_path_factory.mktemp("processors")
    written = {name: preprocessing.to_dict() for name, preprocessing in TIMM.items()}
    for name, config in {**PUBLISHED, **OTHERS, **REFUSED, **written}.items():
        write(folder / name, "preprocessor_config.json", config)
    for name, (model_type, _, config) in UNNAMED.items():
        write(folder / name, "preprocessor_config.json", config)
        write(folder / name, "config.json", {"model_type": model_type})
    (folder / "pictures.json").write_text(json.dumps([str(path) for path in PICTURES]), encoding="utf-8")
    peers.run("processors", folder, folder / "pictures.json", folder / "out.safetensors")
    return load_file(folder / "out.safetensors")


@pytest.fixture(scope="module")
def again(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Floats]:
    """The same of the files that this package writes."""
    folder = tmp_path_factory.mktemp("written")
    for name, config in OTHERS.items():
        write(folder / name, "preprocessor_config.json", Preprocessing.from_dict(config).to_dict())
    (folder / "pictures.json").write_text(json.dumps([str(path) for path in PICTURES]), encoding="utf-8")
    peers.run("processors", folder, folder / "pictures.json", folder / "out.safetensors")
    return load_file(folder / "out.safetensors")


def write(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def assert_equal(expected: dict[str, Floats], name: str, preprocessing: Preprocessing) -> None:
    """To the last bit; with neither rescaling nor normalisation transformers leaves the values as uint8."""
    for index, path in enumerate(PICTURES):
        actual = preprocessing.normalization.apply(preprocessing.pixels(decode(path)))
        np.testing.assert_array_equal(actual, expected[f"{name}/{index}"].astype(np.float32))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_config_gives_the_pixels_of_transformers(name: str, expected: dict[str, Floats]) -> None:
    assert len(PICTURES) == 10
    assert_equal(expected, name, Preprocessing.from_dict(PUBLISHED[name]))


@pytest.mark.parametrize("name", OTHERS)
def test_the_processors_of_other_families_give_the_pixels_of_transformers(
    name: str, expected: dict[str, Floats]
) -> None:
    assert_equal(expected, name, Preprocessing.from_dict(OTHERS[name]))


@pytest.mark.parametrize("name", OTHERS)
def test_what_was_read_is_written_so_that_transformers_reads_it_to_the_same_pixels(
    name: str, expected: dict[str, Floats], again: dict[str, Floats]
) -> None:
    for index in range(len(PICTURES)):
        np.testing.assert_array_equal(expected[f"{name}/{index}"], again[f"{name}/{index}"])


@pytest.mark.parametrize("name", REFUSED)
def test_what_transformers_refuses_is_refused(name: str, expected: dict[str, Floats]) -> None:
    assert not any(key.startswith(f"{name}/") for key in expected)
    with pytest.raises(ModelError):
        Preprocessing.from_dict(REFUSED[name])


@pytest.mark.parametrize("name", UNNAMED)
def test_a_config_that_names_no_processor_is_read_by_that_of_its_family(name: str, expected: dict[str, Floats]) -> None:
    _, processor, config = UNNAMED[name]
    assert_equal(expected, name, Preprocessing.from_dict(config, processor))


@pytest.mark.parametrize("name", TIMM)
def test_transformers_passes_over_what_is_written_for_timm(name: str, expected: dict[str, Floats]) -> None:
    assert_equal(expected, name, replace(TIMM[name], timm=None))
