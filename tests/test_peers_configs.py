"""Configs as people published them, with random weights, against transformers 4.57.6 and timm 1.0.31.

They lie beside this repository and not in it, so what is tested here is tested with fields of its own elsewhere. Only
widths are made smaller, which no field beside them depends on; sizes of pictures, labels and all odd fields stay.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Peers
from PIL import Image
from places import GOLDENS, ROOT
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from benchmarks.peers import networks
from vithybrid_cli import Classifier, Embedder
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.timm import read_preprocessing
from vithybrid_cli.errors import ModelError
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.preprocess import Preprocessing


def headless(config: Mapping[str, Any]) -> bool:
    if "architecture" in config:
        return not config["num_classes"]
    return "ForImageClassification" not in config["architectures"][0]


PUBLISHED = ROOT.parent / "shared" / "realconfigs"
NAMES = sorted(path.parent.name for path in PUBLISHED.glob("*/config.json"))
HEADLESS = [name for name in NAMES if headless(json.loads((PUBLISHED / name / "config.json").read_text("utf-8")))]
ALONE = sorted(path.name for path in PUBLISHED.glob("*/") if not (path / "config.json").exists())
TOLERANCE = 1e-5

pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not NAMES, reason="the published configs lie beside the repository of those who work on it"),
]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A folder with weights, the pictures, and what the peer makes of them."""

    folder: Path
    pictures: list[str]
    expected: dict[str, npt.NDArray[Any]]
    labels: list[str]


