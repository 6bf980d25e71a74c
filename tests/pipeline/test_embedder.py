"""Features: those that the published heads read, on both engines, and pictures into vectors, in order."""

import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from headless import make_headless
from PIL import Image
from places import GOLDENS
from safetensors.torch import load_file
from torch import Tensor

from vithybrid_cli import Embedder
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Feature
from vithybrid_cli.engines import Engine
from vithybrid_cli.engines.features import feature_width
from vithybrid_cli.engines.open import open_engine
from vithybrid_cli.engines.torch_engine import TorchEngine
from vithybrid_cli.errors import MissingFile, NonFiniteLogits, UnreadableImage, UsageError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import VitConfig

TOLERANCE = 1e-5  # of the largest value, in float32

# The published head, and what the tensors of the final norm are called.
HEADS = {
    "hf-hybrid-small": "classifier",
    "hf-vit": "classifier",
    "hf-deit": "classifier",
    "hf-beit": "classifier",
    "hf-bit": "classifier.1",
}
NORMS = {
    "hf-vit": "vit.layernorm",
    "hf-deit": "deit.layernorm",
    "hf-deit-distilled": "deit.layernorm",
    "hf-beit": "beit.pooler.layernorm",
}
FAMILIES = (*HEADS, "hf-deit-distilled", "timm-hybrid", "jax-hybrid/R50+ViT.npz")
# Converted for OpenVINO in each run of the tests: each kind of network by what `auto` is, and each feature of some.
CONVERTED = {
    *((name, Feature.AUTO) for name in FAMILIES if "jax" not in name),
    *(("hf-vit", feature) for feature in Feature),
    ("hf-deit-distilled", Feature.MEAN),
}

Rows = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


def features_of(path: Path, feature: Feature, pixel_values: Tensor) -> Tensor:
    """What the torch engine gives for normalised pixels [N, 3, H, W] → [N, D]."""
    engine = opened(path, feature, "torch")
    assert isinstance(engine, TorchEngine)
    return torch.from_numpy(engine.run_normalized(pixel_values))


def opened(path: Path, feature: Feature | None, engine: str) -> Engine:
    checkpoint = Checkpoint.read(path)
    return open_engine(checkpoint, engine=engine, device="cpu", dtype="float32", attention="sdpa", feature=feature)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert float((actual - expected).abs().max() / expected.abs().max()) <= TOLERANCE


@pytest.mark.parametrize("name", HEADS)
def test_the_published_head_makes_the_published_logits_of_the_feature(name: str) -> None:
    golden, weights = (
        load_file(GOLDENS / name / "activations.safetensors"),
        load_file(GOLDENS / name / "model.safetensors"),
    )
    feature = features_of(GOLDENS / name, Feature.AUTO, golden["pixel_values"])
    assert feature.shape[1] == feature_width(Checkpoint.read(GOLDENS / name).config)
    head = (weights[f"{HEADS[name]}.{part}"].float() for part in ("weight", "bias"))
    assert_close(F.linear(feature, *head), golden["logits"])


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("feature", [Feature.CLS, Feature.MEAN])
def test_both_kinds_of_tokens_are_those_of_the_last_layer_after_the_final_norm(name: str, feature: Feature) -> None:
    golden, weights = (
        load_file(GOLDENS / name / "activations.safetensors"),
        load_file(GOLDENS / name / "model.safetensors"),
    )
    config = Checkpoint.read(GOLDENS / name).config
    assert isinstance(config, VitConfig)
    last = golden[f"hidden{config.encoder.num_hidden_layers}"]
    weight, bias = (weights[f"{NORMS[name]}.{part}"].float() for part in ("weight", "bias"))
    width, eps = config.encoder.hidden_size, config.encoder.layer_norm_eps
    if feature is Feature.CLS:
        expected = F.layer_norm(last[:, 0], (width,), weight, bias, eps)
    elif config.mean_pooling:
        expected = F.layer_norm(last[:, 1:].mean(1), (width,), weight, bias, eps)
    else:
        expected = F.layer_norm(last, (width,), weight, bias, eps)[:, 2 if "deit" in name else 1 :].mean(1)
    assert_close(features_of(GOLDENS / name, feature, golden["pixel_values"]), expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("hf-vit", Feature.CLS, id="the CLS token"),
        pytest.param("hf-deit-distilled", Feature.CLS, id="the CLS token alone of a network with two heads"),
        pytest.param("hf-beit", Feature.MEAN, id="the mean of the patches"),
        pytest.param("hf-bit", Feature.MEAN, id="the mean of the feature map"),
    ],
)
def test_auto_is(name: str, expected: Feature) -> None:
    pixel_values = load_file(GOLDENS / name / "activations.safetensors")["pixel_values"]
    found = {feature: features_of(GOLDENS / name, feature, pixel_values) for feature in (Feature.AUTO, expected)}
    assert_close(found[Feature.AUTO], found[expected])


def test_a_pooler_is_part_of_what_the_head_reads_and_not_of_the_token(tmp_path: Path) -> None:
    folder = make_headless(tmp_path / "model", pooler=True)
    pixel_values = load_file(GOLDENS / "hf-vit" / "activations.safetensors")["pixel_values"]
    weights = load_file(folder / "model.safetensors")
    token = features_of(GOLDENS / "hf-vit", Feature.CLS, pixel_values)
    assert_close(features_of(folder, Feature.CLS, pixel_values), token)
    pooled = F.linear(token, weights["pooler.dense.weight"], weights["pooler.dense.bias"]).tanh()
    assert_close(features_of(folder, Feature.AUTO, pixel_values), pooled)


