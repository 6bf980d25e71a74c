"""A checkpoint with random weights, to measure a network without downloading it.

Speed does not depend on the values as long as they are about as large as in a trained network: with zeros, or with
numbers too small for the type, processors are faster or slower than in real use.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.architectures import config_of, preprocessing_of
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub import catalog
from vithybrid_cli.hub.files import CONFIG
from vithybrid_cli.hub.locate import locate
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import NetworkConfig

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

# The mean of a norm's weights, and the standard deviation of all but the weights of linear layers and convolutions.
_GAIN, _SPREAD = 0.3, 0.05


def described(model: str) -> tuple[NetworkConfig, Preprocessing]:
    """Architecture and preprocessing of a model of the catalog, or of a folder, which needs no weights.

    Raises UsageError for other models of the hub: if their config has to be fetched, so can their weights.
    """
    entry = catalog.resolve(model)
    if entry is not None and entry.hub_id is not None:
        return config_of(entry), preprocessing_of(entry)
    if entry is None and not Path(model).expanduser().is_dir():
        raise UsageError(
            f"The architecture of {model} is not known without a download, so it cannot get random weights.",
            f"Name one of `vithybrid models` with {{model}}, or a folder that holds {CONFIG}.",
        )
    checkpoint = Checkpoint.read(locate(model))
    return checkpoint.config, checkpoint.preprocessing


def require_head(model: str, config: NetworkConfig) -> None:
    """Raise UsageError for a network without labels."""
    if not config.labels:
        raise UsageError(f"{model} has no head, and a benchmark labels pictures.", "Choose a model with labels.")


def write_random(config: NetworkConfig, preprocessing: Preprocessing, folder: Path, seed: int = 0) -> None:
    """Write a checkpoint in transformers' layout with float32 weights. Raises as `write_checkpoint` does."""
    import torch

    from vithybrid_cli.checkpoints.write import write_checkpoint
    from vithybrid_cli.model.build import build

    with torch.device("meta"):
        network = build(config)
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        f"{path}.{kind}" if path else kind: _random(module, kind, parameter, generator)
        for path, module in network.named_modules()
        for kind, parameter in module.named_parameters(recurse=False)
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_checkpoint(folder, config, preprocessing, tensors)


def _random(module: "nn.Module", kind: str, parameter: "Tensor", generator: "Generator") -> "Tensor":
    """Values with which activations neither vanish nor grow from layer to layer."""
    import torch
    from torch import nn

    scale, offset = _SPREAD, 0.0  # of biases, tokens, positions and layer scales
    if isinstance(module, nn.LayerNorm | nn.GroupNorm) and kind == "weight":
        scale, offset = _SPREAD, _GAIN
    elif kind == "weight":  # of a linear layer or convolution
        scale = parameter[0].numel() ** -0.5
    return torch.randn(parameter.shape, generator=generator).mul_(scale).add_(offset)
