"""The model of a run: located, read, and recorded by the content of its files."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.hub.cache import recorded_sha256
from vithybrid_cli.hub.locate import is_cached, locate
from vithybrid_cli.runs.record import RunRecord
from vithybrid_cli.runs.watch import Watch
from vithybrid_cli.settings import Running

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint


def located(how: Running, watch: Watch, *, trust_pickle: bool = False) -> Path:
    """Where the model is, after its download if it needs one. Raises ModelError and UsageError as `locate` does."""
    with watch.fetching() as fetched:
        return locate(
            how.model, revision=how.revision, offline=how.offline, progress=fetched, trust_pickle=trust_pickle
        )


def read_checkpoint(how: Running, watch: Watch, *, trust_pickle: bool = False) -> "Checkpoint":
    """What the files of the model say, after its download if it needs one. Raises ModelError and UsageError.

    Weights that only a pickle holds are an error unless the caller has ``trust_pickle``.
    """
    path = located(how, watch, trust_pickle=trust_pickle)
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint  # imports NumPy and Pillow: a wrong name comes first

    return Checkpoint.read(path, how.image_size, trust_pickle=trust_pickle)


def require_apart_from_model(output: Path | None, checkpoint: "Checkpoint") -> None:
    """Raise UsageError if ``output`` is a file of the model, which would be overwritten."""
    if output is not None and output.is_file():
        _require_apart(output, checkpoint.files())


def require_apart_from_model_at(output: Path | None, path: Path) -> None:
    """As `require_apart_from_model`, for a model that may have no weights, or lie nowhere. Raises ModelError too."""
    if output is None or not output.is_file() or not path.exists():
        return
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint  # imports NumPy and Pillow

    checkpoint = Checkpoint.read(path)
    _require_apart(output, checkpoint.descriptions)
    with suppress(ModelError):
        _require_apart(output, checkpoint.weight_files())


def _require_apart(output: Path, files: Iterable[Path]) -> None:
    if any(file.exists() and output.samefile(file) for file in files):
        raise UsageError(f"{output} belongs to the model, and would be overwritten.", "Give another {output}.")


def recorded_checkpoint(how: Running, record: RunRecord, watch: Watch) -> "Checkpoint":
    """The checkpoint of a run, with its digests and its image size in the record.

    Raises ModelError, and UsageError if the earlier run had another model or image size.
    """
    name = f"{how.model} at {how.revision}" if how.revision else how.model
    if record.has_another_model(name) and not is_cached(how.model, revision=how.revision):
        record.settle(model={"name": name})  # which says so before anything is fetched
    checkpoint = read_checkpoint(how, watch)
    if record.is_told:
        record.settle(model={"name": name, "sha256": digests(checkpoint)})
        record.settle(image_size=image_size_of(checkpoint))  # after the model: another one may well have another size
    return checkpoint


def digests(checkpoint: "Checkpoint") -> dict[str, str]:
    """File name → sha256 of what decides the results of a model."""
    from vithybrid_cli.checkpoints.content import file_sha256

    return {file.name: recorded_sha256(file) or file_sha256(file) for file in checkpoint.files()}


def image_size_of(checkpoint: "Checkpoint") -> str:
    """As ``image_size`` is given, whether it was or is the model's own."""
    height, width = checkpoint.config.image_size
    return str(height) if height == width else f"{height}×{width}"
