"""Small networks of every family against transformers 4.57.6 and timm 1.0.31, in all that a caller can ask of them.

Hidden states, attentions, pooled features, masked heads and patches, losses, and pictures of other sizes; from the
checkpoint folders that both libraries write.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Peers
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.peers import networks
from vithybrid_cli.checkpoints.checkpoint import Checkpoint, Layout
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.model.build import Network
from vithybrid_cli.model.outputs import outputs
from vithybrid_cli.model.vit import VisionTransformer

pytestmark = pytest.mark.peers

TOLERANCE = 1e-5  # of the largest element of an output

SIZES = {"half", "larger", "wider", "with-a-rest", "no-multiple"}
HEADS = {"heads", "heads-of-all-layers"}
STATES = {"hidden", "attention"}

# What the peer is asked for with each network, beside the plain call, and what it gives.
TRANSFORMERS = {
    "vit": (HEADS | SIZES, STATES | {"logits", "loss"}),
    "vit-one-label": (HEADS | SIZES, STATES | {"logits", "loss"}),
    "vit-without-bias": (HEADS | SIZES, STATES | {"logits", "loss"}),
    "vit-rectangular": (HEADS, STATES | {"logits", "loss"}),
    "vit-pooler": (HEADS | SIZES | {"masked"}, STATES | {"last_hidden_state", "pooled"}),
    "vit-features": (HEADS | SIZES, STATES | {"last_hidden_state"}),
    "deit": (HEADS | SIZES, STATES | {"logits", "loss"}),
    "deit-one-label": (HEADS | SIZES, STATES | {"logits", "loss"}),
    "deit-distilled": (HEADS | SIZES, STATES | {"logits"}),
    "deit-pooler": (HEADS | SIZES | {"masked"}, STATES | {"last_hidden_state", "pooled"}),
    "beit-each": (HEADS | SIZES, STATES | {"logits", "loss"}),
    "beit-shared": (HEADS | SIZES, STATES | {"logits", "loss"}),
    "beit-absolute": (HEADS | SIZES, STATES | {"logits", "loss"}),
    "beit-cls": (HEADS | SIZES, STATES | {"logits", "loss"}),
    "beit-one-label": (HEADS | SIZES, STATES | {"logits", "loss"}),
    "beit-features": (HEADS | SIZES | {"masked"}, STATES | {"last_hidden_state", "pooled"}),
    "beit-cls-features": (HEADS | SIZES | {"masked"}, STATES | {"last_hidden_state", "pooled"}),
    "bit": (SIZES, {"hidden", "logits", "loss"}),
    "bit-same": (SIZES, {"hidden", "logits", "loss"}),
    "bit-one-label": (SIZES, {"hidden", "logits", "loss"}),
    "bit-features": (SIZES, {"hidden", "last_hidden_state", "pooled"}),
    "hybrid": (HEADS | SIZES | {"same-feature-map"}, STATES | {"logits", "loss"}),
    "hybrid-one-label": (HEADS | SIZES | {"same-feature-map"}, STATES | {"logits", "loss"}),
    "hybrid-of-patches": (HEADS | SIZES | {"same-feature-map"}, STATES | {"logits", "loss"}),
    "hybrid-pooler": (HEADS | SIZES | {"same-feature-map"} | {"masked"}, STATES | {"last_hidden_state", "pooled"}),
}

# Depth and width are less than the name says, as ``model_args`` in the file tell; the backbones are of full size.
TIMM = (
    "vit_tiny_r_s16_p8_224",
    "vit_small_r26_s32_224",
    "vit_base_r50_s16_384",
    "vit_large_r50_s32_224",
    "vit_base_patch16_224",
    "vit_base_patch16_224-avg",
    "vit_small_patch32_224-rectangular",
    "vit_tiny_patch16_224-features",
    "deit_tiny_patch16_224",
    "deit_base_distilled_patch16_224",
    "deit3_small_patch16_224",
    "deit3_huge_patch14_224",
    "deit3_base_patch16_384-rectangular",
    "vit_huge_patch14_224",
    "vit_giant_patch14_224",
    "vit_base_patch16_224_miil",
    "vit_base_patch16_plus_240",
    "vit_small_patch16_36x1_224",
    "vit_base_patch14_dinov2",
    "vit_base_patch16_224-scaled",
    "vit_base_patch16_224-mae",
    "vit_base_patch16_224-only_patches_have_positions",
    "vit_base_patch16_224-no_positions",
    "vit_base_patch16_224-tanh",
    "vit_base_patch16_224-norm_of_token",
    "vit_base_patch16_224-mean_of_norm",
    "vit_base_patch16_224-no_cls",
    "vit_base_patch16_224-no_cls_no_head",
    "vit_base_r50_s16_384-no_cls",
    "vit_medium_patch16_gap_256",
    "vit_base_patch32_siglip_gap_256",
    "eva_large_patch14_196",
    "flexivit_small",
    "test_vit",
    "beit_base_patch16_224",
    "beit_large_patch16_384-rectangular",
    "beitv2_base_patch16_224-shared",
    "beitv2_large_patch16_224-absolute",
    "beit_base_patch16_224-both_positions",
    "beit_base_patch16_224-token",
    "beit_base_patch16_224-mean_of_norm",
    "beit_base_patch16_224-not_scaled",
    "beit_base_patch16_224-features",
    "resnetv2_50x1_bit",
    "resnetv2_50x1_bit-features",
    "resnetv2_50x3_bit",
    "resnetv2_101x1_bit",
)

Call = tuple[dict[str, Tensor], dict[str, Tensor]]  # arguments and outputs


def made_by(peers: Peers, script: str, folder: Path) -> Path:
    """A folder of checkpoints with their activations, which a script of tests/peers made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(networks.__file__).parent))
        peers.run(script, folder)
    return folder


