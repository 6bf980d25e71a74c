"""Which files are a checkpoint's weights, and the tensors in them under their layout's names. No torch.

Only headers are read. A pickle is looked into only where the caller trusts it.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from vithybrid_cli.checkpoints.files import is_no_network, is_pickle, pickle_error
from vithybrid_cli.checkpoints.folders import no_checkpoint
from vithybrid_cli.checkpoints.names import Anchors, unwrapped
from vithybrid_cli.checkpoints.unused import SILENT, is_unused, notice
from vithybrid_cli.checkpoints.weights import FLOATS, TensorShape, tensor_shapes
from vithybrid_cli.errors import ModelError, listed
from vithybrid_cli.hub.files import ADAPTER_CONFIG, WEIGHTS, WEIGHTS_INDEX, shards
from vithybrid_cli.hub.foreign import placeholder
from vithybrid_cli.hub.pickles import PICKLE, PICKLE_INDEX
from vithybrid_cli.model.config import NetworkConfig, VitConfig

_log = logging.getLogger(__name__)

_LISTED = 3  # names in an error message


@dataclass(frozen=True, slots=True)
class StoredTensor(TensorShape):
    """A tensor as the header of its file describes it: ``name`` is its layout's, ``stored`` the file's own."""

    file: Path
    stored: str


def has_weights(path: Path, *, trust_pickle: bool = False) -> bool:
    """Whether there are any files to look into; what is in them may be damaged."""
    names = (WEIGHTS, WEIGHTS_INDEX, *((PICKLE, PICKLE_INDEX) if trust_pickle else ()))
    if path.is_file() or any((path / name).is_file() for name in names):
        return True
    return trust_pickle and _only_pickle(path) is not None


def _only_pickle(folder: Path) -> Path | None:
    """The pickle in a folder that may hold a network, under whatever name, if there is just one."""
    pickles = [file for file in folder.glob("*") if is_pickle(file) and not is_no_network(file.name)]
    return pickles[0] if len(pickles) == 1 else None


def weight_files(path: Path, *, trust_pickle: bool = False) -> list[Path]:
    """The weights files of a folder, or the file itself.

    Raises ModelError when there are none, or only pickles that nobody trusts, and for a bad index of shards.
    """
    if path.is_file():
        if is_pickle(path) and not trust_pickle:
            raise placeholder(path) or pickle_error(path)
        return [path]
    if (path / WEIGHTS).is_file():
        return [path / WEIGHTS]
    if (path / WEIGHTS_INDEX).is_file():
        return _shards(path / WEIGHTS_INDEX)
    if trust_pickle and (path / PICKLE).is_file():
        return [path / PICKLE]
    if trust_pickle and (path / PICKLE_INDEX).is_file():
        return _shards(path / PICKLE_INDEX)
    if trust_pickle and (only := _only_pickle(path)) is not None:
        return [only]
    for name in (PICKLE, PICKLE_INDEX):
        if (path / name).is_file():
            raise placeholder(path / name) or pickle_error(path, name)
    raise no_checkpoint(path, WEIGHTS, trust_pickle=trust_pickle)


def _shards(index: Path) -> list[Path]:
    files = [index.parent / name for name in shards(index)]
    if lacking := [file.name for file in files if not file.exists()]:
        raise ModelError(
            f"{listed(lacking, _LISTED)} cannot be read: "
            f"{len(lacking)} of {len(files)} files that {index} names are missing.",
            "Fetch the checkpoint again, with all of its files.",
        )
    return files


def stored_tensors(files: Iterable[Path], *, trust_pickle: bool = False) -> list[StoredTensor]:
    """All tensors of these files, from their headers, under the names that they have there.

    Raises ModelError for a file that is missing or damaged.
    """
    return [
        StoredTensor(tensor.name, tensor.dtype, tensor.shape, file, tensor.name)
        for file in files
        for tensor in _shapes(file, trust_pickle)
        if not SILENT.search(tensor.name)
    ]


def _shapes(file: Path, trust_pickle: bool) -> list[TensorShape]:
    if trust_pickle and is_pickle(file):
        from vithybrid_cli.checkpoints.pickles import pickled_shapes  # imports torch

        return pickled_shapes(file)
    return tensor_shapes(file)


def named(tensors: Collection[StoredTensor], anchors: Anchors, path: Path) -> tuple[list[StoredTensor], str | None]:
    """The same under their layout's names, and a notice where one network of several was chosen.

    Raises ModelError, in which ``path`` stands for the checkpoint, as `unwrapped` does.
    """
    try:
        found = unwrapped([tensor.stored for tensor in tensors], anchors)
    except ModelError as error:
        raise ModelError(f"{path} cannot be used: {error.cause}", error.remedy) from error
    renamed = [
        StoredTensor(found.names[tensor.stored], tensor.dtype, tensor.shape, tensor.file, tensor.stored)
        for tensor in tensors
        if tensor.stored in found.names
    ]
    return renamed, None if found.notice is None else f"{path} {found.notice}."


def split_unused(
    tensors: Iterable[StoredTensor], config: NetworkConfig, anchors: Anchors
) -> tuple[list[StoredTensor], list[str]]:
    """The tensors that can be the network's, and the names of those that no network here has a use for."""
    given = list(tensors)
    nested = bool(anchors.base) and any(tensor.name.startswith(f"{anchors.base}.") for tensor in given)
    unused = {tensor.name for tensor in given if is_unused(tensor.name, config, nested=nested)}
    return [tensor for tensor in given if tensor.name not in unused], sorted(unused)


