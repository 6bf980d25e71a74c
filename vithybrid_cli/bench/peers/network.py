"""The network alone of transformers or timm, in a worker process, in the Python that has them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vithybrid_cli.bench.measurements import Part, Timing
from vithybrid_cli.bench.peers.networks import TIMM_NAME, open_network
from vithybrid_cli.bench.random_weights import published
from vithybrid_cli.bench.serve import Request, Service, repeated, serve, torch_facts, versions
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.engines.torch_devices import choose_device, require_possible, set_tf32, torch_dtype
from vithybrid_cli.errors import UsageError
from vithybrid_cli.model.config import VitConfig


def main(arguments: dict[str, Any]) -> None:
    """Serve the network of ``peer`` on the weights of the folder ``model``."""
    serve(lambda: _network(arguments))


def _network(arguments: dict[str, Any]) -> Service:
    peer, model = arguments["peer"], Path(arguments["model"])
    device, dtype = choose_device(arguments["device"]), torch_dtype(arguments["dtype"])
    require_possible(arguments["dtype"], device)
    if device.type == "cuda":  # where torch by itself has TF32 in convolutions, which would stand beside our float32
        set_tf32(arguments["dtype"] == "tf32")
    checkpoint = Checkpoint.read(model)
    _require_known(peer, checkpoint)
    network = open_network(peer, model, device, dtype)
    pixels = np.load(arguments["pixels"])
    values = torch.from_numpy(checkpoint.preprocessing.normalization.apply(pixels))

    def measure(request: Request) -> Timing:
        batch = values[torch.arange(request.batch) % len(values)]  # repeated if they are fewer
        # From pixels in the host's memory to logits there, as ours.
        return repeated(lambda: network(batch.to(device, dtype)).float().cpu(), request)

    return Service({Part.NETWORK: measure}, {"versions": versions((peer, "torch")), **torch_facts()})


def _require_known(peer: str, checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    if peer == "transformers" and not (isinstance(config, VitConfig) and config.family == "hybrid"):
        raise UsageError(f"{checkpoint.path} is no Hybrid ViT, which is all that {peer} is measured with")
    if peer == "timm" and replace(config, labels=()) != replace(published(), labels=()):
        raise UsageError(f"timm has this network only in the size of base-384, as {TIMM_NAME}; measure that with it")
