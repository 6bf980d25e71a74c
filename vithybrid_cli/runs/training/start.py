"""What a training run begins with, checked before it does: what is wrong should not show after hours."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vithybrid_cli.errors import UsageError

if TYPE_CHECKING:
    from vithybrid_cli.training.data import LabelledPictures
    from vithybrid_cli.training.run import StartingPoint


def pictures_for(
    folder: str, held_out: str | None, val_split: float | None, seed: int, read: Callable[..., "LabelledPictures"]
) -> tuple["LabelledPictures", "LabelledPictures | None", "LabelledPictures | None"]:
    """The pictures to train on, those that are split from them to choose the epoch, and those to measure it on.

    What is wrong with any of them shows here, and not after hours.
    """
    data = read(folder)
    test = None if held_out is None else read(held_out, data.labels)
    if val_split is None:
        return data, None, test
    data, chooser = data.split(val_split, seed)
    return data, chooser, test


def measured_between(chooser: "LabelledPictures | None", test: "LabelledPictures | None") -> "LabelledPictures | None":
    """What is measured after each epoch: what chooses, else the test, if it can be read more than once."""
    if chooser is not None or test is None:
        return chooser
    return test if len(test.items) == len(test.targets) else None


def has_begun(output: Path) -> bool:
    """Whether a run has written anything there: one that was killed before has left nothing to resume."""
    from vithybrid_cli.hub.files import CONFIG
    from vithybrid_cli.training.state import STATE

    return (output / STATE).exists() or (output / CONFIG).exists()


def require_new(output: Path, folder: str, *, resume: bool) -> None:
    """Raise UsageError rather than write over a checkpoint, or among the pictures of ``folder``."""
    from vithybrid_cli.hub.files import CONFIG
    from vithybrid_cli.training.state import STATE

    if output.resolve().is_relative_to(Path(folder).resolve()):
        cause = f"{output} is within {folder}, where each folder is a label."
        raise UsageError(cause, "Give an {output} outside of it.")
    try:
        if resume or not (output / CONFIG).exists():
            return
    except OSError as error:
        raise UsageError(f"{output} cannot be read: {error.strerror}.", "Give another {output}.") from error
    remedy = "Give {resume} to continue it, or another" if (output / STATE).exists() else "Give another"
    raise UsageError(f"{output} holds a checkpoint already.", f"{remedy} {{output}}.")


def starting_point(path: Path, *, with_weights: bool) -> "StartingPoint":
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.hub.files import CONFIG, WEIGHTS_SUFFIXES
    from vithybrid_cli.training.run import StartingPoint

    if path.is_file() and path.suffix not in WEIGHTS_SUFFIXES:
        if with_weights or path.name != CONFIG:
            raise UsageError(f"{path} is a file.", f"Give a checkpoint, or its {CONFIG} to {{config}}.")
        path = path.parent
    return StartingPoint(Checkpoint.read(path), with_weights=with_weights)
