"""The network alone of transformers or timm, in a worker process."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers.networks import TIMM_NAME, open_network
from benchmarks.serve import Service, arguments, serve
from vithybrid_cli.bench.amount import Amount, repeated
from vithybrid_cli.bench.machine import torch_threads, versions
from vithybrid_cli.bench.measurements import Timing
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.architectures import config_of
from vithybrid_cli.engines.torch_devices import choose_device, require_possible, set_tf32, torch_dtype
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub.catalog import BASE_384
from vithybrid_cli.model.config import VitConfig


def network(wanted: dict[str, Any]) -> Service:
    """The network of ``peer`` on the weights of the folder ``model``."""
    peer, model = wanted["peer"], Path(wanted["model"])
    device, dtype = choose_device(wanted["device"]), torch_dtype(wanted["dtype"])
    require_possible(wanted["dtype"], device)
    if device.type == "cuda":  # by default torch uses TF32 in convolutions, which is not what our float32 is
        set_tf32(wanted["dtype"] == "tf32")
    checkpoint = Checkpoint.read(model)
    _require_known(peer, checkpoint)
    opened = open_network(peer, model, device, dtype)
    pixels = np.load(wanted["pixels"])
    values = torch.from_numpy(checkpoint.preprocessing.normalization.apply(pixels))

    def measure(amount: Amount) -> Timing:
        batch = values[torch.arange(amount.batch) % len(values)]  # repeated if they are fewer
        # From pixels in the host's memory to logits there, as ours.
        return repeated(lambda: opened(batch.to(device, dtype)).float().cpu(), amount)

    return Service(measure, versions((peer, "torch")), torch_threads())


def _require_known(peer: str, checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    if peer == "transformers" and not (isinstance(config, VitConfig) and config.family == "hybrid"):
        raise UsageError(f"{peer} is measured with the Hybrid ViT alone, and {checkpoint.path} is another network.")
    if peer == "timm" and replace(config, labels=()) != replace(config_of(BASE_384), labels=()):
        raise UsageError(f"timm has this network in one size alone, {TIMM_NAME}.", "Measure base-384.")


if __name__ == "__main__":
    serve(lambda: network(arguments()))
