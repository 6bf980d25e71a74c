"""A whole training run: from a config or a checkpoint, and labelled pictures, to a checkpoint, epoch by epoch."""

import json
import math
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path

import torch

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.transformers import class_of, write_config
from vithybrid_cli.checkpoints.load import read_weights
from vithybrid_cli.checkpoints.write import write_checkpoint
from vithybrid_cli.choices import Freeze
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.evaluation.figures import Unreadable
from vithybrid_cli.hub.files import WEIGHTS
from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.model.interpolate import resized
from vithybrid_cli.settings import decisions
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.heads import Head, head_for
from vithybrid_cli.training.marks import Marks, marks
from vithybrid_cli.training.network import freeze, raw_weights, trainable_network, with_temperature
from vithybrid_cli.training.recipe import Recipe
from vithybrid_cli.training.room import require_room
from vithybrid_cli.training.state import (
    STATE,
    not_a_state,
    restore_state,
    state_bytes,
    training_folder,
    write_state,
)
from vithybrid_cli.training.trainer import Step, Trainer

_PRETRAINING = ("embeddings.mask_token", "pooler.")  # prefixes of weights that only pre-training needs


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """What a run starts from: a checkpoint's architecture and preprocessing and, if asked for, its weights."""

    checkpoint: Checkpoint
    with_weights: bool

    @property
    def config(self) -> VitConfig:
        """The network to train. Raises UsageError for one of another kind.

        It lacks what only pre-training needs: the mask token, and the layer between encoder and head. ViT's authors
        and transformers leave these out too when a network gets a new head.
        """
        config = self.checkpoint.config
        if not isinstance(config, VitConfig):
            raise self._untrainable("is a BiT")
        if config.distillation_head:
            raise self._untrainable("is a distilled network with two heads")
        return replace(config, mask_token=False, pooler=False)

    def head(self, labels: tuple[str, ...]) -> Head:
        """Which rows of the model's head a head for ``labels`` begins with; none if it reads what is left out."""
        config = self.checkpoint.config
        if labels == config.labels:
            return Head(labels, tuple(range(len(labels))))
        return head_for(labels, config.labels if isinstance(config, VitConfig) and not config.pooler else ())

    def weights(self, head: Head) -> dict[str, torch.Tensor]:
        """The initial weights under our names, in float32, with this ``head``.

        Raises UsageError if the old head reads a layer that is left out, ModelError as `read_weights` does.
        """
        start = self.checkpoint
        tensors = resized(read_weights(start), start.stored_config, start.config)
        weights = {name: tensor.float() for name, tensor in tensors.items() if not name.startswith(_PRETRAINING)}
        if head.labels != self.checkpoint.config.labels:
            return head.weights(weights, self.config.encoder.hidden_size)
        if "pooler.weight" in tensors:
            raise self._untrainable("has these labels already, and a layer between encoder and head (pre-logits)")
        return weights

    def _untrainable(self, what: str) -> UsageError:
        cause = f"{self.checkpoint.path} {what}, which `vithybrid train` does not support."
        return UsageError(cause, "Start from another model.")

    def check_freeze(self, what: Freeze | None) -> None:
        """Raise UsageError if ``what`` is to keep its weights has learnt none, or is not there."""
        if what is not None and not self.with_weights:
            cause = "Random weights cannot be frozen, since they have learnt nothing yet."
            raise UsageError(cause, "Give the {model} whose weights are to be kept, or leave out {freeze}.")
        if what is Freeze.BACKBONE and self.config.backbone is None:
            cause = "This network has no backbone to freeze: it reads patches of the picture itself."
            raise UsageError(cause, "Leave out {freeze}, or give {freeze=encoder} to train the head alone.")

    def check(self) -> None:
        """Raise ModelError if the preprocessing gives another size than the network takes."""
        given, taken = self.checkpoint.preprocessing.output_size, self.checkpoint.config.image_size
        if given not in (None, taken):
            raise ModelError(
                f"The network in {self.checkpoint.path} takes pictures of {_size(taken)}, but its preprocessing gives "
                f"{given and _size(given)}.",
                "Correct image_size in its config.json, or its preprocessor_config.json.",
            )


@dataclass(frozen=True, slots=True)
class Epoch:
    """What is known of an epoch after it; ``number`` counts from 1. Without held-out pictures there is but a loss."""

    number: int
    loss: float  # the mean over the pictures that were trained on
    correct: int | None = None
    pictures: int | None = None  # held out, and read
    temperature: float = 1.0  # what the written head's outputs were divided by


