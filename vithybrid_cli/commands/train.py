"""``vithybrid train``: labelled pictures become a checkpoint."""

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vithybrid_cli.choices import Freeze, RecipeName
from vithybrid_cli.commands import options
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.errors import UsageError, option
from vithybrid_cli.evaluation.figures import CONFUSIONS, Metrics
from vithybrid_cli.evaluation.rows import write_metrics
from vithybrid_cli.hub.catalog import BUILT_IN
from vithybrid_cli.output import default_format
from vithybrid_cli.output.destination import opened
from vithybrid_cli.runs.held_out import HeldOut
from vithybrid_cli.runs.measure import measure
from vithybrid_cli.runs.model import located
from vithybrid_cli.runs.training_pace import Pace, work_of
from vithybrid_cli.runs.training_told import About, at_the_end, before, epoch_line, expected_line
from vithybrid_cli.runs.training_written import write_training
from vithybrid_cli.settings import Reading, Running
from vithybrid_cli.sources.labelled import Labelled
from vithybrid_cli.sources.labelled.inputs import open_labelled

if TYPE_CHECKING:
    from vithybrid_cli.training.data import LabelledPictures
    from vithybrid_cli.training.run import StartingPoint, TrainingRun

_PLAIN_INTERVAL = 60.0  # seconds between plain lines of progress, in a log of hours


