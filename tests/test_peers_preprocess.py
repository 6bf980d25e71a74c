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
    for name, config in {**PUBLISHED, **written}.items():
        write(folder / name, "preprocessor_config.json", config)
    for name, (model_type, _, config) in UNNAMED.items():
        write(folder / name, "preprocessor_config.json", config)
        write(folder / name, "config.json", {"model_type": model_type})
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


@pytest.mark.parametrize("name", UNNAMED)
def test_a_config_that_names_no_processor_is_read_by_that_of_its_family(name: str, expected: dict[str, Floats]) -> None:
    _, processor, config = UNNAMED[name]
    assert_equal(expected, name, Preprocessing.from_dict(config, processor))


@pytest.mark.parametrize("name", TIMM)
def test_transformers_passes_over_what_is_written_for_timm(name: str, expected: dict[str, Floats]) -> None:
    assert_equal(expected, name, replace(TIMM[name], timm=None))
