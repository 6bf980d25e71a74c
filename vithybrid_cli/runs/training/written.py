"""What a training run writes beside its checkpoint: a curve for people, and its figures for programs.

Both are made of what decides the run and what it found out, and of no time or clock: the same bytes after a break.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vithybrid_cli.atomic import write_text
from vithybrid_cli.errors import UsageError
from vithybrid_cli.evaluation.figures import Metrics
from vithybrid_cli.evaluation.intervals import wilson
from vithybrid_cli.output.json_records import to_json
from vithybrid_cli.runs.training.told import CURVE, FIGURES, About
from vithybrid_cli.runs.training.unreadable import unreadable_pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vithybrid_cli.report.training_curve import Point
    from vithybrid_cli.training.data import LabelledPictures
    from vithybrid_cli.training.run import Epoch, TrainingRun


def write_training(run: "TrainingRun", about: About, measured: Metrics | None = None) -> None:
    """Write ``training.svg`` and ``training.json`` into the run's folder, each whole. Raises UsageError.

    ``measured`` is how good the written checkpoint is, once that is known.
    """
    from vithybrid_cli.report.training_curve import training_curve

    kept = None if run.kept is None else run.kept.number
    points = [_point(one) for one in run.history]
    title, measured_on = f"Training of {run.out.resolve().name}", "held-out" if run.choosing else "test"
    _write(run.out / CURVE, training_curve(points, run.recipe.epochs, kept, title, measured_on))
    _write(run.out / FIGURES, to_json(training_record(run, about, measured), indent=2) + "\n")


def _write(file: Path, text: str) -> None:
    try:
        write_text(file, text)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written ({error.strerror or error}).", "Make room, and go on with {resume}."
        ) from error


def training_record(run: "TrainingRun", about: About, measured: Metrics | None) -> dict[str, Any]:
    """All of it as plain values: how it was trained, on what, how each epoch went, which is kept and how good that is.

    Counts are of pictures that could be read; the others are listed. ``chosen_by`` says which pictures decided which
    epoch is kept: those "held_out", on which the accuracy is no test then, or none, and it is the last. ``measured_on``
    says which those are that the figures of each epoch are of.
    """
    labels, unreadable = run.trainer.data.labels, unreadable_pictures(run, measured)
    counts = {name: part.without(unreadable).counts for name, part in _parts(run, about)}
    return {
        "recipe": {"name": about.recipe, **asdict(run.recipe)},
        "start": {"model": about.model, "weights": "random" if run.head is None else "model"},
        "chosen_by": "held_out" if run.choosing else None,
        "measured_on": None if run.held_out is None else "held_out" if run.choosing else "test",
        "test_overlap": None if about.test is None else asdict(about.overlap),
        "labels": [
            {"label": label} | {name: count[number] for name, count in counts.items()}
            for number, label in enumerate(labels)
        ],
        "epochs": [_epoch(one) for one in run.history],
        "unreadable": [one.record() for one in unreadable.values()],
        "kept": None if run.kept is None else run.kept.number,
        "held_out": None if about.chooser is None else [item.name for item in about.chooser.items],
        "measured": None if measured is None else measured.record(),
    }


def _parts(run: "TrainingRun", about: About) -> "Iterator[tuple[str, LabelledPictures]]":
    """The pictures by what they are for."""
    for name, part in (("trained_on", run.trainer.data), ("held_out", about.chooser), ("test", about.test)):
        if part is not None:
            yield name, part.with_indices_of(run.trainer.data.labels)


def _epoch(one: "Epoch") -> dict[str, Any]:
    record: dict[str, Any] = {"epoch": one.number, "loss": round(one.loss, 6)}
    if one.correct is None or not one.pictures:
        return record
    accuracy = round(one.correct / one.pictures, 6)
    right = {"correct": one.correct, "pictures": one.pictures, "accuracy": accuracy}
    return record | right | {"temperature": round(one.temperature, 6)}


def _point(one: "Epoch") -> "Point":
    from vithybrid_cli.report.training_curve import Point

    if one.correct is None or not one.pictures:
        return Point(one.number, one.loss)
    return Point(one.number, one.loss, one.correct / one.pictures, wilson(one.correct, one.pictures))
