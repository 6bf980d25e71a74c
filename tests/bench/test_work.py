"""What a network computes for a picture, beside what torch itself counts, and single layers as calls."""

from collections.abc import Mapping

import pytest
import torch
from places import GOLDENS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vithybrid_cli.bench.operands import Operands, ways
from vithybrid_cli.bench.work import Convolution, Layer, Product, work_of
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.model.build import build
from vithybrid_cli.model.config import NetworkConfig

NETWORKS = ("hf-hybrid-small", "hf-hybrid-patch2-odd", "hf-vit", "hf-deit-distilled", "hf-beit", "hf-bit")
LAYERS = [
    pytest.param(Convolution(8, 16, 3, 1, 5, 7), id="3×3"),
    pytest.param(Convolution(8, 16, 3, 2, 5, 7), id="3×3 of odd sides, stride 2"),
    pytest.param(Convolution(8, 16, 3, 2, 6, 8), id="3×3 of even sides, stride 2"),
    pytest.param(Convolution(8, 16, 1, 1, 4, 4), id="1×1"),
    pytest.param(Convolution(8, 16, 1, 2, 5, 4), id="1×1, stride 2"),
    pytest.param(Product(5, 8, 12), id="product"),
    pytest.param(Product(1, 8, 12), id="product of one token"),
]


def config_of(name: str) -> NetworkConfig:
    return Checkpoint.read(GOLDENS / name).config


def counted_by_torch(config: NetworkConfig) -> tuple[int, int, int]:
    """Operations in all, of convolutions of 1×1 and 3×3, and of linear layers."""
    network = build(config, "eager").eval()  # since torch does not count its kernel for a CPU
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, *config.image_size))
    by_module = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    root = type(network).__name__
    convolutions = linears = 0
    for name, module in network.named_modules():
        own = by_module.get(f"{root}.{name}", 0)
        if isinstance(module, nn.Linear):
            linears += own
        elif isinstance(module, nn.Conv2d) and module.kernel_size in ((1, 1), (3, 3)):
            convolutions += own
    return counter.get_total_flops(), convolutions, linears


def work_in(layers: Mapping[Layer, int]) -> int:
    return sum(layer.flop * count for layer, count in layers.items())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_work_of_a_network_is_what_torch_counts_in_it(name: str) -> None:
    config = config_of(name)
    work = work_of(config)
    assert (work.flop, work_in(work.convolutions), work_in(work.linears)) == counted_by_torch(config)
    assert work_in(work.linears) > 0


def test_a_plain_vit_has_linear_layers_alone_and_a_bit_has_convolutions() -> None:
    plain, bit = work_of(config_of("hf-vit")), work_of(config_of("hf-bit"))
    assert plain.convolutions == {}
    assert plain.linears
    assert bit.convolutions


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_call_computes_the_work_of_its_layer_for_the_batch(layer: Layer, batch: int) -> None:
    operands = Operands.drawn([layer], batch, torch.device("cpu"), "float32")
    for pointwise in ways(layer, "cpu"):
        with FlopCounterMode(display=False) as counter:
            operands.call(layer, batch, pointwise=pointwise)()
        assert counter.get_total_flops() == layer.flop * batch


def test_convolutions_are_computed_in_channels_last() -> None:
    layer = Convolution(8, 16, 3, 1, 5, 7)
    operands = Operands.drawn([layer], 2, torch.device("cpu"), "bfloat16")
    result = operands.call(layer, 2)()
    assert isinstance(result, torch.Tensor)
    assert (result.shape, result.dtype) == ((2, 16, 5, 7), torch.bfloat16)
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_both_ways_of_a_product_give_the_same_numbers() -> None:
    layer = Product(5, 8, 12)
    operands = Operands.drawn([layer], 2, torch.device("cpu"), "float32")
    linear, pixels = (operands.call(layer, 2, pointwise=pointwise)() for pointwise in ways(layer, "cpu"))
    assert isinstance(linear, torch.Tensor)
    assert isinstance(pixels, torch.Tensor)
    torch.testing.assert_close(pixels.permute(0, 2, 3, 1).reshape(10, 12), linear)


def test_numbers_suffice_for_the_largest_layer_and_are_the_same_each_time() -> None:
    layers: list[Layer] = [Convolution(8, 16, 1, 1, 4, 4), Product(1, 64, 64)]
    first, second = (Operands.drawn(layers, 3, torch.device("cpu"), "float32") for _ in range(2))
    assert (len(first.values), len(first.weights)) == (3 * 8 * 4 * 4, 64 * 64)
    assert torch.equal(first.values, second.values)


def test_a_gpu_computes_a_product_in_one_way() -> None:
    assert ways(Product(1, 2, 3), "cuda") == (False,)


def test_layers_have_names_for_people() -> None:
    assert Convolution(64, 128, 3, 2, 96, 48).name == "3×3 convolution of 64 to 128 channels, 96×48, stride 2"
    assert Product(577, 768, 2304).name == "577×768 by 768×2304"
    assert Product(512, 512, 512).name == "512³"
