"""Preprocessing is that of transformers 4.57.6.

The goldens were made with Pillow-SIMD, whose ``resize`` has weights of 16 bits: with Pillow-SIMD 12.1.1 all of them
come out to the last bit. The usual Pillow has 22 bits, and since version 13 it also chooses which axis comes
first. So there are two golden tests: to the last bit with 16-bit weights in the place of ``Image.resize``, and to one
grey level with the Pillow at hand.
"""

import json
import logging
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import pytest
from PIL import Image
from places import GOLDENS
from safetensors.numpy import load_file

from vithybrid_cli.errors import ImageTooLarge, ModelError
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.preprocess import Normalization, Preprocessing

GOLDEN = GOLDENS / "preprocess"
PROCESSORS = json.loads((GOLDEN / "processors.json").read_text())
EXPECTED = load_file(GOLDEN / "expected.safetensors")


def bicubic(x: float) -> float:
    x = abs(x)
    return (1.5 * x - 2.5) * x * x + 1 if x < 1 else (((x - 5) * x + 8) * x - 4) * -0.5 if x < 2 else 0.0


def bilinear(x: float) -> float:
    return max(0.0, 1 - abs(x))


def weights(size: int, new_size: int, resample: Image.Resampling) -> npt.NDArray[np.float64]:
    """The share of each old pixel in each new one, [new_size, size], as Pillow's ``precompute_coeffs``."""
    kernel, support = (bicubic, 2.0) if resample is Image.Resampling.BICUBIC else (bilinear, 1.0)
    scale = size / new_size
    stretch = max(scale, 1.0)
    table = np.zeros((new_size, size))
    for row in range(new_size):
        centre = (row + 0.5) * scale
        first = max(0, int(centre - support * stretch + 0.5))
        last = min(size, int(centre + support * stretch + 0.5))
        values = [kernel((column - centre + 0.5) / stretch) for column in range(first, last)]
        table[row, first:last] = np.array(values) / sum(values)
    return table


