"""Results as a job keeps them, as lines of JSON like those of `vithybrid classify`, read back."""

import json
from typing import Any

from vithybrid_cli import errors
from vithybrid_cli.errors import ImageError
from vithybrid_cli.jobs.part import WrongResults
from vithybrid_cli.results import ImageResult, Prediction


def stored_result(line: bytes) -> ImageResult:
    """The result in a line. Raises WrongResults."""
    try:
        record: Any = json.loads(line)
        path = str(record["path"])
        if "error" in record:
            return ImageResult(path, error=_error(str(record["error"]["type"]), str(record["error"]["message"])))
        predictions = (Prediction(int(p["index"]), str(p["label"]), float(p["score"])) for p in record["predictions"])
        return ImageResult(path, tuple(predictions))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WrongResults("a line does not hold a result") from error


def _error(kind: str, message: str) -> ImageError:
    """An error of this type whose text is the message."""
    found = getattr(errors, kind, None)
    if not (isinstance(found, type) and issubclass(found, ImageError)):
        raise ValueError(f"there is no error {kind}")
    return found(message)
