"""OpenVINO by hand, in a worker process: the graph of our engine, compiled and kept busy as its benchmark_app does.

Its input lies in its own memory before the clock starts, and of OpenVINO's two performance hints the faster one is
measured. The batch size is fixed before compiling if ``fixed``.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.serve import Service, arguments, serve
from vithybrid_cli.bench.amount import Amount, Clock
from vithybrid_cli.bench.machine import versions
from vithybrid_cli.bench.measurements import Timing
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.engines.openvino_convert import checkpoint_graph
from vithybrid_cli.engines.openvino_runtime import openvino
from vithybrid_cli.errors import UsageError

_PRECISIONS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_HINTS = ("THROUGHPUT", "LATENCY")
_TRIALS = 3  # rounds by which the hints are compared


def by_hand(wanted: dict[str, Any]) -> Service:
    """The network of the folder ``model`` in the precision ``dtype``."""
    if wanted["device"] not in ("auto", "cpu"):
        raise UsageError("OpenVINO by hand is measured on the CPU alone.", "Give {device=cpu}.")
    if wanted["dtype"] not in _PRECISIONS:
        raise UsageError(f"OpenVINO has no {wanted['dtype']}.")
    core = openvino.Core()
    graph = checkpoint_graph(Checkpoint.read(Path(wanted["model"])))
    pixels, precision = np.load(wanted["pixels"]), _PRECISIONS[wanted["dtype"]]
    queues: dict[int, Any] = {}

    def queue(batch: npt.NDArray[np.uint8], hint: str) -> Any:
        """As many requests as suit the processor, each with the batch as its input."""
        fitted = graph.clone()
        if wanted["fixed"]:
            fitted.reshape(list(batch.shape))
        properties = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": precision}
        requests = openvino.AsyncInferQueue(core.compile_model(fitted, "CPU", properties))
        for request in requests:
            request.set_input_tensor(openvino.Tensor(batch.copy()))
        return requests

    def measure(amount: Amount) -> Timing:
        if amount.batch not in queues:  # in the turn that does not count
            batch = np.resize(pixels, (amount.batch, *pixels.shape[1:]))
            queues[amount.batch] = _fastest([queue(batch, hint) for hint in _HINTS], amount.batch)
        return kept_busy(queues[amount.batch], amount)

    return Service(measure, versions(("openvino",)))


def kept_busy(queue: Any, amount: Amount, clock: Clock = time.perf_counter) -> Timing:
    """Start a request of one batch whenever one is free, in whole rounds of as many as there are."""
    calls = 0
    began = clock()
    while calls * amount.batch < amount.images or clock() - began < amount.seconds or calls % len(queue):
        queue.start_async()
        calls += 1
    queue.wait_all()
    return Timing(clock() - began, calls * amount.batch)


def _fastest(queues: Sequence[Any], batch: int) -> Any:
    trial = Amount(batch, batch, 0.0)
    for queue in queues:
        kept_busy(queue, trial)
    rates = [max(kept_busy(queue, trial).rate for _ in range(_TRIALS)) for queue in queues]
    return queues[rates.index(max(rates))]


if __name__ == "__main__":
    serve(lambda: by_hand(arguments()))
