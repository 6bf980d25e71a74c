"""A whole training run: from a config or a checkpoint, and labelled pictures, to a checkpoint, epoch by epoch."""

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.transformers import class_of, write_config
from vithybrid_cli.checkpoints.load import read_weights
from vithybrid_cli.checkpoints.write import write_checkpoint
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.model.interpolate import resized
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.network import raw_weights, replace_head, trainable_network
from vithybrid_cli.training.state import restore_state, training_folder, write_state
from vithybrid_cli.training.trainer import Recipe, Step, Trainer

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

    def weights(self, labels: tuple[str, ...]) -> dict[str, torch.Tensor]:
        """The initial weights under our names, in float32, with a new head unless the old one has these ``labels``.

        Raises UsageError if the old head reads a layer that is left out, ModelError as `read_weights` does.
        """
        start = self.checkpoint
        tensors = resized(read_weights(start), start.stored_config, start.config)
        weights = {name: tensor.float() for name, tensor in tensors.items() if not name.startswith(_PRETRAINING)}
        if labels != self.checkpoint.config.labels:
            return replace_head(weights, self.config.encoder.hidden_size, len(labels))
        if "pooler.weight" in tensors:
            raise self._untrainable("has these labels already, and a layer between encoder and head (pre-logits)")
        return weights

    def _untrainable(self, what: str) -> UsageError:
        cause = f"{self.checkpoint.path} {what}, which `vithybrid train` does not support."
        return UsageError(cause, "Start from another model.")

    def check(self) -> None:
        """Raise ModelError if the preprocessing gives another size than the network takes."""
        given, taken = self.checkpoint.preprocessing.output_size, self.checkpoint.config.image_size
        if given not in (None, taken):
            raise ModelError(
                f"The network in {self.checkpoint.path} takes pictures of {_size(taken)}, but its preprocessing gives "
                f"{given and _size(given)}.",
                "Correct image_size in its config.json, or its preprocessor_config.json.",
            )


class TrainingRun:
    """Trains and writes to ``out``, after each epoch, the checkpoint and the state that `resume` continues from.

    A checkpoint that has exactly the labels of ``data`` keeps their indices and its head. With other labels it gets a
    new head.
    """

    def __init__(
        self,
        start: StartingPoint,
        data: LabelledPictures,
        recipe: Recipe,
        out: Path,
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        workers: int = 2,
    ) -> None:
        start.check()
        if start.with_weights:
            data = data.with_indices_of(start.checkpoint.config.labels)
        self.out, self.recipe, self.dtype = out, recipe, dtype
        self.preprocessing = start.checkpoint.preprocessing
        self.config = replace(start.config, labels=data.labels)
        class_of(self.config)  # raises ModelError for what could not be written after the first epoch
        self.epochs_done = 0
        torch.manual_seed(recipe.seed)
        weights = start.weights(data.labels) if start.with_weights else None
        network = trainable_network(self.config, weights, device)
        normalization = self.preprocessing.normalization.in_one_step()
        self.trainer = Trainer(network, data, normalization, recipe, device, workers)

    def resume(self) -> None:
        """Continue the run that ``out`` holds. Raises UsageError if there is none or if it is another one."""
        self.epochs_done = restore_state(self.out, self.trainer, self._identity())

    def steps(self) -> Generator[Step, None, None]:
        """Train the epochs that are left; an epoch is on disk when the first step of the next one is given.

        Raises UsageError if the folder cannot be written or another run writes there, if no picture can be read, or if
        the training diverges.
        """
        with training_folder(self.out):
            while self.epochs_done < self.recipe.epochs:
                with closing(self.trainer.run_epoch(self.epochs_done)) as steps:
                    yield from steps
                self.epochs_done += 1
                self._write()

    def _write(self) -> None:
        write_checkpoint(self.out, self.config, self.preprocessing, raw_weights(self.trainer.network), self.dtype)
        write_state(self.out, self.trainer, self.epochs_done, self._identity())

    def _identity(self) -> str:
        """What decides the result, apart from the machine, and must be the same when the run is resumed."""
        data = self.trainer.data
        facts = {
            "pictures": len(data.items),
            "fingerprint of the pictures' names": data.fingerprint(),
            "config": write_config(self.config),
            "preprocessing": self.preprocessing.to_dict(),
        }
        return json.dumps({**asdict(self.recipe), **facts})


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
