"""``vithybrid info``: what a checkpoint is, without loading its weights."""

from typing import Annotated

import typer

from vithybrid_cli.checkpoints.catalog import DEFAULT_MODEL


def info(model: Annotated[str, typer.Argument(help="An alias, hub id or folder.")] = DEFAULT_MODEL) -> None:
    """Show a checkpoint.

    Example: vithybrid info tiny
    """
