"""A checkpoint of any layout becomes a folder for transformers, which is checked before it appears."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from vithybrid_cli.atomic import UNFINISHED, replacing_folder
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.transformers import class_of
from vithybrid_cli.checkpoints.load import load_network, read_weights
from vithybrid_cli.checkpoints.write import write_checkpoint
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.hub.files import CONFIG

_log = logging.getLogger(__name__)

# How far outputs may differ, as a part of the largest, in units of the rounding error (half of eps) that a shorter type
# makes in a weight. The reference checkpoints stay within 6, and wrong conversions are off by hundreds.
_ROUNDINGS = 16


@dataclass(frozen=True, slots=True)
class Difference:
    """The largest difference between an output of the source and of the result, and what was allowed."""

    largest: float
    allowed: float


def convert_checkpoint(source: Checkpoint, out: Path, dtype: torch.dtype | None = None) -> Difference:
    """Write ``source`` to the folder ``out``, which must be empty or not exist, and compare the outputs of both.

    Weights keep their types unless a ``dtype`` is given. The files appear once they are whole and compared, or not at
    all. Raises UsageError when they cannot be written, ModelError where transformers has no such network, or the result
    has other outputs.
    """
    class_of(source.config)  # raises ModelError, before anything is read or written
    with _appearing(out) as unfinished:
        weights = read_weights(source)
        write_checkpoint(unfinished, source.stored_config, source.preprocessing, weights, dtype, source.problem_type)
        expected = _outputs(source)
        if not expected.isfinite().all():
            raise ModelError(
                f"{source.path} gives outputs that are not finite, so its weights are damaged.",
                "Use another checkpoint of its training run.",
            )
        difference = _difference(_outputs(Checkpoint.read(unfinished)), expected, _error(weights, dtype))
        if not difference.largest <= difference.allowed:  # NaN is not
            raise ModelError(
                f"{source.path} was not converted: outputs of the result are off by {difference.largest:.3g} "
                f"where {difference.allowed:.3g} is allowed.",
                "Keep the type of its weights, or take float32.",
            )
    return difference


def crop_difference(source: Checkpoint) -> str | None:
    """How transformers' preprocessing differs from that of ``source``; None if it does not.

    timm rounds half a pixel to even where transformers rounds down, and resizes in ways of its own.
    """
    timm, crop = source.preprocessing.timm, source.preprocessing.crop_size
    if timm is None:
        return None
    size = source.preprocessing.size
    if isinstance(size, int):
        return "transformers may crop a picture one pixel off from timm"
    if timm.mode != "squash":
        return f"transformers does not keep the proportions of pictures, as timm does here (crop mode {timm.mode})"
    if any(timm.start(*side) != (side[0] - side[1]) // 2 for side in zip(size, crop, strict=True)):
        return "transformers crops pictures one pixel off from timm"
    return None


def _error(weights: dict[str, Tensor], dtype: torch.dtype | None) -> float:
    """The largest relative error that the ``dtype`` makes in a weight; 0 where it holds them all."""
    if dtype is None or all(torch.promote_types(tensor.dtype, dtype) is dtype for tensor in weights.values()):
        return 0.0
    return torch.finfo(dtype).eps / 2


def _outputs(checkpoint: Checkpoint) -> Tensor:
    """The outputs of its network for a fixed random picture."""
    pixels = torch.randn(1, 3, *checkpoint.config.image_size, generator=torch.Generator().manual_seed(0))
    network = load_network(checkpoint)
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()  # MKL's sums depend on how numbers are aligned, and mapped ones are not
    with torch.inference_mode():
        outputs: Tensor = network(pixels)
    return outputs


def _difference(found: Tensor, expected: Tensor, error: float) -> Difference:
    largest = (found - expected).abs().max().item()
    return Difference(largest, _ROUNDINGS * error * expected.abs().max().item())


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A folder to fill, whose content appears in ``out`` once the block ends without an exception.

    Raises UsageError where ``out`` is not empty or cannot be written.
    """
    try:
        out = _resolved(out)
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise _not_empty(out)
        if not out.parent.exists():
            out.parent.mkdir(parents=True, exist_ok=True)
            _log.info(f"{out.parent} was missing and is made.")
        with _filled_in_place(out) if out.exists() else replacing_folder(out) as unfinished:
            yield unfinished
    except OSError as error:
        if isinstance(error, FileExistsError) and out.exists():  # another program was faster
            raise _not_empty(out) from error
        raise UsageError(f"{out} cannot be written ({error.strerror}).", "Name another folder.") from error


def _resolved(out: Path) -> Path:
    try:
        return out.expanduser().resolve()
    except RuntimeError as error:  # pathlib's, for a user without a home folder and for links in a circle
        raise UsageError(f"{out} cannot be written ({str(error).rstrip('.')}).", "Name another folder.") from error


def _not_empty(out: Path) -> UsageError:
    return UsageError(f"{out} exists and is no empty folder.", "Name a new one.")


@contextmanager
def _filled_in_place(out: Path) -> Iterator[Path]:
    """A folder in ``out``, whose files move up into it, the config last.

    ``out`` stays the folder that it was: it may be a mount point, or somebody's working directory.
    """
    with TemporaryDirectory(prefix=".", suffix=UNFINISHED, dir=out) as unfinished:
        yield Path(unfinished)
        for file in sorted(Path(unfinished).iterdir(), key=lambda file: file.name == CONFIG):
            file.replace(out / file.name)