def weighted(pixels: npt.NDArray[Any], size: int, resample: Image.Resampling) -> npt.NDArray[Any]:
    """The first axis resized with weights of 16 bits: as many bits after the point as the largest one leaves."""
    if len(pixels) == size:
        return pixels
    table = weights(len(pixels), size, resample)
    bits = max(bits for bits in range(1, 23) if int(0.5 + np.abs(table).max() * 2**bits) < 2**15)
    fixed = np.trunc(table * 2**bits + np.copysign(0.5, table))
    return np.asarray(np.clip((np.tensordot(fixed, pixels, 1) + 2 ** (bits - 1)) // 2**bits, 0, 255))


def resize_with_16_bits(image: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    pixels = np.asarray(image).astype(np.float64)
    pixels = weighted(pixels.swapaxes(0, 1), size[0], resample).swapaxes(0, 1)
    return Image.fromarray(weighted(pixels, size[1], resample).astype(np.uint8))


@pytest.mark.parametrize("key", sorted(EXPECTED))
def test_with_weights_of_16_bits_everything_equals_the_golden_to_the_last_bit(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image.Image, "resize", resize_with_16_bits)
    monkeypatch.setattr(PIL, "__version__", "12.1.1.post0")
    name, processor = key.split("/")
    preprocessing = Preprocessing.from_dict(PROCESSORS[processor])
    pixels = preprocessing.pixels(decode(GOLDEN / f"{name}.png"))
    np.testing.assert_array_equal(EXPECTED[key], preprocessing.normalization.apply(pixels), strict=True)


@pytest.mark.parametrize("key", sorted(EXPECTED))
def test_with_the_pillow_at_hand_no_pixel_is_more_than_one_grey_level_from_the_golden(key: str) -> None:
    name, processor = key.split("/")
    preprocessing = Preprocessing.from_dict(PROCESSORS[processor])
    actual = preprocessing.normalization.apply(preprocessing.pixels(decode(GOLDEN / f"{name}.png")))
    one_level = 1 / 255 / np.array(preprocessing.image_std, np.float32)[:, None, None]
    assert EXPECTED[key].shape == actual.shape
    assert np.all(np.abs(EXPECTED[key] - actual) <= one_level * 1.0001)


@pytest.mark.parametrize("name", ["02-64x64/hybrid", "02-64x64/hybrid-odd-crop", "02-64x64/vit"])
def test_a_picture_that_needs_no_resizing_equals_the_golden_to_the_last_bit(name: str) -> None:
    image, processor = name.split("/")
    preprocessing = Preprocessing.from_dict(PROCESSORS[processor])
    actual = preprocessing.normalization.apply(preprocessing.pixels(decode(GOLDEN / f"{image}.png")))
    np.testing.assert_array_equal(EXPECTED[name], actual, strict=True)


HYBRID = {"image_processor_type": "ViTHybridImageProcessor"}
VITS = ("ViTImageProcessor", "ViTImageProcessorFast", "ViTImageProcessorPil")
VIT = {"image_processor_type": VITS[0]}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({"size": 64, **HYBRID}, 64, id="an int for the hybrid is the shortest edge"),
        pytest.param({"size": 64}, 64, id="without a type it is a hybrid"),
        pytest.param({"size": 64, "feature_extractor_type": "ViTHybridFeatureExtractor"}, 64, id="feature extractor"),
        pytest.param({"size": 64, "image_processor_type": "BitImageProcessor"}, 64, id="BiT"),
        pytest.param({"size": 64, **VIT}, (64, 64), id="an int for ViT is height and width"),
        pytest.param({"size": 64, "image_processor_type": "DeiTImageProcessor"}, (64, 64), id="DeiT"),
        pytest.param({"size": 64, "image_processor_type": "DeiTImageProcessorPil"}, (64, 64), id="transformers 5"),
        pytest.param({"size": 64, "feature_extractor_type": "BeitFeatureExtractor"}, (64, 64), id="BEiT"),
        pytest.param({"size": 64, "default_to_square": True}, 64, id="default_to_square, which slow classes pass over"),
        pytest.param(
            {"size": 64, "default_to_square": True, "image_processor_type": "CLIPImageProcessorFast"},
            (64, 64),
            id="default_to_square, which fast classes read",
        ),
        pytest.param({"size": {"shortest_edge": 64}, **HYBRID}, 64, id="shortest edge"),
        pytest.param({"size": {"shortest_edge": 64, "longest_edge": 96}}, 64, id="a longest edge is passed over"),
        pytest.param(
            {"size": {"shortest_edge": 64}, "image_processor_type": "ViTImageProcessorFast"}, 64, id="edge, fast ViT"
        ),
        pytest.param({"size": {"shortest_edge": 64}, "do_resize": False, **VIT}, (224, 224), id="not resized"),
        pytest.param({"size": {"height": 48, "width": 64}, **HYBRID}, (48, 64), id="height and width"),
        pytest.param({"size": {"height": 48, "width": 64, "longest_edge": None}}, (48, 64), id="a null is not set"),
        pytest.param({"size": [48, 64]}, (48, 64), id="a pair is height and width"),
        pytest.param({"size": [48, 64, 3]}, (48, 64), id="of a list the first two count"),
        pytest.param({"size": None}, 224, id="absent, hybrid"),
        pytest.param({**VIT}, (224, 224), id="absent, ViT"),
        pytest.param({"image_processor_type": "DeiTImageProcessor"}, (256, 256), id="absent, DeiT"),
        pytest.param({"size": 64, "image_processor_type": "CLIPImageProcessor"}, 64, id="CLIP"),
        pytest.param(
            {"size": 64, "image_processor_type": "CLIPFeatureExtractor", "use_square_size": True},
            (64, 64),
            id="CLIP, squared",
        ),
        pytest.param(
            {"image_processor_type": "CLIPImageProcessor", "use_square_size": True},
            (224, 224),
            id="CLIP, squared, absent",
        ),
        pytest.param({"size": 224, "image_processor_type": "ConvNextImageProcessor"}, 256, id="ConvNeXt below 384"),
        pytest.param({"image_processor_type": "ConvNextImageProcessor"}, (384, 384), id="ConvNeXt"),
        pytest.param({"size": 224, "image_processor_type": "LevitImageProcessor"}, 256, id="LeViT"),
        pytest.param({"image_processor_type": "PoolFormerImageProcessor"}, 248, id="PoolFormer"),
    ],
)
def test_size_is_read_as_its_processor_means_it(config: dict[str, Any], expected: object) -> None:
    assert expected == Preprocessing.from_dict(config).size


@pytest.mark.parametrize(
    ("crop_size", "expected"),
    [
        pytest.param(64, (64, 64), id="int"),
        pytest.param({"height": 72, "width": 48}, (72, 48), id="dict"),
        pytest.param(None, (224, 224), id="absent"),
    ],
)
def test_crop_size_is_height_and_width(crop_size: object, expected: tuple[int, int]) -> None:
    assert expected == Preprocessing.from_dict({"crop_size": crop_size}).crop_size


def test_a_checkpoint_without_a_config_gets_its_own_size_and_one_half_for_mean_and_std() -> None:
    expected = Preprocessing(
        size=384,
        crop_size=(384, 384),
        do_resize=True,
        resample=3,
        do_center_crop=True,
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=(0.5, 0.5, 0.5),
        image_std=(0.5, 0.5, 0.5),
    )
    assert expected == Preprocessing.default((384, 384))
    assert expected == Preprocessing.default_of("ViTHybridImageProcessor", (384, 384))


CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
CLIP = Preprocessing(224, (224, 224), image_mean=CLIP_MEAN, image_std=CLIP_STD)


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        pytest.param("ViTImageProcessor", Preprocessing((224, 224), (224, 224), resample=2, do_center_crop=False)),
        pytest.param("DeiTImageProcessor", Preprocessing((256, 256), (224, 224))),
        pytest.param("BeitImageProcessor", Preprocessing((256, 256), (224, 224))),
        pytest.param("BitImageProcessor", CLIP),
        pytest.param("ViTHybridImageProcessor", CLIP),
    ],
)
def test_an_empty_file_means_the_defaults_of_its_class(processor: str, expected: Preprocessing) -> None:
    assert expected == Preprocessing.from_dict({}, processor)


