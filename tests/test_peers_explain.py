"""Maps of small networks of every family against those that transformers' attentions and autograd give."""

from pathlib import Path

import pytest
import torch
from conftest import Peers
from safetensors.torch import load_file

from benchmarks.peers import networks
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.choices import Method
from vithybrid_cli.explain.differentiable import computation
from vithybrid_cli.explain.target import Target

pytestmark = pytest.mark.peers

TOLERANCE = 1e-5  # of a map's largest element
TARGETS = {"": Target(3), "/against": Target(3, against=1)}  # as tests/peers/explain_maps.py has them
TRANSFORMERS = (
    *("vit", "vit-rectangular", "deit", "deit-distilled", "hybrid", "hybrid-of-patches"),
    *("beit-each", "beit-shared", "beit-absolute", "beit-cls"),
)


@pytest.fixture(scope="module")
def theirs(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(networks.__file__).parent))
        peers.run("explain_maps", folder)
    return folder


@pytest.mark.parametrize("target", TARGETS, ids=["label", "against"])
@pytest.mark.parametrize(
    ("name", "method"),
    [
        *((name, Method.ATTENTION) for name in TRANSFORMERS),
        *((name, Method.GRAD_CAM) for name in (*TRANSFORMERS, "bit", "bit-same")),
    ],
)
def test_a_map_is_what_transformers_and_autograd_give(name: str, method: Method, target: str, theirs: Path) -> None:
    tensors = load_file(theirs / name / "maps.safetensors")
    network = load_network(Checkpoint.read(theirs / name))
    found, _ = computation(method)(network, tensors["pixel_values"], TARGETS[target])
    expected = tensors[method + target].reshape(found.shape)
    assert expected.max() > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE * float(expected.max()))
