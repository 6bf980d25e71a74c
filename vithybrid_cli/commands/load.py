"""A model by the name that a user gave, fetched where needed, ready to classify."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from vithybrid_cli.checkpoints.hub import locate
from vithybrid_cli.commands.fetching import fetch_progress
from vithybrid_cli.output import visible

if TYPE_CHECKING:
    from vithybrid_cli.classifier import Classifier


@dataclass(frozen=True, slots=True)
class Running:
    """How a network is run: the options of that name."""

    device: str
    dtype: str
    attention: str
    engine: str
    compile: bool


def open_classifier(model: str, running: Running, *, revision: str | None, offline: bool, quiet: bool) -> "Classifier":
    """Load a model, showing on stderr how far a download is, and what else takes long or goes wrong on the way.

    Raises ModelError and UsageError.
    """
    from vithybrid_cli.classifier import Classifier

    with fetch_progress(shown=not quiet) as progress:
        folder = locate(model, revision=revision, offline=offline, progress=progress)
    with _log_shown(shown=not quiet):
        return Classifier.from_pretrained(folder, **asdict(running))


class _OnStderr(logging.Handler):
    """Writes each message as a line."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(visible(record.getMessage()), err=True)


@contextmanager
def _log_shown(*, shown: bool) -> Iterator[None]:
    """Show what this package logs, from information upwards, or nothing of it."""
    logger = logging.getLogger("vithybrid_cli")
    before = logger.level
    handler = _OnStderr() if shown else logging.NullHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
