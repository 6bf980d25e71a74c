"""A checkpoint becomes a network that takes pictures, the way a run was asked to run it."""

from typing import TYPE_CHECKING

from vithybrid_cli.choices import Feature
from vithybrid_cli.settings import Running

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.engines import Engine
    from vithybrid_cli.pipeline.classifier import Classifier
    from vithybrid_cli.pipeline.embedder import Embedder


def open_classifier(checkpoint: "Checkpoint", how: Running, batch_limit: int | None = None) -> "Classifier":
    """``batch_limit`` is how many pictures at once an earlier engine of this run found to fit into memory.

    Raises ModelError, for a network without a head too, and UsageError for a device or engine that is not there."""
    from vithybrid_cli.pipeline.classifier import Classifier, require_head

    require_head(checkpoint, how.model)
    return Classifier(_engine(checkpoint, how, None, batch_limit), checkpoint.preprocessing, checkpoint.config.labels)


def open_embedder(checkpoint: "Checkpoint", how: Running, feature: Feature) -> "Embedder":
    """Raises ModelError, and UsageError for a device, an engine or a ``feature`` that is not there."""
    from vithybrid_cli.engines.features import width_of
    from vithybrid_cli.pipeline.embedder import Embedder

    engine = _engine(checkpoint, how, feature)
    return Embedder(engine, checkpoint.preprocessing, width_of(checkpoint.config))


def _engine(
    checkpoint: "Checkpoint", how: Running, feature: Feature | None, batch_limit: int | None = None
) -> "Engine":
    from vithybrid_cli.engines.open import open_engine

    return open_engine(
        checkpoint,
        engine=how.engine,
        device=how.device,
        dtype=how.dtype,
        attention=how.attention,
        compiled=how.compile,
        feature=feature,
        batch_size=how.batch_size,
        batch_limit=batch_limit,
    )
