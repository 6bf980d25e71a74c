"""What a training run says in words after each epoch and at its end; `beforehand` has what it says before."""

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vithybrid_cli.choices import RecipeName
from vithybrid_cli.errors import are, counted, option, short
from vithybrid_cli.evaluation.figures import Confusion, LabelMetrics, Metrics
from vithybrid_cli.output.duration import duration
from vithybrid_cli.runs.training.copies import Copies
from vithybrid_cli.runs.training.overlap import Overlap
from vithybrid_cli.runs.training.unreadable import unreadable_line

if TYPE_CHECKING:
    from vithybrid_cli.training.data import LabelledPictures
    from vithybrid_cli.training.run import Epoch, TrainingRun

CURVE, FIGURES = "training.svg", "training.json"
_NO_BETTER = 0.98  # of the loss of guessing
_WORST = 3  # labels at the end
_TAKEN_FOR = 2  # other labels of each
_WIDTH = 12  # of the first column
_ALARMING = 2.0  # of a loss above that of guessing: the right label seems 7 times less likely than by chance


@dataclass(frozen=True, slots=True)
class About:
    """What the user chose: the recipe, the model that it starts from, and what is held out.

    ``chooser`` are the pictures that are held out to choose the epoch, ``test`` those that come from ``tested`` and are
    only measured; ``overlap`` is which of these are trained on, or choose. ``sized``: batches are as large as the user
    chose. ``copies`` are those among the pictures to train on and to choose by.
    """

    recipe: RecipeName
    model: str
    chooser: "LabelledPictures | None" = None
    test: "LabelledPictures | None" = None
    tested: str | None = None
    overlap: Overlap = field(default_factory=Overlap)
    sized: bool = False
    copies: Copies = field(default_factory=Copies)


def expected_line(run: "TrainingRun", epochs_before: int, seconds: float, *, at_least: bool = False) -> str:
    """How long the run takes, which was resumed after ``epochs_before``; ``at_least`` that long, or longer."""
    left = run.recipe.epochs - epochs_before
    whole = "the whole run" if not epochs_before else f"the {counted(left, 'epoch')} that {are(left)} left"
    if at_least:
        why = "only the head learns as yet, which is quick; how long is told again"
        return line("expected", f"at least {duration(seconds)} for {whole}: {why}")
    return line("expected", f"about {duration(seconds)} for {whole}, by its steps so far")


def alarm(run: "TrainingRun") -> str | None:
    """What a careful person would be told after an epoch in which the loss is far too high."""
    losses, guessing = [one.loss for one in run.history], math.log(len(run.trainer.data.labels))
    *before_it, last = losses
    rate = f"the learning rate is probably too high; a lower one ({option('lr')}) may help"
    if last > guessing + _ALARMING:
        return f"the loss of epoch {len(losses)} is {last:,.2f}, and guessing gives {guessing:.2f}: {rate}"
    if before_it and last > min(before_it) + _ALARMING / 2:
        return f"the loss has risen from {min(before_it):.2f} to {last:.2f} in epoch {len(losses)}: {rate}"
    return None


def epoch_line(run: "TrainingRun", epoch: "Epoch") -> str:
    """What is known after an ``epoch``, in columns that stand below each other."""
    total = run.recipe.epochs
    said = f"epoch {epoch.number:>{len(str(total))}} of {total}: loss {epoch.loss:.4f}"
    if epoch.correct is None or not epoch.pictures:
        return said
    said += f", {'held out' if run.choosing else 'test'} {epoch.correct / epoch.pictures:6.1%} right"
    best = run.kept
    if not run.choosing or best is None:
        return said
    return f"{said}, {'the best so far' if best.number == epoch.number else f'best: epoch {best.number}'}"


def at_the_end(run: "TrainingRun", about: About, metrics: Metrics | None) -> Iterator[str]:
    """What came out: how good it is and how sure that is, what it confuses, what was written, and what to do next.

    ``metrics`` have all confusions; without them nothing was held out.
    """
    kept = run.kept
    if kept is not None:
        yield line("kept", _kept(run, kept))
    if unreadable := unreadable_line(run, about.chooser, metrics):
        yield line("unreadable", unreadable)
    if metrics is None or not metrics.pictures:
        yield line("accuracy", "not measured, since no picture was held out")
    else:
        yield line("accuracy", _accuracy(metrics, about))
        if weakest := list(_weakest(metrics)):
            yield line("weakest", "; ".join(weakest))
    if kept is not None and run.choosing:
        yield line("scores", _scores(kept))
    yield from _little_learnt(run)
    yield line("written", f"{run.out}, with its curve in {CURVE} and its figures in {FIGURES}")
    yield line("next", f"vithybrid classify PICTURES -m {_typed(run.out)}")