class TrainingRun:
    """Trains and writes to ``out``, after each epoch, the state that `resume` continues from, then the checkpoint.

    So a run that was ended between the two is resumed, too: the checkpoint of the last epoch follows from the state.

    A checkpoint that has exactly the labels of ``data`` keeps their indices and its head. With other labels it gets
    another ``head``, which is None for random weights.

    Each epoch is measured on the pictures ``held_out``. If they are ``choosing``, the best epoch is kept, and they set
    the temperature; then what is measured on them is no test any more. Otherwise they decide nothing, and the last
    epoch is kept.
    """

    def __init__(
        self,
        start: StartingPoint,
        data: LabelledPictures,
        recipe: Recipe,
        out: Path,
        *,
        device: torch.device,
        held_out: LabelledPictures | None = None,
        choosing: bool = True,
        dtype: torch.dtype = torch.float32,
        workers: int = 2,
    ) -> None:
        start.check()
        start.check_freeze(recipe.freeze)
        if start.with_weights:
            data = data.with_indices_of(start.checkpoint.config.labels)
            held_out = held_out and held_out.with_indices_of(data.labels)
        self.out, self.recipe, self.dtype, self.held_out = out, recipe, dtype, held_out
        self.choosing = choosing and held_out is not None
        self.preprocessing = start.checkpoint.preprocessing
        self.config = replace(start.config, labels=data.labels)
        class_of(self.config)  # raises ModelError for what could not be written after the first epoch
        self.history: list[Epoch] = []
        self._restored: Epoch | None = None  # the epoch whose weights the network has from the state
        self._marks: Marks | None = None  # of the pictures that decide the result, as they were when it began
        torch.manual_seed(recipe.seed)
        self.head = start.head(data.labels) if start.with_weights else None
        weights = None if self.head is None else start.weights(self.head)
        network = trainable_network(self.config, weights, device)
        freeze(network, recipe.freeze)
        normalization = self.preprocessing.normalization.in_one_step()
        self.trainer = Trainer(network, data, normalization, recipe, device, workers)

    @property
    def epochs_done(self) -> int:
        """How many epochs are on disk."""
        return len(self.history)

    @property
    def kept(self) -> Epoch | None:
        """The epoch whose checkpoint is in the folder: the best on the held-out pictures if these choose, or the last.

        Of equally good ones it is the later.
        """

        def rank(one: Epoch) -> tuple[int, int]:
            return (one.correct or 0) if self.choosing else 0, one.number

        return max(self.history, key=rank, default=None)

    def resume(self) -> None:
        """Continue the run that ``out`` holds. Raises UsageError if there is none or if it is another one."""
        restored = restore_state(self.out, self.trainer, self._identity(), self._deciding())
        try:
            found = json.loads(restored.notes)
            self.history = [Epoch(**one) for one in found["epochs"]]
            unreadable = [Unreadable(*one) for one in found["unreadable"]]
        except (KeyError, TypeError, ValueError) as error:
            raise not_a_state(self.out) from error
        if [epoch.number for epoch in self.history] != list(range(1, restored.epochs_done + 1)):
            raise not_a_state(self.out)
        self.trainer.unreadable = {one.path: one for one in unreadable}
        self._restored, self._marks = self.history[-1], restored.marks

    def steps(self) -> Generator[Step, None, None]:
        """Train the epochs that are left; an epoch is on disk when the first step of the next one is given.

        Raises UsageError if the folder cannot be written, has no room, or another run writes there, if no picture can
        be read, or if the training diverges.
        """
        with training_folder(self.out):
            require_room(self.out, self._files(), writes=self.recipe.epochs - self.epochs_done)
            if self._restored is not None and self._restored is self.kept:  # it may have ended before this was written
                self._write_checkpoint(self._restored)
            self._restored = None
            marked = self._marks or marks(self._deciding())
            while self.epochs_done < self.recipe.epochs:
                loss = math.nan
                with closing(self.trainer.run_epoch(self.epochs_done)) as steps:
                    for step in steps:
                        loss = step.loss
                        yield step
                self._finish_epoch(loss, marked)

    def _finish_epoch(self, loss: float, marked: Marks) -> None:
        """Measure the epoch; write the state and, if it is to be kept, its checkpoint."""
        found = None if self.held_out is None else self.trainer.measure(self.held_out, self.preprocessing)
        epoch = Epoch(self.epochs_done + 1, loss)
        if found is not None:
            epoch = replace(epoch, correct=found.correct, pictures=len(found.targets))
            epoch = replace(epoch, temperature=found.temperature if self.choosing else 1.0)
        history = [*self.history, epoch]
        unreadable = [astuple(one) for one in self.trainer.unreadable.values()]
        notes = json.dumps({"epochs": [asdict(one) for one in history], "unreadable": unreadable})
        with _can_be_resumed():
            write_state(self.out, self.trainer, epoch.number, self._identity(), notes, marked)
        self.history = history  # of what is on disk alone: an interrupt may come at any time
        if self.kept is epoch:
            self._write_checkpoint(epoch)

    def _write_checkpoint(self, epoch: Epoch) -> None:
        with self.trainer.averaged(), _can_be_resumed():
            weights = with_temperature(raw_weights(self.trainer.network), epoch.temperature)
            write_checkpoint(self.out, self.config, self.preprocessing, weights, self.dtype)

    def _files(self) -> dict[str, int]:
        """The large files that are written, with their bytes."""
        numbers = sum(parameter.numel() for parameter in self.trainer.network.parameters())
        return {WEIGHTS: numbers * self.dtype.itemsize, STATE: state_bytes(self.trainer)}

    def _identity(self) -> str:
        """What decides the result, apart from the machine, and must be the same when the run is resumed."""
        data = self.trainer.data
        facts = {
            "augmentation.kind": self.recipe.augmentation.kind,
            "pictures": len(data.items),
            "fingerprint of the pictures' names": data.fingerprint(),
            "fingerprint of the pictures that choose the epoch": self._choosers(),
            "config": write_config(self.config),
            "preprocessing": self.preprocessing.to_dict(),
            **decisions(data.decoding),
        }
        return json.dumps({**asdict(self.recipe), **facts})

    def _deciding(self) -> list[LabelledPictures]:
        """The pictures that decide the result."""
        return [self.trainer.data, *([self.held_out] if self.held_out is not None and self.choosing else ())]

    def _choosers(self) -> str:
        return self.held_out.fingerprint() if self.held_out is not None and self.choosing else "none"


@contextmanager
def _can_be_resumed() -> Iterator[None]:
    """Tell whom the disk refuses something that all until the last epoch, or what was before, can be continued."""
    try:
        yield
    except UsageError as error:
        raise UsageError(error.cause, "Make room, and go on with {resume}.") from error


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
