"""A checkpoint of any layout becomes a folder for transformers, which is checked before it gets its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from vithybrid_cli.atomic import UNFINISHED, replacing_folder
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
    """A folder to fill, whose content appears in ``out`` once the block ends without an exception.

    Raises UsageError where ``out`` is not empty or cannot be written.
    """
    try:
        out = _resolved(out)
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise _not_empty(out)
        out.parent.mkdir(parents=True, exist_ok=True)
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
