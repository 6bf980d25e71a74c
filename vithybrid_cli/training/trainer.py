"""The training loop: batches, the steps of the optimisers at their rates, the average of weights, and measuring."""

import logging
import math
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from vithybrid_cli.cores import available_cores
from vithybrid_cli.engines.torch_threads import compute_threads
from vithybrid_cli.errors import UsageError
from vithybrid_cli.evaluation.figures import Unreadable
from vithybrid_cli.images.preprocess import Normalization, Preprocessing
from vithybrid_cli.model.vit import VisionTransformer
from vithybrid_cli.training.augment import Pixels
from vithybrid_cli.training.average import Average
from vithybrid_cli.training.batches import Batch, steps_of, training_batches
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.gradients import PARTS, Loss, parts_of, set_gradients
from vithybrid_cli.training.held_out import Measured, measured
from vithybrid_cli.training.muon import Muon
from vithybrid_cli.training.network import learning, take_size, takes_any_size
from vithybrid_cli.training.optimizers import optimizers
from vithybrid_cli.training.recipe import Recipe, schedule
from vithybrid_cli.training.recompute import fits, kept_bytes, recompute

_log = logging.getLogger(__name__)


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
    unreadable: tuple[Unreadable, ...]


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
        self.steps_per_epoch = steps_of(len(data.items), recipe.batch_size)
        self.optimizers = optimizers(network, recipe)
        horizon = recipe.average_epochs * self.steps_per_epoch
        self.average = Average(network, horizon) if horizon else None
        self._learning = [parameter for _, parameter in learning(network)]
        weights = label_weights(data) if recipe.class_weights else torch.ones(len(data.labels))
        self._loss = Loss(self.network, normalization, weights, recipe.label_smoothing, device)
        self._first_flips = np.random.default_rng((recipe.seed, 1)).random(len(data.items)) < 0.5
        self.unreadable: dict[str, Unreadable] = {}  # by path, in the order in which they were met
        self._parts, self._cores = (PARTS, available_cores()) if device.type == "cpu" else (1, 1)
        self.recomputes = not self._activations_fit()
        if self.recomputes:
            _log.info("Keeping all activations would take over half of the free memory: they are computed again.")
            recompute(self.network)

    def size_in(self, epoch: int) -> tuple[int, int]:
        """Height and width of the pictures in an epoch."""
        recipe, (height, width) = self.recipe, self.network.config.image_size
        small = epoch < recipe.small_epochs * recipe.epochs and takes_any_size(self.network)
        if not small:
            return height, width
        rows, columns = (self._small(side, patch) for side, patch in self._sides())
        return rows, columns

    def _sides(self) -> Iterator[tuple[int, int]]:
        """Height and width of the network's pictures, each with the pixels of a patch."""
        config = self.network.config
        stride = 1 if config.backbone is None else config.backbone.stride
        for side, patch in zip(config.image_size, config.patch_size, strict=True):
            least = 0 if config.backbone is None else config.backbone.least_size
            yield side, max(least, stride * patch)

    def _small(self, side: int, patch: int) -> int:
        """A side of the small pictures: whole patches, and at least one."""
        return min(side, max(1, round(side * self.recipe.small_size / patch)) * patch)

    def run_epoch(self, epoch: int) -> Generator[Step, None, None]:
        """Train on every picture once, in batches as equal as can be; ``epoch`` counts from 0.

        Raises UsageError if no picture can be read, or once loss or weights are not finite, since they will stay so.
        """
        recipe, size = self.recipe, self.size_in(epoch)
        take_size(self.network, size)
        order = np.random.default_rng((recipe.seed, epoch)).permutation(len(self.data.items))

        def augmented(image: Image.Image, index: int) -> Pixels:
            rng = np.random.default_rng((recipe.seed, epoch, index))
            alternate = bool(self._first_flips[index]) ^ bool(epoch % 2)
            flipped = alternate if recipe.alternate_flips else rng.random() < 0.5
            return recipe.augmentation(image, size, rng, flipped and recipe.flips)

        batches = training_batches(self.data, augmented, recipe.batch_size, order, self.workers)
        total, pictures = 0.0, 0
        with closing(batches), self.threads() as threads:
            for index, batch in enumerate(batches):
                done = self._done(epoch, index)
                self._set_rates(done)
                count = len(batch.targets)
                with self._moving(done) as moving:
                    total += count * self._step(batch, moving, threads) if count else 0.0
                pictures += count
                self.unreadable.update({one.path: one for one in batch.unreadable})
                if not math.isfinite(total):
                    raise _diverges("loss is", epoch)
                mean = total / pictures if pictures else math.nan
                yield Step(epoch, index + 1, self.steps_per_epoch, count, mean, batch.unreadable)
        if not pictures:
            raise UsageError("None of the pictures could be read.", "Check that the files are whole pictures.")
        if not all(bool(parameter.isfinite().all()) for parameter in self._learning):
            raise _diverges("weights are", epoch)  # the last step's loss says nothing of where it leads

    def measure(self, data: LabelledPictures, preprocessing: Preprocessing) -> Measured | None:
        """What the network, with the average of its weights, makes of ``data``; None if nothing there can be read."""
        take_size(self.network, self.network.config.image_size)
        self.network.eval()
        try:
            with self.averaged(), self.threads() as threads:

                def outputs(pixels: Pixels) -> npt.NDArray[np.float32]:
                    return np.concatenate(list(threads.map(self._outputs, parts_of(pixels, self._parts))))

                found = measured(data, preprocessing, outputs, self.workers)
        finally:
            self.network.train()
        for one in found.unreadable:
            if one.path not in self.unreadable:
                _log.warning("%s: %s", one.path, one.message)
                self.unreadable[one.path] = one
        return found if len(found.targets) else None

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """With the average of the weights in the network, if there is one."""
        if self.average is None:
            yield
            return
        own = {name: parameter.detach().clone() for name, parameter in learning(self.network)}
        load(self.network, self.average.weights)
        try:
            yield
        finally:
            load(self.network, own)

    @torch.inference_mode()
    def _outputs(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        return self._loss.logits(pixels).cpu().numpy()

    def threads(self) -> ThreadPoolExecutor:
        """Threads for the parts of a batch, which share the cores that this process may use.

        Up to seven cores it makes no difference to a bit of the result how many they are. From eight on an operation
        has several, and torch rounds some of its sums by how many.
        """
        count = min(self._parts, self._cores)
        return compute_threads(count, self._cores // count)

    def _set_rates(self, epoch: float) -> None:
        """Set the learning rates for a step in whose middle ``epoch`` epochs are done."""
        recipe = self.recipe
        head = schedule(epoch, recipe.warmup_epochs, recipe.epochs)
        since, left = max(epoch - recipe.head_epochs, 0.0), recipe.epochs - recipe.head_epochs
        others = schedule(since, recipe.warmup_epochs, left)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["highest"] * (head if group["head"] else others)

    def _done(self, epoch: int, step: int) -> float:
        """How many epochs are done in the middle of a ``step``, counted from 0."""
        return epoch + (step + 0.5) / self.steps_per_epoch

    def has_moments(self, *, head: bool, epochs_done: int) -> bool:
        """Whether the parameters of the head, or the others, have learnt in any step by then."""
        return head or self._done(epochs_done - 1, self.steps_per_epoch - 1) >= self.recipe.head_epochs

    @contextmanager
    def _moving(self, epoch: float) -> Iterator[list[nn.Parameter]]:
        """The parameters that learn in a step; while only the head does, there is no graph for the others."""
        waiting = [
            parameter
            for optimizer in self.optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
            if epoch < self.recipe.head_epochs and not group["head"]
        ]
        for parameter in waiting:
            parameter.requires_grad_(requires_grad=False)
        try:
            yield [parameter for parameter in self._learning if parameter.requires_grad]
        finally:
            for parameter in waiting:
                parameter.requires_grad_()

    def _activations_fit(self) -> bool:
        """Whether the activations of the parts of a batch that are computed at a time may be kept for the gradient."""
        pictures = min(self._parts, self._cores) * math.ceil(self.recipe.batch_size / self._parts)
        picture = torch.zeros(1, 3, *self.network.config.image_size, device=self.device)
        return fits(pictures, kept_bytes(self._loss.forward, picture), self.device)

    def _step(self, batch: Batch, moving: list[nn.Parameter], threads: ThreadPoolExecutor) -> float:
        """The mean loss of a batch, after whose gradient the weights have moved."""
        loss = set_gradients(self._loss, batch, moving, self._parts, threads)
        if self.recipe.clip is not None:  # in one of the threads: how a sum is rounded depends on the number of cores
            threads.submit(nn.utils.clip_grad_norm_, moving, self.recipe.clip).result()
        for optimizer in self.optimizers:
            if isinstance(optimizer, Muon):
                list(threads.map(optimizer.step_alike, optimizer.alike()))
            else:
                optimizer.step()
            optimizer.zero_grad()
        if self.average is not None:
            self.average.update(self.network)
        return loss


def label_weights(data: LabelledPictures) -> Tensor:
    """What the loss of a picture of each label is multiplied by, so that all labels count the same; 1 in the mean."""
    counts = np.array(data.counts)
    weights = len(data.targets) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.from_numpy(weights.astype(np.float32))


def _diverges(what: str, epoch: int) -> UsageError:
    cause = f"The training diverges: the {what} not finite in epoch {epoch + 1}."
    return UsageError(cause, "Give a lower learning rate ({lr}).")


@torch.no_grad()
def load(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set the parameters of ``network`` that learn to those ``weights``."""
    for name, parameter in learning(network):
        parameter.copy_(weights[name])
