"""The state of a training run, kept beside the checkpoint that it writes, and the folder that holds both."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vithybrid_cli.atomic import is_unfinished
from vithybrid_cli.checkpoints.write import write_tensors
from vithybrid_cli.errors import ModelError, UsageError, option, short
from vithybrid_cli.locks import AlreadyLocked, lock_file
from vithybrid_cli.training.contents import UNKNOWN
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.marks import Marks, changes, marks
from vithybrid_cli.training.network import learning, raw_name, raw_weights
from vithybrid_cli.training.optimizers import MOMENTS
from vithybrid_cli.training.trainer import Trainer

STATE = "training_state.safetensors"
LOCK = ".training.lock"
_PICTURES, _CONTENTS = "pictures", "contents"
# Facts about which pictures do what. Where these are the same ones, they follow from what is held out.
_OF_PICTURES = (
    "pictures",
    "fingerprint of the pictures' names",
    "fingerprint of the pictures that choose the epoch",
)
# Facts that follow from an option: where that differs, they say nothing more. See `vithybrid_cli.training.recipe`.
_FOLLOWING = {"epochs": ("warmup_epochs", "head_epochs"), "learning_rate": ("matrix_rate", "head_rate")}
_LISTED = 3  # differences between two runs in an error message
_START_AGAIN = "Start again with another {output}."


class Restored(NamedTuple):
    """What a state says beside what it restores: how many epochs are done, the notes, and the pictures' marks now."""

    epochs_done: int
    notes: str
    marks: Marks


