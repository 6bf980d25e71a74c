"""Which model a run uses: where it is, and the digests of all its files that decide results."""

from pathlib import Path

from vithybrid_cli.checkpoints.hub import is_cached, locate
from vithybrid_cli.checkpoints.hub_cache import recorded_sha256
from vithybrid_cli.commands.fetching import fetch_progress
from vithybrid_cli.commands.run_record import RunRecord


def settled_model(model: str, record: RunRecord, *, revision: str | None, offline: bool, quiet: bool) -> Path:
    """The folder of a model, fetched where needed, and settled in the record of the run.

    Raises ModelError, and UsageError if the earlier run had another model.
    """
    name = f"{model} at {revision}" if revision else model
    if _is_another(name, record) and not is_cached(model, revision=revision):
        record.settle(model={"name": name})  # which says so before anything is fetched
    with fetch_progress(shown=not quiet) as progress:
        folder = locate(model, revision=revision, offline=offline, progress=progress)
    if record.output is not None:
        record.settle(model={"name": name, "sha256": _digests(folder)})
    return folder


def _is_another(name: str, record: RunRecord) -> bool:
    return record.earlier is not None and record.earlier.settings["model"]["name"] != name


def _digests(model: Path) -> dict[str, str]:
    """File name → sha256 of what decides the results of a model."""
    # These import safetensors, which ``vithybrid --help`` must not pay for.
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.checkpoints.content import file_sha256

    return {file.name: recorded_sha256(file) or file_sha256(file) for file in Checkpoint.read(model).files()}
