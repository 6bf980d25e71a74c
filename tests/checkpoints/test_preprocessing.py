"""How pictures are prepared for a checkpoint in transformers' layout, from both of its files, or without the second."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from vithybrid_cli.bench.random_weights import write_random
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.convert import convert_checkpoint
from vithybrid_cli.checkpoints.preprocessing import read_preprocessing
from vithybrid_cli.errors import ModelError
from vithybrid_cli.images.preprocess import Preprocessing

VIT = {"model_type": "vit", "image_size": 64, "patch_size": 16, "hidden_size": 32, "num_attention_heads": 2}
SQUASHED = {"image_processor_type": "ViTImageProcessor", "size": {"height": 64, "width": 64}}


def folder(path: Path, config: Mapping[str, Any], preprocessor: Mapping[str, Any] | None = None) -> Path:
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if preprocessor is not None:
        (path / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    return path


HYBRID = {
    "model_type": "vit_hybrid",
    "image_size": 64,
    "backbone_config": {"model_type": "bit", "layer_type": "bottleneck", "depths": [1], "hidden_sizes": [128]}
    | {"out_features": ["stage1"], "embedding_dynamic_padding": True, "global_padding": "SAME"},
}


@pytest.mark.parametrize(
    ("config", "expected", "how"),
    [
        pytest.param(
            VIT,
            Preprocessing((64, 64), (64, 64), resample=2, do_center_crop=False),
            "as ViTImageProcessor of transformers does by default, brought to the size that the network takes "
            "(64×64 pixels, mean 0.5)",
            id="ViT",
        ),
        pytest.param(
            {**VIT, "model_type": "deit", "image_size": 224},
            Preprocessing((256, 256), (224, 224)),
            "as DeiTImageProcessor of transformers does by default (224×224 pixels, mean 0.5)",
            id="DeiT",
        ),
        pytest.param(
            {"model_type": "bit"},
            Preprocessing.from_dict({}, "BitImageProcessor"),
            "as BitImageProcessor of transformers does by default (224×224 pixels, mean 0.481455, 0.457827, 0.408211)",
            id="BiT",
        ),
        pytest.param(
            HYBRID,
            Preprocessing.default((64, 64)),
            "as the published hybrids' are (64×64 pixels, mean 0.5)",
            id="hybrid",
        ),
    ],
)
def test_without_a_file_one_line_says_how_pictures_are_prepared(
    config: dict[str, Any], expected: Preprocessing, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = Checkpoint.read(folder(tmp_path, config))
    assert checkpoint.preprocessing == expected
    assert checkpoint.config.image_size == expected.output_size
    assert caplog.messages == []  # there are no weights, so there is nothing to run on pictures
    assert read_preprocessing(tmp_path, config, None, checkpoint.config) == expected
    assert caplog.messages == [f"{tmp_path} has no preprocessor_config.json: pictures are prepared {how}."]


def test_an_image_processor_among_those_of_a_multimodal_one_is_found(tmp_path: Path) -> None:
    both = {"processor_class": "ViltProcessor", "image_processor": {**SQUASHED, "resample": 3}}
    (folder(tmp_path, VIT) / "processor_config.json").write_text(json.dumps(both), encoding="utf-8")
    read = Checkpoint.read(tmp_path)
    assert (read.preprocessing.size, read.preprocessing.resample) == ((64, 64), 3)
    assert read.descriptions == (tmp_path / "config.json", tmp_path / "processor_config.json")


def test_the_class_that_a_config_names_reads_a_file_that_names_none(tmp_path: Path) -> None:
    config = {**VIT, "image_processor_type": "BitImageProcessor"}
    read = Checkpoint.read(folder(tmp_path, config, {"size": 64, "crop_size": 64}))
    assert (read.preprocessing.size, read.preprocessing.resample) == (64, 3)


@pytest.mark.parametrize(
    ("config", "preprocessor", "made"),
    [
        pytest.param(VIT, {}, "224×224", id="an empty file"),
        pytest.param(VIT, VIT, "224×224", id="a copy of config.json"),
        pytest.param(HYBRID, {"image_processor_type": "ViTHybridImageProcessor"}, "224×224", id="a hybrid's defaults"),
        pytest.param(VIT, {**SQUASHED, "size": [64, 48]}, "48×64", id="unequal sides"),
        pytest.param(
            VIT, {**SQUASHED, "size": 72, "do_center_crop": True, "crop_size": 64}, "72×72", id="a ViT's crop"
        ),
    ],
)
def test_preprocessing_that_does_not_fit_the_network_is_an_error_as_soon_as_it_is_read(
    config: dict[str, Any], preprocessor: dict[str, Any], made: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as caught:
        Checkpoint.read(folder(tmp_path, config, preprocessor))
    assert caught.value.cause == f"The model takes 64×64 pixels, but its preprocessor_config.json makes {made}."
    assert caught.value.remedy == "Write the sizes that it takes into that file, or run it with {image_size=64}."


def test_a_size_that_makes_gigabytes_of_every_picture_is_an_error_as_soon_as_it_is_read(tmp_path: Path) -> None:
    options = {"image_processor_type": "BitImageProcessor", "size": 100_000, "crop_size": 64}
    with pytest.raises(ModelError, match="resizes pictures to more pixels than fit into memory"):
        Checkpoint.read(folder(tmp_path, VIT, options))


@pytest.mark.parametrize("size", [[96, 96], [80, 48]], ids=["square", "unequal sides"])
def test_a_beit_is_run_at_the_size_that_its_preprocessing_makes(
    size: list[int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"image_processor_type": "BeitImageProcessor", "size": size, "do_center_crop": False}
    read = Checkpoint.read(folder(tmp_path, {**VIT, "model_type": "beit"}, options))
    assert (read.config.image_size, read.stored_size) == (tuple(size), (64, 64))
    assert caplog.messages == [
        f"{tmp_path} was made for 64×64 pixels, but its preprocessor_config.json makes {size[1]}×{size[0]}: positions "
        "are interpolated, as in transformers."
    ]


def test_with_an_image_size_pictures_are_brought_to_that_size_whatever_the_file_makes(tmp_path: Path) -> None:
    read = Checkpoint.read(folder(tmp_path, VIT, {**SQUASHED, "size": 72}), image_size=96)
    assert (read.config.image_size, read.preprocessing.size) == ((96, 96), (96, 96))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({**SQUASHED, "do_resize": False}, id="no step"),
        pytest.param({"image_processor_type": "BitImageProcessor", "do_center_crop": False}, id="an edge alone"),
    ],
)
def test_where_the_size_depends_on_the_picture_one_line_says_which_fit(
    options: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Checkpoint.read(folder(tmp_path, VIT, options))
    assert caplog.messages == [
        f"The preprocessor_config.json of {tmp_path} brings pictures to no fixed size, so only those that come out at "
        "64×64 pixels can be used."
    ]


def test_a_beit_that_is_run_at_another_size_is_converted_as_it_is_stored(tmp_path: Path) -> None:
    options = {"image_processor_type": "BeitImageProcessor", "size": 96, "do_center_crop": False}
    config = {**VIT, "model_type": "beit", "use_relative_position_bias": True, "num_hidden_layers": 1}
    stored = Checkpoint.read(folder(tmp_path, config, {**options, "size": 64}))
    made = tmp_path / "made"
    write_random(stored.config, stored.preprocessing, made)
    (made / "preprocessor_config.json").write_text(json.dumps(options), encoding="utf-8")
    convert_checkpoint(Checkpoint.read(made), tmp_path / "converted")
    again = Checkpoint.read(tmp_path / "converted")
    assert (again.config.image_size, again.stored_size) == ((96, 96), (64, 64))