def test_a_network_that_was_published_without_a_head_gives_the_feature_of_the_one_with_it(tmp_path: Path) -> None:
    pixel_values = load_file(GOLDENS / "hf-vit" / "activations.safetensors")["pixel_values"]
    headless = features_of(make_headless(tmp_path / "model"), Feature.AUTO, pixel_values)
    assert_close(headless, features_of(GOLDENS / "hf-vit", Feature.AUTO, pixel_values))


@pytest.mark.parametrize(
    ("name", "feature"),
    [
        pytest.param(name, feature, marks=[pytest.mark.thorough] * ((name, feature) not in CONVERTED))
        for name in FAMILIES
        for feature in Feature
        if (name, feature) != ("hf-bit", Feature.CLS)
    ],
)
def test_openvino_gives_the_features_of_torch(name: str, feature: Feature) -> None:
    ours, torchs = (opened(GOLDENS / name, feature, engine) for engine in ("openvino", "torch"))
    height, width = ours.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (3, height, width, 3), np.uint8)
    expected = torchs.run(pixels)
    actual = ours.run(pixels)
    assert_close(torch.from_numpy(actual), torch.from_numpy(expected))
    assert ours.run(pixels[:0]).shape == (0, expected.shape[1])


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_bit_has_no_cls_token(engine: str) -> None:
    with pytest.raises(UsageError, match=r"no CLS token.* Give feature='auto' or feature='mean'\."):
        Embedder.from_pretrained(GOLDENS / "hf-bit", feature="cls", engine=engine)


def test_a_feature_that_is_not_known_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"There is no feature 'max'\. Give one of auto, cls, mean\."):
        Embedder.from_pretrained(GOLDENS / "hf-vit", feature="max")


def test_pictures_become_vectors_in_their_order_and_bad_files_errors_in_their_place(tmp_path: Path) -> None:
    for value in (10, 200):
        Image.new("RGB", (70, 90), (value, 0, 0)).save(tmp_path / f"{value}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    paths = [tmp_path / name for name in ("200.png", "missing.png", "broken.png", "10.png", "200.png")]
    embedder = Embedder.from_pretrained(GOLDENS / "hf-vit", engine="torch")
    results = list(embedder.embed(paths, batch_size=2, workers=2))
    assert [result.path for result in results] == [str(path) for path in paths]
    assert [type(result.error) for result in results[1:3]] == [MissingFile, UnreadableImage]
    vectors = [result.embedding for result in results if result.embedding is not None]
    assert [(vector.shape, str(vector.dtype)) for vector in vectors] == [((embedder.width,), "float32")] * 3
    np.testing.assert_allclose(vectors[0], vectors[2], rtol=0, atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-2


def test_pictures_of_another_size_give_vectors_of_the_same_width(tmp_path: Path) -> None:
    Image.new("RGB", (200, 200), "red").save(tmp_path / "red.png")
    embedder = Embedder.from_pretrained(GOLDENS / "hf-vit", image_size=96)
    assert embedder.engine.image_size == (96, 96)
    (result,) = embedder.embed([tmp_path / "red.png"])
    assert result.embedding is not None
    assert result.embedding.shape == (embedder.width,)


class Overflowing:
    """An engine whose numbers are none for a picture that is white."""

    name, device_type, image_size, batch_size, batch_limit, parallel = "fake", "cpu", (4, 4), 2, None, 1
    environment = MappingProxyType[str, str | int]({})

    def run(self, pixels: Pixels) -> Rows:
        return np.where(pixels[:, 0, 0, :1] == 255, np.inf, 0.1).astype(np.float32).repeat(3, axis=1)


def test_what_is_no_number_is_an_error(tmp_path: Path) -> None:
    for name in ("white", "black"):
        Image.new("RGB", (4, 4), name).save(tmp_path / f"{name}.png")
    embedder = Embedder(Overflowing(), Preprocessing.default((4, 4)), 3)
    white, black = embedder.embed([tmp_path / "white.png", tmp_path / "black.png"])
    assert isinstance(white.error, NonFiniteLogits)
    assert white.embedding is None
    assert black.record() == {"path": str(tmp_path / "black.png"), "embedding": [0.1, 0.1, 0.1]}


@pytest.mark.parametrize("argument", ["batch_size", "workers"])
def test_numbers_below_one_are_refused(argument: str) -> None:
    embedder = Embedder(Overflowing(), Preprocessing.default((4, 4)), 3)
    with pytest.raises(UsageError, match=argument):
        embedder.embed(["a.png"], **{argument: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [str, Path, os.fsencode], ids=["a text", "a path", "bytes"])
def test_one_path_is_a_list_of_one(kind: Callable[[str], Any], tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "black").save(tmp_path / "a.png")
    (found,) = Embedder(Overflowing(), Preprocessing.default((4, 4)), 3).embed(kind(str(tmp_path / "a.png")))
    assert (found.path, found.error) == (str(tmp_path / "a.png"), None)


def test_a_path_of_bytes_is_read_as_the_text_of_the_same_name(tmp_path: Path) -> None:
    Image.new("RGB", (80, 70), "red").save(tmp_path / "a.png")
    paths: Any = [os.fsencode(tmp_path / "a.png")]  # not of the promised types, and easily given
    (found,) = Embedder.from_pretrained(GOLDENS / "hf-vit", engine="torch").embed(paths)
    assert (found.path, found.error) == (str(tmp_path / "a.png"), None)
