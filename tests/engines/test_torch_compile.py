"""A compiled network: the same logits, and one size for all batches of a run."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from places import GOLDENS
from torch import Tensor, nn
from torch._dynamo.exc import BackendCompilerFailed, TorchDynamoException
from torch._dynamo.utils import counters
from torch._inductor import exc as inductor_errors
from torch._inductor import list_options

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.engines.batch_limit import BatchLimit
from vithybrid_cli.engines.torch_compile import CompiledNetwork
from vithybrid_cli.engines.torch_engine import TorchEngine
from vithybrid_cli.engines.torch_features import RunnableNetwork
from vithybrid_cli.errors import UsageError
from vithybrid_cli.model.vit import VisionTransformer

SMALL = Checkpoint.read(GOLDENS / "hf-hybrid-small")
PLAIN = Checkpoint.read(GOLDENS / "hf-vit")
CPU = torch.device("cpu")


def one_block() -> VisionTransformer:
    """A plain ViT of a single block, as compiling takes seconds for each."""
    network = load_network(PLAIN)
    assert isinstance(network, VisionTransformer)
    network.blocks = network.blocks[:1]
    return network


def engine_of(
    network: RunnableNetwork | None = None, *, compiled: bool, batch_size: int = 4, limit: int | None = None
) -> TorchEngine:
    """The engine of a network, by default of the small hybrid."""
    return TorchEngine(
        network or load_network(SMALL),
        SMALL.preprocessing.normalization,
        CPU,
        torch.float32,
        compiled=compiled,
        batch_size=batch_size,
        limit=BatchLimit(limit),
    )


def pixels(count: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, *SMALL.config.image_size, 3), np.uint8)


@pytest.fixture
def not_compiled(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Networks are taken as they are; gives the options that torch was asked to compile them with."""
    asked: list[dict[str, Any]] = []

    def compile_nothing(network: nn.Module, **options: Any) -> nn.Module:
        asked.append(options)
        return network

    monkeypatch.setattr(torch, "compile", compile_nothing)
    return asked


