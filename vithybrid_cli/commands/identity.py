"""Which model a run uses: where it is, the digests of all its files that decide results, and its image size."""

from typing import TYPE_CHECKING

from vithybrid_cli.commands.fetching import read_checkpoint
from vithybrid_cli.commands.run_record import RunRecord
from vithybrid_cli.hub.cache import recorded_sha256
from vithybrid_cli.hub.locate import is_cached

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint


def settled_model(
    model: str, record: RunRecord, *, revision: str | None, offline: bool, image_size: int | None, quiet: bool
) -> "Checkpoint":
    """The checkpoint of a model, fetched where needed, and settled in the record of the run.

    Raises ModelError, and UsageError if the earlier run had another model, or had it take pictures of another size.
    """
    name = f"{model} at {revision}" if revision else model
    if _is_another(name, record) and not is_cached(model, revision=revision):
        record.settle(model={"name": name})  # which says so before anything is fetched
    checkpoint = read_checkpoint(model, revision=revision, offline=offline, image_size=image_size, quiet=quiet)
    if record.output is not None:
        record.settle(model={"name": name, "sha256": _digests(checkpoint)})
        record.settle(image_size=_image_size(checkpoint))  # of another model it would be no news
    return checkpoint


def _is_another(name: str, record: RunRecord) -> bool:
    return record.earlier is not None and record.earlier.settings["model"]["name"] != name


def _digests(checkpoint: "Checkpoint") -> dict[str, str]:
    """File name → sha256 of what decides the results of a model."""
    from vithybrid_cli.checkpoints.content import file_sha256

    return {file.name: recorded_sha256(file) or file_sha256(file) for file in checkpoint.files()}


def _image_size(checkpoint: "Checkpoint") -> str:
    """As ``--image-size`` has it, whether it was given or is the model's own."""
    height, width = checkpoint.config.image_size
    return str(height) if height == width else f"{height}×{width}"
