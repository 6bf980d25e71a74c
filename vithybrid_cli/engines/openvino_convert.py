"""Converts a checkpoint's network into an OpenVINO graph. This needs torch; running the graph does not.

Whoever changes the graphs made here increases `openvino_cache.CONVERSION`.
"""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit import TracerWarning  # type: ignore[attr-defined] # documented, exported without saying so

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Feature
from vithybrid_cli.engines.openvino_runtime import openvino
from vithybrid_cli.engines.torch_features import load_for
from vithybrid_cli.images.preprocess import Normalization
from vithybrid_cli.model.bit import use_fused_group_norm


class _FromPixels(nn.Module):
    """A network with rescaling and normalisation before it: uint8 pixels [N, H, W, 3] → logits [N, C]."""

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        self.values = torch.from_numpy(normalization.table().ravel())  # of red 0 … 255, green, blue
        self.offsets = torch.tensor([0, 256, 512], dtype=torch.int32)

    def forward(self, pixels: Tensor) -> Tensor:
        # Looked up, since OpenVINO's arithmetic would differ from the reference's in the last bit.
        values = self.values[pixels.int() + self.offsets]
        return self.network(values.permute(0, 3, 1, 2))


def checkpoint_graph(checkpoint: Checkpoint, feature: Feature | None = None) -> openvino.Model:
    """The float32 graph of a checkpoint: uint8 pixels [N, H, W, 3] for any N → float32 logits [N, C].

    With a ``feature``, it gives that [N, D] instead. Raises ModelError and UsageError as `load_for` does.
    """
    # Eager attention: OpenVINO fuses its operations, and runs them faster than its own attention operation.
    network = load_for(checkpoint, "eager", feature)
    use_fused_group_norm(network)
    return network_graph(network, checkpoint.preprocessing.normalization, checkpoint.config.image_size)


def network_graph(network: nn.Module, normalization: Normalization, image_size: tuple[int, int]) -> openvino.Model:
    """The graph of a network on normalised pixels [N, 3, H, W], with the normalisation added before it.

    N is left open, so that the last, smaller batch of a run needs no compiling. Besides, OpenVINO 2026.4 crashes when
    it compiles a small float32 network for a fixed N.
    """
    traced = _traced(_FromPixels(network, normalization).eval(), image_size)
    # In another thread, where no signal is handled: the frontend calls Python, and turns an exception raised there into
    # one of its own, or ignores it. Ctrl-C would look like a failure, or worse, like success.
    with ThreadPoolExecutor(1, thread_name_prefix="convert") as thread:
        graph = thread.submit(_read_by_openvino, traced).result()
    graph.reshape([-1, *image_size, 3])
    _bound_integers(graph)
    return graph


def _bound_integers(graph: openvino.Model) -> None:
    """Clip 64-bit constants, which are positions and sizes, to 32 bits.

    torch writes 2⁶³ - 1 as the end of an open slice. OpenVINO 2026.4 computes in 32 bits and, in a graph that was
    compiled, kept with its weights beside it and read again, takes that for -1: the last element would be missing.
    """
    limits = np.iinfo(np.int32)
    for constant in graph.get_ops():
        if constant.get_type_name() != "Constant" or constant.get_element_type() != openvino.Type.i64:
            continue
        bounded = np.clip(constant.data, limits.min, limits.max)
        if (bounded != constant.data).any():
            constant.output(0).replace(openvino.opset13.constant(bounded, np.int64).output(0))


def _read_by_openvino(traced: torch.jit.ScriptModule) -> openvino.Model:
    # Imported here, because at the top it would import OpenVINO before `openvino_runtime` does.
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    decoder = TorchScriptPythonDecoder(traced)  # the frontend calls it until it is done, and does not keep it alive
    frontend = openvino.frontend.FrontEndManager().load_by_framework("pytorch")
    return frontend.convert(frontend.load(decoder))


def _traced(module: nn.Module, image_size: tuple[int, int]) -> torch.jit.ScriptModule:
    """The recorded operations of one run.

    By tracing, which torch deprecates in favour of ``torch.export``; that takes four times as long.
    """
    picture = torch.zeros(1, *image_size, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Sizes become constants, and should: all pictures have one size.
        warnings.simplefilter("ignore", TracerWarning)
        traced: torch.jit.ScriptModule = torch.jit.trace(module, (picture,), check_trace=False)  # type: ignore[no-untyped-call]
    return traced