@pytest.mark.parametrize(
    ("processor", "image_size", "expected"),
    [
        pytest.param(
            "ViTImageProcessor",
            (384, 384),
            Preprocessing((384, 384), (384, 384), resample=2, do_center_crop=False),
            id="a larger ViT",
        ),
        pytest.param("DeiTImageProcessor", (224, 224), Preprocessing((256, 256), (224, 224)), id="DeiT"),
        pytest.param("DeiTImageProcessor", (384, 384), Preprocessing((439, 439), (384, 384)), id="a larger DeiT"),
        pytest.param("BitImageProcessor", None, CLIP, id="BiT, which takes any size"),
    ],
)
def test_without_a_file_the_defaults_of_the_class_are_brought_to_the_networks_size(
    processor: str, image_size: tuple[int, int] | None, expected: Preprocessing
) -> None:
    assert expected == Preprocessing.default_of(processor, image_size)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"do_normalize": None}, False, id="slow"),
        pytest.param({"do_normalize": None, "image_processor_type": "BitImageProcessorFast"}, True, id="fast"),
        pytest.param({"do_normalize": 0}, False, id="zero"),
        pytest.param({"do_normalize": 1}, True, id="one"),
        pytest.param({}, True, id="absent"),
    ],
)
def test_a_null_switches_a_step_of_a_slow_class_off(options: dict[str, Any], expected: bool) -> None:
    assert expected is Preprocessing.from_dict(options).do_normalize


def test_options_may_lie_one_level_deeper_as_those_of_multimodal_processors() -> None:
    inner = {"image_processor_type": "ViTImageProcessor", "size": 96}
    assert Preprocessing.from_dict(inner) == Preprocessing.from_dict({"image_processor": inner, "processor_class": "X"})


