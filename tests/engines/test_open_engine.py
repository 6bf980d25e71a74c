"""Which engine a user gets: what was asked for, or the fastest that can do it."""

import ctypes
import importlib.util
import os
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from places import GOLDENS

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import AttentionKind
from vithybrid_cli.engines import Engine
from vithybrid_cli.engines.open import open_engine
from vithybrid_cli.engines.openvino_engine import OpenVinoEngine
from vithybrid_cli.engines.openvino_runtime import openvino
from vithybrid_cli.engines.processor import Processor
from vithybrid_cli.engines.torch_engine import TorchEngine
from vithybrid_cli.errors import UsageError

SMALL = Checkpoint.read(GOLDENS / "hf-hybrid-small")


@dataclass(frozen=True)
class Gpu:
    """What torch tells of a GPU."""

    name: str = "H200"
    major: int = 9
    minor: int = 0
    multi_processor_count: int = 132
    total_memory: int = 150_000_000_000


def open_small(
    engine: str = "auto",
    device: str = "auto",
    dtype: str = "float32",
    attention: str = "sdpa",
    **options: Any,
) -> Engine:
    return open_engine(SMALL, engine=engine, device=device, dtype=dtype, attention=attention, **options)


def opened(*arguments: str, **options: Any) -> type[Engine]:
    """The kind of engine that these options give."""
    return type(open_small(*arguments, **options))


def capable_of(monkeypatch: pytest.MonkeyPatch, *capabilities: str) -> None:
    """Let OpenVINO say that of the processor."""
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: list(capabilities))


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def opened_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """One GPU, for which no network is made: each torch engine that would be is kept as device, type and tf32."""
    made: list[tuple[object, ...]] = []

    def make(
        network: object, normalization: object, device: object, dtype: object, *, tf32: bool, **_: object
    ) -> object:
        made.append((device, dtype, tf32))
        return SimpleNamespace(device_type="cuda")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Gpu())
    monkeypatch.setattr("vithybrid_cli.engines.torch_engine.TorchEngine", make)
    return made


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name))
    monkeypatch.setitem(sys.modules, "openvino", None)
    for module in ("openvino_runtime", "openvino_cache", "openvino_graph", "openvino_engine"):
        monkeypatch.delitem(sys.modules, f"vithybrid_cli.engines.{module}", raising=False)
        monkeypatch.delattr(f"vithybrid_cli.engines.{module}", raising=False)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_cpu_runs_openvino(device: str) -> None:
    assert opened(device=device) is OpenVinoEngine


def test_without_openvino_torch_runs(not_installed: None) -> None:
    assert opened() is TorchEngine


