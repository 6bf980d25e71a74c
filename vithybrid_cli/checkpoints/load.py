"""A checkpoint becomes a network ready for inference: read → check → rename → fold → load.

The network is built on the meta device and takes the memory-mapped tensors as they are, so that nothing is initialised
or copied without need. Weight standardisation is folded into the convolutions once, in float32.
"""

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vithybrid_cli.checkpoints.checkpoint import Checkpoint, Layout
from vithybrid_cli.checkpoints.files import is_pickle
from vithybrid_cli.checkpoints.layouts import jax as jax_layout
from vithybrid_cli.checkpoints.layouts import key_maps
from vithybrid_cli.checkpoints.layouts.key_maps import KeyMap
from vithybrid_cli.checkpoints.layouts.transformers import FAMILIES, family_name
from vithybrid_cli.checkpoints.stored import StoredTensor, lacks_pooling_norm
from vithybrid_cli.checkpoints.weights import BFLOAT16, damaged, holds_weights, npz_arrays, npz_outlines
from vithybrid_cli.cores import available_cores
from vithybrid_cli.errors import ModelError, listed
from vithybrid_cli.model.bit import StandardizedConv2d, standardize
from vithybrid_cli.model.build import Network, build
from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig, VitConfig
from vithybrid_cli.model.interpolate import resized
from vithybrid_cli.model.vit import AttentionImplementation

_LISTED = 8  # names of each kind in an error message
_HEADS = ("head.", "head_dist.")


def load_network(checkpoint: Checkpoint, attention: AttentionImplementation = "sdpa", *, head: bool = True) -> Network:
    """The float32 network of a checkpoint in evaluation mode, weight standardisation folded in.

    Without its ``head`` its outputs are the features that the head would read. Raises ModelError when the weights are
    missing, damaged, or do not fit the config.
    """
    tensors = resized(read_weights(checkpoint), checkpoint.stored_config, checkpoint.config)
    config = checkpoint.config
    if not head:
        config = without_head(config)
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(_HEADS)}
    with torch.device("meta"):
        network = build(config, attention)
    network.load_state_dict(fold(network, tensors), assign=True)
    return network.requires_grad_(False).eval()


def without_head(config: NetworkConfig) -> NetworkConfig:
    """The same network without its head, whose outputs are features."""
    if isinstance(config, BitClassifierConfig):
        return replace(config, labels=())
    return replace(config, labels=(), distillation_head=False)


def read_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The weights of a checkpoint under our names, as published: not folded, and for its own image size.

    Raises ModelError when they are missing, damaged, or do not fit the config.
    """
    if checkpoint.layout is Layout.JAX:
        key_map = _fitting_names(checkpoint, _npz_shapes(checkpoint.path))
        return _contiguous(key_map.to_ours(_read_npz(checkpoint.path)))
    tensors = checkpoint.tensors()
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    plain = _plain_norm(checkpoint, shapes)
    key_map = _fitting_names(checkpoint, shapes | {name: tuple(norm.shape) for name, norm in plain.items()})
    return key_map.to_ours(_read_tensors(tensors) | plain)


def require_weights(checkpoint: Checkpoint) -> None:
    """Raise ModelError when the weights are missing or do not fit the config, by their headers alone."""
    if checkpoint.layout is Layout.JAX:
        shapes = _npz_shapes(checkpoint.path)
    else:
        shapes = {tensor.name: tensor.shape for tensor in checkpoint.tensors()}
        shapes |= {name: tuple(norm.shape) for name, norm in _plain_norm(checkpoint, shapes).items()}
    _fitting_names(checkpoint, shapes)


def _fitting_names(checkpoint: Checkpoint, shapes: Mapping[str, tuple[int, ...]]) -> KeyMap:
    """The names that tensors of these shapes have. Raises ModelError where they are not those of the network."""
    with torch.device("meta"):
        network = build(checkpoint.stored_config)
    key_map = _key_map(checkpoint, shapes)
    _check_fit(network, shapes, key_map, checkpoint)
    return key_map


def _plain_norm(checkpoint: Checkpoint, names: Collection[str]) -> dict[str, Tensor]:
    """The norm of a BEiT's mean over patches, where a file of pre-training lacks it: without scale and shift.

    That is how transformers' ``BeitModel`` makes its ``pooler_output`` of such a file.
    """
    config = checkpoint.config
    if not (isinstance(config, VitConfig) and lacks_pooling_norm(names, config)):
        return {}
    weight, bias = (_key_map(checkpoint, names).their_names(f"fc_norm.{part}")[0] for part in ("weight", "bias"))
    return {weight: torch.ones(config.encoder.hidden_size), bias: torch.zeros(config.encoder.hidden_size)}


def transformers_map(config: NetworkConfig, *, nested: bool = True) -> KeyMap:
    """Transformers' names for the tensors of a network; in a classifier those of the inner network are ``nested``."""
    base = FAMILIES[family_name(config)].base if nested else ""
    if isinstance(config, BitClassifierConfig):
        return key_maps.transformers_bit(base)
    head = "cls_classifier" if config.distillation_head else "classifier"
    return key_maps.transformers_vit(base, head=head, key_bias=config.family != "beit")


