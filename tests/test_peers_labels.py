"""Labels and scores against transformers 4.57.6 and timm 1.0.31 themselves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Peers
from PIL import Image
from places import EXAMPLES, ROOT

from benchmarks.peers import networks
from vithybrid_cli import Classifier
from vithybrid_cli.checkpoints.layouts.imagenet import class_list
from vithybrid_cli.checkpoints.layouts.labels import read_labels
from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import ModelError

pytestmark = pytest.mark.peers

TOLERANCE = 1e-5  # of the largest score, which is 1 for probabilities


@pytest.fixture(scope="module", autouse=True)
def networks_at_hand() -> Iterator[None]:
    """The scripts of tests/peers import timm by the code with which it is benchmarked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(networks.__file__).parent))
        yield


def test_every_class_of_imagenets_lists_is_called_as_timm_calls_it(peers: Peers, tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    peers.run("imagenet_names", file)
    names = json.loads(file.read_text(encoding="utf-8"))
    assert sorted(map(int, names)) == [1000, 11_221, 11_821, 21_841, 21_842, 21_843]
    for count, (wnids, labels) in names.items():
        found = class_list(int(count))
        assert found is not None
        assert (list(found.wnids), list(found.labels)) == (wnids, labels), count


FAMILIES = ("vit", "beit", "deit", "deit-distilled", "bit")
VALUES = ("regression", "one-value")  # where the pipeline makes probabilities of values, and we do not
PROBLEMS = ("unsaid", "unnamed", "single", "multi", "one", "one-of-one", *VALUES)


@pytest.fixture(scope="module")
def scored(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a photograph, and checkpoints with the scores that transformers' pipeline gives it."""
    folder = tmp_path_factory.mktemp("scored")
    with Image.open(next(iter(sorted(EXAMPLES.rglob("*.jpg"))))) as photograph:
        photograph.convert("RGB").resize((90, 70)).save(folder / "picture.png")
    peers.run("pipeline_scores", folder, folder / "picture.png")
    return folder


@pytest.mark.parametrize("activation", [pytest.param(str(item), id=str(item)) for item in Activation])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_labels_and_scores_are_those_of_transformers_pipeline(
    family: str, problem: str, activation: str, scored: Path
) -> None:
    folder = scored / f"{family}-{problem}"
    as_asked = "none" if activation == "auto" and problem in VALUES else activation
    expected = json.loads((folder / "scores.json").read_text(encoding="utf-8"))[as_asked]
    classifier = Classifier.from_pretrained(folder, device="cpu", engine="torch")
    (result,) = classifier.classify(scored / "picture.png", activation=activation)
    assert [prediction.label for prediction in result.predictions] == [one["label"] for one in expected]
    largest = max(1.0, *(abs(one["score"]) for one in expected))
    for prediction, one in zip(result.predictions, expected, strict=True):
        assert abs(prediction.score - one["score"]) <= TOLERANCE * largest


def test_the_value_of_one_label_is_what_the_pipeline_would_squash(scored: Path) -> None:
    expected = json.loads((scored / "vit-one-value" / "scores.json").read_text(encoding="utf-8"))
    assert expected["auto"] == expected["sigmoid"] != expected["none"]


READ: dict[str, dict[str, Any]] = {
    "in another order": {"id2label": {"1": "dog", "0": "cat"}},
    "alike": {"id2label": {"0": "crane", "1": "crane"}},
    "num_labels beside id2label": {"id2label": {"0": "a", "1": "b"}, "num_labels": 7},
    "numbered, beside another label2id": {
        "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
        "label2id": {"cat": 0, "dog": 1},
    },
    "beside a label2id of texts": {"id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": "0", "dog": "1"}},
    "digits with a blank and a zero": {"id2label": {" 0": "a", "01": "b"}},
    "an empty text": {"id2label": {"0": "", "1": "a"}},
    "num_labels alone": {"num_labels": 3},
    "null": {"id2label": None, "num_labels": None},
    "an older file": {"_num_labels": 5, "finetuning_task": "image-classification"},
    "nothing": {},
}
REFUSED: dict[str, dict[str, Any]] = {
    "a gap": {"id2label": {"0": "a", "2": "c"}},
    "counted from one": {"id2label": {"1": "a", "2": "b"}},
    "a negative index": {"id2label": {"-1": "a", "0": "b"}},
    "the wrong way round": {"id2label": {"cat": "0", "dog": "1"}},
    "no whole number": {"id2label": {"0.0": "a"}},
    "a list": {"id2label": ["a", "b"]},
    "null for a label": {"id2label": {"0": "a", "1": None}},
    "an object for a label": {"id2label": {"0": {"name": "a"}}},
}


@pytest.fixture(scope="module")
def published() -> dict[str, dict[str, Any]]:
    """The configs of transformers' families as people published them, where they are at hand."""
    folder = ROOT.parent / "shared" / "realconfigs"
    configs = {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*/config.json")}
    return {name: config for name, config in configs.items() if "architecture" not in config}


def test_labels_are_read_as_transformers_reads_them_or_are_none_that_it_could_show(
    published: dict[str, dict[str, Any]], peers: Peers, tmp_path: Path
) -> None:
    cases, out = tmp_path / "cases.json", tmp_path / "labels.json"
    readable = READ | published
    cases.write_text(json.dumps(readable | REFUSED), encoding="utf-8")
    peers.run("config_labels", cases, out)
    theirs = json.loads(out.read_text(encoding="utf-8"))
    for name, fields in readable.items():
        assert dict(enumerate(read_labels(fields))) == dict(theirs[name]), name
    for name, fields in REFUSED.items():
        with pytest.raises(ModelError):
            read_labels(fields)
        found = theirs[name]
        counted = found is not None and sorted(index for index, _ in found) == list(range(len(found)))
        assert not counted or not all(isinstance(label, str) for _, label in found), name
