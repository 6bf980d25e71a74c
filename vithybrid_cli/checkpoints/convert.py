"""A checkpoint of any layout becomes a folder for transformers, which is checked before it gets its name."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.transformers import architecture
from vithybrid_cli.checkpoints.load import load_network, read_weights
from vithybrid_cli.checkpoints.write import write_checkpoint
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.hub.files import CONFIG

# How far outputs may be off, as a part of the largest, for each rounding error (half of eps) that a shorter type makes
# of a weight. The reference checkpoints stay within 6, and what is wrongly converted is off by hundreds.
_ROUNDINGS = 16


@dataclass(frozen=True, slots=True)
class Difference:
    """Between what source and result compute: the largest one of their outputs, and what was allowed."""

    largest: float
    allowed: float


def convert(source: Checkpoint, out: Path, dtype: torch.dtype | None = None) -> Difference:
    """Write ``source`` to the folder ``out``, which must not exist or be empty, and compare what both compute.

    Weights keep their types where no ``dtype`` is given. The folder is there when it is whole and has been compared, or
    not at all. Raises UsageError when it cannot be written, ModelError where transformers has no such network, or where
    the result computes something else.
    """
    architecture(source.config)
    with _appearing(out) as unfinished:
        weights = read_weights(source)
        write_checkpoint(unfinished, source.config, source.preprocessing, weights, dtype, source.problem_type)
        expected = _outputs(source)
        difference = _difference(_outputs(Checkpoint.read(unfinished)), expected, _error(weights, dtype))
        if not difference.largest <= difference.allowed:  # NaN is not
            raise ModelError(
                f"{source.path} was not converted: the result computes something else, off by {difference.largest:.3g} "
                f"where {difference.allowed:.3g} is allowed. Keep the type of its weights, or take float32."
            )
    return difference


def crop_difference(source: Checkpoint) -> str | None:
    """What transformers' preprocessing does otherwise than that of ``source``; None if it is the same.

    timm rounds half a pixel to the even side, where transformers rounds down, and has ways of resizing of its own.
    """
    timm, crop = source.preprocessing.timm, source.preprocessing.crop_size
    if timm is None:
        return None
    size = source.preprocessing.size
    if isinstance(size, int):
        return "transformers may cut a picture one pixel beside where timm does"
    if timm.mode != "squash":
        return f"transformers does not keep the proportions of pictures, as timm does here (crop mode {timm.mode})"
    if any(timm.start(*side) != (side[0] - side[1]) // 2 for side in zip(size, crop, strict=True)):
        return "transformers cuts pictures one pixel beside where timm does"
    return None


def _error(weights: dict[str, Tensor], dtype: torch.dtype | None) -> float:
    """The largest relative error that the ``dtype`` makes of a weight; 0 where it holds them all."""
    if dtype is None or all(torch.promote_types(tensor.dtype, dtype) is dtype for tensor in weights.values()):
        return 0.0
    return torch.finfo(dtype).eps / 2


def _outputs(checkpoint: Checkpoint) -> Tensor:
    """What its network makes of a fixed random picture."""
    pixels = torch.randn(1, 3, *checkpoint.config.image_size, generator=torch.Generator().manual_seed(0))
    network = load_network(checkpoint)
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()  # memory-mapped numbers lie anywhere, and MKL's sums depend on that
    with torch.inference_mode():
        outputs: Tensor = network(pixels)
    return outputs


def _difference(found: Tensor, expected: Tensor, error: float) -> Difference:
    largest = (found - expected).abs().max().item()
    return Difference(largest, _ROUNDINGS * error * expected.abs().max().item())


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``out`` when all went well and is removed when it did not.

    An ``out`` that is there stays the same folder, for it may be somebody's working directory or a mount point: the
    files move into it, the config last.
    """
    try:
        out = out.expanduser().resolve()
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"{out} holds something already. Give the name of a new folder.")
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = (out if out.exists() else out.parent) / f".{out.name}.{os.getpid()}"
        unfinished.mkdir()
    except RuntimeError as error:  # what pathlib raises for nobody's home folder and for links in a circle
        raise UsageError(f"cannot write to {out}: {str(error).rstrip('.')}. Give another folder.") from error
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror}. Give another folder.") from error
    try:
        yield unfinished
        if unfinished.parent == out:
            for file in sorted(unfinished.iterdir(), key=lambda file: file.name == CONFIG):
                file.replace(out / file.name)
        else:
            unfinished.replace(out)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror}. Give another folder.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