def test_in_one_step_values_are_the_same_up_to_rounding() -> None:
    twice = Normalization(1 / 127.5, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), offset=1.0, twice=True)
    np.testing.assert_allclose(twice.in_one_step().table(), twice.table(), rtol=1e-5, atol=1e-5)
    plain = Normalization(1 / 255, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert plain == plain.in_one_step()


def test_a_slow_vit_passes_over_a_crop_and_others_do_it() -> None:
    options = {"size": {"height": 96, "width": 96}, "do_center_crop": True, "crop_size": {"height": 80, "width": 80}}
    made = [Preprocessing.from_dict({**options, "image_processor_type": name}).output_size for name in VITS]
    assert made == [(96, 96), (80, 80), (80, 80)]


def test_a_config_that_is_written_reads_back_the_same() -> None:
    efficientnet = Preprocessing((48, 32), (40, 30), include_top=True, rescale_offset=True)
    for preprocessing in (Preprocessing.default((48, 48)), Preprocessing((48, 32), (40, 30), resample=2), efficientnet):
        assert preprocessing == Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict())))


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
IMAGENET = {"image_mean": list(MEAN), "image_std": list(STD)}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param(
            {"feature_extractor_type": "ViTFeatureExtractor", "resample": 2, "size": 224},
            Preprocessing((224, 224), (224, 224), resample=2, do_center_crop=False),
            id="google/vit-base-patch16-224, early",
        ),
        pytest.param(
            {"feature_extractor_type": "ViTFeatureExtractor", "resample": 3, "size": 224, **IMAGENET},
            Preprocessing((224, 224), (224, 224), do_center_crop=False, image_mean=MEAN, image_std=STD),
            id="facebook/dino",
        ),
        pytest.param(
            {
                "feature_extractor_type": "DeiTFeatureExtractor",
                "resample": 3,
                "size": 256,
                "crop_size": 224,
                "do_center_crop": True,
                **IMAGENET,
            },
            Preprocessing((256, 256), (224, 224), image_mean=MEAN, image_std=STD),
            id="facebook/deit",
        ),
        pytest.param(
            {
                "feature_extractor_type": "BeitFeatureExtractor",
                "resample": 2,
                "size": 224,
                "crop_size": 224,
                "do_center_crop": False,
                "reduce_labels": False,
            },
            Preprocessing((224, 224), (224, 224), resample=2, do_center_crop=False),
            id="microsoft/beit",
        ),
        pytest.param(
            {
                "image_processor_type": "BitImageProcessor",
                "resample": 3,
                "size": {"shortest_edge": 448},
                "crop_size": {"height": 448, "width": 448},
                "do_center_crop": True,
                "do_convert_rgb": True,
            },
            Preprocessing(448, (448, 448)),
            id="google/bit-50",
        ),
    ],
)
def test_the_configs_of_the_other_families_are_read_as_they_are_published(
    config: dict[str, Any], expected: Preprocessing
) -> None:
    common = {"do_normalize": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    assert expected == Preprocessing.from_dict({**common, **config})


@pytest.mark.parametrize(
    ("preprocessing", "image_size", "expected"),
    [
        pytest.param(Preprocessing(384, (384, 384)), (512, 512), Preprocessing(512, (512, 512)), id="hybrid"),
        pytest.param(Preprocessing(448, (448, 448)), (224, 224), Preprocessing(224, (224, 224)), id="BiT"),
        pytest.param(Preprocessing(256, (224, 224)), (384, 384), Preprocessing(439, (384, 384)), id="a share of 7/8"),
        pytest.param(
            Preprocessing((256, 256), (224, 224)), (112, 112), Preprocessing((128, 128), (112, 112)), id="DeiT"
        ),
        pytest.param(
            Preprocessing((256, 256), (224, 224)),
            (112, 448),
            Preprocessing((128, 512), (112, 448)),
            id="DeiT, unequal sides",
        ),
        pytest.param(
            Preprocessing((224, 224), (224, 224), do_center_crop=False),
            (384, 320),
            Preprocessing((384, 320), (384, 320), do_center_crop=False),
            id="ViT",
        ),
        pytest.param(
            Preprocessing((224, 224), (180, 180), do_center_crop=False),
            (384, 384),
            Preprocessing((384, 384), (384, 384), do_center_crop=False),
            id="BEiT, whose crop is switched off",
        ),
        pytest.param(
            Preprocessing(64, (48, 32), do_center_crop=False),
            (96, 96),
            Preprocessing(96, (96, 96), do_center_crop=False),
            id="shortest edge alone",
        ),
        pytest.param(Preprocessing(64, (72, 48)), (144, 96), Preprocessing(128, (144, 96)), id="an odd crop"),
    ],
)
def test_at_another_size_the_same_share_of_each_picture_is_seen(
    preprocessing: Preprocessing, image_size: tuple[int, int], expected: Preprocessing
) -> None:
    changed = preprocessing.at(image_size)
    assert expected == changed
    if changed.output_size is not None:
        assert (*image_size, 3) == changed.pixels(gradient(90, 70)).shape


def test_at_its_own_size_nothing_changes() -> None:
    for name, config in PROCESSORS.items():
        preprocessing = Preprocessing.from_dict(config)
        assert preprocessing.output_size is not None, name
        assert preprocessing == preprocessing.at(preprocessing.output_size).at(preprocessing.output_size), name


@pytest.mark.parametrize(
    ("config", "named"),
    [
        pytest.param({"size": {"longest_edge": 96}}, 'size = {"longest_edge": 96}', id="longest edge alone"),
        pytest.param(
            {
                "size": {"shortest_edge": 64, "longest_edge": 96},
                "image_processor_type": "CLIPImageProcessorFast",
            },
            "longest_edge",
            id="longest edge, which fast classes mind",
        ),
        pytest.param({"size": {"max_height": 64, "max_width": 96}}, "max_height", id="maxima"),
        pytest.param(
            {"size": {"shortest_edge": 64}, **VIT},
            "Write height and width, which ViTImageProcessor needs.",
            id="edge, slow ViT",
        ),
        pytest.param({"size": 64, "image_processor_type": "SiglipImageProcessor"}, "size = 64", id="number, SigLIP"),
        pytest.param(
            {"size": [64, 64], "image_processor_type": "ConvNextImageProcessor"},
            "Write a shortest edge, which ConvNextImageProcessor needs.",
            id="pair, ConvNeXt",
        ),
        pytest.param({"size": 0}, "size = 0", id="zero size"),
        pytest.param({"size": True}, "size = true", id="a switch for a size"),
        pytest.param({"size": [64]}, "size = [64]", id="one size in a list"),
        pytest.param({"size": "64"}, 'size = "64"', id="text for a size"),
        pytest.param({"crop_size": {"shortest_edge": 64}}, "crop_size", id="crop to an edge"),
        pytest.param(
            {"do_pad": True, "image_processor_type": "ViTImageProcessorFast"}, "do_pad = true", id="padding, fast"
        ),
        pytest.param(
            {"do_center_crop": True, "image_processor_type": "ViTImageProcessorFast"},
            "crop_size = null",
            id="a crop of no size, fast ViT",
        ),
        pytest.param(
            {"crop_pct": 0, "size": 64, "image_processor_type": "ConvNextImageProcessor"}, "crop_pct = 0", id="no share"
        ),
        pytest.param({"resample": 9}, "resample = 9", id="no such filter"),
        pytest.param({"resample": None}, "resample = null", id="no filter"),
        pytest.param({"resample": "bicubic"}, 'resample = "bicubic"', id="a filter by name"),
        pytest.param({"do_resize": "no"}, 'do_resize = "no"', id="text for a switch"),
        pytest.param({"image_mean": [0.5, 0.5]}, "image_mean", id="two channels"),
        pytest.param({"image_std": [0.5, 0.5, 0]}, "image_std", id="division by zero"),
        pytest.param({"rescale_factor": math.nan}, "rescale_factor", id="not a number"),
        pytest.param(
            {"image_processor_type": "MobileViTImageProcessor"}, '"MobileViTImageProcessor"', id="other steps"
        ),
        pytest.param({"image_processor_type": ["ViT"]}, '["ViT"]', id="no name"),
        pytest.param({"auto_map": {"AutoImageProcessor": "mine.Mine"}}, "mine.Mine", id="code of its own"),
    ],
)
def test_what_is_not_supported_is_named(config: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError) as caught:
        Preprocessing.from_dict(config)
    assert named in str(caught.value)


WARNINGS = "vithybrid_cli.images.processor_config"


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"do_flip_channel_order": False, "pad_size": None, "device": None}, id="switched off"),
        pytest.param({"do_convert_rgb": True, "data_format": "channels_first"}, id="without effect on RGB"),
        pytest.param({"do_convert_rgb": None}, id="do_convert_rgb left open"),
        pytest.param({"image_processor_type": "ViTHybridImageProcessorFast"}, id="the fast variant"),
        pytest.param({"_valid_processor_keys": ["images", "do_resize"]}, id="transformers 4.39 to 4.41"),
        pytest.param({"auto_map": {"AutoImageProcessor": "mine.Mine"}, **HYBRID}, id="code beside a class"),
        pytest.param({"processor_class": "CLIPProcessor", "default_to_square": False}, id="inert"),
    ],
)
def test_what_changes_no_pixel_is_accepted_without_a_word(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert Preprocessing.from_dict({}) == Preprocessing.from_dict(config)
    assert caplog.messages == []


def test_an_early_vit_with_a_crop_of_its_own_size_is_accepted_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    plain = Preprocessing.from_dict({**VIT, "size": 30})
    assert plain == Preprocessing.from_dict({**VIT, "size": 30, "crop_size": 30, "do_center_crop": True})
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("config", "warning"),
    [
        pytest.param(
            {"favourite": "blue", "do_pad": True, "img_mean": [0.5]},
            "preprocessor_config.json sets do_pad, favourite, img_mean, which ViTImageProcessor does not read: passed "
            "over, as in transformers.",
            id="unknown",
        ),
        pytest.param(
            {f"option{number}": 1 for number in range(11)},
            "preprocessor_config.json sets option0, option1, option10, option2, option3, option4, option5, option6 and "
            "3 more, which ViTImageProcessor does not read: passed over, as in transformers.",
            id="many",
        ),
        pytest.param(
            {"crop_pct": 0.9},
            "preprocessor_config.json sets crop_pct, which ViTImageProcessor does not read: passed over, as in "
            "transformers.",
            id="another class's",
        ),
        pytest.param(
            {"do_center_crop": True, "crop_size": 200},
            "preprocessor_config.json sets do_center_crop, which ViTImageProcessor does not read: passed over, as in "
            "transformers.",
            id="a crop that a slow ViT does not do",
        ),
        pytest.param(
            {"architectures": ["ViTForImageClassification"], "hidden_size": 768, "model_type": "vit"},
            "preprocessor_config.json is a copy of config.json and says nothing of pictures, so the defaults of "
            "ViTImageProcessor hold, as in transformers.",
            id="a copy of config.json",
        ),
    ],
)
def test_what_the_class_does_not_read_is_named_in_one_warning(
    config: dict[str, Any], warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Preprocessing.from_dict({}, "ViTImageProcessor") == Preprocessing.from_dict(config, "ViTImageProcessor")
    assert [(WARNINGS, logging.WARNING, warning)] == caplog.record_tuples


def gradient(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        pytest.param(500, 375, (64, 85), id="landscape"),
        pytest.param(375, 500, (85, 64), id="portrait"),
        pytest.param(77, 77, (64, 64), id="square"),
        pytest.param(3, 200, (4266, 64), id="elongated"),
    ],
)
def test_the_long_side_is_rounded_down(width: int, height: int, expected: tuple[int, int]) -> None:
    whole = Preprocessing(size=64, crop_size=(64, 64), do_center_crop=False)
    assert (*expected, 3) == whole.pixels(gradient(width, height)).shape