@contextmanager
def training_folder(out: Path) -> Iterator[None]:
    """Make the folder ``out``, with its parents, and keep other training runs from writing there.

    What a killed run was writing is removed. Raises UsageError if the folder cannot be written, or if another run is
    writing there.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = ExitStack()
        lock.enter_context(lock_file(out / LOCK))
    except AlreadyLocked as error:
        cause = f"Another training run is writing to {out}."
        raise UsageError(cause, "Wait until it has ended, or give another {output}.") from error
    except OSError as error:
        raise UsageError(f"Cannot write to {out}: {error.strerror or error}.", "Give another {output}.") from error
    with lock:
        for part in filter(is_unfinished, out.iterdir()):
            with suppress(OSError):
                part.unlink()
        yield


def write_state(out: Path, trainer: Trainer, epochs_done: int, run: str, notes: str, pictures: Marks) -> None:
    """Write weights, their average and the optimisers' moments in float32.

    ``run`` describes what must not change when it is resumed, ``notes`` what was found out so far. ``pictures`` has
    the marks of those that decide the result.
    """
    kept = pictures.in_order()
    tensors = {_PICTURES: torch.from_numpy(kept.pictures), _CONTENTS: torch.from_numpy(kept.contents)}
    tensors |= {f"weights/{name}": weight.contiguous() for name, weight in raw_weights(trainer.network).items()}
    if trainer.average is not None:
        tensors |= {
            f"average/{raw_name(name)}": weight.contiguous() for name, weight in trainer.average.weights.items()
        }
        tensors["average_steps"] = torch.tensor(trainer.average.steps)
    for name, parameter, optimizer in _optimized(trainer, epochs_done):
        for key, value in optimizer.state[parameter].items():
            tensors[f"{key}/{raw_name(name)}"] = value.contiguous()
    write_tensors(out / STATE, tensors, {"epochs_done": str(epochs_done), "run": run, "notes": notes})


def _optimized(trainer: Trainer, epochs_done: int) -> Iterator[tuple[str, nn.Parameter, torch.optim.Optimizer]]:
    """The parameters that have learnt by then, each with its name and its optimiser."""
    of = {
        parameter: optimizer
        for optimizer in trainer.optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
        if trainer.has_moments(head=group["head"], epochs_done=epochs_done)
    }
    every = learning(trainer.network)
    return ((name, parameter, of[parameter]) for name, parameter in every if parameter in of)


def restore_state(out: Path, trainer: Trainer, run: str, pictures: Sequence[LabelledPictures]) -> Restored:
    """Restore ``trainer`` from the state in ``out``, if the ``pictures`` that decide the result are as they were.

    Raises UsageError if there is none or if it is of another run, ModelError if it is damaged.
    """
    file = out / STATE
    if not file.is_file():
        raise UsageError(f"{out} holds no run to resume.", "Leave out {resume} to start one.")
    try:
        with safe_open(file, framework="pt") as state:
            metadata = state.metadata() or {}
            tensors = {name: state.get_tensor(name) for name in state.keys()}  # noqa: SIM118 (no dict)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} cannot be read ({str(error).rstrip('.')}).", _START_AGAIN) from error
    theirs, epochs_done = _description(file, metadata)
    if "notes" not in metadata:
        raise _of_an_earlier_version(out, theirs, epochs_done)
    now = marks(pictures)
    if (before := _marks(tensors)) is not None and (changed := changes(before, now)):
        cause = f"The pictures are not those that the run in {out} began with: {changed}."
        remedy = "Put them back as they were, or train on from the weights of that run ({model}) in another {output}."
        raise UsageError(cause, remedy)
    if differences := _differences(theirs, json.loads(run)):
        if epochs_done == theirs.get("epochs"):
            remedy = "Train on from its weights ({model}) in another {output}, or give the options of that run."
            raise UsageError(f"{out} holds another run, which is done: {differences}.", remedy)
        raise UsageError(f"{out} holds another run: {differences}.", "Resume with the options of that run.")
    if damaged := _damaged(trainer, tensors, epochs_done):
        raise ModelError(f"{file} lacks the tensor {damaged[0]}, or has it in another shape.", _START_AGAIN)
    _restore(trainer, tensors, epochs_done)
    return Restored(epochs_done, metadata["notes"], now)


def _marks(tensors: Mapping[str, Tensor]) -> Marks | None:
    """Those that a state has; an earlier version kept none, or none of the contents."""
    if _PICTURES not in tensors:
        return None
    pictures = tensors[_PICTURES].numpy()
    contents = tensors[_CONTENTS].numpy() if _CONTENTS in tensors else np.full_like(pictures, UNKNOWN)
    return Marks(pictures, contents)


def _description(file: Path, metadata: Mapping[str, str]) -> tuple[dict[str, Any], int]:
    """How the state describes its run, and how many epochs are done."""
    try:
        run, epochs_done = json.loads(metadata["run"]), int(metadata["epochs_done"])
    except (KeyError, ValueError, RecursionError) as error:
        raise not_a_state(file.parent) from error
    if not isinstance(run, dict) or epochs_done < 1:
        raise not_a_state(file.parent)
    return run, epochs_done


def _of_an_earlier_version(out: Path, run: Mapping[str, Any], epochs_done: int) -> UsageError:
    """The error for a state from before there were recipes, whose run cannot be continued as it began."""
    said = f"{epochs_done} of {run.get('epochs')} epochs, at a learning rate of {run.get('learning_rate')}"
    cause = f"{out} holds a run that an earlier version of this program began: {said}."
    return UsageError(
        cause, "Start again with another {output}, from its checkpoint ({model}) if its epochs are to count."
    )


def not_a_state(out: Path) -> ModelError:
    """The error for a file in ``out`` that has the name of a state, and says nothing of one."""
    return ModelError(f"{out / STATE} does not hold the state of a training run.", _START_AGAIN)


def state_bytes(trainer: Trainer) -> int:
    """How much a state takes on a disk once all has learnt, but for the few bytes of each picture."""
    return 4 * sum(math.prod(shape) for shape in _shapes(trainer, trainer.recipe.epochs).values())


def _damaged(trainer: Trainer, tensors: Mapping[str, Tensor], epochs_done: int) -> list[str]:
    """The tensors of a state that are missing or have the wrong shape."""
    expected = _shapes(trainer, epochs_done)
    return [name for name, shape in expected.items() if name not in tensors or tensors[name].shape != shape]


def _shapes(trainer: Trainer, epochs_done: int) -> dict[str, torch.Size]:
    """The tensors of a state after so many epochs."""
    expected = {f"weights/{name}": weight.shape for name, weight in raw_weights(trainer.network).items()}
    if trainer.average is not None:
        expected |= {f"average/{raw_name(name)}": weight.shape for name, weight in trainer.average.weights.items()}
        expected["average_steps"] = torch.Size()
    for name, parameter, optimizer in _optimized(trainer, epochs_done):
        for key in MOMENTS[type(optimizer)]:
            expected[f"{key}/{raw_name(name)}"] = torch.Size() if key == "step" else parameter.shape
    return expected


@torch.no_grad()
def _restore(trainer: Trainer, tensors: dict[str, Tensor], epochs_done: int) -> None:
    for name, parameter in trainer.network.named_parameters():
        parameter.copy_(tensors[f"weights/{raw_name(name)}"])
    if trainer.average is not None:
        trainer.average.steps = int(tensors["average_steps"])
        for name, weight in trainer.average.weights.items():
            weight.copy_(tensors[f"average/{raw_name(name)}"])
    for name, parameter, optimizer in _optimized(trainer, epochs_done):
        moments = {key: tensors[f"{key}/{raw_name(name)}"].to(parameter.device) for key in MOMENTS[type(optimizer)]}
        # The fused AdamW needs the moments in the memory layout of their parameter.
        optimizer.state[parameter] = {
            key: value if key == "step" else torch.empty_like(parameter).copy_(value) for key, value in moments.items()
        }


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """In which facts two runs differ, in words. A fact that only one of them recorded is no difference."""
    before, now = dict(_facts(theirs)), dict(_facts(ours))
    differ = [name for name in now if before.get(name, now[name]) != now[name]]
    follows = {fact for chosen, facts in _FOLLOWING.items() if chosen in differ for fact in facts}
    names = [name for name in differ if name not in _OF_PICTURES and name not in follows]
    differences = [_difference(name, before[name], now[name]) for name in names]
    if "seed" not in differ and any(name in _OF_PICTURES for name in differ):
        differences.insert(0, "other pictures are held out of these")
    more = len(differences) - _LISTED
    return ", ".join(differences[:_LISTED] + ([f"and {more} more"] if more > 0 else []))


def _difference(name: str, before: Any, now: Any) -> str:
    if name == "flips":  # which the option of another name leaves out
        return f"{'without' if before else 'with'} {option('no_flip')}"
    return f"{name} {_short(before)}, not {_short(now)}"


def _facts(description: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The innermost values of ``description``, each with its full name, like ``config.backbone_config.depths``."""
    for name, value in description.items():
        if isinstance(value, dict):
            yield from _facts(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _short(value: Any) -> str:
    words = {None: "none", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return words[value]
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return short(text)
