"""Google's ``.npz`` files: their names and shapes, and how their axes become torch's. No torch.

The files of https://github.com/google-research/vision_transformer: convolution kernels are HWIO, dense ones (in, out),
those of query, key and value (D, heads, d) and of the attention's output (heads, d, D); GroupNorm's arrays may have
three axes of length 1 before their own. Names may have a prefix.
"""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from vithybrid_cli.checkpoints.layouts.imagenet import labels_by_count
from vithybrid_cli.checkpoints.layouts.inferred import NotThisLayout, TensorNames, infer
from vithybrid_cli.images.preprocess import Preprocessing, timm_preprocessing
from vithybrid_cli.model.config import VitConfig

_FULL_CROP = 384  # pixels; pictures of this size and more are not cropped
_LISTED = 3  # names of arrays in an error message
_PREFIXES = ("opt/target/", "params/")
_QUERY = "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel"
_QKV = ("/query", "/key", "/value")

_NAMES = TensorNames(
    stem=("conv_root/kernel",),
    block="block*/unit*/conv3/kernel",
    first=1,
    projection="embedding/kernel",
    positions="Transformer/posembed_input/pos_embedding",
    layer="Transformer/encoderblock_*/MlpBlock_3/Dense_0/kernel",
    qkv_bias=_QUERY.replace("kernel", "bias"),
    head="head/kernel",
    pooler="pre_logits/kernel",
)

Arrays = dict[str, npt.NDArray[np.generic]]


def prefix_of(names: Iterable[str]) -> str:
    """The prefix of the network's arrays; other parts of a training state have other ones.

    Of several networks' the usual one is taken; it is empty where none is to be preferred.
    """
    found = {name.removesuffix(_QUERY) for name in names if name == _QUERY or name.endswith(f"/{_QUERY}")}
    usual = next((prefix for prefix in ("", *_PREFIXES) if prefix in found), "")
    return found.pop() if len(found) == 1 else usual


def without_prefix(arrays: Arrays) -> Arrays:
    """The network's arrays, without the prefix of their names."""
    prefix = prefix_of(arrays)
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def in_torch_order(name: str, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """A view of ``array`` with its axes in the order of torch's tensor."""
    module, _, kind = name.rpartition("/")
    match kind, array.ndim:
        case "kernel", 4:
            return array.transpose(3, 2, 0, 1)
        case "kernel", 3 if module.endswith(_QKV):
            return array.reshape(array.shape[0], math.prod(array.shape[1:])).T
        case "kernel", 3:  # the attention's output
            return array.reshape(math.prod(array.shape[:-1]), array.shape[-1]).T
        case "kernel", 2:
            return array.T
        case "scale" | "bias", _:
            return array.reshape(-1)
    return array


def default_preprocessing(image_size: tuple[int, int]) -> Preprocessing:
    """As timm evaluates these files: bicubic, mean and standard deviation 0.5, a crop of nine tenths below 384."""
    return timm_preprocessing(image_size, crop_pct=1.0 if min(image_size) >= _FULL_CROP else 0.9)


def read_config(arrays: Arrays) -> VitConfig:
    """The network of these arrays, whose names have no prefix. Raises NotThisLayout where it is none."""
    query = arrays.get(_QUERY)
    if query is None or query.ndim != 3:
        some = ", ".join(sorted(arrays)[:_LISTED]) or "nothing"
        raise NotThisLayout(
            f"Its arrays are no Vision Transformer of Google's: {_QUERY} with three axes is not among them "
            f"({len(arrays)} arrays: {some}{', …' if len(arrays) > _LISTED else ''})."
        )
    shapes = {name: in_torch_order(name, array).shape for name, array in arrays.items()}
    head = shapes.get(_NAMES.head)
    labels = labels_by_count(head[0]) if head else ()
    return infer(shapes, _NAMES, labels=labels, num_attention_heads=query.shape[1])
