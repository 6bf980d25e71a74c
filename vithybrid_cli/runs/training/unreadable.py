"""The pictures that a training run could not read: which, of which part, and whether a label has no others."""

from typing import TYPE_CHECKING

from vithybrid_cli.errors import counted, listed
from vithybrid_cli.evaluation.figures import Metrics, Unreadable

if TYPE_CHECKING:
    from vithybrid_cli.training.data import LabelledPictures
    from vithybrid_cli.training.run import TrainingRun

_NAMED = 5  # labels


def unreadable_pictures(run: "TrainingRun", measured: Metrics | None) -> dict[str, Unreadable]:
    """By path, in the order in which they were met: in training, and in the last measurement."""
    return run.trainer.unreadable | {one.path: one for one in (measured.unreadable if measured else ())}


def unreadable_line(run: "TrainingRun", chooser: "LabelledPictures | None", measured: Metrics | None) -> str | None:
    """How many there are of what part, in words; None for none. What else was measured is the test."""
    unreadable = unreadable_pictures(run, measured)
    if not unreadable:
        return None
    data, rest, said = run.trainer.data, len(unreadable), []
    for part, what in ((data, "to train on"), (chooser, "held out")):
        if part is not None and (count := sum(item.name in unreadable for item in part.items)):
            said.append(f"{count:,} of {counted(len(part.items), 'picture')} {what}")
            rest -= count
    if rest:
        said.append(f"{counted(rest, 'picture')} of the test")
    line = f"{', and '.join(said)} could not be read, and count for nothing"
    left = data.without(unreadable).counts
    if lost := [label for label, count in zip(data.labels, left, strict=True) if not count]:
        line += f"; none of {listed(lost, _NAMED)} could be, so {'it is' if len(lost) == 1 else 'they are'} not learnt"
    return line
