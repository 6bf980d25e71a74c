"""A compiled network: the same logits, and no more compiling than there are larger batches."""

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
from vithybrid_cli.engines.torch_compile import CompiledNetwork
from vithybrid_cli.engines.torch_engine import TorchEngine
from vithybrid_cli.errors import UsageError

SMALL = Checkpoint.read(GOLDENS / "hf-hybrid-small")
CPU = torch.device("cpu")
ROOM_ENOUGH = 1000  # pictures
REPORTS_CHOICES = "max_autotune_report_choices_stats" in list_options()  # since torch 2.9


def engine_of(*, compiled: bool) -> TorchEngine:
    normalization = SMALL.preprocessing.normalization
    return TorchEngine(load_network(SMALL), normalization, CPU, torch.float32, compiled=compiled)


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


def test_the_logits_are_those_of_the_plain_network_and_smaller_batches_compile_nothing() -> None:
    expected = engine_of(compiled=False).logits(pixels(4))
    engine = engine_of(compiled=True)
    compiled_before = counters["stats"]["unique_graphs"]
    np.testing.assert_allclose(engine.logits(pixels(4)), expected, rtol=0, atol=1e-4)
    with ThreadPoolExecutor(1) as pool:  # where they are computed in earnest
        np.testing.assert_allclose(pool.submit(engine.logits, pixels(4)[:3]).result(), expected[:3], rtol=0, atol=1e-4)
    assert counters["stats"]["unique_graphs"] - compiled_before == 1


def test_more_sizes_than_torch_compiles_by_itself_are_compiled() -> None:
    compiled_before = counters["stats"]["unique_graphs"]
    with torch._dynamo.config.patch(cache_size_limit=1):  # in place of eight, since each size takes seconds
        network = CompiledNetwork(nn.ReLU(), CPU)
        for count in (1, 2):
            network(torch.zeros(count, 3, 4, 4), ROOM_ENOUGH)
    assert counters["stats"]["unique_graphs"] - compiled_before == 2


def test_a_batch_is_filled_up_to_the_smallest_size_that_is_known(not_compiled: list[dict[str, Any]]) -> None:
    engine = engine_of(compiled=True)
    given = batches_of(engine.network)
    expected = engine_of(compiled=False).logits(pixels(8))
    for count in (2, 5, 8, 1, 3, 8, 6):
        np.testing.assert_allclose(engine.logits(pixels(8)[:count]), expected[:count], rtol=0, atol=1e-5)
    assert given == [2, 5, 8, 2, 5, 8, 8]


def test_no_pictures_give_no_rows(not_compiled: list[dict[str, Any]]) -> None:
    assert engine_of(compiled=True).logits(pixels(0)).shape == (0, len(SMALL.config.labels))


def test_what_is_filled_up_stays_in_channels_last(not_compiled: list[dict[str, Any]]) -> None:
    layouts: list[bool] = []
    engine = engine_of(compiled=True)
    engine.network.register_forward_pre_hook(
        lambda _, inputs: layouts.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    engine.logits(pixels(4))
    engine.logits(pixels(1))
    assert layouts == [True, True]


def test_after_a_batch_that_did_not_fit_none_is_filled_up_to_its_size(not_compiled: list[dict[str, Any]]) -> None:
    engine = engine_of(compiled=True)
    expected = engine_of(compiled=False).logits(pixels(8))
    room = ROOM_ENOUGH

    def refuse(network: nn.Module, inputs: tuple[Tensor]) -> None:
        if len(inputs[0]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    given = batches_of(engine.network)
    engine.network.register_forward_pre_hook(refuse)
    engine.logits(pixels(8))
    room = 5  # as when another program takes the memory
    np.testing.assert_allclose(engine.logits(pixels(8)), expected, rtol=0, atol=1e-5)
    engine.logits(pixels(3))
    assert given == [8, 8, 4, 4, 4]


def test_memory_that_runs_out_while_compiling_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, compiler_failed(torch.OutOfMemoryError("Tried to allocate 20.00 GiB.")))
    with pytest.raises(UsageError, match="one picture does not fit into the free memory of cpu"):
        engine_of(compiled=True).logits(pixels(2))


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
        calls = [pool.submit(network, torch.zeros(2, 3, 4, 4), ROOM_ENOUGH) for network in networks * 2]
    assert [call.result().shape[0] for call in calls] == [2] * 4
    assert most == 1


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        pytest.param("cpu", None, id="torch's default on a CPU"),
        pytest.param("mps", None, id="and on a Mac's GPU"),
        pytest.param(
            "cuda",
            {
                "max_autotune": True,
                "coordinate_descent_tuning": True,
                "autotune_num_choices_displayed": 0,
                **({"max_autotune_report_choices_stats": False} if REPORTS_CHOICES else {}),
            },
            id="tuned, silent and without CUDA graphs on an NVIDIA GPU",
        ),
    ],
)
def test_each_device_is_compiled_for_in_its_way(
    device: str, expected: dict[str, object] | None, not_compiled: list[dict[str, Any]]
) -> None:
    CompiledNetwork(nn.Identity(), torch.device(device))
    assert [(options["options"], options["dynamic"]) for options in not_compiled] == [(expected, False)]


def test_torch_knows_the_options_for_a_gpu() -> None:
    from vithybrid_cli.engines import torch_compile

    options = torch_compile._options(torch.device("cuda"))
    assert options is not None
    assert options.keys() <= set(list_options())


@pytest.mark.parametrize(
    ("device", "error", "says"),
    [
        pytest.param(
            "cpu",
            lambda: compiler_failed(RuntimeError("Compiler: g++ is not found.")),
            "(RuntimeError: Compiler: g++ is not found.). Install a C++ compiler, such as g++, or leave out",
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
        network(torch.zeros(1, 3, 4, 4), ROOM_ENOUGH)
    assert str(caught.value).startswith(f"torch cannot compile the network for {device} {says}")
    assert str(caught.value).endswith(" --compile.")
    assert "\n" not in str(caught.value)
