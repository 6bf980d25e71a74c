"""What torch.save wrote, read by torch's restricted reader alone, for those who trust it: `vithybrid convert`.

``torch.load(weights_only=True)`` builds tensors and plain containers, and calls nothing else that a pickle names. This
one allows besides what holds options and figures of training scripts and does nothing: ``argparse.Namespace``, as
timm's own reader does, NumPy's numbers, its arrays of numbers and text, and paths. The tensors of a file in the present
format are mapped into memory, not read.
"""

import argparse
import logging
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PosixPath, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vithybrid_cli.checkpoints.names import TIMM, is_averaged, transformers_anchors
from vithybrid_cli.checkpoints.timm_runs import described_by_run
from vithybrid_cli.checkpoints.weights import TensorShape
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.foreign import foreign

_log = logging.getLogger(__name__)


def _maker(name: str, example: Any, core: str) -> Callable[..., Any]:
    """What makes a number or an array of NumPy's, under the name that it has in files: NumPy 2 moved it."""
    made: Any = example.__reduce__()[0]

    def make(*arguments: Any) -> Any:
        return made(*arguments)

    make.__module__ = f"numpy.{core}.multiarray"
    make.__name__ = make.__qualname__ = name
    return make


_DTYPES = tuple(np.dtype(kind) for kind in "?bBhHiIlLqQefdUS")
_HARMLESS: list[Any] = [
    argparse.Namespace,
    PurePosixPath,
    PosixPath,
    np.dtype,
    np.ndarray,
    *{type(dtype) for dtype in _DTYPES},
    *(_maker("scalar", np.float64(0), core) for core in ("_core", "core")),
    *(_maker("_reconstruct", np.zeros(1), core) for core in ("_core", "core")),
]
# As safetensors spells them; others are named as torch does.
_TYPES = {torch.float16: "F16", torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16"}
_ANCHORS = (*transformers_anchors("").tensors, *TIMM.tensors)
_DEPTH = 4  # how far state dicts are nested
_STATES = re.compile(r"optim|sched|scaler|momentum|moment|grad|exp_avg", re.IGNORECASE)  # of training, not of networks
# What the restricted reader raises for a file that is damaged, or no pickle of torch.
_DAMAGED = (
    *(RuntimeError, OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError),
    *(ImportError, OverflowError, MemoryError, RecursionError, struct.error, zipfile.BadZipFile),
)
_WANTED = re.compile(r"GLOBAL ([\w.]+)|[Uu]nsupported class ([\w.]+)")


@dataclass(frozen=True)
class _Pickled:
    """The state dict of a file, and the rest of what is in it."""

    tensors: Mapping[str, Tensor]
    root: Any


def pickled_shapes(file: Path) -> list[TensorShape]:
    """The tensors of the network in a file of torch.save. Raises ModelError for what cannot be read with safety."""
    tensors = pickled_tensors(file)
    return [
        TensorShape(name, _TYPES.get(tensor.dtype, _named(tensor.dtype)), tuple(tensor.shape))
        for name, tensor in tensors.items()
    ]


def pickled_tensors(file: Path) -> Mapping[str, Tensor]:
    """The same as tensors, mapped into memory where the file's format allows it."""
    return _read(file).tensors


def timm_config(file: Path) -> dict[str, Any] | None:
    """A timm ``config.json`` as far as its training script's file tells; None for a file of another one."""
    root = _read(file).root
    return described_by_run(root, file) if isinstance(root, Mapping) else None


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _read(file: Path) -> _Pickled:
    """What is in a file, which a run reads several times."""
    state = file.stat()
    return _read_once(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read_once(file: Path, _: int, __: int) -> _Pickled:
    root = _unpickled(file)
    return _Pickled(_network(root, file), root)


def _unpickled(file: Path) -> Any:
    if told := foreign(file, pickled=True):
        raise told
    if _is_torchscript(file):
        raise ModelError(
            f"{file} is a TorchScript program, which runs code when it is loaded.",
            "Where you trust it, load it with torch.jit.load and save its state_dict().",
        )
    try:
        with torch.serialization.safe_globals(_HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles by another protocol: they are read, or are an error
            return torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file) or None)
    except pickle.UnpicklingError as error:
        raise _refused(file, error) from error
    except _DAMAGED as error:
        raise ModelError(
            f"{file} cannot be read as a file of torch.save ({_first_line(error)}).", "Fetch or save it again."
        ) from error


def _is_torchscript(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def _refused(file: Path, error: Exception) -> ModelError:
    """The error for a pickle that asks for more than tensors, with what it asks for."""
    wanted = _globals(file) or sorted({next(filter(None, found)) for found in _WANTED.findall(str(error))})
    if not wanted:
        return ModelError(f"{file} is no file of torch.save, or is damaged.", "Fetch or save it again.")
    return ModelError(
        f"{file} wants {', '.join(wanted[:4])}, which torch's restricted reader does not load: it holds more than "
        "tensors.",
        "Where it was made, load it and save the state_dict() of its network alone.",
    )


def _globals(file: Path) -> list[str]:
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except (*_DAMAGED, pickle.UnpicklingError):
        return []


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _network(root: Any, file: Path) -> Mapping[str, Tensor]:
    """The state dict of the network in what was unpickled, however it is nested.

    Of several, the averaged one is taken, as timm does. Raises ModelError where there is none, or more than one.
    """
    found = list(_state_dicts(root, "", _DEPTH))
    networks = [(path, state) for path, state in found if _is_network(state)] or found
    if others := [path for path, _ in found if path and path not in {network for network, _ in networks}]:
        _log.info(f"{file} also holds {', '.join(others)}, which is left out.")
    if not networks:
        raise ModelError(
            f"{file} holds no tensors by name, so it is no state dict.",
            "Where it was made, save the state_dict() of its network alone.",
        )
    if len(networks) == 1:
        return networks[0][1]
    averaged = [(path, state) for path, state in networks if is_averaged(path)]
    listed = ", ".join(path or "the file itself" for path, _ in networks)
    if len(averaged) != 1:
        raise ModelError(
            f"{file} holds several networks: {listed}.", "Save the one that you want in a file of its own."
        )
    _log.info(f"{file} holds {listed}; {averaged[0][0]}, the averaged weights, is taken, as timm does.")
    return averaged[0][1]


def _state_dicts(value: Any, path: str, depth: int) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Mappings from names to tensors, each with where it is; those of optimisers are passed over."""
    if not isinstance(value, Mapping):
        return
    tensors = {
        name: tensor
        for name, tensor in value.items()
        if isinstance(name, str) and isinstance(tensor, Tensor) and tensor.layout is torch.strided
    }
    if tensors:
        yield path, tensors
    if depth:
        for name, inner in value.items():
            if isinstance(name, str) and not _STATES.search(name):
                yield from _state_dicts(inner, f"{path}.{name}" if path else name, depth - 1)


def _is_network(state: Mapping[str, Tensor]) -> bool:
    return any(name == anchor or name.endswith(f".{anchor}") for name in state for anchor in _ANCHORS)