def test_an_image_smaller_than_the_crop_gets_a_border_of_zeros_with_the_odd_line_above_and_left() -> None:
    crop = Preprocessing(size=1, crop_size=(8, 7), do_resize=False)
    expected = np.zeros((8, 7, 3), np.uint8)
    expected[2:7, 2:6] = np.asarray(gradient(4, 5))
    np.testing.assert_array_equal(expected, crop.pixels(gradient(4, 5)))


def test_an_image_larger_than_the_crop_loses_the_odd_line_below_and_right() -> None:
    crop = Preprocessing(size=1, crop_size=(4, 3), do_resize=False)
    image = gradient(8, 9)
    np.testing.assert_array_equal(np.asarray(image)[2:6, 2:5], crop.pixels(image))


def test_an_image_can_be_padded_along_one_axis_and_cropped_along_the_other() -> None:
    crop = Preprocessing(size=1, crop_size=(6, 6), do_resize=False)
    image = gradient(9, 3)
    expected = np.zeros((6, 6, 3), np.uint8)
    expected[2:5] = np.asarray(image)[:, 1:7]
    np.testing.assert_array_equal(expected, crop.pixels(image))


def test_pixels_are_contiguous_writable_and_leave_the_image_alone() -> None:
    image = gradient(64, 64)
    before = image.tobytes()
    pixels = Preprocessing.default((64, 64)).pixels(image)
    assert (np.dtype(np.uint8), True, True) == (pixels.dtype, pixels.flags.c_contiguous, pixels.flags.writeable)
    pixels[:] = 0
    assert before == image.tobytes()