def batches_of(network: nn.Module) -> list[int]:
    """The sizes of the batches that a network is going to be given."""
    given: list[int] = []
    network.register_forward_pre_hook(lambda _, inputs: given.append(len(inputs[0])))
    return given


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let all compiling fail."""

    def fail(values: Tensor) -> Tensor:
        raise error

    monkeypatch.setattr(torch, "compile", lambda network, **options: fail)


def compiler_failed(cause: Exception) -> TorchDynamoException:
    """What torch raises when its compiler fails."""
    if not hasattr(inductor_errors, "InductorError"):  # came with torch 2.7
        return BackendCompilerFailed(torch.compile, cause)  # type: ignore[call-arg] # newer ones want a frame
    return inductor_errors.InductorError(cause, None)


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(one_block, id="one block of a ViT"),
        # All blocks of a backbone are compiled, too: half a minute of processor time, or more.
        pytest.param(lambda: load_network(SMALL), id="a hybrid", marks=pytest.mark.thorough),
    ],
)
def test_the_logits_are_those_of_the_plain_network_and_smaller_batches_compile_nothing(
    network: Callable[[], RunnableNetwork],
) -> None:
    expected = engine_of(network(), compiled=False).run(pixels(4))
    engine = engine_of(network(), compiled=True)
    compiled_before = counters["stats"]["unique_graphs"]
    np.testing.assert_allclose(engine.run(pixels(4)), expected, rtol=0, atol=1e-4)
    with ThreadPoolExecutor(1) as pool:  # where they are computed in earnest
        np.testing.assert_allclose(pool.submit(engine.run, pixels(4)[:3]).result(), expected[:3], rtol=0, atol=1e-4)
    assert counters["stats"]["unique_graphs"] - compiled_before == 1


def test_more_sizes_than_torch_compiles_by_itself_are_compiled() -> None:
    compiled_before = counters["stats"]["unique_graphs"]
    with torch._dynamo.config.patch(cache_size_limit=1):  # in place of eight, since each size takes seconds
        network = CompiledNetwork(nn.ReLU(), CPU)
        for count in (1, 2):
            network(torch.zeros(count, 3, 4, 4), count)
    assert counters["stats"]["unique_graphs"] - compiled_before == 2


def test_every_batch_is_computed_at_the_size_of_the_run(not_compiled: list[dict[str, Any]]) -> None:
    engine = engine_of(compiled=True, batch_size=4)
    given = batches_of(engine.network)
    expected = engine_of(compiled=False).run(pixels(8))
    for count in (2, 4, 1, 6, 8):
        np.testing.assert_allclose(engine.run(pixels(8)[:count]), expected[:count], rtol=0, atol=1e-5)
    assert given == [4] * 7


def test_the_last_batch_of_a_run_gives_the_same_bytes_when_a_resumed_run_computes_it_alone(
    not_compiled: list[dict[str, Any]],
) -> None:
    whole, resumed = (engine_of(compiled=True, batch_size=4) for _ in range(2))
    whole.run(pixels(8)[:4])
    np.testing.assert_array_equal(whole.run(pixels(8)[4:7]), resumed.run(pixels(8)[4:7]))


def test_normalised_pixels_are_computed_at_that_size_too(not_compiled: list[dict[str, Any]]) -> None:
    engine = engine_of(compiled=True, batch_size=4)
    given = batches_of(engine.network)
    values = torch.from_numpy(SMALL.preprocessing.normalization.apply(pixels(5)))
    np.testing.assert_allclose(engine.run_normalized(values), engine.run(pixels(5)), rtol=0, atol=1e-5)
    assert given == [4] * 4


def test_no_pictures_give_no_rows(not_compiled: list[dict[str, Any]]) -> None:
    assert engine_of(compiled=True).run(pixels(0)).shape == (0, len(SMALL.config.labels))


def test_what_is_filled_up_stays_in_channels_last(not_compiled: list[dict[str, Any]]) -> None:
    layouts: list[bool] = []
    engine = engine_of(compiled=True)
    engine.network.register_forward_pre_hook(
        lambda _, inputs: layouts.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    engine.run(pixels(4))
    engine.run(pixels(1))
    assert layouts == [True, True]


def test_after_a_batch_that_did_not_fit_the_size_is_half(not_compiled: list[dict[str, Any]]) -> None:
    engine = engine_of(compiled=True, batch_size=8)
    expected = engine_of(compiled=False).run(pixels(8))
    room = 8

    def refuse(network: nn.Module, inputs: tuple[Tensor]) -> None:
        if len(inputs[0]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    given = batches_of(engine.network)
    engine.network.register_forward_pre_hook(refuse)
    engine.run(pixels(8))
    room = 5  # as when another program takes the memory
    np.testing.assert_allclose(engine.run(pixels(8)), expected, rtol=0, atol=1e-5)
    engine.run(pixels(3))
    assert given == [8, 8, 4, 4, 4]
    assert engine.batch_limit == 4


def test_a_resumed_run_begins_with_the_size_that_fits(not_compiled: list[dict[str, Any]]) -> None:
    engine = engine_of(compiled=True, batch_size=8, limit=4)
    given = batches_of(engine.network)
    engine.run(pixels(6))
    assert given == [4, 4]


def test_memory_that_runs_out_while_compiling_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, compiler_failed(torch.OutOfMemoryError("Tried to allocate 20.00 GiB.")))
    with pytest.raises(UsageError, match="One picture does not fit into the free memory of cpu"):
        engine_of(compiled=True).run(pixels(2))


def test_two_threads_never_compile_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0
    counting = threading.Lock()

    def compile_slowly(values: Tensor) -> Tensor:
        nonlocal running, most
        with counting:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with counting:
            running -= 1
        return values

    monkeypatch.setattr(torch, "compile", lambda network, **options: compile_slowly)
    networks = [CompiledNetwork(nn.Identity(), CPU) for _ in range(2)]  # as of two GPUs
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(network, torch.zeros(2, 3, 4, 4), 2) for network in networks * 2]
    assert [call.result().shape[0] for call in calls] == [2] * 4
    assert most == 1


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda"])
def test_no_kernel_is_chosen_by_a_clock(device: str, not_compiled: list[dict[str, Any]]) -> None:
    CompiledNetwork(nn.Identity(), torch.device(device))
    (asked,) = not_compiled
    assert asked["dynamic"] is False
    assert not [name for name in asked["options"] if "autotune" in name or "tuning" in name]
    assert asked["options"].get("deterministic", True) is True
    assert asked["options"]["shape_padding"] is False
    assert asked["options"].keys() <= set(list_options())  # else torch refuses them


@pytest.mark.parametrize(
    ("device", "error", "says"),
    [
        pytest.param(
            "cpu",
            lambda: compiler_failed(RuntimeError("Compiler: g++ is not found.")),
            "(RuntimeError: Compiler: g++ is not found). Install a C++ compiler, such as g++, or leave out",
            id="no C++ compiler",
        ),
        pytest.param(
            "cuda",
            lambda: inductor_errors.TritonMissing(None),
            "(TritonMissing: Cannot find a working triton installation.",
            id="no Triton",
            marks=pytest.mark.skipif(not hasattr(inductor_errors, "TritonMissing"), reason="came with torch 2.7"),
        ),
        pytest.param(
            "mps", lambda: compiler_failed(RuntimeError("\nno\nMetal")), "(RuntimeError: no). Leave", id="another"
        ),
    ],
)
def test_where_torch_cannot_compile_one_line_says_why_and_what_to_do(
    device: str, error: Callable[[], Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, error())
    network = CompiledNetwork(nn.Identity(), torch.device(device))
    with pytest.raises(UsageError) as caught:
        network(torch.zeros(1, 3, 4, 4), 1)
    assert str(caught.value).startswith(f"PyTorch cannot compile the network for {device} {says}")
    assert str(caught.value).endswith(" compile=True.")
    assert "\n" not in str(caught.value)
