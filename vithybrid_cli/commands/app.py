"""The Typer app: all subcommands under one name."""

import os
import sys
import warnings
from typing import Annotated

import typer

from vithybrid_cli import __version__
from vithybrid_cli.commands.bench import bench
from vithybrid_cli.commands.classify import classify
from vithybrid_cli.commands.convert import convert
from vithybrid_cli.commands.download import download
from vithybrid_cli.commands.embed import embed
from vithybrid_cli.commands.evaluate import evaluate
from vithybrid_cli.commands.explain import explain
from vithybrid_cli.commands.guard import EXIT_USAGE, guarded
from vithybrid_cli.commands.info import info
from vithybrid_cli.commands.job import app as job
from vithybrid_cli.commands.models import models
from vithybrid_cli.commands.report import report
from vithybrid_cli.commands.sort import sort
from vithybrid_cli.commands.tag import tag
from vithybrid_cli.commands.train import train
from vithybrid_cli.commands.undo import undo
from vithybrid_cli.output.destination import DISK_ERRORS, discard_stdout, unwritable

app = typer.Typer(
    name="vithybrid",
    help="Label pictures with a Hybrid Vision Transformer.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for command in (
    classify,
    embed,
    report,
    explain,
    tag,
    sort,
    undo,
    evaluate,
    train,
    download,
    models,
    info,
    convert,
    bench,
):
    app.command()(guarded(command))
app.add_typer(job)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"vithybrid {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Label pictures with a Hybrid Vision Transformer."""


def main() -> None:
    """Run the app on the program's arguments."""
    _stand_in_for_closed_streams()
    # Pillow warns of odd metadata in pictures that it reads well; on stderr that would look like a failure.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        app()
    except OSError as error:  # of help or a version, which typer writes; commands have their own way
        if error.errno not in DISK_ERRORS:
            raise
        discard_stdout()
        typer.echo(f"vithybrid: {unwritable(None, error, 'Make room there.')}", err=True)
        sys.exit(EXIT_USAGE)


def _stand_in_for_closed_streams() -> None:
    """Where stderr is closed, what is said goes nowhere; and no file that is opened later takes a closed one's place.

    Stdin and stdout stay None where they are closed: who needs them says so.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (last := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest number that is free
        pass
    os.close(last)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 (open until the end)