def test_what_only_torch_can_do_runs_on_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    capable_of(monkeypatch, "FP32", "INT8")
    assert opened(engine="torch") is TorchEngine
    assert opened(attention="eager") is TorchEngine
    assert opened(dtype="bfloat16") is TorchEngine
    assert opened(compiled=True) is TorchEngine


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_tf32_is_refused_where_there_is_no_nvidia_gpu(engine: str, device: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened(engine, device, "tf32")
    assert str(caught.value) == "Only NVIDIA GPUs compute in tf32, and this run is on cpu. Give dtype='float32'."


def test_tf32_is_float32_that_a_gpu_computes_otherwise(opened_on: list[tuple[object, ...]]) -> None:
    for dtype in ("tf32", "float32", "float16"):
        opened(device="cuda", dtype=dtype)
    gpu = torch.device("cuda:0")
    assert opened_on == [(gpu, torch.float32, True), (gpu, torch.float32, False), (gpu, torch.float16, False)]


def test_a_shorter_type_runs_on_openvino_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    capable_of(monkeypatch, "FP32", "BF16")
    monkeypatch.setattr(Processor, "read", lambda: Processor("AuthenticAMD", "25/17", ("avx512_bf16",)))
    assert opened(dtype="bfloat16") is OpenVinoEngine


def test_bfloat16_in_the_tiles_of_amx_runs_on_torch_unless_openvino_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capable_of(monkeypatch, "FP32", "BF16")
    monkeypatch.setattr(Processor, "read", lambda: Processor("GenuineIntel", "6/143", ("avx512_bf16", "amx_bf16")))
    assert opened(dtype="bfloat16") is TorchEngine
    assert opened(engine="openvino", dtype="bfloat16") is OpenVinoEngine
    assert opened(dtype="float32") is OpenVinoEngine
    assert opened(dtype="float16") is TorchEngine


@pytest.mark.parametrize(
    ("vendor", "instructions", "expected"),
    [("GenuineIntel", ("avx512_fp16",), TorchEngine), ("0x41", ("asimdhp",), OpenVinoEngine)],
)
def test_float16_in_avx512_runs_on_torch_too(
    vendor: str, instructions: tuple[str, ...], expected: type[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    capable_of(monkeypatch, "FP32", "FP16")
    monkeypatch.setattr(Processor, "read", lambda: Processor(vendor, "", instructions))
    assert opened(dtype="float16") is expected


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver for NVIDIA GPUs is installed."""
    load = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", lambda name, *rest: None if "cuda" in str(name) else load(name, *rest))


def test_a_driver_alone_is_no_gpu(driver: None) -> None:
    assert opened() is OpenVinoEngine


def test_a_gpu_runs_torch_unless_the_cpu_is_asked_for(driver: None, opened_on: list[tuple[object, ...]]) -> None:
    assert opened(device="cpu") is OpenVinoEngine
    opened()
    opened(device="cuda")
    assert [device for device, *_ in opened_on] == [torch.device("cuda:0")] * 2


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_an_engine_knows_the_batch_size_of_its_run(engine: str) -> None:
    assert open_small(engine, batch_size=5).batch_size == 5
    assert open_small(engine).batch_size > 5


def test_an_engine_begins_with_the_limit_that_an_earlier_one_found() -> None:
    assert open_small("torch", batch_limit=3).batch_limit == 3
    assert open_small("torch").batch_limit is None
    assert open_small("openvino").batch_limit is None


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_nothing_is_wrong_usage(size: int) -> None:
    with pytest.raises(UsageError, match=rf"The batch size is {size}\. Give a batch_size of at least 1\."):
        open_small(batch_size=size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"device": "cuda"}, "runs on the CPU here, not on cuda. Give device='cpu', or", id="a GPU"),
        pytest.param(
            {"attention": AttentionKind.EAGER},
            "has its own attention, not eager. Give attention='sdpa', or",
            id="an attention",
        ),
        pytest.param({"dtype": "tf32"}, "only NVIDIA GPUs compute in tf32. Give dtype='float32', or", id="TF32"),
        pytest.param(
            {"compiled": True}, "always compiles networks, in its own way. Leave out compile=True, or", id="compiling"
        ),
    ],
)
def test_openvino_says_what_it_does_not_do(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened("openvino", **options)
    assert message in str(caught.value)
    assert str(caught.value).endswith("engine='torch'.")


def test_where_openvino_is_missing_one_line_says_how_to_get_it(not_installed: None) -> None:
    with pytest.raises(UsageError) as caught:
        opened("openvino")
    assert "pip install 'vithybrid-cli[openvino]'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_name_is_wrong_usage_and_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"The engine 'onnx' is not known\. Give one of auto, torch, openvino\."):
        opened("onnx")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
def test_more_threads_than_processors_are_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    before = torch.get_num_threads()
    assert opened(threads=1) is OpenVinoEngine
    assert opened(threads=2) is TorchEngine
    torch.set_num_threads(before)
    with pytest.raises(UsageError) as caught:
        opened("openvino", threads=2)
    assert str(caught.value) == (
        "OpenVINO has a thread for each processor that this process may run on, which is 1, and not 2. "
        "Give threads=1, or engine='torch'."
    )


def test_there_is_at_least_one_thread() -> None:
    with pytest.raises(UsageError) as caught:
        opened(threads=0)
    assert str(caught.value) == "The number of threads is 0. Give threads of at least 1."


def test_more_threads_than_openmp_bears_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"at most 1024 threads, and not in 1025\. Give threads of at most 1024;"):
        opened("torch", threads=1025)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_type_that_takes_longer_than_float32_is_told(
    engine: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    capable_of(monkeypatch, "FP32", "BF16")
    caplog.set_level("INFO")
    for vendor, told in (
        ("AuthenticAMD", []),
        ("GenuineIntel", ["This processor takes longer in bfloat16 than with dtype='float32'"]),
    ):
        monkeypatch.setattr(Processor, "read", lambda vendor=vendor: Processor(vendor, "", ("avx512_bf16",)))
        caplog.clear()
        opened(engine, dtype="float32")
        opened(engine, dtype="bfloat16")
        assert [record.message.partition(",")[0] for record in caplog.records] == told
