"""The training loop: batches, their gradients in parts side by side, the optimisers' steps, the average of weights.

The loss is the one of the published ``forward(labels=…)``, with label smoothing (https://arxiv.org/abs/1512.00567).
"""

import math
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from vithybrid_cli.cores import available_cores
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Normalization, Preprocessing
from vithybrid_cli.model.vit import VisionTransformer
from vithybrid_cli.training.average import Average
from vithybrid_cli.training.batches import Batch, training_batches
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.held_out import Measured, measured
from vithybrid_cli.training.muon import Muon
from vithybrid_cli.training.network import take_size, takes_any_size
from vithybrid_cli.training.optimizers import optimizers
from vithybrid_cli.training.recipe import Recipe, schedule

# Of a batch on a CPU. Fixed, so that sums do not depend on the number of cores.
PARTS = 4


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
    """A network, its optimisers, and the pictures; `run_epoch` continues from a state that was restored.

    On a CPU a batch is computed in parts, each by a thread of its own: threads that share one operation wait for each
    other several hundred times a step, and for whatever else the machine does. Measured on two cores beside other
    work: 2 to 4 times as fast.
    """

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
        self.steps_per_epoch = max(len(data.items) // recipe.batch_size, 1)
        self.optimizers = optimizers(network, recipe)
        horizon = recipe.average_epochs * self.steps_per_epoch
        self.average = Average(network, horizon) if horizon else None
        self._normalization = normalization
        self._learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._bfloat16 = has_bfloat16(device)
        self._first_flips = np.random.default_rng((recipe.seed, 1)).random(len(data.items)) < 0.5
        self._weights_of_labels = self._label_weights()

    def size_in(self, epoch: int) -> tuple[int, int]:
        """Height and width of the pictures in an epoch."""
        recipe, (height, width) = self.recipe, self.network.config.image_size
        small = epoch < recipe.small_epochs * recipe.epochs and takes_any_size(self.network)
        if not small:
            return height, width
        step = self.network.config.least_size  # so that patches are whole
        return tuple(max(step, round(side * recipe.small_size / step) * step) for side in (height, width))  # type: ignore[return-value]

    def run_epoch(self, epoch: int) -> Generator[Step, None, None]:
        """Train on every picture once; ``epoch`` counts from 0.

        Raises UsageError if no picture can be read, or once the loss is not finite, since it will stay so.
        """
        recipe, size = self.recipe, self.size_in(epoch)
        take_size(self.network, size)
        order = np.random.default_rng((recipe.seed, epoch)).permutation(len(self.data.items))

        def augmented(image: Image.Image, index: int) -> npt.NDArray[np.uint8]:
            rng = np.random.default_rng((recipe.seed, epoch, index))
            alternate = bool(self._first_flips[index]) ^ bool(epoch % 2)
            flipped = alternate if recipe.alternate_flips else rng.random() < 0.5
            return recipe.augmentation(image, size, rng, flipped)

        batches = training_batches(self.data, augmented, recipe.batch_size, order, self.workers)
        total, pictures = 0.0, 0
        with closing(batches), self.threads() as threads:
            for index, batch in enumerate(batches):
                self._set_rates((epoch * self.steps_per_epoch + index) / self.steps_per_epoch)
                count = len(batch.targets)
                total += count * self._step(batch, threads) if count else 0.0
                pictures += count
                if not math.isfinite(total):
                    cause = f"The training diverges: the loss is not finite in epoch {epoch + 1}."
                    raise UsageError(cause, "Give a lower learning rate ({lr}).")
                mean = total / pictures if pictures else math.nan
                yield Step(epoch, index + 1, self.steps_per_epoch, count, mean, batch.unreadable)
        if not pictures:
            raise UsageError("None of the pictures could be read.", "Check that the files are whole pictures.")

    def measure(self, data: LabelledPictures, preprocessing: Preprocessing) -> Measured | None:
        """What the network, with the average of its weights, makes of ``data``; None if nothing there can be read."""
        take_size(self.network, self.network.config.image_size)
        self.network.eval()
        try:
            with self.averaged(), self.threads() as threads:
                return measured(data, preprocessing, self._outputs, threads, self.workers)
        finally:
            self.network.train()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """With the average of the weights in the network, if there is one."""
        if self.average is None:
            yield
            return
        own = {name: parameter.detach().clone() for name, parameter in self.network.named_parameters()}
        load(self.network, self.average.weights)
        try:
            yield
        finally:
            load(self.network, own)

    @torch.inference_mode()
    def _outputs(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            logits: Tensor = self.network(self._normalized(pixels))
        return logits.float().cpu().numpy()

    @contextmanager
    def threads(self) -> Iterator[ThreadPoolExecutor]:
        """Threads for the parts of a batch, which share the cores that this process may use."""
        cores = available_cores() if self.device.type == "cpu" else 1
        side_by_side = min(PARTS, cores)
        before, each = torch.get_num_threads(), max(1, cores // side_by_side)
        try:
            with ThreadPoolExecutor(side_by_side, "parts", torch.set_num_threads, (each,)) as threads:
                yield threads
        finally:
            torch.set_num_threads(before)

    def _set_rates(self, epoch: float) -> None:
        recipe = self.recipe
        factor = schedule(epoch, recipe.warmup_epochs, recipe.epochs)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                waits = epoch < recipe.head_epochs and not group["head"]
                group["lr"] = 0.0 if waits else group["highest"] * factor

    def _step(self, batch: Batch, threads: ThreadPoolExecutor) -> float:
        """The mean loss of a batch, after whose gradient the weights have moved."""
        parts = PARTS if self.device.type == "cpu" else 1
        chunks = [chunk for chunk in np.array_split(np.arange(len(batch.targets)), parts) if len(chunk)]
        total = float(self._weights_of_labels[batch.targets].sum())
        loss = 0.0
        for number, (part, gradients) in enumerate(threads.map(lambda chunk: self._part(batch, chunk, total), chunks)):
            loss += part
            self._add(gradients, first=number == 0)
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self._learning, self.recipe.clip)
        for optimizer in self.optimizers:
            if isinstance(optimizer, Muon):
                list(threads.map(optimizer.step_alike, optimizer.alike()))
            else:
                optimizer.step()
            optimizer.zero_grad()
        if self.average is not None:
            self.average.update(self.network)
        return loss

    def _add(self, gradients: tuple[Tensor, ...], *, first: bool) -> None:
        """Add the gradients of a part of a batch to those of the parts before it."""
        for parameter, gradient in zip(self._learning, gradients, strict=True):
            if first:
                # A copy, since two of them may share memory, in the layout of the parameter: the fused AdamW pairs
                # the numbers as they lie in memory, and of a convolution's weight those lie in another order.
                parameter.grad = torch.empty_like(parameter).copy_(gradient)
            else:
                assert parameter.grad is not None
                parameter.grad.add_(gradient)

    def _part(self, batch: Batch, chunk: npt.NDArray[np.int64], total: float) -> tuple[float, tuple[Tensor, ...]]:
        """What some pictures of a batch add to its loss, and to its gradient."""
        targets = torch.from_numpy(batch.targets[chunk]).to(self.device)
        weights = torch.from_numpy(self._weights_of_labels[batch.targets[chunk]]).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            logits = self.network(self._normalized(batch.pixels[chunk]))
        losses = F.cross_entropy(logits.float(), targets, label_smoothing=self.recipe.label_smoothing, reduction="none")
        loss = (losses * weights).sum() / total
        return loss.item(), torch.autograd.grad(loss, self._learning)

    def _normalized(self, pixels: npt.NDArray[np.uint8]) -> Tensor:
        return normalized(torch.from_numpy(pixels).to(self.device), self._normalization)

    def _label_weights(self) -> npt.NDArray[np.float32]:
        """The weight of each label: 1, or what makes all labels count the same, with a mean over pictures of 1."""
        counts = np.bincount(self.data.targets, minlength=len(self.data.labels))
        if not self.recipe.class_weights:
            return np.ones(len(counts), np.float32)
        present = np.count_nonzero(counts)
        return (len(self.data.targets) / (present * np.maximum(counts, 1))).astype(np.float32)


@torch.no_grad()
def load(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set the parameters of ``network`` to those ``weights``."""
    for name, parameter in network.named_parameters():
        parameter.copy_(weights[name])


def normalized(pixels: Tensor, normalization: Normalization) -> Tensor:
    """uint8 [N, H, W, 3] → float32 [N, 3, H, W], which is channels_last already."""
    mean, std = (
        torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (normalization.mean, normalization.std)
    )
    return (pixels.permute(0, 3, 1, 2).float() * normalization.scale - mean) / std


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
