"""Labels and scores against transformers 4.57.6 and timm 1.0.31 themselves."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Peers

from benchmarks.peers import networks
from vithybrid_cli.checkpoints.layouts.imagenet import class_list

pytestmark = pytest.mark.peers


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