@pytest.mark.parametrize(
    ("preprocessing", "expected"),
    [
        pytest.param(Preprocessing(64, (48, 32)), (48, 32), id="crop"),
        pytest.param(Preprocessing((48, 32), (8, 8), do_center_crop=False), (48, 32), id="resize to a fixed size"),
        pytest.param(Preprocessing(64, (8, 8), do_center_crop=False), None, id="shortest edge"),
        pytest.param(Preprocessing((48, 32), (8, 8), False, do_center_crop=False), None, id="neither"),
    ],
)
def test_output_size_is_known_when_it_does_not_depend_on_the_image(
    preprocessing: Preprocessing, expected: tuple[int, int] | None
) -> None:
    assert expected == preprocessing.output_size
    if expected is not None:
        assert (*expected, 3) == preprocessing.pixels(gradient(90, 70)).shape


def test_an_extremely_elongated_image_is_refused_before_it_takes_gigabytes() -> None:
    with pytest.raises(ImageTooLarge, match=r"1 × 5000 pixels would be resized to 384 × 1920000"):
        Preprocessing.default((384, 384)).pixels(gradient(1, 5000))


def test_a_very_long_panorama_is_not_refused() -> None:
    assert Preprocessing.default((384, 384)).pixels(gradient(2000, 10)).shape == (384, 384, 3)