@pytest.fixture(scope="module")
def of_transformers(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_by(peers, "transformers_families", tmp_path_factory.mktemp("transformers"))


@pytest.fixture(scope="module")
def of_timm(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_by(peers, "timm_families", tmp_path_factory.mktemp("timm"))


def calls_of(folder: Path) -> dict[str, Call]:
    """The calls that a peer wrote down, by name."""
    calls: dict[str, Call] = {}
    for key, tensor in load_file(folder / "activations.safetensors").items():
        call, group, name = key.split("/")
        calls.setdefault(call, ({}, {}))[group == "out"][name] = tensor
    return calls


def network_for(folder: Path, size: tuple[int, int]) -> Network:
    """The network of a checkpoint for pictures of a size (height, width)."""
    checkpoint = Checkpoint.read(folder)
    stored = checkpoint.config.image_size
    if size == stored:
        return load_network(checkpoint)
    if size[0] == size[1]:
        return load_network(Checkpoint.read(folder, image_size=size[0]))
    return load_network(replace(checkpoint, config=replace(checkpoint.config, image_size=size), stored_size=stored))


def computed(network: Network, arguments: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All that our network gives for these arguments, by the peers' names."""
    pixel_values, rest = arguments["pixel_values"], {k: v for k, v in arguments.items() if k != "pixel_values"}
    with torch.inference_mode():
        found = outputs(
            network, pixel_values, hidden_states=True, attentions=isinstance(network, VisionTransformer), **rest
        )
    tensors = {
        **{f"hidden{index}": state for index, state in enumerate(found.hidden_states or ())},
        **{f"attention{index}": weights for index, weights in enumerate(found.attentions or ())},
        "last_hidden_state": found.last_hidden_state,
        "pooled": found.pooled,
        "logits": found.logits,
    }
    return tensors if found.loss is None else {**tensors, "loss": found.loss}


def differences(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, str]:
    """What is not the same, and how far it is off."""
    found = {}
    for name, tensor in expected.items():
        ours = actual[name]
        if ours.shape != tensor.shape:
            found[name] = f"{list(ours.shape)}, not {list(tensor.shape)}"
        elif (error := (ours - tensor).abs().max() / tensor.abs().max()) > TOLERANCE:
            found[name] = f"{error:.1e} of its largest element off"
    return found


def kinds(names: Mapping[str, Tensor]) -> set[str]:
    """The names without the numbers of layers."""
    return {re.sub(r"\d+$", "", name) for name in names}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_everything_is_what_transformers_computes(name: str, of_transformers: Path) -> None:
    calls = calls_of(of_transformers / name)
    more_calls, given = TRANSFORMERS[name]
    assert calls.keys() == {"plain"} | more_calls
    assert kinds(calls["plain"][1]) == given
    wrong = {}
    for call, (arguments, expected) in calls.items():
        height, width = arguments["pixel_values"].shape[2:]
        network = network_for(of_transformers / name, (height, width))
        assert kinds(expected) == given - ({"loss"} if "labels" not in arguments else set())
        wrong[call] = differences(computed(network, arguments), expected)
    assert {call: found for call, found in wrong.items() if found} == {}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_where_transformers_cannot_interpolate_its_code_was_mended(name: str, of_transformers: Path) -> None:
    """In a hybrid it counts pixels instead of the feature map's cells, and fails unless no patch is to be added.

    Two cells to a patch, and a rest of the picture adds a cell but no patch.
    """
    with safe_open(of_transformers / name / "activations.safetensors", framework="pt") as activations:
        mended = set(activations.metadata()["mended"].split())
    expected = SIZES if name.startswith("hybrid") else set()
    assert mended == (expected - {"with-a-rest"} if name == "hybrid-of-patches" else expected)


@pytest.mark.parametrize("name", TIMM)
def test_everything_is_what_timm_computes(name: str, of_timm: Path) -> None:
    ((arguments, expected),) = calls_of(of_timm / name).values()
    height, width = arguments["pixel_values"].shape[2:]
    checkpoint = Checkpoint.read(of_timm / name)
    assert checkpoint.layout is Layout.TIMM
    assert checkpoint.config.image_size == (height, width)
    assert {"hidden", "logits"} <= kinds(expected) <= {"hidden", "last_hidden_state", "pooled", "logits"}
    assert "pooled" in expected or "distilled" in name
    assert "last_hidden_state" in expected or "norm_of_token" in name
    for attention in ("sdpa", "eager"):
        network = load_network(checkpoint, attention)
        assert differences(computed(network, arguments), expected) == {}
