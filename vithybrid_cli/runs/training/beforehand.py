"""What a training run says in words before it begins: what it trains, how, on what, and what is careless about it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vithybrid_cli.choices import Freeze, RecipeName
from vithybrid_cli.errors import are, counted, listed, option, short
from vithybrid_cli.runs.training.told import About, line

if TYPE_CHECKING:
    from vithybrid_cli.training.data import LabelledPictures
    from vithybrid_cli.training.recipe import Recipe
    from vithybrid_cli.training.run import TrainingRun

FEW_PICTURES = 5  # of a label, of which little can be learnt
FEW_HELD_OUT = 20  # of all labels: one is worth over 5 % of the accuracy
FEW_STEPS = 100  # of a whole run
_UNEQUAL = 5  # times as many pictures of one label as of another
_NAMED = 5  # labels in a line


def before(run: "TrainingRun", about: About) -> Iterator[str]:
    """What is trained, how, and on what, before it begins; and what a careful person would change first."""
    recipe, data, network = run.recipe, run.trainer.data, run.trainer.network
    steps = run.trainer.steps_per_epoch
    yield line(
        "recipe",
        f"{about.recipe}, {counted(recipe.epochs, 'epoch')} of {counted(steps, 'step')} "
        f"with {_per_step(len(data.items), steps)} each, learning rate {recipe.learning_rate:g}",
    )
    if chosen := list(_chosen(recipe)):
        yield line("chosen", "; ".join(chosen))
    yield line("from", _origin(run, about))
    if recipe.freeze is not None:
        learning = sum(one.numel() for one in network.parameters() if one.requires_grad)
        rest = "the backbone keeps" if recipe.freeze is Freeze.BACKBONE else "all but the head keep"
        yield line("learns", f"{_large(learning)} parameters; {rest} the weights that {about.model} has")
    if run.head is not None:
        yield line("labels", run.head.summary())
    yield line("pictures", data.summary())
    if about.chooser is not None:
        yield line("held out", f"{about.chooser.summary()}; they choose the epoch that is kept")
    if about.test is not None:
        once = run.choosing or run.held_out is None  # and else after each epoch, to be shown
        yield line("test", f"{about.test.summary()}; they choose nothing{', and are measured at the end' * once}")
    if data.left_out is not None:
        name, _, what = data.left_out.partition(": ")
        yield line(name, what)
    yield from _advice(run, about)
    if run.epochs_done:
        yield line("resumed", f"after epoch {run.epochs_done} of {recipe.epochs}")


def _chosen(recipe: "Recipe") -> Iterator[str]:
    if not recipe.flips:
        yield f"no picture is mirrored ({option('no_flip')})"
    if recipe.class_weights:
        yield f"rare labels count as much as frequent ones ({option('class_weights')})"


def _origin(run: "TrainingRun", about: About) -> str:
    size = f"{_large(sum(one.numel() for one in run.trainer.network.parameters()))} parameters"
    if run.head is None:
        return f"random weights in the architecture of {about.model}, {size}"
    return f"the weights of {about.model}, {size}"


def _advice(run: "TrainingRun", about: About) -> Iterator[str]:
    """What makes a result poor that was easily better."""
    data, recipe = run.trainer.data, run.recipe
    for part in (data, about.test):
        yield from (f"note: {one}" for one in (() if part is None else part.notes))
    yield from (f"note: {one}" for one in about.copies.notes())
    for part, what in ((about.chooser, "held out"), (about.test, "tested on")):
        if part is not None:
            yield from _about_held_out(part, what)
    yield from _about_counts(data.labels, data.counts, weighted=recipe.class_weights)
    steps = recipe.epochs * run.trainer.steps_per_epoch
    if steps < FEW_STEPS and not about.sized:
        yield (
            f"note: that makes {counted(steps, 'step')} in all, which is few; a smaller {option('batch_size')} or "
            f"more {option('epochs')} give more"
        )
    if words := about.overlap.words():
        yield f"note: of the test's pictures {words}, so it tells less of how good it is on others"
    if about.chooser is None and about.test is None:
        yield (
            f"note: no picture is held out, so nothing will tell how good it gets; {option('val_split', '0.1')} holds "
            "out a tenth of each label"
        )
    if run.head is None and about.recipe is RecipeName.FINETUNE:
        yield (
            "note: this recipe is made for weights that have learnt already, and here they are random; "
            f"{option('recipe', 'scratch')} is made for those"
        )
    if run.head is not None and about.recipe is RecipeName.SCRATCH:
        yield (
            f"note: the rates of this recipe are made for random weights, and soon overwrite what {about.model} has "
            f"learnt; {option('recipe', 'finetune')} keeps more of it"
        )


def _per_step(pictures: int, steps: int) -> str:
    """How many pictures a step has, which may be one more in some."""
    fewest, more = divmod(pictures, steps)
    return f"{fewest:,} or {fewest + 1:,} pictures" if more else counted(fewest, "picture")


def _about_held_out(part: "LabelledPictures", what: str) -> Iterator[str]:
    """That figures on so few pictures say little."""
    number = len(part.targets)
    if number < FEW_HELD_OUT:
        only = f"only {counted(number, 'picture')} {are(number)} {what}"
        yield f"note: {only}: one is worth {1 / number:.0%} of the accuracy, so it says little"
    if without := [short(label) for label, count in zip(part.labels, part.counts, strict=True) if not count]:
        yield f"note: no picture is {what} of {listed(without, _NAMED)}, so nothing tells how well that is learnt"


def _about_counts(labels: Sequence[str], counts: Sequence[int], *, weighted: bool) -> Iterator[str]:
    pairs = sorted(zip(counts, range(len(labels)), strict=True))
    if few := [f"{short(labels[index])} {count}" for count, index in pairs if count < FEW_PICTURES]:
        yield (
            f"note: fewer than {FEW_PICTURES} pictures to learn from: {listed(few, _NAMED)}; more of them would help "
            "most"
        )
    (fewest, rare), (most, frequent) = pairs[0], pairs[-1]
    if most >= _UNEQUAL * fewest and not weighted:
        yield (
            f"note: the labels are unequal, as {short(labels[frequent])} with {most:,} and {short(labels[rare])} with "
            f"{fewest:,}; "
            f"{option('class_weights')} lets rare ones count as much as frequent ones"
        )


def _large(number: int) -> str:
    return f"{number:,}" if number < 1_000_000 else f"{number / 1e6:.1f} million"