def smaller(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same config with narrow layers."""
    if config.get("model_type") == "bit":
        if config["num_groups"] == 1:
            return dict(config)  # made for tests
        return {**config, "embedding_size": 32, "depths": [1, 2, 1, 1], "hidden_sizes": [128, 128, 256, 256]}
    if "architecture" not in config:
        return {**config, "hidden_size": config["num_attention_heads"] * 4, "intermediate_size": 64}
    if config["architecture"].startswith("vit_tiny"):
        return dict(config)
    return {**config, "model_args": {"depth": 2, "embed_dim": 64, "num_heads": 2}}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of several sizes and modes; one lies on its side."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(5)

    def noise(*shape: int) -> npt.NDArray[np.uint8]:
        return np.repeat(np.repeat(generator.integers(0, 256, shape, np.uint8), 9, 0), 9, 1)

    photograph = Image.open(GOLDENS / "preprocess" / "00-101x67.png")
    Image.fromarray(noise(31, 47, 3)).save(folder / "rgb.png")
    Image.fromarray(noise(50, 23)).save(folder / "grey.png")
    Image.fromarray(noise(20, 33, 4), "RGBA").save(folder / "alpha.png")
    photograph.quantize(32).save(folder / "palette.png", transparency=3)
    turned = Image.Exif()
    turned[0x0112] = 6
    photograph.convert("RGB").save(folder / "turned.jpg", exif=turned)
    photograph.convert("CMYK").save(folder / "cmyk.jpg")
    return sorted(map(str, folder.iterdir()))


# Published configs with another preprocessing, which the network takes or the family brings to its size.
VARIANTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "beit-at-another-size": ("beit-finetune-chasing", {"size": 160, "do_center_crop": False}),
    "beit-absolute-at-another-size": ("dit-base-finetuned", {"size": [192, 128], "do_center_crop": False}),
    "beit-empty": ("transformers-5.24-beit", {}),
    "bit-empty": ("transformers-5.24-bit", {}),
    "vit-empty": ("transformers-5.24-vit-single", {}),
    "deit-empty": ("deit-distilled-nolabels", {}),
    "vit-copy-of-its-config": ("tiny-random-vit", {"hidden_size": 32, "model_type": "vit", "size": 30}),
    "vit-with-clip": ("falconsai-nsfw", {"image_processor_type": "CLIPImageProcessor"}),
    "vit-with-siglip": ("falconsai-nsfw", {"image_processor_type": "SiglipImageProcessor"}),
    "vit-with-convnext": ("falconsai-nsfw", {"image_processor_type": "ConvNextImageProcessor", "size": 224}),
    "vit-with-mobilenet": ("falconsai-nsfw", {"image_processor_type": "MobileNetV2ImageProcessor"}),
    "vit-with-efficientnet": ("falconsai-nsfw", {"image_processor_type": "EfficientNetImageProcessor", "size": 224}),
}
ALL = [*NAMES, *VARIANTS] if NAMES else []


@pytest.fixture(scope="module")
def cases(peers: Peers, pictures: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    root = tmp_path_factory.mktemp("published")
    for name in ALL:
        folder = Path(shutil.copytree(PUBLISHED / VARIANTS.get(name, (name,))[0], root / name))
        if name in VARIANTS:
            (folder / "preprocessor_config.json").write_text(json.dumps(VARIANTS[name][1]), encoding="utf-8")
        config = smaller(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        if "architecture" in config:
            height, width = config["pretrained_cfg"]["input_size"][1:]
            pixels = prepared(read_preprocessing(config, (height, width)), pictures)
            save_file({"pixels": pixels}, folder / "pixels.safetensors")
    (root / "pictures.json").write_text(json.dumps(pictures), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(networks.__file__).parent))
        peers.run("published_configs", root, root / "pictures.json")
    return {name: case(root / name, pictures) for name in ALL}


def case(folder: Path, pictures: list[str]) -> Case:
    file = folder / "expected.safetensors"
    with safe_open(file, "np") as opened:
        labels = json.loads(opened.metadata()["labels"])
    return Case(folder, pictures, load_file(file), labels)


def prepared(preprocessing: Preprocessing, pictures: list[str]) -> Floats:
    return np.stack([preprocessing.normalization.apply(preprocessing.pixels(decode(path))) for path in pictures])


@pytest.mark.parametrize("name", ALL)
def test_pictures_are_prepared_as_the_peer_does_to_the_last_bit(name: str, cases: dict[str, Case]) -> None:
    published = cases[name]
    actual = prepared(Checkpoint.read(published.folder).preprocessing, published.pictures)
    np.testing.assert_array_equal(actual, published.expected["pixels"])


@pytest.mark.parametrize("name", [path.parent.name for path in sorted(PUBLISHED.glob("*/preprocessor_config.json"))])
def test_no_published_preprocessor_config_has_an_option_that_is_not_known(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    Preprocessing.from_dict(json.loads((PUBLISHED / name / "preprocessor_config.json").read_text("utf-8")))
    assert caplog.messages == []


@pytest.mark.parametrize("name", ALL)
def test_scores_and_labels_or_features_are_the_peers(name: str, cases: dict[str, Case]) -> None:
    published = cases[name]
    if "features" in published.expected:
        actual = embedded(published)
        scale = np.abs(published.expected["features"]).max()
        assert np.abs(actual - published.expected["features"]).max() <= TOLERANCE * max(scale, 1)
    else:
        found = scores(published)
        labels: Sequence[str | int] = published.labels or range(published.expected["scores"].shape[1])
        assert [set(row) for row in found] == [set(labels)] * len(published.pictures)
        actual = np.array([[row[label] for label in labels] for row in found])
        assert np.ptp(actual, axis=0).max() > 10 * TOLERANCE  # that pictures are told apart
        assert np.abs(actual - published.expected["scores"]).max() <= TOLERANCE


@pytest.mark.parametrize("name", HEADLESS)
def test_a_network_without_a_head_gives_no_labels(name: str, cases: dict[str, Case]) -> None:
    assert "features" in cases[name].expected
    with pytest.raises(ModelError, match="so it gives no labels"):
        Classifier.from_pretrained(cases[name].folder, device="cpu")


@pytest.mark.parametrize("name", ALONE)
def test_a_preprocessor_config_alone_is_no_checkpoint(name: str) -> None:
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        Checkpoint.read(PUBLISHED / name)


def embedded(published: Case) -> Floats:
    with Embedder.from_pretrained(published.folder, device="cpu", engine="torch") as embedder:
        results = list(embedder.embed(published.pictures))
    assert [result.error for result in results] == [None] * len(results)
    return np.stack([np.asarray(result.embedding) for result in results])


def scores(published: Case) -> list[dict[str | int, float]]:
    """Of each picture the score of each label, or of each index; two classes of one name are added up."""
    with Classifier.from_pretrained(published.folder, device="cpu", engine="torch") as classifier:
        results = list(classifier.classify(published.pictures, top_k=len(classifier.labels)))
    found = []
    for result in results:
        assert result.error is None
        row: dict[str | int, float] = {}
        for prediction in result.predictions:
            key = prediction.label if published.labels else prediction.index
            row[key] = row.get(key, 0.0) + prediction.score
        found.append(row)
    return found
