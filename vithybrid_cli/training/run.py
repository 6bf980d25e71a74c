"""A whole training run: from a start (a config or a checkpoint) and a folder to a checkpoint, epoch by epoch."""

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.transformers import architecture, write_config
from vithybrid_cli.checkpoints.load import read_weights
from vithybrid_cli.checkpoints.write import write_checkpoint
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.training.checkpoint import prepare, restore_state, write_state
from vithybrid_cli.training.data import LabelledFolder
from vithybrid_cli.training.network import raw_weights, replace_head, trainable_network
from vithybrid_cli.training.trainer import Recipe, Step, Trainer

_LEFT_OUT = ("embeddings.mask_token", "pooler.")  # how the names of what pre-training alone needs begin


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run begins: a checkpoint's architecture and preprocessing, and its weights if they are used."""

    checkpoint: Checkpoint
    with_weights: bool

    @property
    def config(self) -> VitConfig:
        """The network to train: without what served pre-training alone. Raises UsageError for one of another kind.

        That is the mask token, and the layer between encoder and head, which ViT's authors and transformers leave out
        too where a network gets a new head.
        """
        config = self.checkpoint.config
        if not isinstance(config, VitConfig):
            raise self._untrainable("a BiT")
        if config.distillation_head:
            raise self._untrainable("a distilled network with two heads")
        return replace(config, mask_token=False, pooler=False)

    def weights(self, labels: tuple[str, ...]) -> dict[str, torch.Tensor]:
        """The weights to begin with under our names, in float32; with a new head, unless it is for these ``labels``.

        Raises UsageError where that head reads a layer that is left out, ModelError as `read_weights` does.
        """
        tensors = read_weights(self.checkpoint)
        weights = {name: tensor.float() for name, tensor in tensors.items() if not name.startswith(_LEFT_OUT)}
        if labels != self.checkpoint.config.labels:
            return replace_head(weights, self.config.encoder.hidden_size, len(labels))
        if "pooler.weight" in tensors:
            raise self._untrainable("for these very labels, with a layer between encoder and head (pre-logits)")
        return weights

    def _untrainable(self, what: str) -> UsageError:
        return UsageError(f"{self.checkpoint.path} is {what}, which `train` does not train. Start from another model.")

    def check(self) -> None:
        """Raise ModelError when what the preprocessing leaves is not what the network takes."""
        given, taken = self.checkpoint.preprocessing.output_size, self.checkpoint.config.image_size
        if given not in (None, taken):
            raise ModelError(
                f"{self.checkpoint.path}: the network takes pictures of {_size(taken)}, and the preprocessing gives "
                f"{given and _size(given)}. Correct image_size in its config.json, or its preprocessor_config.json."
            )


class Run:
    """Trains into ``out``: after each epoch the checkpoint, and beside it the state that `resume` continues from.

    Where a checkpoint with the very labels of ``data`` goes on, their indices and the head stay as they are; with other
    labels it begins with a new head.
    """

    def __init__(
        self,
        start: Start,
        data: LabelledFolder,
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
        architecture(self.config)  # raises ModelError, before an epoch is spent on what cannot be written
        self.epochs_done = 0
        torch.manual_seed(recipe.seed)
        weights = start.weights(data.labels) if start.with_weights else None
        network = trainable_network(self.config, weights, device)
        normalization = self.preprocessing.normalization
        self.trainer = Trainer(network, data, normalization, recipe, device, workers)

    def resume(self) -> None:
        """Continue the run that ``out`` holds. Raises UsageError when there is none, or it is another one."""
        self.epochs_done = restore_state(self.out, self.trainer, self._identity())

    def steps(self) -> Generator[Step, None, None]:
        """Train the epochs that are left; everything is on disk when the first step of the next epoch is given.

        Raises UsageError when the folder cannot be written, no picture can be read, or the training diverges.
        """
        prepare(self.out)
        while self.epochs_done < self.recipe.epochs:
            with closing(self.trainer.run_epoch(self.epochs_done)) as steps:
                yield from steps
            self.epochs_done += 1
            write_checkpoint(self.out, self.config, self.preprocessing, raw_weights(self.trainer.network), self.dtype)
            write_state(self.out, self.trainer, self.epochs_done, self._identity())

    def _identity(self) -> str:
        """What decides the result, apart from the machine, and so has to be the same when the run is resumed."""
        data = self.trainer.data
        facts = {
            "pictures": len(data.paths),
            "fingerprint of the pictures' names": data.fingerprint(),
            "config": write_config(self.config),
            "preprocessing": self.preprocessing.to_dict(),
        }
        return json.dumps({**asdict(self.recipe), **facts})


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