def train(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A folder with one folder of pictures per label, or an archive or table of labelled pictures.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write the checkpoint to.")],
    held_out: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="Labelled pictures to measure it on. They choose nothing, so the figures are those of a test.",
            show_default=False,
        ),
    ] = None,
    val_split: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0.001,
            max=0.9,
            help="Hold out this share of the pictures of each label, as 0.1. They choose the epoch that is kept, and "
            "fit the scores to how often they are right.",
            show_default=False,
        ),
    ] = None,
    column: options.Column = None,
    label_column: options.LabelColumn = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            "-c",
            help="Start from random weights, with the config of this model or this config.json.",
            show_default=BUILT_IN,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Start from this checkpoint's weights instead.", show_default=False),
    ] = None,
    recipe_name: Annotated[
        RecipeName | None,
        typer.Option(
            "--recipe",
            help="scratch is made for random weights: many epochs of pictures that are varied strongly. finetune is "
            "made for weights that have learnt: few epochs at low rates, most of it near the head.",
            show_default="finetune with --model, else scratch",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Passes over all pictures.", show_default="the recipe's")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", "-b", min=1, metavar="N", help="Pictures per step.", show_default="the recipe's"),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--lr", min=0, metavar="RATE", help="The highest learning rate.", show_default="the recipe's"),
    ] = None,
    freeze: Annotated[
        Freeze | None,
        typer.Option(
            help="Keep the weights of a hybrid's backbone, or of all but the head (encoder), as --model has them.",
            show_default=False,
        ),
    ] = None,
    class_weights: Annotated[
        bool, typer.Option("--class-weights", help="Let rare labels count as much as frequent ones.")
    ] = False,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**32 - 1,
            metavar="N",
            help="Seed of weights, of the order and variation of pictures, and of what --val-split holds out.",
        ),
    ] = 0,
    weights_dtype: Annotated[
        options.WeightsDtype, typer.Option(help="Number format of the stored weights.")
    ] = options.WeightsDtype.FLOAT32,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the folder, or start it.")] = False,
    device: options.Device = "auto",
    workers: options.Workers = None,
    revision: options.Revision = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Train on labelled pictures, from random weights or from a checkpoint.

    The folders' names become the labels, or what an archive or a table says of its pictures.

    With --model, labels that the model knows by name begin with what it has learnt of them.

    The checkpoint is written in the layout of transformers, with a curve (training.svg) and its figures (training.json).

    The last epoch is kept, or with --val-split the best one on the pictures that it holds out.

    Since these choose, new pictures do a little worse; add --held-out, whose pictures choose nothing, for a test.

    Examples:

      vithybrid train photos -o runs/mine -m base-384 --val-split 0.1

      vithybrid train photos/train -o runs/mine -m tiny --held-out photos/test

      vithybrid train photos/train -o runs/mine -c tiny --val-split 0.1 --held-out photos/test --resume

      vithybrid train photos -o runs/mine -m base-384 --freeze encoder --class-weights --val-split 0.2
    """
    from vithybrid_cli.cores import available_cores
    from vithybrid_cli.engines.torch_devices import choose_device, torch_dtype
    from vithybrid_cli.training.recipe import recipe_for
    from vithybrid_cli.training.run import TrainingRun

    if config is not None and model is not None:
        raise UsageError("Training starts from random weights or from a model.", "Give {config} or {model}, not both.")
    _require_numbers(learning_rate, val_split)
    _check_output(output, folder, resume=resume)
    what = Reading(column=column)
    data, chooser, test = _pictures(folder, held_out, val_split, seed, what, label_column, offline=offline)
    name = recipe_name or (RecipeName.SCRATCH if model is None else RecipeName.FINETUNE)
    recipe = recipe_for(
        name,
        len(data.items),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        freeze=freeze,
        class_weights=class_weights,
        seed=seed,
    )
    with Stderr(quiet=quiet, no_progress=no_progress) as watch:
        how = Running(model=model or config or BUILT_IN, revision=revision, offline=offline)
        start = _start(located(how, watch), with_weights=model is not None)
        _require_freezable(start, freeze, how.model)
        run = TrainingRun(
            start,
            data,
            recipe,
            output,
            device=choose_device(device),
            held_out=test if chooser is None else chooser,
            choosing=chooser is not None,
            dtype=torch_dtype(weights_dtype),
            workers=workers or available_cores(),
        )
        sized = epochs is not None or batch_size is not None
        about = About(name, how.model, split=val_split, test=held_out, sized=sized)
        if resume and _has_begun(output):
            run.resume()
        if run.epochs_done == recipe.epochs:
            watch.say(f"nothing left to train: {output} is trained for {_epochs(recipe.epochs)}")
        else:
            for line in before(run, about):
                watch.say(line)
        all_read = _train(run, about, watch)
        report = None
        if held_out is not None:
            source = open_labelled([held_out], what, label_column, offline=offline)
            report = _measured(output, source, device, watch)
        elif chooser is not None:
            report = _measured(output, HeldOut(chooser, f"the held-out pictures of {folder}"), device, watch)
        write_training(run, about, report)
        _tell_the_end(run, about, report, watch)
    if not all_read or (report is not None and report.unreadable):
        raise typer.Exit(EXIT_SOME_FAILED)


def _require_numbers(*values: float | None) -> None:
    """Raise for what the ranges of options let through."""
    if any(value is not None and not math.isfinite(value) for value in values):
        raise typer.BadParameter("A number is needed, which nan and inf are not.")


def _pictures(
    folder: str,
    held_out: str | None,
    val_split: float | None,
    seed: int,
    what: Reading,
    label_column: str | None,
    *,
    offline: bool,
) -> tuple["LabelledPictures", "LabelledPictures | None", "LabelledPictures | None"]:
    """The pictures to train on, those that are split from them to choose the epoch, and those to measure it on.

    What is wrong with any of them shows here, and not after hours.
    """
    from vithybrid_cli.training.data import read_labelled

    read = partial(read_labelled, what=what, label_column=label_column, offline=offline)
    data = read(folder)
    test = None if held_out is None else read(held_out, data.labels)
    if val_split is None:
        return data, None, test
    data, chooser = data.split(val_split, seed)
    if not chooser.items:
        raise UsageError(
            f"{folder} has one picture of each label, so none can be held out.",
            "Add pictures, or leave out {val_split}.",
        )
    return data, chooser, test


def _require_freezable(start: "StartingPoint", freeze: Freeze | None, model: str) -> None:
    """Raise UsageError where what is to keep its weights has learnt nothing, or is not there."""
    if freeze is None:
        return
    if not start.with_weights:
        raise UsageError(
            f"{model} gives its architecture alone, and random weights would be kept as they are.",
            "Leave out {freeze}, or give trained weights with {model}.",
        )
    if freeze is Freeze.BACKBONE and getattr(start.config, "backbone", None) is None:
        raise UsageError(
            f"{model} is no hybrid, and has no backbone to keep.",
            "Leave out {freeze}, or give {freeze=encoder} to train the head alone.",
        )


def _has_begun(output: Path) -> bool:
    """Whether a run has written anything there: one that was killed before has left nothing to resume."""
    from vithybrid_cli.hub.files import CONFIG
    from vithybrid_cli.training.state import STATE

    return (output / STATE).exists() or (output / CONFIG).exists()


def _check_output(output: Path, folder: str, *, resume: bool) -> None:
    """Raise UsageError rather than write over a checkpoint, or among the pictures of ``folder``."""
    from vithybrid_cli.hub.files import CONFIG
    from vithybrid_cli.training.state import STATE

    if output.resolve().is_relative_to(Path(folder).resolve()):
        cause = f"{output} is within {folder}, where each folder is a label."
        raise UsageError(cause, "Give an {output} outside of it.")
    try:
        if resume or not (output / CONFIG).exists():
            return
    except OSError as error:
        raise UsageError(f"{output} cannot be read: {error.strerror}.", "Give another {output}.") from error
    remedy = "Give {resume} to continue it, or another" if (output / STATE).exists() else "Give another"
    raise UsageError(f"{output} holds a checkpoint already.", f"{remedy} {{output}}.")


def _start(path: Path, *, with_weights: bool) -> "StartingPoint":
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.hub.files import CONFIG, WEIGHTS_SUFFIXES
    from vithybrid_cli.training.run import StartingPoint

    if path.is_file() and path.suffix not in WEIGHTS_SUFFIXES:
        if with_weights or path.name != CONFIG:
            raise UsageError(f"{path} is a file.", f"Give a checkpoint, or its {CONFIG} to {{config}}.")
        path = path.parent
    return StartingPoint(Checkpoint.read(path), with_weights=with_weights)


def _train(run: "TrainingRun", about: About, watch: Stderr) -> bool:
    """Train to the end, with a line for each epoch and the progress within it; whether all pictures could be read."""
    unreadable: set[str] = set()
    trainer, first = run.trainer, run.epochs_done
    total = (run.recipe.epochs - first) * trainer.steps_per_epoch * run.recipe.batch_size
    pace = _pace(run)
    shown = Progress(enabled=watch.progress_shown, total=total, left=lambda: pace.left, interval=_PLAIN_INTERVAL)
    told = first
    with _interrupt_told(run, watch), closing(run.steps()) as steps, watch.showing(shown):
        for step in steps:
            if run.epochs_done > told:
                told = _tell_epoch(run, about, pace, watch)
            is_time = pace.step(step.epoch)
            shown.advance(pictures=step.pictures + len(step.unreadable))
            for path in step.unreadable:
                if path not in unreadable:
                    watch.say(f"{path}: left out, since it cannot be read")
            unreadable.update(step.unreadable)
            if is_time and pace.whole is not None:
                watch.say(expected_line(run, first, pace.whole))
        if run.epochs_done > told:
            _tell_epoch(run, about, pace, watch)
    return not unreadable


def _pace(run: "TrainingRun") -> Pace:
    trainer, epochs = run.trainer, run.recipe.epochs
    sizes = [trainer.size_in(epoch) for epoch in range(epochs)]
    held_out = 0 if run.held_out is None else len(run.held_out.items)
    pictures = trainer.steps_per_epoch * run.recipe.batch_size
    return Pace(work_of(sizes, pictures, held_out), trainer.steps_per_epoch, epochs_done=run.epochs_done)


def _tell_epoch(run: "TrainingRun", about: About, pace: Pace, watch: Stderr) -> int:
    """An epoch is on disk: draw the curve so far, and say how it went. How many epochs are done."""
    pace.measured(run.epochs_done - 1)
    write_training(run, about)
    watch.say(epoch_line(run, run.history[-1]))
    return run.epochs_done


@contextmanager
def _interrupt_told(run: "TrainingRun", watch: Stderr) -> Iterator[None]:
    """Say after an interrupt what is there, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        done = f"{run.epochs_done} of {_epochs(run.recipe.epochs)}"
        goes_on = f"{option('resume')} goes on from there"
        watch.say(
            f"interrupted after {done}, which are in {run.out}; {goes_on}"
            if run.epochs_done
            else f"interrupted within the first epoch, so nothing is written; {option('resume')} begins anew"
        )
        raise


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count:,} epochs"


def _measured(output: Path, held_out: Labelled, device: str, watch: Stderr) -> Metrics:
    """Print how good the written checkpoint is on the held-out pictures; the figures with all confusions."""
    from vithybrid_cli.pipeline.classifier import Classifier

    classifier = Classifier.from_pretrained(output, device=device)
    labels = {label: index for index, label in enumerate(classifier.labels)}
    report = measure(classifier, held_out, labels, Reading(), watch, all_confusions=True)
    with opened(None, remedy="make room there") as stream:
        write_metrics(default_format(stream), stream, report.with_confusions(CONFUSIONS))
    return report


def _tell_the_end(run: "TrainingRun", about: About, report: Metrics | None, watch: Stderr) -> None:
    for line in at_the_end(run, about, report, run.out):
        watch.say(line)
