"""What explains a label: shapes for every family, which label it is, what is refused, and that nothing else changes."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from places import GOLDENS, PACKAGE

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.choices import Method
from vithybrid_cli.engines.open import open_engine
from vithybrid_cli.errors import ModelError, NonFiniteLogits, UsageError
from vithybrid_cli.explain.explainer import Explainer, open_explainer
from vithybrid_cli.explain.target import Target
from vithybrid_cli.settings import Running

TINY = PACKAGE / "builtin" / "tiny"
METHODS = [method for method in Method if method is not Method.AUTO]
# Each family's grid of patches, or feature map.
GRIDS = {
    "hf-vit": (8, 8),
    "hf-deit": (8, 8),
    "hf-deit-distilled": (8, 8),
    "hf-beit": (8, 8),
    "hf-hybrid-small": (4, 4),
    "hf-hybrid-patch2-odd": (3, 3),
    "timm-hybrid": (4, 4),
    "hf-bit": (2, 2),
}


def how(**settings: Any) -> Running:
    return Running(**{"model": "its-name", "device": "cpu", "engine": "torch", "threads": 1, **settings})


def explainer(name: str, method: Method = Method.AUTO, **settings: Any) -> Explainer:
    return open_explainer(Checkpoint.read(GOLDENS / name), how(**settings), method)


def pixels(size: tuple[int, int], seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize("name", GRIDS)
def test_a_map_is_on_the_grid_of_patches_or_of_the_feature_map(name: str) -> None:
    methods = (Method.GRAD_CAM,) if name == "hf-bit" else (Method.ATTENTION, Method.GRAD_CAM)
    for method in methods:
        opened = explainer(name, method)
        found, logits = opened.explain(pixels(opened.input_size))
        assert (found.values.shape, found.values.dtype.name, found.method) == (GRIDS[name], "float32", method)
        assert not found.signed
        assert found.values.min() >= 0
        assert (logits.shape, logits.dtype.name) == ((len(opened.labels),), "float32")


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        pytest.param("hf-hybrid-small", (16, 16), id="first stage"),
        pytest.param("jax-hybrid", (16, 16), id="first stage of Google's"),
        pytest.param("hf-hybrid-patch2-odd", (18, 18), id="first stage of a size with a rest"),
    ],
)
def test_a_hybrids_map_goes_down_to_the_grid_of_its_backbone(name: str, grid: tuple[int, int]) -> None:
    path = GOLDENS / name
    opened = open_explainer(Checkpoint.read(next(path.glob("*.npz"), path)), how())
    found, _ = opened.explain(pixels(opened.input_size))
    assert (found.method, found.values.shape, found.signed) == (Method.ATTENTION_BACKBONE, grid, False)
    assert 0 <= found.values.min() < found.values.max()


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_any_engine_can_cover_parts_of_a_picture(engine: str) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")
    opened = explainer("hf-bit", Method.OCCLUSION, engine=engine, threads=None)
    found, logits = opened.explain(pixels(opened.input_size))
    assert (found.values.shape, found.values.dtype.name, found.signed) == ((14, 14), "float32", True)
    assert found.values.min() < 0 < found.values.max()
    assert logits.shape == (len(opened.labels),)


def test_what_is_covered_where_a_label_shows_speaks_for_it() -> None:
    class BrightCorner:
        """One label, whose logit is how bright the upper left quarter is."""

        batch_size, parallel = 5, 2

        def run(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            return np.asarray(pictures[:, :14, :14].mean((1, 2, 3)), np.float32)[:, None]

    from vithybrid_cli.explain.occlusion import occlusion

    bright = np.full((28, 28, 3), 255, np.uint8)
    found, logits = occlusion(BrightCorner(), bright, Target())  # type: ignore[arg-type] # all that it uses
    assert logits.tolist() == [255]
    assert found[:7, :7].min() > 0
    assert np.abs(found[9:]).max() == np.abs(found[:, 9:]).max() == 0
    darker, _ = occlusion(BrightCorner(), np.zeros_like(bright), Target())  # type: ignore[arg-type]
    assert darker[:7, :7].max() < 0  # what is dark speaks against it


@pytest.mark.parametrize("method", METHODS)
def test_no_index_means_the_best_label(method: Method) -> None:
    opened = explainer("hf-hybrid-small", method)
    picture = pixels(opened.input_size)
    best, logits = opened.explain(picture)
    named, _ = opened.explain(picture, int(logits.argmax()))
    other, _ = opened.explain(picture, int(logits.argmin()))
    np.testing.assert_array_equal(best.values, named.values)
    assert not np.array_equal(best.values, other.values)


@pytest.mark.parametrize("method", [method for method in METHODS if method is not Method.ATTENTION_BACKBONE])
def test_a_label_against_another_is_not_explained_as_the_label_alone_is(method: Method) -> None:
    opened = explainer("hf-vit", method)
    picture = pixels(opened.input_size)
    maps = [opened.explain(picture, index, against)[0].values for index, against in ((0, None), (0, 1), (1, 0))]
    assert not np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[1], maps[2])
    if method is Method.OCCLUSION:
        np.testing.assert_allclose(maps[1], -maps[2], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_picture_has_the_same_map_each_time_whatever_came_between(method: Method) -> None:
    opened = explainer("hf-hybrid-small", method)
    picture = pixels(opened.input_size)
    first, before = opened.explain(picture)
    opened.explain(pixels(opened.input_size, seed=1))
    again, after = opened.explain(picture)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *((name, method) for name in ("hf-vit", "hf-beit") for method in (Method.ATTENTION, Method.GRAD_CAM)),
        *(("hf-hybrid-small", method) for method in METHODS if method is not Method.OCCLUSION),
        ("hf-bit", Method.GRAD_CAM),
    ],
)
def test_a_network_that_was_explained_computes_the_same_bits_as_before(name: str, method: Method) -> None:
    from vithybrid_cli.explain.differentiable import computation

    network = load_network(Checkpoint.read(GOLDENS / name))
    picture = torch.randn(1, 3, *network.config.image_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = network(picture)
    computation(method)(network, picture, Target())
    with torch.inference_mode():
        assert torch.equal(network(picture), before)
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("name", GRIDS)
def test_the_logits_are_those_of_an_engine(name: str) -> None:
    checkpoint = Checkpoint.read(GOLDENS / name)
    engine = open_engine(checkpoint, engine="torch", device="cpu", dtype="float32", attention="sdpa", threads=1)
    opened = explainer(name)
    picture = pixels(opened.input_size)
    expected = engine.run(picture[None])[0]
    np.testing.assert_allclose(opened.explain(picture)[1], expected, atol=1e-5 * np.abs(expected).max())


def test_maps_in_bfloat16_are_nearly_those_in_float32_and_float16_is_computed_as_float32() -> None:
    exact, short, half = (explainer("hf-vit", Method.ATTENTION, dtype=d) for d in ("float32", "bfloat16", "float16"))
    picture = pixels(exact.input_size)
    values = [opened.explain(picture, 0)[0].values for opened in (exact, short, half)]
    assert np.corrcoef(values[0].ravel(), values[1].ravel())[0, 1] > 0.95
    np.testing.assert_array_equal(values[0], values[2])


def test_auto_is_a_method_that_family_and_engine_have() -> None:
    assert explainer("hf-bit").method is Method.GRAD_CAM
    assert explainer("hf-vit").method is Method.ATTENTION
    pytest.importorskip("openvino")
    assert explainer("hf-vit", engine="openvino", threads=None).method is Method.OCCLUSION


@pytest.mark.parametrize(
    ("name", "method", "settings", "told"),
    [
        pytest.param("hf-bit", Method.ATTENTION, {}, "A BiT has no attention", id="attention of BiT"),
        pytest.param("hf-bit", Method.ATTENTION_BACKBONE, {}, "A BiT has no attention", id="refined attention of BiT"),
        pytest.param("hf-vit", Method.ATTENTION_BACKBONE, {}, "which this network has not", id="ViT without backbone"),
        pytest.param("hf-vit", Method.GRAD_CAM, {"engine": "openvino"}, "needs gradients", id="OpenVINO"),
        pytest.param("hf-vit", Method.ATTENTION, {"dtype": "tf32"}, "Only NVIDIA GPUs", id="tf32"),
        pytest.param("hf-vit", Method.ATTENTION, {"device": "abacus"}, "is not a device", id="device"),
    ],
)
def test_what_cannot_be_explained_is_told_before_any_picture(
    name: str, method: Method, settings: dict[str, str], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        explainer(name, method, **settings)


def test_a_network_without_a_head_has_no_label_to_explain() -> None:
    checkpoint = Checkpoint.read(GOLDENS / "hf-vit")
    headless = replace(checkpoint, config=replace(checkpoint.config, labels=()))
    with pytest.raises(ModelError, match="its-name has no head"):
        open_explainer(headless, how())


def test_labels_that_are_not_there_or_the_same_are_refused() -> None:
    opened = explainer("hf-vit")
    picture = pixels(opened.input_size)
    best = int(opened.explain(picture)[1].argmax())
    for index, against, told in (
        (8, None, "no label 8"),
        (-1, None, "no label -1"),
        (0, 8, "no label 8"),
        (2, 2, "against itself"),
        (None, best, "against itself"),
    ):
        with pytest.raises(UsageError, match=told):
            opened.explain(picture, index, against)


def test_pixels_that_are_not_the_networks_are_refused() -> None:
    opened = explainer("hf-vit")
    height, width = opened.input_size
    for wrong in (pixels((height + 1, width)), pixels((height, width))[None], pixels((height, width)).astype(float)):
        with pytest.raises(UsageError, match="The pixels are"):
            opened.explain(wrong)


def test_outputs_that_are_not_finite_have_no_map() -> None:
    with pytest.raises(NonFiniteLogits):
        Target().of(torch.tensor([[1.0, float("nan")]]))


def test_a_map_of_the_built_in_model_does_without_its_callers_gradients() -> None:
    opened = open_explainer(Checkpoint.read(TINY), how())
    with torch.inference_mode():
        found, _ = opened.explain(pixels(opened.input_size))
    assert found.values.max() > 0
