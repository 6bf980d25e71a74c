"""Which engine a user gets: what was asked for, or the fastest that can do it."""

import importlib.util
import sys
from typing import Any

import pytest
import torch
from places import GOLDENS

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.engines import Engine, openvino_graph
from vithybrid_cli.engines import open as opening
from vithybrid_cli.engines.openvino_engine import OpenVinoEngine
from vithybrid_cli.engines.torch_engine import TorchEngine
from vithybrid_cli.errors import UsageError

SMALL = Checkpoint.read(GOLDENS / "hf-hybrid-small")


def opened(
    engine: str = "auto",
    device: str = "auto",
    dtype: str = "float32",
    attention: str = "sdpa",
    compiled: bool = False,
) -> type[Engine]:
    """The kind of engine that these options give."""
    return type(
        opening.open_engine(SMALL, engine=engine, device=device, dtype=dtype, attention=attention, compiled=compiled)
    )


def natively(monkeypatch: pytest.MonkeyPatch, *dtypes: str) -> None:
    monkeypatch.setattr(openvino_graph, "is_native", lambda dtype: dtype in dtypes)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_has_gpu_driver", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


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
    natively(monkeypatch, "float32")
    assert opened(engine="torch") is TorchEngine
    assert opened(attention="eager") is TorchEngine
    assert opened(dtype="bfloat16") is TorchEngine
    assert opened(compiled=True) is TorchEngine


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_tf32_is_refused_where_there_is_no_nvidia_gpu(engine: str, device: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened(engine, device, "tf32")
    assert str(caught.value) == "tf32 is what NVIDIA GPUs compute in, and not cpu. Give --dtype float32."


def test_tf32_is_float32_that_a_gpu_computes_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, ...]] = []

    def make(network: object, normalization: object, device: object, dtype: object, *, tf32: bool, **_: object) -> None:
        made.append((device, dtype, tf32))

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr("vithybrid_cli.engines.torch_engine.TorchEngine", make)
    for dtype in ("tf32", "float32", "float16"):
        opened(device="cuda", dtype=dtype)
    gpu = torch.device("cuda:0")
    assert made == [(gpu, torch.float32, True), (gpu, torch.float32, False), (gpu, torch.float16, False)]


def test_a_shorter_type_runs_on_openvino_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    natively(monkeypatch, "float32", "bfloat16")
    monkeypatch.setattr(OpenVinoEngine, "open", lambda _, dtype, feature: seen.append(dtype))
    opened(dtype="bfloat16")
    assert seen == ["bfloat16"]


@pytest.mark.parametrize(("available", "expected"), [(True, False), (False, True)])
def test_a_driver_alone_is_no_gpu(available: bool, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_has_gpu_driver", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert opening._suits_openvino("auto", "float32", "sdpa") is expected
    assert opening._suits_openvino("cpu", "float32", "sdpa") is True
    assert opening._suits_openvino("cuda", "float32", "sdpa") is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"device": "cuda"}, "runs on the CPU here, not on 'cuda'. Leave it out", id="a GPU"),
        pytest.param({"attention": "eager"}, "has its own attention, not 'eager'. Leave it out", id="an attention"),
        pytest.param({"dtype": "tf32"}, "tf32 is what NVIDIA GPUs compute in. Give --dtype float32", id="TF32"),
        pytest.param({"compiled": True}, "compiles each network by itself. Leave out --compile", id="compiling"),
    ],
)
def test_openvino_says_what_it_does_not_do(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened("openvino", **options)
    assert message in str(caught.value)
    assert "--engine torch" in str(caught.value)


def test_where_openvino_is_missing_one_line_says_how_to_get_it(not_installed: None) -> None:
    with pytest.raises(UsageError) as caught:
        opened("openvino")
    assert "pip install 'vithybrid-cli[openvino]'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_name_is_wrong_usage_and_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"engine 'onnx' is not known\. Known: auto, torch, openvino"):
        opened("onnx")
