"""Group norms in single operations: as exact as one operation in float32, which alone they are for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from places import GOLDENS
from torch import Tensor, nn

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Dtype
from vithybrid_cli.engines import openvino_graph
from vithybrid_cli.engines.openvino_convert import checkpoint_graph, network_graph
from vithybrid_cli.engines.openvino_graph import Graph
from vithybrid_cli.engines.openvino_norms import spell_out_norms
from vithybrid_cli.engines.openvino_runtime import openvino
from vithybrid_cli.images.preprocess import Normalization

SIDE = 48


class TwelveChannels(nn.Module):
    """Values of three channels as they are, and multiplied by numbers that round nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, 2 * x, -x, x / 4], 1)


def norms_in(graph: openvino.Model) -> int:
    return sum(operation.get_type_name() == "GroupNormalization" for operation in graph.get_ops())


def reordered(graph: openvino.Model) -> int:
    """How many times values of pixels are brought into another memory layout, once the graph is compiled."""
    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    operations = compiled.get_runtime_model().get_ops()
    shapes = [
        operation.get_output_partial_shape(0)
        for operation in operations
        if operation.get_rt_info()["layerType"].astype(str) == "Reorder"
    ]
    return sum(len(shape) == 4 and shape[2] != 1 for shape in shapes)


@pytest.mark.parametrize("groups", [1, 4, 12])
@pytest.mark.parametrize("least", [pytest.param(0, id="of all values"), pytest.param(250, id="far from zero")])
def test_they_give_what_the_norm_is_by_definition(groups: int, least: int) -> None:
    torch.manual_seed(0)
    norm = nn.GroupNorm(groups, 12, eps=0.3).eval()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    graph = network_graph(nn.Sequential(TwelveChannels(), norm), Normalization(), (SIDE, SIDE + 16))
    spell_out_norms(graph)
    assert norms_in(graph) == 0
    pixels = np.random.default_rng(0).integers(least, 256, (3, SIDE, SIDE + 16, 3), np.uint8)
    actual = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pixels)[0]
    with torch.inference_mode():
        values = torch.from_numpy(Normalization().apply(pixels)).double()
        expected = norm.double()(TwelveChannels()(values)).numpy()
    assert np.abs(actual - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["hf-bit", "hf-hybrid-small"])
def test_none_is_left_in_a_network_and_no_memory_layout_changes_around_them(name: str) -> None:
    graph = checkpoint_graph(Checkpoint.read(GOLDENS / name))
    norms = norms_in(graph)
    assert norms > 10
    assert reordered(graph) >= norms
    spell_out_norms(graph)
    assert norms_in(graph) == 0
    assert reordered(graph) <= 2  # what the backbone gives


@pytest.mark.parametrize(("dtype", "spelt_out"), [("float32", True), ("bfloat16", False), ("float16", False)])
@pytest.mark.parametrize("cached", [True, False])
def test_only_float32_has_them(
    dtype: str, spelt_out: bool, cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path if cached else "/dev/null"))
    monkeypatch.setattr(openvino_graph, "native_types", lambda: list(Dtype))
    graphs: list[openvino.Model] = []
    monkeypatch.setattr(openvino_graph, "spell_out_norms", graphs.append)
    Graph(Checkpoint.read(GOLDENS / "hf-hybrid-small"), Dtype(dtype)).compiled(1)
    assert [norms_in(graph) > 10 for graph in graphs] == [True] * spelt_out