def lacks_pooling_norm(names: Collection[str], config: NetworkConfig) -> bool:
    """Whether a BEiT of transformers without a head, whose features are the mean of its patches, has no norm for it.

    So it is in files of pre-training.
    """
    if not isinstance(config, VitConfig) or config.family != "beit" or config.labels or not config.norm_of_mean:
        return False
    of_transformers = any(name.endswith("embeddings.cls_token") for name in names)
    return of_transformers and not any("pooler.layernorm." in name for name in names)


def require_floats(tensors: Iterable[StoredTensor], path: Path) -> None:
    """Raise ModelError for numbers that are no weights: integers, and floats of less than sixteen bits."""
    others = [tensor for tensor in tensors if tensor.dtype not in FLOATS]
    if not others:
        return
    types = listed(sorted({tensor.dtype for tensor in others}), _LISTED)
    raise ModelError(
        f"The weights in {path} are of type {types}, so they are quantised or no weights: "
        f"{listed(sorted(tensor.name for tensor in others), _LISTED)}.",
        "Use the checkpoint that it was made from, in float32, float16 or bfloat16.",
    )


def published_tensors(path: Path, anchors: Anchors, *, trust_pickle: bool) -> list[StoredTensor]:
    """The tensors of a folder or file under their layout's names, those without use among them.

    What was chosen, an adapter that is not applied or one network of several, is logged. Raises ModelError as
    `weight_files`, `stored_tensors` and `named` do.
    """
    files = weight_files(path, trust_pickle=trust_pickle)
    if path.is_dir() and (path / ADAPTER_CONFIG).is_file():
        _log.warning(f"The adapter in {path} is not applied: its {files[0].name} is used as it is.")
    tensors, choice = named(stored_tensors(files, trust_pickle=trust_pickle), anchors, path)
    if choice is not None:
        _log.info(choice)
    return tensors


def tell_unused(path: Path, tensors: Iterable[StoredTensor], network: NetworkConfig, anchors: Anchors) -> None:
    """Log which tensors the network leaves out. Raises ModelError where the rest are no weights."""
    used, unused = split_unused(tensors, network, anchors)
    require_floats(used, path)
    if unused:
        _log.info(notice(path, unused))
    if lacks_pooling_norm([tensor.name for tensor in used], network):
        _log.info(
            f"{path} has no norm for the mean of its patches, as files of pre-training have none; as in transformers, "
            "it is normalised without scale and shift."
        )
