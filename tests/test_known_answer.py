"""Published checkpoints on the picture whose logits transformers' own tests state; needs the real hub and 2 GB.

Run by ``pytest -m network``. The picture, two cats on a sofa (COCO val2017 39769), and the numbers are those of the
slow tests that transformers has for each family, and for the hybrid had as long as it had the network.
"""

import urllib.request
from pathlib import Path

import numpy as np
import pytest

from vithybrid_cli import Classifier
from vithybrid_cli.images.decode import decode

pytestmark = [pytest.mark.network, pytest.mark.enable_socket, pytest.mark.timeout(3600)]

MODEL = "google/vit-hybrid-base-bit-384"
# The very file that transformers' test opens, a PNG, so that no JPEG decoder comes in between; and COCO's original.
PNG = (
    "https://raw.githubusercontent.com/huggingface/transformers/v4.57.6"
    "/tests/fixtures/tests_samples/COCO/000000039769.png"
)
JPEG = "http://images.cocodataset.org/val2017/000000039769.jpg"

FIRST_LOGITS = [-1.9090, -0.4993, -0.2389]
TOLERANCE = 1e-4
TOP = (281, "tabby, tabby cat")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.from_pretrained(MODEL, device="cpu", engine="torch")


def fetch(url: str, folder: Path) -> Path:
    file = folder / url.rpartition("/")[2]
    with urllib.request.urlopen(url, timeout=60) as response:
        file.write_bytes(response.read())
    return file


def test_the_logits_of_two_cats_are_those_that_transformers_states(classifier: Classifier, tmp_path: Path) -> None:
    image = decode(fetch(PNG, tmp_path))
    assert image.size == (640, 480)
    logits = classifier.logits(classifier.preprocess(image)[None])
    assert logits.shape == (1, 1000)
    np.testing.assert_allclose(logits[0, :3], FIRST_LOGITS, rtol=0, atol=TOLERANCE)
    assert (int(logits.argmax()), classifier.labels[int(logits.argmax())]) == TOP


@pytest.mark.parametrize(
    ("alias", "first_logits"),
    [
        pytest.param("vit-base-224", [-0.2744, 0.8215, -0.0836], id="vit"),
        pytest.param("deit-base-distilled", [-1.0266, 0.1912, -1.2861], id="distilled deit"),
        pytest.param("beit-base", [-1.2385, -1.0987, -1.0108], id="beit"),
    ],
)
def test_the_other_families_have_the_logits_that_transformers_states(
    alias: str, first_logits: list[float], tmp_path: Path
) -> None:
    classifier = Classifier.from_pretrained(alias, device="cpu", engine="torch")
    logits = classifier.logits(classifier.preprocess(decode(fetch(PNG, tmp_path)))[None])
    np.testing.assert_allclose(logits[0, :3], first_logits, rtol=0, atol=TOLERANCE)


def test_a_checkpoint_of_timm_is_the_same_network_as_that_of_transformers(
    classifier: Classifier, tmp_path: Path
) -> None:
    """Nothing but the layout and the epsilon of LayerNorm differs."""
    pixels = classifier.preprocess(decode(fetch(PNG, tmp_path)))[None]
    theirs = Classifier.from_pretrained("r50-b16-384", device="cpu", engine="torch")
    np.testing.assert_allclose(theirs.logits(pixels), classifier.logits(pixels), rtol=0, atol=1e-3)


def test_the_smallest_hybrid_finds_the_cats(tmp_path: Path) -> None:
    (result,) = Classifier.from_pretrained("r-ti16-224", device="cpu", engine="torch").classify([fetch(PNG, tmp_path)])
    assert result.error is None
    assert {prediction.index for prediction in result.predictions} & {281, 282, 285}  # tabby, tiger cat, Egyptian cat


@pytest.mark.parametrize("url", [pytest.param(PNG, id="png"), pytest.param(JPEG, id="jpeg")])
def test_two_cats_are_a_tabby_first(classifier: Classifier, url: str, tmp_path: Path) -> None:
    (result,) = classifier.classify([fetch(url, tmp_path)])
    assert result.error is None
    assert (result.predictions[0].index, result.predictions[0].label) == TOP
