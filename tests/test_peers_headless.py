"""Checkpoints of masked pre-training and of segmentation give the features that transformers reads from them."""

from pathlib import Path

import pytest
import torch
from conftest import Peers
from safetensors.torch import load_file

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.convert import convert_checkpoint
from vithybrid_cli.checkpoints.load import load_network

pytestmark = pytest.mark.peers

TOLERANCE = 1e-5
CASES = ("vit-masked", "deit-masked", "beit-masked", "beit-masked-cls", "beit-segmenting")


@pytest.fixture(scope="module")
def folders(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("headless")
    peers.run("headless", made)
    return made


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("converted", [False, True], ids=["as saved", "converted"])
def test_features_are_those_of_transformers(name: str, converted: bool, folders: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.read(folders / name)
    assert checkpoint.config.labels == ()
    if converted:
        convert_checkpoint(checkpoint, tmp_path / "out")
        checkpoint = Checkpoint.read(tmp_path / "out")
    known = load_file(folders / name / "activations.safetensors")
    with torch.inference_mode():
        found = load_network(checkpoint)(known["pixel_values"])
    torch.testing.assert_close(found, known["features"], rtol=0, atol=TOLERANCE * known["features"].abs().max().item())
