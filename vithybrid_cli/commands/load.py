"""A checkpoint is made ready for pictures, with what a command says of it on the way."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from vithybrid_cli.output import visible

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.choices import Feature
    from vithybrid_cli.engines import Engine
    from vithybrid_cli.pipeline.classifier import Classifier
    from vithybrid_cli.pipeline.embedder import Embedder


@dataclass(frozen=True, slots=True)
class Running:
    """How a network is run: the options of that name."""

    device: str
    dtype: str
    attention: str
    engine: str
    compiled: bool


def open_classifier(model: str, checkpoint: "Checkpoint", running: Running, *, quiet: bool) -> "Classifier":
    """Load the ``checkpoint`` that was named ``model``, showing on stderr what takes long or goes wrong on the way.

    Raises ModelError, for a network without a head too, and UsageError.
    """
    from vithybrid_cli.pipeline.classifier import Classifier, require_head

    require_head(checkpoint, model)
    engine = _engine(checkpoint, running, None, quiet=quiet)
    return Classifier(engine, checkpoint.preprocessing, checkpoint.config.labels)


def open_embedder(checkpoint: "Checkpoint", running: Running, feature: "Feature", *, quiet: bool) -> "Embedder":
    """Load a ``checkpoint`` as `open_classifier` does, for this ``feature``."""
    from vithybrid_cli.engines.features import width_of
    from vithybrid_cli.pipeline.embedder import Embedder

    engine = _engine(checkpoint, running, feature, quiet=quiet)
    return Embedder(engine, checkpoint.preprocessing, width_of(checkpoint.config))


def _engine(checkpoint: "Checkpoint", running: Running, feature: "Feature | None", *, quiet: bool) -> "Engine":
    from vithybrid_cli.engines.open import open_engine

    with _log_shown(shown=not quiet):
        return open_engine(checkpoint, feature=feature, **asdict(running))


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