def _little_learnt(run: "TrainingRun") -> Iterator[str]:
    """What to say where the last loss is about that of one who knows nothing."""
    guessing = math.log(len(run.trainer.data.labels))
    if run.history and _NO_BETTER * guessing < run.history[-1].loss <= guessing + _ALARMING:
        mirrored = f", and {option('no_flip')} where a mirror image has another label" if run.recipe.flips else ""
        yield (
            f"note: the last loss, {run.history[-1].loss:.2f}, is about that of guessing, {guessing:.2f}, so little or "
            f"nothing was learnt; more {option('epochs')} or another learning rate ({option('lr')}) may help{mirrored}"
        )


def _kept(run: "TrainingRun", kept: "Epoch") -> str:
    total = run.recipe.epochs
    if run.choosing:
        return f"epoch {kept.number} of {total}, the best on the held-out pictures"
    return f"epoch {kept.number} of {total}, the last"


def _accuracy(metrics: Metrics, about: About) -> str:
    low, high = metrics.top1_interval or (0.0, 1.0)
    pictures = counted(metrics.pictures, "held-out picture" if about.tested is None else "picture")
    where = "" if about.tested is None else f" of {about.tested}"
    said = f"{metrics.top1 or 0.0:.1%} of {pictures}{where} are right (95 % interval: {low:.1%} to {high:.1%})"
    said += _beside_a_fixed_answer(metrics, low)
    if about.tested is None:
        return f"{said}; they also chose the epoch, so expect a little less on others"
    return f"{said}; but {words}, so expect less on others" if (words := about.overlap.words()) else said


def _beside_a_fixed_answer(metrics: Metrics, low: float) -> str:
    """What to say where one answer for all pictures is as good as the network, or may be."""
    most = max(metrics.labels, key=lambda row: row.pictures)
    share = most.pictures / metrics.pictures
    if (metrics.top1 or 0.0) < share:
        return f"; that is worse than always to say {short(most.label)}, which is right on {share:.1%}"
    return f"; whoever always says {short(most.label)} is right on {share:.1%}" if low <= share else ""


def _weakest(metrics: Metrics) -> Iterator[str]:
    """The labels that are recognised least often, with what they are taken for."""
    wrong = [row for row in metrics.labels if row.pictures > row.correct]
    for row in sorted(wrong, key=lambda row: (row.correct / row.pictures, row.correct - row.pictures))[:_WORST]:
        others = [pair for pair in metrics.confusions if pair.true_index == row.index][:_TAKEN_FOR]
        yield _weak(row, others)


def _weak(row: LabelMetrics, others: Sequence[Confusion]) -> str:
    taken = ", ".join(f"{pair.count} taken for {short(pair.predicted)}" for pair in others)
    return f"{short(row.label)} {row.correct} of {row.pictures} right" + (f" ({taken})" if taken else "")


def _scores(kept: "Epoch") -> str:
    """What the temperature means."""
    from vithybrid_cli.training.held_out import LEAST_FOR_TEMPERATURE

    divided = f"the network's outputs are divided by {kept.temperature:.2f}"
    if (kept.pictures or 0) < LEAST_FOR_TEMPERATURE:
        return f"as the network gives them; fitting them takes {LEAST_FOR_TEMPERATURE} held-out pictures"
    if kept.temperature > 1:
        return f"{divided}, since it was surer than it was right"
    return f"{divided}, since it was right more often than it was sure"


def _typed(out: Path) -> str:
    """The folder as a model's name in a shell: what is no path could be an alias."""
    text = str(out)
    return shlex.quote(text if "/" in text else f"./{text}")


def line(name: str, text: str) -> str:
    """One that begins with what it is about; all texts stand below each other."""
    return f"{name + ':':<{_WIDTH}}{text}"