def _key_map(checkpoint: Checkpoint, names: Collection[str]) -> KeyMap:
    config = checkpoint.config
    if checkpoint.layout is Layout.JAX:
        return key_maps.JAX
    if checkpoint.layout is Layout.TIMM:
        return key_maps.timm_of(config, names)
    # A network that was saved alone is not nested in a classifier.
    nested = not any(name.startswith(("embeddings.", "embedder.")) for name in names)
    return transformers_map(config, nested=nested)


def _npz_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    outlines = jax_layout.without_prefix(npz_outlines(file))
    for name, outline in outlines.items():
        if not holds_weights(outline.dtype):
            raise ModelError(
                f"{name} in {file} is of type {outline.dtype}, which no weights have.", "Save it as float32."
            )
    return {name: jax_layout.in_torch_order(name, outline).shape for name, outline in outlines.items()}


def _read_tensors(tensors: Iterable[StoredTensor]) -> dict[str, Tensor]:
    """The tensors under their published names, memory-mapped. Raises ModelError for a damaged file."""
    of_file: dict[Path, list[StoredTensor]] = {}
    for tensor in tensors:
        of_file.setdefault(tensor.file, []).append(tensor)
    return {name: tensor for file, wanted in of_file.items() for name, tensor in _read_file(file, wanted).items()}


def _read_file(file: Path, wanted: Iterable[StoredTensor]) -> dict[str, Tensor]:
    if is_pickle(file):  # which only the tensors of a trusted one name
        from vithybrid_cli.checkpoints.pickles import pickled_tensors

        pickled = pickled_tensors(file)
        return {tensor.name: pickled[tensor.stored] for tensor in wanted}
    try:
        with safe_open(file, framework="pt") as weights:
            return {tensor.name: weights.get_tensor(tensor.stored) for tensor in wanted}
    except (SafetensorError, OSError) as error:
        raise damaged(file, error) from error


def _read_npz(file: Path) -> dict[str, Tensor]:
    names = set(npz_outlines(file))
    prefix = jax_layout.prefix_of(names)
    arrays = jax_layout.without_prefix(npz_arrays(file, {name for name in names if name.startswith(prefix)}))
    return {name: _tensor(jax_layout.in_torch_order(name, array)) for name, array in arrays.items()}


def _tensor(array: npt.NDArray[np.generic]) -> Tensor:
    """The array as a tensor: in the same memory, if it is in this machine's byte order."""
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, contiguous: transposed weights make a network slower, and change the order of its sums.

    After stacking, which makes its parts contiguous anyway. In several threads, since torch transposes on one core.
    """
    with ThreadPoolExecutor(available_cores()) as pool:
        return dict(zip(tensors, pool.map(Tensor.contiguous, tensors.values()), strict=True))


def fold(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cast to float32 and replace the weights of weight-standardised convolutions by their standardised values."""
    convolutions = (name for name, module in network.named_modules() if isinstance(module, StandardizedConv2d))
    standardized = {f"{name}.weight" for name in convolutions}
    return {
        name: standardize(tensor.float()) if name in standardized else tensor.float()
        for name, tensor in tensors.items()
    }


def _check_fit(
    network: nn.Module, published: Mapping[str, tuple[int, ...]], key_map: KeyMap, checkpoint: Checkpoint
) -> None:
    """Raise one ModelError that names all missing, unexpected and misshapen tensors, if there are any.

    Before they are renamed, so that it names them as the file does, and checks them before they are stacked.
    """
    expected = {name: list(part.shape) for name, part in key_map.from_ours(network.state_dict()).items()}
    found = {name: list(shape) for name, shape in published.items()}
    problems = {
        "missing": expected.keys() - found.keys(),
        "unexpected": found.keys() - expected.keys(),
        "misshapen": {
            f"{name} is {found[name]}, not {shape}"
            for name, shape in expected.items()
            if found.get(name, shape) != shape
        },
    }
    told = [f"{kind}: {listed(sorted(names), _LISTED)}" for kind, names in problems.items() if names]
    if told:
        jax = checkpoint.layout is Layout.JAX
        what = "make no network (shapes are in torch's order)" if jax else "do not fit its config.json"
        again = "Fetch the checkpoint again."
        remedy = again if jax else "Use the config.json that was saved with these weights, or another checkpoint."
        raise ModelError(f"The weights in {checkpoint.path} {what}; {'; '.join(told)}.", remedy)
