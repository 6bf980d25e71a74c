"""Which model has found the labels of a results file, as far as the run that wrote it has told."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from vithybrid_cli.output.formats import Format
from vithybrid_cli.output.parquet import how_made
from vithybrid_cli.output.read_results import format_of_results
from vithybrid_cli.runs.record import record_file


class MadeWith(NamedTuple):
    """The name of the model and the version of the program; None for what nothing tells."""

    model: str | None
    version: str | None


def made_with(results: Path) -> MadeWith:
    """What is told in a Parquet file, or beside another file of results. Raises UsageError for what is none."""
    told = how_made(results) if format_of_results(results) is Format.PARQUET else _record(results)
    model, version = told.get("model"), told.get("version")
    name = model.get("name") if isinstance(model, dict) else None
    return MadeWith(name if isinstance(name, str) else None, version if isinstance(version, str) else None)


def _record(results: Path) -> dict[str, Any]:
    try:
        told = json.loads(record_file(results).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # labels do not depend on it
        return {}
    return told if isinstance(told, dict) else {}
