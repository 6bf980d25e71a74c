"""The Typer app: all subcommands under one name. A run imports its own alone."""

import functools
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from vithybrid_cli import __version__
from vithybrid_cli.commands.collector import rest
from vithybrid_cli.commands.guard import EXIT_USAGE, guarded
from vithybrid_cli.output.destination import DISK_ERRORS, discard_stdout, unwritable

_GROUPS = ("job",)
COMMANDS = (
    *("classify", "embed", "report", "explain", "tag", "sort", "undo", "evaluate", "train", "download", "models"),
    *("info", "convert", "bench", *_GROUPS),
)  # modules of this room, each with a function or, for a group, an app of that name, in the order of the help


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"vithybrid {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Label pictures with a Hybrid Vision Transformer."""


def _app_of(names: Iterable[str]) -> typer.Typer:
    """The app with these of the `COMMANDS`."""
    found = typer.Typer(
        name="vithybrid",
        help="Label pictures with a Hybrid Vision Transformer.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    found.callback()(_root)
    for name in names:
        module = import_module(f"vithybrid_cli.commands.{name}")
        if name in _GROUPS:
            found.add_typer(module.app)
        else:
            found.command()(guarded(getattr(module, name)))
    return found


@functools.cache
def _whole_app() -> typer.Typer:
    return _app_of(COMMANDS)


def __getattr__(name: str) -> Any:
    if name == "app":  # with all commands
        return _whole_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _app_for(arguments: Sequence[str]) -> typer.Typer:
    """The app as far as these arguments need it: help and what is no command need all of it."""
    first = next(iter(arguments), "")
    if first in ("--version", "-V"):
        return _app_of(())
    return _app_of((first,)) if first in COMMANDS else _whole_app()


def main() -> None:
    """Run the app on the program's arguments."""
    _stand_in_for_closed_streams()
    # Pillow warns of odd metadata in pictures that it reads well; on stderr that would look like a failure.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment] # OpenVINO would import it, and we never use it
    rest()
    try:
        _app_for(sys.argv[1:])()
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
