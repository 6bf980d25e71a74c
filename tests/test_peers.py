"""The network in its published size, and its preprocessing, against transformers 4.57.6 and timm 1.0.31 themselves.

And that ``benchmarks.compare`` takes turns with both.

The weights are random; in number, shape and name they are those of the published checkpoint. The pictures are
photographs: those of ``examples/``, or of the folder that the environment variable VITHYBRID_PHOTOS names.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Peers
from PIL import Image, ImageOps
from places import EXAMPLES, ROOT

from benchmarks.peers import networks
from vithybrid_cli import Classifier
from vithybrid_cli.images.decode import decode
from vithybrid_cli.results import best_predictions
from vithybrid_cli.sources.find import find

pytestmark = [pytest.mark.peers, pytest.mark.timeout(3600)]

LOGIT_TOLERANCE = 1e-4
BATCHES = (1, 8)
NETWORK_PICTURES = 16  # at most: transformers labels one a second

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module", autouse=True)
def networks_at_hand() -> Iterator[None]:
    """The scripts of tests/peers open the peers' networks by the code with which they are benchmarked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(networks.__file__).parent))
        yield


@pytest.fixture(scope="module")
def checkpoint(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the full-size network."""
    folder = tmp_path_factory.mktemp("base-384")
    peers.run("make_checkpoint", folder)
    return folder


@pytest.fixture(scope="module")
def classifier(checkpoint: Path) -> Classifier:
    return Classifier.from_pretrained(checkpoint, device="cpu", engine="torch")


@pytest.fixture(scope="module")
def photographs() -> list[Path]:
    folder = os.environ.get("VITHYBRID_PHOTOS", str(EXAMPLES))
    found = [Path(path) for path in find([folder])]
    assert found, f"{folder} holds no photographs"
    return found


@pytest.fixture(scope="module")
def pictures(photographs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Up to 16 different ones for the network: evenly chosen, or with their mirror images where they are few."""
    if len(photographs) > NETWORK_PICTURES:
        return photographs[:: len(photographs) // NETWORK_PICTURES][:NETWORK_PICTURES]
    folder = tmp_path_factory.mktemp("mirrored")
    mirrored = [folder / f"{path.name}.png" for path in photographs]
    for path, target in zip(photographs, mirrored, strict=True):
        ImageOps.mirror(decode(path)).save(target)
    return [*photographs, *mirrored][:NETWORK_PICTURES]


@pytest.fixture(scope="module")
def pixel_values(
    peers: Peers, checkpoint: Path, pictures: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The pictures as transformers loads and processes them, [N, 3, 384, 384] in a npy file."""
    return processed(peers, checkpoint, pictures, tmp_path_factory.mktemp("upright"), "--load")


@pytest.fixture(scope="module")
def our_logits(classifier: Classifier, pictures: list[Path]) -> dict[int, Floats]:
    """The logits of the pictures by batch size, on the way that ``classify`` takes."""
    pixels = np.stack([classifier.image_preprocessing.pixels(decode(path)) for path in pictures])
    return {
        batch: np.concatenate(
            [classifier.engine.run(pixels[start : start + batch]) for start in range(0, len(pixels), batch)]
        )
        for batch in BATCHES
    }


def processed(peers: Peers, checkpoint: Path, pictures: list[Path], folder: Path, *options: str) -> Path:
    """What transformers' processor makes of the pictures, as a npy file in ``folder``."""
    listed, out = folder / "pictures.json", folder / "pixels.npy"
    listed.write_text(json.dumps([str(path) for path in pictures]), encoding="utf-8")
    peers.run("preprocess", checkpoint, listed, out, *options)
    return out


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("peer", ["transformers", "timm"])
def test_logits_and_top_5_of_photographs_are_those_of_the_peer(
    peer: str,
    batch: int,
    peers: Peers,
    checkpoint: Path,
    classifier: Classifier,
    pixel_values: Path,
    our_logits: dict[int, Floats],
    tmp_path: Path,
) -> None:
    peers.run("logits", peer, checkpoint, pixel_values, str(batch), tmp_path / "logits.npy")
    expected, actual = np.load(tmp_path / "logits.npy"), our_logits[batch]
    # The comparison says something only if logits differ, between classes and between pictures.
    assert expected.std(axis=1).min() > 1
    assert expected.std(axis=0).mean() > 0.1

    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= LOGIT_TOLERANCE
    ours = [[p.index for p in best_predictions(row, classifier.labels)] for row in actual]
    theirs = np.argsort(-expected, axis=1, kind="stable")[:, :5].tolist()
    assert ours == theirs


def test_the_command_line_way_gives_the_top_5_of_the_logits(
    classifier: Classifier, pictures: list[Path], our_logits: dict[int, Floats]
) -> None:
    results = list(classifier.classify(pictures))
    assert [result.path for result in results] == [str(path) for path in pictures]
    for result, row in zip(results, our_logits[8], strict=True):
        assert [p.index for p in result.predictions] == [p.index for p in best_predictions(row, classifier.labels)]


def test_preprocessing_of_photographs_is_that_of_the_reference_processor(
    peers: Peers, checkpoint: Path, classifier: Classifier, photographs: list[Path], tmp_path: Path
) -> None:
    expected = np.load(processed(peers, checkpoint, photographs, tmp_path), mmap_mode="r")
    for path, values in zip(photographs, expected, strict=True):
        with Image.open(path) as image:
            actual = classifier.preprocess(image)
        np.testing.assert_array_max_ulp(actual, values, maxulp=1)


def test_loaded_photographs_are_the_pixels_that_transformers_loads(
    classifier: Classifier, pictures: list[Path], pixel_values: Path
) -> None:
    for path, values in zip(pictures, np.load(pixel_values), strict=True):
        pixels = classifier.image_preprocessing.pixels(decode(path))
        np.testing.assert_array_max_ulp(classifier.image_preprocessing.normalization.apply(pixels), values, maxulp=1)


def test_bench_takes_turns_with_both_peers(peers: Peers, checkpoint: Path) -> None:
    options = [
        "-m",
        checkpoint,
        "--engine",
        "torch",
        "--device",
        "cpu",
        "-b",
        "1",
        "--only",
        "network",
        "--only",
        "start",
    ]
    least = ["--repeats", "1", "--seconds", "0", "--pictures", "1", "-f", "json"]
    against = ["--against", "transformers,timm", "--peers", peers.python]
    program = [sys.executable, "-m", "benchmarks.compare", *map(str, [*options, *least, *against])]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [m["error"] for m in report["measurements"] if m["error"]] == []
    found = [(ratio["part"], ratio["against"]) for ratio in report["ratios"]]
    assert found == [("network", "transformers"), ("network", "timm"), ("start", "transformers")]
    assert report["software"]["transformers"]["versions"]["transformers"] == "4.57.6"
