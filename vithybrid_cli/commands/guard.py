"""Errors of a command become one line on stderr and an exit code, here and nowhere else."""

import errno
import functools
import os
from collections.abc import Callable
from typing import ParamSpec

import typer

from vithybrid_cli.errors import ModelError, VitHybridError, options_spelt
from vithybrid_cli.errors import as_flag as as_flag
from vithybrid_cli.output import visible
from vithybrid_cli.output.destination import discard_stdout
from vithybrid_cli.runs.interrupts import Interrupted

EXIT_SOME_FAILED, EXIT_USAGE, EXIT_MODEL, EXIT_INTERRUPTED = 1, 2, 3, 130

_SHOWN = 40  # characters of a name that is too long

P = ParamSpec("P")


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """The command with its documented exit codes: 2 wrong usage, 3 no model, 130 interrupted; 0 for a closed pipe.

    A command that another signal than Ctrl-C's has stopped exits with 128 plus the number of the signal.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with options_spelt(as_flag):
                _run(lambda: command(*args, **kwargs))
        except Interrupted as interrupt:
            raise typer.Exit(interrupt.exit_code) from interrupt
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from interrupt
        except BrokenPipeError:
            # The reader (`| head`) has what it wanted; what is still buffered has nowhere to go.
            discard_stdout()

    return run


def _run(command: Callable[[], None]) -> None:
    try:
        command()
    except VitHybridError as error:
        typer.echo(f"vithybrid: {visible(str(error))}", err=True)
        raise typer.Exit(EXIT_MODEL if isinstance(error, ModelError) else EXIT_USAGE) from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        name = visible(os.path.basename(os.fsdecode(error.filename or "")))[:_SHOWN]  # noqa: PTH119 (may be bytes)
        typer.echo(f"vithybrid: The name {name}… is too long for a file. Give a shorter one.", err=True)
        raise typer.Exit(EXIT_USAGE) from error
