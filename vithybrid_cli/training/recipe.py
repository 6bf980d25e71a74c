"""The recipes: everything that decides the result of a training run, apart from the pictures and the network."""

import math
from dataclasses import dataclass, replace

from vithybrid_cli.choices import Freeze, RecipeName
from vithybrid_cli.training.augment import RandomCrop, Varied
from vithybrid_cli.training.batches import steps_of


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the result of a run. Rates are the highest ones; see `schedule`."""

    epochs: int
    batch_size: int
    learning_rate: float  # of AdamW
    augmentation: RandomCrop | Varied
    matrix_rate: float | None = None  # of Muon, for the matrices and convolutions inside the network; None: AdamW's
    weight_decay: float = 0.05
    beta2: float = 0.999  # of AdamW
    warmup_epochs: float = 0.5
    label_smoothing: float = 0.1
    flips: bool = True  # half of what is trained on is mirrored
    alternate_flips: bool = False  # each picture is flipped every other epoch, rather than by chance
    clip: float | None = None  # the largest norm of a step's gradient
    average_epochs: float = 0.0  # how far back the average of weights reaches that is written; 0: there is none
    small_size: float = 1.0  # of the pictures at first, as a share of the network's
    small_epochs: float = 0.0  # how long, as a share of the epochs
    layer_decay: float = 1.0  # by which each layer learns more slowly than the next one towards the head
    head_epochs: float = 0.0  # at the beginning, in which only the head learns; after it the others warm up
    head_rate: float | None = None  # of AdamW, for the head; None: as the others
    freeze: Freeze | None = None
    class_weights: bool = False  # rare labels count as much as frequent ones
    seed: int = 0


SCRATCH = Recipe(
    epochs=30,
    batch_size=256,
    learning_rate=1e-3,
    matrix_rate=0.02,
    beta2=0.99,
    warmup_epochs=0.3,
    augmentation=Varied(),
    alternate_flips=True,
    average_epochs=0.5,
    small_size=0.75,
    small_epochs=0.6,
)

# For a network whose tokens have `_TUNED_WIDTH` numbers, and a folder of which these epochs make `_FEW_STEPS` or more.
FINETUNE = Recipe(
    epochs=10,
    batch_size=32,
    learning_rate=1e-3,
    augmentation=RandomCrop(min_area=0.5),
    clip=1.0,
    layer_decay=0.8,
    head_epochs=1.0,
    head_rate=3e-3,
)
_TUNED_WIDTH = 192  # that of the network with which these rates were found (BENCHMARKS.md, "Fine-tuning")
_FEW_STEPS, _MOST_EPOCHS = 500, 30  # fewer steps in all, as BiT counts them (arXiv 1912.11370), take more epochs


def recipe_for(
    name: RecipeName,
    pictures: int,
    width: int,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    freeze: Freeze | None = None,
    class_weights: bool = False,
    flips: bool = True,
    seed: int = 0,
) -> Recipe:
    """The recipe of this ``name`` for so many pictures and tokens of this ``width``, with what is given instead.

    The inner matrices learn from random weights, and the head in tuning, at rates in proportion to ``learning_rate``.
    """
    recipe = SCRATCH if name is RecipeName.SCRATCH else _finetune(width)
    batch_size = min(batch_size or recipe.batch_size, pictures)
    if epochs is None:
        epochs = recipe.epochs if name is RecipeName.SCRATCH else _finetune_epochs(steps_of(pictures, batch_size))
    highest = recipe.learning_rate if learning_rate is None else learning_rate
    head_epochs = min(recipe.head_epochs, epochs / 2)
    return replace(
        recipe,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=highest,
        matrix_rate=_in_proportion(recipe.matrix_rate, highest / recipe.learning_rate),
        warmup_epochs=min(recipe.warmup_epochs, (epochs - head_epochs) / 2),
        head_epochs=head_epochs,
        head_rate=_in_proportion(recipe.head_rate, highest / recipe.learning_rate),
        freeze=freeze,
        class_weights=class_weights,
        flips=flips,
        seed=seed,
    )


def _finetune(width: int) -> Recipe:
    """`FINETUNE` for tokens of this ``width``: wide networks take smaller steps.

    The rate falls with the square of the width, so that of 768 has the 6e-5 at which MAE tunes ViT-B in batches of this
    size (5e-4 for 256 pictures, arXiv 2111.06377, appendix A.1). A logit sums ``width`` products, so the head's rate
    falls with the width itself.
    """
    share = _TUNED_WIDTH / width
    rate = float(f"{FINETUNE.learning_rate * share**2:.2g}")
    return replace(FINETUNE, learning_rate=rate, head_rate=_in_proportion(FINETUNE.head_rate, share))


def _finetune_epochs(steps: int) -> int:
    """How many epochs of so many ``steps`` each tune a network: more where they are few."""
    return min(_MOST_EPOCHS, max(FINETUNE.epochs, math.ceil(_FEW_STEPS / steps)))


def _in_proportion(rate: float | None, factor: float) -> float | None:
    """A rate that is as it would be written: 100, not 100.00000000000001."""
    return None if rate is None else float(f"{rate * factor:.12g}")


def schedule(epoch: float, warmup: float, epochs: float) -> float:
    """The factor of the learning rates after ``epoch`` epochs: a linear warm-up, then linearly down to 0."""
    if epoch < warmup:
        return epoch / warmup
    return max(0.0, (epochs - epoch) / (epochs - warmup))
