"""The training loop: AdamW with warm-up and cosine decay on the cross-entropy of the logits.

The loss is the one of the published ``forward(labels=…)``, with label smoothing (https://arxiv.org/abs/1512.00567).
"""

import math
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Normalization
from vithybrid_cli.model.vit import VisionTransformer
from vithybrid_cli.training.data import Augmentation, Batch, LabelledPictures, training_batches

BETAS = (0.9, 0.999)
MAX_GRADIENT_NORM = 1.0
# In addition to all vectors, as in ``no_weight_decay`` of timm's ViT and BEiT.
_UNDECAYED = ("cls_token", "distillation_token", "position_embeddings", "relative_position_bias.table")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the result of a run, apart from the pictures and the network's config."""

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_epochs: float = 0.5
    label_smoothing: float = 0.1
    min_area: float = 0.5  # of a random crop, as a share of the picture
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What is known after one step: the ``epoch`` from 0, the ``step`` in it from 1, and the number of ``pictures``.

    ``loss`` is the mean over the pictures of this epoch so far, or NaN if none of them could be read.
    """

    epoch: int
    step: int
    steps: int
    pictures: int
    loss: float
    unreadable: tuple[str, ...]


class Trainer:
    """A network, its optimiser, and the pictures; `run_epoch` continues from a state that was restored."""

    def __init__(
        self,
        network: VisionTransformer,
        data: LabelledPictures,
        normalization: Normalization,
        recipe: Recipe,
        device: torch.device,
        workers: int = 2,
    ) -> None:
        self.network: VisionTransformer = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.data, self.recipe, self.device, self.workers = data, recipe, device, workers
        self.augmentation = Augmentation(network.config.image_size, recipe.min_area)
        self.steps_per_epoch = max(len(data.items) // recipe.batch_size, 1)
        self.optimizer = torch.optim.AdamW(
            parameter_groups(network, recipe.weight_decay), recipe.learning_rate, BETAS, fused=True
        )
        self._mean = torch.tensor(normalization.mean, device=device).view(3, 1, 1)
        self._std = torch.tensor(normalization.std, device=device).view(3, 1, 1)
        self._scale = normalization.scale
        self._bfloat16 = has_bfloat16(device)

    def run_epoch(self, epoch: int) -> Generator[Step, None, None]:
        """Train on every picture once; ``epoch`` counts from 0.

        Raises UsageError if no picture can be read, or once the loss is not finite, since it will stay so.
        """
        recipe = self.recipe
        batches = training_batches(self.data, self.augmentation, recipe.batch_size, recipe.seed, epoch, self.workers)
        total, pictures = 0.0, 0
        with closing(batches):
            for index, batch in enumerate(batches):
                done = epoch * self.steps_per_epoch + index
                rate = recipe.learning_rate * schedule(done / self.steps_per_epoch, recipe.warmup_epochs, recipe.epochs)
                count = len(batch.targets)
                total += count * self._step(batch, rate) if count else 0.0
                pictures += count
                if not math.isfinite(total):
                    cause = f"The training diverges: the loss is not finite in epoch {epoch + 1}."
                    raise UsageError(cause, "Give a lower learning rate ({lr}).")
                mean = total / pictures if pictures else math.nan
                yield Step(epoch, index + 1, self.steps_per_epoch, count, mean, batch.unreadable)
        if not pictures:
            raise UsageError("None of the pictures could be read.", "Check that the files are whole pictures.")

    def _step(self, batch: Batch, learning_rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        targets = torch.from_numpy(batch.targets).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            logits = self.network(self._normalize(batch))
        loss = F.cross_entropy(logits.float(), targets, label_smoothing=self.recipe.label_smoothing)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def _normalize(self, batch: Batch) -> Tensor:
        pixels = torch.from_numpy(batch.pixels).to(self.device)
        # [N, H, W, 3] viewed as [N, 3, H, W] is channels_last already
        return (pixels.permute(0, 3, 1, 2).float() * self._scale - self._mean) / self._std


def schedule(epoch: float, warmup: float, epochs: float) -> float:
    """The factor of the learning rate after ``epoch`` epochs: a linear warm-up, then half a cosine down to 0."""
    if epoch < warmup:
        return epoch / warmup
    return 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup)))


def has_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` computes bfloat16 in hardware rather than emulating it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = _cpu_capabilities()
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _cpu_capabilities() -> Mapping[str, Any]:
    """What torch finds in the processor."""
    if hasattr(torch.cpu, "get_capabilities"):  # came with torch 2.11
        return torch.cpu.get_capabilities()
    # Every processor with AMX tiles multiplies bfloat16 in them.
    return {"avx512_bf16": torch.cpu._is_avx512_bf16_supported(), "amx_bf16": torch.cpu._is_amx_tile_supported()}


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for AdamW: matrices and convolutions decay; biases, norms, tokens and positions do not."""
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        matrix = parameter.ndim > 1 and not name.endswith(_UNDECAYED)
        (decayed if matrix else kept).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
