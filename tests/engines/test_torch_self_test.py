"""A device is trusted after it has computed one picture as the CPU does; here the CPU plays each kind of device."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from places import GOLDENS

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.engines.torch_engine import TorchEngine
from vithybrid_cli.engines.torch_self_test import Pixels, Rows, SelfTest
from vithybrid_cli.errors import UsageError

SMALL = Checkpoint.read(GOLDENS / "hf-hybrid-small")


@pytest.fixture(scope="module")
def self_test() -> SelfTest:
    return SelfTest.of(load_network(SMALL), SMALL.preprocessing.normalization)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_faithful_device_passes_in_each_type(dtype: torch.dtype, self_test: SelfTest) -> None:
    engine = TorchEngine(load_network(SMALL), SMALL.preprocessing.normalization, torch.device("cpu"), dtype)
    asked: list[Pixels] = []

    def run(pixels: Pixels) -> Rows:
        asked.append(pixels)
        return engine.run(pixels)

    self_test.require(run, dtype)
    assert len(asked) == 1
    assert asked[0] is self_test.pixels


def test_the_picture_is_the_same_each_time(self_test: SelfTest) -> None:
    again = SelfTest.of(load_network(SMALL), SMALL.preprocessing.normalization)
    assert np.array_equal(again.pixels, self_test.pixels)
    assert again.pixels.shape == (1, *SMALL.config.image_size, 3)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        pytest.param(lambda logits: np.roll(logits, 1, axis=1), "the largest difference", id="other numbers"),
        pytest.param(lambda logits: logits + 0.01, "where 0.001 is allowed", id="a little off"),
        pytest.param(lambda logits: logits * np.nan, "the largest difference is nan", id="not finite"),
    ],
)
def test_a_device_that_computes_something_else_is_refused(
    wrong: Callable[[Rows], Rows], says: str, self_test: SelfTest
) -> None:
    with pytest.raises(UsageError) as caught:
        self_test.require(lambda pixels: wrong(self_test.expected), torch.float32)
    assert str(caught.value).startswith(
        "The GPU of this Mac does not compute what the CPU does: the largest difference is "
    )
    assert says in str(caught.value)
    assert str(caught.value).endswith(". Give device='cpu', or a newer macOS and torch.")


@pytest.mark.parametrize("kind", [NotImplementedError, RuntimeError])
def test_a_device_that_lacks_an_operation_is_refused_in_one_line(kind: type[Exception], self_test: SelfTest) -> None:
    def lacking(pixels: Pixels) -> Rows:
        raise kind("The operator 'aten::addcmul' is not implemented for the MPS device.\nSet an environment variable.")

    with pytest.raises(UsageError) as caught:
        self_test.require(lacking, torch.float32)
    assert str(caught.value) == (
        "The GPU of this Mac cannot compute this network "
        "(The operator 'aten::addcmul' is not implemented for the MPS device). "
        "Give device='cpu', or a newer macOS and torch."
    )
