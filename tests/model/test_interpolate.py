"""Positions for pictures of another size: what moves with the grid of patches, and what stays as it is."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vithybrid_cli.model.build import build
from vithybrid_cli.model.config import BitClassifierConfig, BitConfig, EncoderConfig, NetworkConfig, VitConfig
from vithybrid_cli.model.interpolate import interpolated, resized

ENCODER = EncoderConfig(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
VIT = VitConfig(ENCODER, ("cat", "dog"), image_size=(32, 48), patch_size=(8, 8))
DEIT = replace(VIT, distillation_token=True)
DEIT3 = replace(VIT, only_patches_have_positions=True)
NO_CLS = replace(VIT, class_token=False, mean_pooling=True)
HYBRID = replace(VIT, image_size=(96, 96), patch_size=(1, 1), backbone=BitConfig(8, (16, 32), (1, 1), 2, out_stage=2))
BEIT = replace(VIT, encoder=replace(ENCODER, relative_positions="each"), absolute_positions=False, mean_pooling=True)
BIT = BitClassifierConfig(BitConfig(8, (16, 32), (1, 1), 2, out_stage=2), ("cat", "dog"))

POSITIONS = "embeddings.position_embeddings"
TABLE = "blocks.1.attn.relative_position_bias.table"


def random_tensors(config: NetworkConfig) -> dict[str, Tensor]:
    """A value for each parameter of the network."""
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(p.shape, generator=generator) for name, p in build(config).named_parameters()}


def test_the_layers_share_the_distances_of_a_grid() -> None:
    with torch.device("meta"):
        network = build(BEIT)
    indices = [buffer for name, buffer in network.named_buffers(remove_duplicate=False) if name.endswith(".index")]
    assert len(indices) == ENCODER.num_hidden_layers
    assert all(index is indices[0] for index in indices)
    assert indices[0].device.type == "cpu"


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(VIT, id="vit"),
        pytest.param(DEIT, id="deit"),
        pytest.param(HYBRID, id="hybrid"),
        pytest.param(DEIT3, id="only patches have positions"),
        pytest.param(NO_CLS, id="no CLS"),
        pytest.param(BEIT, id="beit each"),
        pytest.param(replace(BEIT, encoder=replace(ENCODER, relative_positions="shared")), id="beit shared"),
    ],
)
@pytest.mark.parametrize("size", [(64, 48), (40, 104), (200, 200)])
def test_the_tensors_fit_the_network_for_the_other_size(config: VitConfig, size: tuple[int, int]) -> None:
    wanted = replace(config, image_size=size)
    network = build(wanted)
    network.load_state_dict(resized(random_tensors(config), config, wanted))
    with torch.inference_mode():
        assert network(torch.randn(1, 3, *size)).shape == (1, 2)


def test_only_positions_change() -> None:
    tensors = random_tensors(DEIT)
    changed = resized(tensors, DEIT, replace(DEIT, image_size=(64, 64)))
    assert changed.keys() == tensors.keys()
    assert [name for name in tensors if changed[name] is not tensors[name]] == [POSITIONS]


@pytest.mark.parametrize(
    ("config", "prefix"),
    [
        pytest.param(VIT, 1, id="vit"),
        pytest.param(DEIT, 2, id="deit"),
        pytest.param(DEIT3, 0, id="only patches have positions"),
        pytest.param(NO_CLS, 0, id="no CLS"),
    ],
)
def test_the_tokens_before_the_patches_keep_their_positions(config: VitConfig, prefix: int) -> None:
    tensors = random_tensors(config)
    changed = resized(tensors, config, replace(config, image_size=(64, 64)))
    assert torch.equal(changed[POSITIONS][:, :prefix], tensors[POSITIONS][:, :prefix])
    assert changed[POSITIONS].shape == (1, prefix + 64, 8)


def test_the_biases_of_cls_stay_as_they_are() -> None:
    tensors = random_tensors(BEIT)
    changed = resized(tensors, BEIT, replace(BEIT, image_size=(64, 64)))
    assert torch.equal(changed[TABLE][-3:], tensors[TABLE][-3:])
    assert changed[TABLE].shape == (15 * 15 + 3, 2)


def test_a_bias_by_rows_stays_one_by_rows() -> None:
    tensors = random_tensors(BEIT)
    down = torch.arange(-3.0, 4.0)  # of the 4 rows; their 6 columns are 11 distances
    tensors[TABLE][:-3] = down.repeat_interleave(11)[:, None]
    distances = resized(tensors, BEIT, replace(BEIT, image_size=(64, 64)))[TABLE][:-3].view(15, 15, 2)
    torch.testing.assert_close(distances, distances[:, :1].expand(15, 15, 2))
    torch.testing.assert_close(distances[7], torch.zeros(15, 2))  # patches of the same row
    assert (distances[:, 0].diff(dim=0) >= 0).all()


def test_the_hybrids_positions_are_those_of_its_feature_map() -> None:
    # 96 pixels are 12 cells of stride 8, 100 pixels are 13: the last of them is half in the picture.
    sizes = {size: replace(HYBRID, image_size=(size, size)).grid_size for size in (96, 97, 100, 192)}
    assert sizes[192] == (2 * sizes[96][0], 2 * sizes[96][1])
    changed = resized(random_tensors(HYBRID), HYBRID, replace(HYBRID, image_size=(192, 192)))
    assert changed[POSITIONS].shape == (1, 1 + sizes[192][0] * sizes[192][1], 8)


@pytest.mark.parametrize(
    ("config", "size"),
    [
        pytest.param(VIT, (32, 48), id="the same size"),
        pytest.param(VIT, (39, 50), id="the same patches"),
        pytest.param(HYBRID, (94, 95), id="the same feature map"),
        pytest.param(BIT, (64, 64), id="no positions"),
    ],
)
def test_a_size_of_the_same_grid_changes_nothing(config: NetworkConfig, size: tuple[int, int]) -> None:
    tensors = random_tensors(config)
    changed = resized(tensors, config, replace(config, image_size=size))
    assert all(changed[name] is tensor for name, tensor in tensors.items())


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_rows_stay_rows_and_columns_columns(mode: str) -> None:
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(6.0), indexing="ij")
    moved = interpolated(torch.stack((rows, columns), -1).flatten(0, 1), (4, 6), (8, 9), mode).view(8, 9, 2)
    down, right = moved[..., 0], moved[..., 1]
    torch.testing.assert_close(down, down[:, :1].expand(8, 9))
    torch.testing.assert_close(right, right[:1].expand(8, 9))
    assert (down[:, 0].diff() > 0).all()
    assert (right[0].diff() > 0).all()
    # The grids cover the same area: their middles are the same.
    torch.testing.assert_close(down.mean(), rows.mean())
    torch.testing.assert_close(right.mean(), columns.mean())


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_what_is_the_same_everywhere_stays_so(mode: str) -> None:
    everywhere = torch.tensor([2.0, -3.0])
    moved = interpolated(everywhere.expand(24, 2), (4, 6), (7, 5), mode)
    torch.testing.assert_close(moved, everywhere.expand(35, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_a_shorter_type_are_interpolated_in_float32(dtype: torch.dtype) -> None:
    tensors = {POSITIONS: random_tensors(VIT)[POSITIONS].to(dtype)}
    wanted = replace(VIT, image_size=(64, 64))
    changed = resized(tensors, VIT, wanted)[POSITIONS]
    assert changed.dtype is torch.float32
    exact = resized({POSITIONS: tensors[POSITIONS].float()}, VIT, wanted)[POSITIONS]
    assert torch.equal(changed, exact)
