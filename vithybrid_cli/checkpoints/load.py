"""A checkpoint folder becomes a network ready for inference: read → check → rename → fold → load.

The network is built on the meta device and takes the memory-mapped tensors as they are, so that nothing is initialised
or copied without need. Weight standardisation is folded into the convolutions once, in float32.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vithybrid_cli.checkpoints.folder import CheckpointFolder
from vithybrid_cli.checkpoints.key_maps import TRANSFORMERS_HYBRID
from vithybrid_cli.errors import ModelError
from vithybrid_cli.model.bit import SameConv2d, standardize
from vithybrid_cli.model.hybrid import HybridViT
from vithybrid_cli.model.vit import AttentionImplementation

_LISTED = 8  # names of each kind in an error message


def load_network(folder: CheckpointFolder, attention: AttentionImplementation = "sdpa") -> HybridViT:
    """The float32 network of ``folder`` in evaluation mode, weight standardisation folded in.

    Raises ModelError when the weights are missing, damaged, or do not fit the config.
    """
    with torch.device("meta"):
        network = HybridViT(folder.config, attention)
    tensors = read_weights(folder, network)
    network.load_state_dict(fold(network, tensors), assign=True)
    return network.requires_grad_(False).eval()


def read_weights(folder: CheckpointFolder, network: HybridViT) -> dict[str, Tensor]:
    """The weights of ``folder`` under our names, as published (not folded), checked against ``network``."""
    tensors = _read_tensors(folder)
    _check_fit(network, tensors, folder.path)
    return TRANSFORMERS_HYBRID.to_ours(tensors)


def _read_tensors(folder: CheckpointFolder) -> dict[str, Tensor]:
    """The folder's tensors under their published names, memory-mapped. Raises ModelError for a damaged file."""
    tensors: dict[str, Tensor] = {}
    for file in folder.weight_files():
        try:
            with safe_open(file, framework="pt") as weights:
                tensors.update((name, weights.get_tensor(name)) for name in weights.keys())  # noqa: SIM118 (no dict)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{file} cannot be read: {error}. Fetch the checkpoint again.") from error
    return tensors


def fold(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cast to float32 and replace the weights of weight-standardised convolutions by their standardised values."""
    standardized = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, SameConv2d)}
    return {
        name: standardize(tensor.float()) if name in standardized else tensor.float()
        for name, tensor in tensors.items()
    }


def _check_fit(network: nn.Module, published: Mapping[str, Tensor], folder: Path) -> None:
    """Raise one ModelError that names all missing, unexpected and misshapen tensors, if there are any.

    Before they are renamed: so a name of ours is no published one, and no shape is lost by stacking.
    """
    expected = {name: list(part.shape) for name, part in TRANSFORMERS_HYBRID.from_ours(network.state_dict()).items()}
    found = {name: list(tensor.shape) for name, tensor in published.items()}
    problems = {
        "missing": expected.keys() - found.keys(),
        "unexpected": found.keys() - expected.keys(),
        "misshapen": {
            f"{name} is {found[name]}, not {shape}"
            for name, shape in expected.items()
            if found.get(name, shape) != shape
        },
    }
    listed = [f"{kind}: {_listed(sorted(names))}" for kind, names in problems.items() if names]
    if listed:
        raise ModelError(f"The weights in {folder} do not fit its config.json; {'; '.join(listed)}.")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
