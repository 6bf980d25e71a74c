"""A training run as it is followed on stderr: what is unreadable, how each epoch went, and how long it takes."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.errors import counted, option
from vithybrid_cli.runs.interrupts import sigterm_raised
from vithybrid_cli.runs.training.beforehand import before
from vithybrid_cli.runs.training.pace import Pace, Work
from vithybrid_cli.runs.training.told import About, alarm, epoch_line, expected_line
from vithybrid_cli.runs.training.written import write_training

if TYPE_CHECKING:
    from vithybrid_cli.training.run import TrainingRun

PLAIN_INTERVAL = 60.0  # seconds between plain lines of progress, in a log of hours


def train_to_the_end(run: "TrainingRun", about: About, watch: Stderr) -> bool:
    """Say what is trained, and train to the end, with a line for each epoch; whether all pictures could be read."""
    if run.epochs_done == run.recipe.epochs:
        for _ in run.steps():  # there is none, but what was ended before its last file was written gets that now
            pass
        watch.say(f"nothing left to train: {run.out} is trained for {counted(run.recipe.epochs, 'epoch')}")
        return not run.trainer.unreadable
    for line in before(run, about):
        watch.say(line)
    return _followed(run, about, watch)


def _followed(run: "TrainingRun", about: About, watch: Stderr) -> bool:
    """Train with the progress within each epoch; whether all pictures could be read."""
    unreadable: set[str] = set()
    first = run.epochs_done
    total = (run.recipe.epochs - first) * len(run.trainer.data.items)
    follower = _Follower(run, about, watch, _pace(run), first)
    pace = follower.pace
    shown = Progress(enabled=watch.progress_shown, total=total, left=lambda: pace.left, interval=PLAIN_INTERVAL)
    with _interrupt_told(run, watch), closing(run.steps()) as steps, watch.showing(shown):
        for step in steps:
            follower.tell_epoch()
            is_time = pace.step(step.epoch, step.step - 1)
            shown.advance(pictures=step.pictures + len(step.unreadable))
            for one in step.unreadable:
                if one.path not in unreadable:
                    watch.say(f"{one.path}: {one.message}")
                unreadable.add(one.path)
            if is_time and pace.whole is not None:
                watch.say(expected_line(run, first, pace.whole, at_least=pace.at_least))
        follower.tell_epoch()
    return not run.trainer.unreadable


@dataclass(slots=True)
class _Follower:
    """Tells of each epoch once, when it is on disk."""

    run: "TrainingRun"
    about: About
    watch: Stderr
    pace: Pace
    told: int  # epochs
    alarmed: bool = False

    def tell_epoch(self) -> None:
        """If there is a new one, draw the curve so far, and say how it went; once, if it went badly."""
        if self.run.epochs_done == self.told:
            return
        self.told = self.run.epochs_done
        self.pace.measured()
        write_training(self.run, self.about)
        self.watch.say(epoch_line(self.run, self.run.history[-1]))
        if not self.alarmed and (line := alarm(self.run)):
            self.alarmed = True
            self.watch.alarm(line)


def _pace(run: "TrainingRun") -> Pace:
    recipe, trainer = run.recipe, run.trainer
    sizes = [trainer.size_in(epoch) for epoch in range(recipe.epochs)]
    held_out = 0 if run.held_out is None else len(run.held_out.items)
    work = Work(sizes, trainer.steps_per_epoch, len(trainer.data.items), held_out, recipe.head_epochs)
    return Pace(work, epochs_done=run.epochs_done)


@contextmanager
def _interrupt_told(run: "TrainingRun", watch: Stderr) -> Iterator[None]:
    """Say after Ctrl-C or SIGTERM what is there, and how to go on."""
    try:
        with sigterm_raised():
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