def test_normalisation_is_rescaled_in_float64_and_the_rest_in_float32() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1).repeat(3, axis=-1)
    mean, std = (0.481, 0.457, 0.408), (0.268, 0.261, 0.275)
    rescaled = (pixels.astype(np.float64) * (1 / 255)).astype(np.float32)
    expected = ((rescaled - np.array(mean, np.float32)) / np.array(std, np.float32)).transpose(0, 3, 1, 2)
    actual = Normalization(1 / 255, mean, std).apply(pixels)
    np.testing.assert_array_equal(expected, actual, strict=True)
    assert actual.flags.c_contiguous


@pytest.mark.parametrize(
    ("rescale", "normalize", "expected"),
    [
        pytest.param(True, True, (255 / 255 - 0.5) / 0.5, id="both"),
        pytest.param(True, False, 1.0, id="rescale"),
        pytest.param(False, True, (255 - 0.5) / 0.5, id="normalise"),
        pytest.param(False, False, 255.0, id="neither"),
    ],
)
def test_a_step_that_is_switched_off_changes_nothing(rescale: bool, normalize: bool, expected: float) -> None:
    preprocessing = Preprocessing(64, (64, 64), do_rescale=rescale, do_normalize=normalize)
    white = np.full((1, 1, 3), 255, np.uint8)
    assert [expected] * 3 == preprocessing.normalization.apply(white).ravel().tolist()
