"""A training run as it is followed on stderr: what is unreadable, how each epoch went, and how long it takes."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.errors import counted, option
from vithybrid_cli.runs.training.pace import Pace, Work
from vithybrid_cli.runs.training.told import About, before, epoch_line, expected_line
from vithybrid_cli.runs.training.written import write_training

if TYPE_CHECKING:
    from vithybrid_cli.training.run import TrainingRun

PLAIN_INTERVAL = 60.0  # seconds between plain lines of progress, in a log of hours


def train_to_the_end(run: "TrainingRun", about: About, watch: Stderr) -> bool:
    """Say what is trained, and train to the end, with a line for each epoch; whether all pictures could be read."""
    if run.epochs_done == run.recipe.epochs:
        watch.say(f"nothing left to train: {run.out} is trained for {counted(run.recipe.epochs, 'epoch')}")
        return not run.trainer.unreadable
    for line in before(run, about):
        watch.say(line)
    return _followed(run, about, watch)


def _followed(run: "TrainingRun", about: About, watch: Stderr) -> bool:
    """Train with the progress within each epoch; whether all pictures could be read."""
    unreadable: set[str] = set()
    trainer, first = run.trainer, run.epochs_done
    total = (run.recipe.epochs - first) * trainer.steps_per_epoch * run.recipe.batch_size
    pace = _pace(run)
    shown = Progress(enabled=watch.progress_shown, total=total, left=lambda: pace.left, interval=PLAIN_INTERVAL)
    told = first
    with _interrupt_told(run, watch), closing(run.steps()) as steps, watch.showing(shown):
        for step in steps:
            if run.epochs_done > told:
                told = _tell_epoch(run, about, pace, watch)
            is_time = pace.step(step.epoch, step.step - 1)
            shown.advance(pictures=step.pictures + len(step.unreadable))
            for one in step.unreadable:
                if one.path not in unreadable:
                    watch.say(f"{one.path}: {one.message}")
                unreadable.add(one.path)
            if is_time and pace.whole is not None:
                watch.say(expected_line(run, first, pace.whole))
        if run.epochs_done > told:
            _tell_epoch(run, about, pace, watch)
    return not run.trainer.unreadable


def _pace(run: "TrainingRun") -> Pace:
    recipe, trainer = run.recipe, run.trainer
    sizes = [trainer.size_in(epoch) for epoch in range(recipe.epochs)]
    held_out = 0 if run.held_out is None else len(run.held_out.items)
    work = Work(sizes, trainer.steps_per_epoch, recipe.batch_size, held_out, recipe.head_epochs)
    return Pace(work, epochs_done=run.epochs_done)


def _tell_epoch(run: "TrainingRun", about: About, pace: Pace, watch: Stderr) -> int:
    """An epoch is on disk: draw the curve so far, and say how it went. How many epochs are done."""
    pace.measured()
    write_training(run, about)
    watch.say(epoch_line(run, run.history[-1]))
    return run.epochs_done


@contextmanager
def _interrupt_told(run: "TrainingRun", watch: Stderr) -> Iterator[None]:
    """Say after an interrupt what is there, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        done = f"{run.epochs_done} of {counted(run.recipe.epochs, 'epoch')}"
        goes_on = f"{option('resume')} goes on from there"
        watch.say(
            f"interrupted after {done}, which are in {run.out}; {goes_on}"
            if run.epochs_done
            else f"interrupted within the first epoch, so nothing is written; {option('resume')} begins anew"
        )
        raise
