"""What `vithybrid convert` writes, loaded by transformers 4.57.6 itself: its outputs are the source's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Peers
from places import GOLDENS
from small_checkpoints import HYBRID, LABELS, PLAIN, STEM_ONLY, jax_arrays, write_npz, write_timm

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.convert import convert_checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.model.config import BitClassifierConfig, BitConfig

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

TOLERANCE = 1e-5  # of the largest output

DISTILLED = replace(PLAIN, family="deit", distillation_token=True, distillation_head=True)
BEIT = replace(
    PLAIN,
    image_size=(48, 48),
    family="beit",
    encoder=replace(PLAIN.encoder, layer_scale=True, relative_positions="each"),
    absolute_positions=False,
    mean_pooling=True,
)
BEIT_SHARED = replace(
    BEIT,
    encoder=replace(BEIT.encoder, layer_scale=False, relative_positions="shared"),
    absolute_positions=True,
    mean_pooling=False,
)
BIT = BitClassifierConfig(
    BitConfig(32, (128, 128, 128, 256), (1, 2, 1, 1), preactivation=True, same_padding=False), LABELS, (64, 96)
)


def golden(name: str) -> Callable[[Path], Path]:
    return lambda folder: GOLDENS / name


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(golden("hf-vit"), id="ViT"),
        pytest.param(golden("hf-deit"), id="DeiT"),
        pytest.param(golden("hf-deit-distilled"), id="distilled DeiT"),
        pytest.param(golden("hf-beit"), id="BEiT"),
        pytest.param(golden("hf-bit"), id="BiT"),
        pytest.param(golden("hf-hybrid-small"), id="hybrid"),
        pytest.param(golden("hf-hybrid-patch2-odd"), id="hybrid with odd patches"),
        pytest.param(golden("timm-hybrid"), id="timm's hybrid"),
        pytest.param(golden("jax-hybrid/R50+ViT.npz"), id="Google's hybrid"),
        pytest.param(lambda folder: write_timm(folder / "timm", STEM_ONLY, "vit_tiny_r_s16_p8_224"), id="stem alone"),
        pytest.param(lambda folder: write_timm(folder / "timm", PLAIN, "vit_tiny_patch16_224"), id="timm's ViT"),
        pytest.param(
            lambda folder: write_timm(folder / "timm", DISTILLED, "deit_tiny_distilled_patch16_224"), id="timm's DeiT"
        ),
        pytest.param(lambda folder: write_timm(folder / "timm", BEIT, "beit_base_patch16_224"), id="timm's BEiT"),
        pytest.param(
            lambda folder: write_timm(folder / "timm", BEIT_SHARED, "beitv2_base_patch16_224", global_pool="token"),
            id="timm's BEiT that reads CLS",
        ),
        pytest.param(
            lambda folder: write_timm(folder / "timm", replace(BEIT, labels=()), "beit_base_patch16_224"),
            id="timm's BEiT without a head",
        ),
        pytest.param(lambda folder: write_timm(folder / "timm", BIT, "resnetv2_50x1_bit"), id="timm's BiT"),
        pytest.param(
            lambda folder: write_timm(folder / "timm", replace(BIT, labels=()), "resnetv2_50x3_bit"),
            id="timm's BiT without a head",
        ),
        pytest.param(lambda folder: write_npz(folder / "x.npz", jax_arrays(STEM_ONLY)), id="Google's stem alone"),
        pytest.param(lambda folder: write_npz(folder / "x.npz", jax_arrays(HYBRID)), id="Google's small hybrid"),
        pytest.param(
            lambda folder: write_npz(folder / "x.npz", jax_arrays(replace(PLAIN, labels=()))), id="without a head"
        ),
        pytest.param(
            lambda folder: write_npz(folder / "x.npz", jax_arrays(replace(PLAIN, labels=(), pooler=True))),
            id="pre-logits without a head",
        ),
    ],
)
def test_a_converted_folder_gives_the_same_outputs_in_transformers(
    source: Callable[[Path], Path], peers: Peers, tmp_path: Path
) -> None:
    checkpoint = Checkpoint.read(source(tmp_path))
    convert_checkpoint(checkpoint, tmp_path / "converted")
    pixels = torch.randn(2, 3, *checkpoint.config.image_size, generator=torch.Generator().manual_seed(1))
    np.save(tmp_path / "pixels.npy", pixels.numpy())
    peers.run("load_converted", tmp_path / "pixels.npy", tmp_path / "converted")
    with torch.inference_mode():
        expected = load_network(checkpoint)(pixels).numpy()
    found = np.load(tmp_path / "converted.npy")
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()
