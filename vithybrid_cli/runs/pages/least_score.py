"""The score that results have to reach, held against the scores that they have."""

from math import isfinite
from pathlib import Path

from vithybrid_cli.errors import UsageError
from vithybrid_cli.output.read_results import read_results


def require_score(least: float | None, results: Path) -> None:
    """Raise UsageError if no score can be meant by ``least``: a percentage, where scores are from 0 to 1.

    Raises it as `read_results` does, too. A network whose outputs are taken as they are has scores of any size.
    """
    if least is None or 0 <= least <= 1:
        return
    scores = (prediction.score for result in read_results(results) for prediction in result.predictions)
    if not isfinite(least) or all(0 <= score <= 1 for score in scores):
        raise UsageError(
            f"Scores in {results} are from 0 to 1, and {least:g} is none of them.", "Give {min_score} one from 0 to 1."
        )
