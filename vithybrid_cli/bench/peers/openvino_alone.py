"""OpenVINO by hand, in a worker process: the graph of our engine, compiled and kept busy as benchmark_app does it.

The batch size is fixed before it is compiled if that is wished, its input lies in its own memory before the clock
starts, and of OpenVINO's two performance hints the one that is faster here is measured.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vithybrid_cli.bench.measurements import Part, Timing
from vithybrid_cli.bench.serve import Clock, Request, Service, serve, versions
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.errors import UsageError

_PRECISIONS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_HINTS = ("THROUGHPUT", "LATENCY")
_TRIALS = 3  # rounds by which the hints are compared


def main(arguments: dict[str, Any]) -> None:
    """Serve the network of the folder ``model`` in the precision ``dtype``."""
    serve(lambda: _network(arguments))


def _network(arguments: dict[str, Any]) -> Service:
    if arguments["device"] not in ("auto", "cpu"):
        raise UsageError("OpenVINO by hand is measured on the CPU only; give --device cpu")
    if arguments["dtype"] not in _PRECISIONS:
        raise UsageError(f"OpenVINO has no {arguments['dtype']}")
    from vithybrid_cli.engines.openvino_convert import convert  # here, since these two need what may not be installed
    from vithybrid_cli.engines.openvino_runtime import openvino

    core = openvino.Core()
    graph = convert(Checkpoint.read(Path(arguments["model"])))
    pixels, precision = np.load(arguments["pixels"]), _PRECISIONS[arguments["dtype"]]
    queues: dict[int, Any] = {}

    def queue(batch: npt.NDArray[np.uint8], hint: str) -> Any:
        """As many requests as suit the processor, each with the batch as its input."""
        fitted = graph.clone()
        if arguments["fixed"]:
            fitted.reshape(list(batch.shape))
        properties = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": precision}
        requests = openvino.AsyncInferQueue(core.compile_model(fitted, "CPU", properties))
        for request in requests:
            request.set_input_tensor(openvino.Tensor(batch.copy()))
        return requests

    def measure(request: Request) -> Timing:
        if request.batch not in queues:  # in the turn that does not count
            batch = np.resize(pixels, (request.batch, *pixels.shape[1:]))
            queues[request.batch] = _fastest([queue(batch, hint) for hint in _HINTS], request.batch)
        return kept_busy(queues[request.batch], request)

    return Service({Part.NETWORK: measure}, {"versions": versions(("openvino",))})


def kept_busy(queue: Any, request: Request, clock: Clock = time.perf_counter) -> Timing:
    """Start a request of one batch whenever one is free, in whole rounds of as many as there are."""
    calls = 0
    began = clock()
    while calls * request.batch < request.images or clock() - began < request.seconds or calls % len(queue):
        queue.start_async()
        calls += 1
    queue.wait_all()
    return Timing(clock() - began, calls * request.batch)


def _fastest(queues: Sequence[Any], batch: int) -> Any:
    trial = Request(Part.NETWORK, batch, batch, 0.0)
    for queue in queues:
        kept_busy(queue, trial)
    rates = [max(kept_busy(queue, trial).rate for _ in range(_TRIALS)) for queue in queues]
    return queues[rates.index(max(rates))]
