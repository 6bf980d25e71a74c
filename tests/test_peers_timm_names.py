"""Each name of timm 1.0.31's ViTs, DeiTs, BEiTs and BiTs is read as the network that timm makes of it, or refused.

Only the published sizes are compared, without weights: what a config leaves to the name of the architecture. What small
networks compute is compared in test_peers_families.py.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Peers

from benchmarks.peers import networks
from vithybrid_cli.checkpoints.layouts.architectures import config_of, preprocessing_of
from vithybrid_cli.checkpoints.layouts.key_maps import timm_of
from vithybrid_cli.checkpoints.layouts.timm import read_config, read_preprocessing
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub import catalog
from vithybrid_cli.model.bit import GROUP_NORM_EPS
from vithybrid_cli.model.build import build
from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

Described = dict[str, Any]


@pytest.fixture(scope="module")
def described(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Described]:
    """Config, shapes and facts by the name of the architecture."""
    file = tmp_path_factory.mktemp("names") / "names.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(networks.__file__).parent))
        peers.run("timm_names", file)
    found: dict[str, Described] = json.loads(file.read_text(encoding="utf-8"))
    assert len(found) > 300
    return found


def read(network: Described, *, without: str = "") -> NetworkConfig | str:
    """The network, or the cause why it is refused; its config may be ``without`` a field."""
    config = {name: value for name, value in network["config"].items() if name != without}
    try:
        return read_config(config, {name: tuple(shape) for name, shape in network["shapes"].items()})
    except ModelError as error:
        return error.cause


def facts(config: NetworkConfig) -> dict[str, Any]:
    """What timm_names.py tells of the network, by its names."""
    if isinstance(config, BitClassifierConfig):
        backbone = config.backbone
        return {
            "groups": [backbone.num_groups],
            "eps": [GROUP_NORM_EPS],
            "activations": [{"relu": "ReLU"}[backbone.hidden_act]],
            "depths": list(backbone.depths),
            "hidden_sizes": list(backbone.hidden_sizes),
        }
    return {
        "heads": config.encoder.num_attention_heads,
        "hidden_act": config.encoder.hidden_act,
        "class_token": config.class_token,
        "prefix_tokens": config.prefix_tokens,
        "only_patches_have_positions": config.only_patches_have_positions,
        "mean_pooling": config.mean_pooling,
        "norm_of_mean": config.norm_of_mean,
        "layer_scale": config.encoder.layer_scale,
    }


@pytest.mark.parametrize("without", ["", "global_pool"])
def test_what_only_the_name_tells_is_known(without: str, described: dict[str, Described]) -> None:
    configs = {name: read(network, without=without) for name, network in described.items()}
    known = {name: config for name, config in configs.items() if not isinstance(config, str)}
    wrong = {name: facts(config) for name, config in known.items() if facts(config) != described[name]["facts"]}
    assert wrong == {}
    assert len(known) == 97


def test_all_tensors_have_a_place(described: dict[str, Described]) -> None:
    wrong = []
    for name, network in described.items():
        config = read(network)
        if isinstance(config, str):
            continue
        with torch.device("meta"):
            tensors = build(config).state_dict()
        theirs = timm_of(config, network["shapes"]).from_ours(tensors)
        if {key: list(tensor.shape) for key, tensor in theirs.items()} != network["shapes"]:
            wrong.append(name)
    assert wrong == []


def test_only_what_is_computed_in_another_way_is_refused(described: dict[str, Described]) -> None:
    refused = {name: cause for name, network in described.items() if isinstance(cause := read(network), str)}
    assert all(name in cause for name, cause in refused.items())
    computed = {name for name in refused if described[name]["facts"] is not None}
    assert computed == set()


def test_what_is_known_without_files_is_what_the_published_files_say(described: dict[str, Described]) -> None:
    row = next(entry for entry in catalog.ENTRIES if entry.layout == "timm")
    wrong, count = {}, 0
    for name, network in described.items():
        for tag, published in network["published"].items():
            entry = replace(row, hub_id=f"timm/{tag}", architecture=name, image_size=published["input_size"][1])
            if published["num_classes"] != 1000 or not (config := known_without_files(entry)):
                continue
            file = {**network["config"], "pretrained_cfg": published}
            shapes = {key: tuple(shape) for key, shape in network["shapes"].items()}
            size = (entry.image_size, entry.image_size)
            count += 1
            if config != read_config(file, shapes) or preprocessing_of(entry) != read_preprocessing(file, size):
                wrong[tag] = published
    assert wrong == {}
    assert count > 50


def known_without_files(entry: catalog.Entry) -> NetworkConfig | None:
    try:
        return config_of(entry)
    except ModelError:
        return None
