"""``vithybrid train``: a folder of labelled pictures becomes a checkpoint."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vithybrid_cli.checkpoints.catalog import BUILT_IN
from vithybrid_cli.classifier import Classifier, available_cores
from vithybrid_cli.commands import options
from vithybrid_cli.commands.download import fetch_progress
from vithybrid_cli.commands.evaluate import measure
from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.labelled import label_folders
from vithybrid_cli.output import default_format, write_report

if TYPE_CHECKING:
    from vithybrid_cli.training.run import Run, Start


def train(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with one folder of pictures per label.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write the checkpoint to.")],
    held_out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Labelled pictures to measure the result on.", show_default=False)
    ] = None,
    config: Annotated[
        str, typer.Option("--config", "-c", help="Start with random weights from this model's config.")
    ] = BUILT_IN,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Start from this checkpoint's weights instead.", show_default=False),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="How often each picture is seen.")] = 30,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Pictures in a step.")] = 128,
    learning_rate: Annotated[float, typer.Option("--lr", min=0, help="The highest learning rate.")] = 1e-3,
    weight_decay: Annotated[float, typer.Option(min=0, help="AdamW's decay of matrices.")] = 0.05,
    warmup_epochs: Annotated[float, typer.Option(min=0, help="Epochs until the highest rate is reached.")] = 0.5,
    label_smoothing: Annotated[float, typer.Option(min=0, max=1, help="Taken from the true label.")] = 0.1,
    min_area: Annotated[float, typer.Option(min=0.01, max=1, help="Smallest random crop, as a part of it.")] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order, crops and flips.")] = 0,
    weights_dtype: Annotated[options.Dtype, typer.Option(help="How the weights are stored.")] = options.Dtype.FLOAT32,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the output folder.")] = False,
    device: options.Device = "auto",
    workers: options.Workers = None,
    revision: options.Revision = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Train on labelled pictures, from random weights or from a checkpoint.

    The folder's names become the labels. The checkpoint is written after every epoch, in the layout of transformers.

    Examples:

      vithybrid train photos/train -o runs/mine --held-out photos/test

      vithybrid train photos/train -o runs/mine -m google/vit-hybrid-base-bit-384 --epochs 3 --lr 2e-5 -b 16
    """
    from vithybrid_cli.engines.torch_engine import choose_device, torch_dtype
    from vithybrid_cli.training.data import read_folder
    from vithybrid_cli.training.run import Run
    from vithybrid_cli.training.trainer import Recipe

    data = read_folder(folder)
    _check_held_out(held_out, data.labels)
    if not resume and (output / "config.json").exists():
        raise UsageError(f"{output} holds a checkpoint already. Give --resume to continue it, or another --output.")
    recipe = Recipe(
        epochs=epochs,
        batch_size=min(batch_size, len(data.paths)),
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        warmup_epochs=min(warmup_epochs, epochs / 2),
        label_smoothing=label_smoothing,
        min_area=min_area,
        seed=seed,
    )
    start = _start(model, config, revision=revision, offline=offline, quiet=quiet or no_progress)
    run = Run(
        start,
        data,
        recipe,
        output,
        device=choose_device(device),
        dtype=torch_dtype(weights_dtype),
        workers=workers or available_cores(),
    )
    if resume:
        run.resume()
    _train(run, quiet=quiet, no_progress=no_progress)
    if held_out is not None:
        _evaluate(output, held_out, device, quiet=quiet or no_progress)


def _check_held_out(held_out: Path | None, labels: tuple[str, ...]) -> None:
    if held_out is None:
        return
    if unknown := [name for name in label_folders(held_out) if name not in labels]:
        raise UsageError(f"{held_out}: {', '.join(unknown)} is no label of the training folder.")


def _start(model: str | None, config: str, *, revision: str | None, offline: bool, quiet: bool) -> "Start":
    from vithybrid_cli.checkpoints.folder import CheckpointFolder
    from vithybrid_cli.checkpoints.hub import locate
    from vithybrid_cli.training.run import Start

    with fetch_progress(shown=not quiet) as progress:
        folder = locate(model or config, revision=revision, offline=offline, progress=progress)
    return Start(CheckpointFolder.read(folder), with_weights=model is not None)


def _train(run: "Run", *, quiet: bool, no_progress: bool) -> None:
    """Train to the end, with a line for each epoch and the progress within it on stderr."""
    unreadable: set[str] = set()
    first = run.epochs_done
    total = (run.recipe.epochs - first) * run.trainer.steps_per_epoch * run.recipe.batch_size
    progress = Progress(enabled=not (quiet or no_progress), count=lambda: total)
    with progress:
        for step in run.steps():
            progress.advance(pictures=step.pictures)
            for path in set(step.unreadable) - unreadable:
                progress.report(f"{path}: left out, since it cannot be read")
            unreadable.update(step.unreadable)
            if step.step == step.steps and not quiet:
                progress.report(f"epoch {step.epoch + 1} of {run.recipe.epochs}: loss {step.loss:.4f}")


def _evaluate(output: Path, held_out: Path, device: str, *, quiet: bool) -> None:
    """Print how good the written checkpoint is on the held-out pictures."""
    classifier = Classifier.from_pretrained(output, device=device)
    labels = {name: classifier.labels.index(name) for name in label_folders(held_out)}
    report = measure(classifier, held_out, labels, Progress(enabled=not quiet))
    write_report(default_format(sys.stdout), sys.stdout, report)
