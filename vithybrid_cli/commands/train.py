"""``vithybrid train``: labelled pictures become a checkpoint."""

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vithybrid_cli.choices import Freeze, RecipeName
from vithybrid_cli.commands import options
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.numbers import rate, share
from vithybrid_cli.commands.train_loop import train_to_the_end
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.errors import UsageError
from vithybrid_cli.evaluation.figures import CONFUSIONS, Metrics
from vithybrid_cli.evaluation.rows import write_metrics
from vithybrid_cli.hub.catalog import BUILT_IN
from vithybrid_cli.output import default_format
from vithybrid_cli.output.destination import opened
from vithybrid_cli.runs.measure import measure
from vithybrid_cli.runs.model import located
from vithybrid_cli.runs.training.compared import compare
from vithybrid_cli.runs.training.held_out import HeldOut
from vithybrid_cli.runs.training.start import (
    has_begun,
    measured_between,
    pictures_for,
    require_new,
    starting_point,
)
from vithybrid_cli.runs.training.told import About, at_the_end
from vithybrid_cli.runs.training.written import write_training
from vithybrid_cli.settings import DEFAULT_MAX_PIXELS, Decoding, Reading, Running
from vithybrid_cli.sources.labelled import Labelled
from vithybrid_cli.sources.labelled.inputs import open_labelled


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
            parser=share,
            help="Hold out this share of the pictures of each label, as 0.1 (from 0.001 to 0.9). They choose the epoch "
            "that is kept, and fit the scores to how often they are right.",
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
        typer.Option(
            "--lr", parser=rate, metavar="RATE", help="The highest learning rate.", show_default="the recipe's"
        ),
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
    no_flip: Annotated[
        bool, typer.Option("--no-flip", help="Mirror no pictures: writing and signs would mean something else.")
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
    max_pixels: options.MaxPixels = DEFAULT_MAX_PIXELS,
    allow_truncated: options.AllowTruncated = False,
    revision: options.Revision = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Train on labelled pictures, from random weights or from a checkpoint.

    The folders' names become the labels, or what an archive or a table says of its pictures.

    With --model, labels that the model knows by name begin with what it has learnt of them.

    The checkpoint is written in the layout of transformers, with its curve and figures (training.svg, training.json).

    The last epoch is kept, or with --val-split the best one on the pictures that it holds out.

    Since these choose, new pictures do a little worse; add --held-out, whose pictures choose nothing, for a test.

    stdout gets the figures of --held-out, else of --val-split, in evaluate's form: a table on a terminal, else JSON.

    Without either of them nothing is measured, and stdout stays empty; what is known is in training.json.

    Examples:

      vithybrid train photos -o runs/mine -m base-384 --val-split 0.1

      vithybrid train photos/train -o runs/mine -m tiny --held-out photos/test

      vithybrid train photos/train -o runs/mine -c tiny --val-split 0.1 --held-out photos/test --resume

      vithybrid train photos -o runs/mine -m base-384 --freeze encoder --class-weights --val-split 0.2
    """
    from vithybrid_cli.cores import available_cores
    from vithybrid_cli.engines.torch_devices import choose_device, torch_dtype
    from vithybrid_cli.training.data import read_labelled
    from vithybrid_cli.training.labels import OfLabels
    from vithybrid_cli.training.recipe import recipe_for
    from vithybrid_cli.training.run import TrainingRun

    if config is not None and model is not None:
        raise UsageError("Training starts from random weights or from a model.", "Give {config} or {model}, not both.")
    require_new(output, folder, resume=resume)
    what = Reading(column=column, decoding=Decoding(max_pixels=max_pixels, allow_truncated=allow_truncated))
    read = partial(read_labelled, what=what, label_column=label_column, offline=offline)
    data, chooser, test = pictures_for(folder, held_out, val_split, seed, read)
    name = recipe_name or (RecipeName.SCRATCH if model is None else RecipeName.FINETUNE)
    with Stderr(quiet=quiet, no_progress=no_progress) as watch:
        how = Running(model=model or config or BUILT_IN, revision=revision, offline=offline)
        start = starting_point(located(how, watch), with_weights=model is not None)
        recipe = recipe_for(
            name,
            len(data.items),
            start.config.encoder.hidden_size,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            freeze=freeze,
            class_weights=class_weights,
            flips=not no_flip,
            seed=seed,
        )
        run = TrainingRun(
            start,
            data,
            recipe,
            output,
            device=choose_device(device),
            held_out=measured_between(chooser, test),
            choosing=chooser is not None,
            dtype=torch_dtype(weights_dtype),
            workers=workers or available_cores(),
        )
        if resume and has_begun(output):
            run.resume()
        copies, overlap = compare(data, chooser, test, same_place=held_out == folder)
        about = About(name, how.model, chooser, test, held_out, overlap, sized=batch_size is not None, copies=copies)
        known = set(run.trainer.unreadable)  # of a run that goes on, and told by that which was before
        all_read = train_to_the_end(run, about, watch)
        told = run.trainer.unreadable.keys() - known
        measured: Labelled | None = None
        if held_out is not None:
            source = open_labelled([held_out], what, label_column, offline=offline)
            measured = OfLabels(source, data.labels, None if test is None else len(test.targets))
        elif chooser is not None:
            measured = HeldOut(chooser, f"the held-out pictures of {folder}")
        report = None if measured is None else _report(output, measured, device, what, watch, told)
        write_training(run, about, report)
        for line in at_the_end(run, about, report):
            watch.say(line)
    if not all_read or (report is not None and report.unreadable):
        raise typer.Exit(EXIT_SOME_FAILED)


def _report(
    output: Path, held_out: Labelled, device: str, what: Reading, watch: Stderr, told: Collection[str]
) -> Metrics:
    """Print how good the written checkpoint is on the held-out pictures; the figures with all confusions.

    Of those that cannot be read the ones ``told`` are not told again.
    """
    from vithybrid_cli.pipeline.classifier import Classifier

    classifier = Classifier.from_pretrained(output.absolute(), device=device)
    labels = {label: index for index, label in enumerate(classifier.labels)}
    report = measure(classifier, held_out, labels, what, watch, all_confusions=True, told=told)
    with opened(None, remedy="make room there") as stream:
        write_metrics(default_format(stream), stream, report.with_confusions(CONFUSIONS))
    return report
