"""A model by the name that a user gave, fetched where needed, ready to classify."""

from typing import TYPE_CHECKING

from vithybrid_cli.checkpoints.hub import locate
from vithybrid_cli.commands.fetching import fetch_progress

if TYPE_CHECKING:
    from vithybrid_cli.classifier import Classifier


def open_classifier(
    model: str,
    *,
    revision: str | None,
    offline: bool,
    device: str,
    dtype: str,
    attention: str,
    engine: str,
    quiet: bool,
) -> "Classifier":
    """Load a model, showing a download's progress on stderr. Raises ModelError and UsageError."""
    from vithybrid_cli.classifier import Classifier

    with fetch_progress(shown=not quiet) as progress:
        folder = locate(model, revision=revision, offline=offline, progress=progress)
    return Classifier.from_pretrained(folder, device=device, dtype=dtype, attention=attention, engine=engine)
