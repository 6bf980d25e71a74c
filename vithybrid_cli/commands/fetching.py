"""The download of a model is shown on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from vithybrid_cli.hub.locate import FetchProgress
from vithybrid_cli.output import visible


@contextmanager
def fetch_progress(*, shown: bool) -> Iterator[FetchProgress | None]:
    """Yield a callback that shows a download on stderr: bars on a terminal, a line for each file elsewhere."""
    if not shown:
        yield None
    elif sys.stderr.isatty():
        with _bars() as progress:
            yield progress
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator[FetchProgress]:
    """Draw a bar for each file that is fetched; nothing appears for a model that is already here."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(visible(file), total=total)
            bars.update(tasks[file], completed=done, total=total)

        yield show


def _lines() -> FetchProgress:
    """Say once for each file that it is being fetched, and how large it is."""
    from rich.filesize import decimal

    begun: set[str] = set()

    def show(file: str, done: int, total: int | None) -> None:
        if file not in begun:
            begun.add(file)
            size = "" if total is None else f" ({decimal(total)})"
            typer.echo(f"fetching {visible(file)}{size}", err=True)

    return show
